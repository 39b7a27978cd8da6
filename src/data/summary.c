/* The summary of a data set as JSON. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "data/prepare_write.h"

/* An object under construction; the first failure sticks. */
typedef struct builder {
    struct json_object *object;
    bool failed;
} builder;

static void add(builder *b, const char *key, struct json_object *value) {
    if (b->object == NULL || value == NULL || json_object_object_add(b->object, key, value) != 0) {
        json_object_put(value);
        b->failed = true;
    }
}

static void add_count(builder *b, const char *key, uint64_t count) {
    add(b, key, json_object_new_int64((int64_t)count));
}

/* Six significant digits: enough for people, and the same text everywhere. */
static void add_number(builder *b, const char *key, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.6g", value);
    add(b, key, json_object_new_double_s(value, text));
}

static void add_text(builder *b, const char *key, const char *text) {
    add(b, key, json_object_new_string(text));
}

static builder begin(void) {
    return (builder){.object = json_object_new_object()};
}

static void add_object(builder *b, const char *key, builder *part) {
    add(b, key, part->object);
    b->failed = b->failed || part->failed;
}

/* The value that a share `q` of the users does not exceed (nearest rank). */
static uint64_t quantile(const uint64_t *sorted, size_t n, double q) {
    size_t rank = (size_t)(q * (double)n);
    if ((double)rank < q * (double)n) rank++;
    return sorted[rank == 0 ? 0 : rank - 1];
}

static void add_history(builder *summary, const cllm__preparing *p, const cllm__written *w) {
    builder b = begin();
    size_t n = p->users_kept;
    add_count(&b, "min", w->history[0]);
    add_count(&b, "p25", quantile(w->history, n, 0.25));
    add_count(&b, "median", quantile(w->history, n, 0.5));
    add_count(&b, "p75", quantile(w->history, n, 0.75));
    add_count(&b, "p90", quantile(w->history, n, 0.9));
    add_count(&b, "max", w->history[n - 1]);
    add_number(&b, "mean", (double)w->count[CLLM__TRAIN] / (double)n);
    add_object(summary, "history", &b);
}

static void add_kinds(builder *summary, const cllm__written *w) {
    static const char *const names[CLLM__TEXT_KINDS] = {"reviews",    "titles",       "brands",
                                                        "categories", "descriptions", "biographies"};
    builder b = begin();
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) add_count(&b, names[k], w->kinds[k]);
    add_object(summary, "texts_by_kind", &b);
}

static void add_dropped(builder *summary, const cllm__preparing *p) {
    builder b = begin(), bad = begin();
    add_count(&b, "rating", p->low);
    add_count(&b, "unknown_items", p->outside);
    add_count(&b, "core", p->core);
    add_count(&b, "duplicates", p->duplicates);
    add_count(&b, "overlaps", p->overlaps);
    add_count(&b, "bad_rows", p->bad_total);
    add_count(&b, "users", p->n_users - p->users_kept);
    add_count(&b, "items", p->n_items - p->items_kept);
    add_object(summary, "dropped", &b);
    for (int r = 0; r < CLLM__BAD_ROWS; r++) add_count(&bad, cllm__bad_row_name((cllm__bad_row)r), p->bad[r]);
    add_object(summary, "bad_rows", &bad);
}

cllm_status cllm__summary_make(const cllm__preparing *p, const cllm__written *w, struct json_object **summary,
                               cllm_error *err) {
    static const char *const rules[] = {"ratio", "loo", "time", "files"};
    const cllm_prepare_options *options = p->options;
    builder b = begin(), html = begin();
    add_count(&b, "users", p->users_kept);
    add_count(&b, "items", p->items_kept);
    add_count(&b, "interactions", w->interactions);
    add_count(&b, "train", w->count[CLLM__TRAIN]);
    add_count(&b, "valid", w->count[CLLM__VALID]);
    add_count(&b, "test", w->count[CLLM__TEST]);
    add_number(&b, "density", (double)w->interactions / ((double)p->users_kept * (double)p->items_kept));
    add_count(&b, "texts", w->texts);
    add_count(&b, "words", w->words);
    add_count(&b, "tokens", w->tokens);
    add_kinds(&b, w);
    add_history(&b, p, w);
    add_dropped(&b, p);
    add_count(&b, "cold_items", w->cold_items);
    add_count(&b, "short_users", p->short_users);
    add_count(&b, "unused_texts", p->texts_unused);
    add_count(&b, "unused_fields", p->fields_unused + p->field_duplicates);
    add_count(&html, "reviews", p->html_reviews);
    add_count(&html, "fields", p->html_fields);
    add_object(&b, "html", &html);
    add(&b, "times", json_object_new_boolean(p->with_time > 0));
    add(&b, "ratings", json_object_new_boolean(p->with_rating > 0));
    add_text(&b, "split", rules[options->split]);
    add(&b, "seed", json_object_new_uint64(options->seed));
    if (options->has_min_rating) add_number(&b, "min_rating", options->min_rating);
    add_count(&b, "kcore", options->kcore > 1 ? (uint64_t)options->kcore : 0);
    add(&b, "raw_text", json_object_new_boolean(options->raw_text));
    if (b.failed) {
        json_object_put(b.object);
        return cllm__fail_nomem(err);
    }
    *summary = b.object;
    return CLLM_OK;
}

cllm_status cllm__summary_source(const cllm__preparing *p, struct json_object **source, cllm_error *err) {
    builder b = begin();
    struct json_object *list = json_object_new_array();
    b.failed = list == NULL;
    for (size_t i = 0; i < p->n_sources && !b.failed; i++) {
        const cllm__source *from = &p->sources[i];
        builder one = begin();
        char hash[17];
        add_text(&one, "role", from->role);
        add_text(&one, "path", from->path);
        add_text(&one, "format", from->format);
        add_text(&one, "compression", from->compression);
        add_count(&one, "rows", from->rows);
        add_count(&one, "bytes", from->bytes);
        if (from->hashed) {
            cllm__hash_text(from->hash, hash);
            add_text(&one, "xxh3", hash);
        }
        b.failed = one.failed || json_object_array_add(list, one.object) != 0;
    }
    add(&b, "sources", list);
    add_text(&b, "program", CLLM_VERSION);
    add_number(&b, "seconds", cllm__now() - p->began);
    if (b.failed) {
        json_object_put(b.object);
        return cllm__fail_nomem(err);
    }
    *source = b.object;
    return CLLM_OK;
}
