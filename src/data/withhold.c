#include "data/withhold.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/rng.h"
#include "data/dataset_write.h"

/* Everything that one call owns. */
typedef struct withholding {
    const cllm__dataset *from;
    cllm__withhold options;
    const char *folder;     /* the temporary one */
    uint8_t *items, *users; /* nonzero: withheld */
    size_t n_withheld_items, n_withheld_users;
    struct columns {
        uint64_t *start;
        int32_t *items;
        int64_t *times;
        float *ratings;
        size_t count;
    } to[CLLM__SPLITS];
    uint64_t kinds[CLLM__TEXT_KINDS], n_texts;
} withholding;

static void withholding_free(withholding *w) {
    cllm__free(w->items);
    cllm__free(w->users);
    for (int s = 0; s < CLLM__SPLITS; s++) {
        cllm__free(w->to[s].start);
        cllm__free(w->to[s].items);
        cllm__free(w->to[s].times);
        cllm__free(w->to[s].ratings);
    }
}

static bool takes_split(const withholding *w, int split) {
    return split != CLLM__TEST || w->options.keep_test;
}

/* The split that a row of `from` goes to. */
static cllm__split split_of(const withholding *w, cllm__split from, size_t user, int32_t item) {
    return w->users[user] || w->items[item] ? CLLM__TEST : from;
}

/* ---- Who is withheld ---- */

/* Marks a random `wanted` of the candidates. */
static void draw(uint8_t *marks, int32_t *candidates, size_t n, size_t wanted, uint64_t seed, uint32_t what) {
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_WITHHOLD, what, 0);
    cllm__rng_shuffle_i32(&rng, candidates, n);
    for (size_t i = 0; i < wanted; i++) marks[candidates[i]] = 1;
}

static size_t part_of(double share, size_t n) {
    size_t part = (size_t)floor(share * (double)n + 1e-9);
    return part == 0 && share > 0 && n > 0 ? 1 : part;
}

static cllm_status choose_items(withholding *w, cllm_error *err) {
    const cllm__interactions *train = cllm__dataset_interactions(w->from, CLLM__TRAIN);
    int32_t *candidates;
    size_t n = 0;
    CLLM_TRY(CLLM_NEW(candidates, train->n_items + 1, err));
    for (size_t i = 0; i < train->count; i++) w->items[train->items[i]] = 1;
    for (size_t item = 0; item < train->n_items; item++) {
        if (w->items[item]) candidates[n++] = (int32_t)item;
        w->items[item] = 0;
    }
    w->n_withheld_items = part_of(w->options.items, n);
    draw(w->items, candidates, n, w->n_withheld_items, w->options.seed, 0);
    cllm__free(candidates);
    return CLLM_OK;
}

/* Rows of a user with items that are not withheld. */
static size_t warm_rows(const withholding *w, size_t user) {
    size_t count = 0;
    for (int s = 0; s < CLLM__SPLITS; s++) {
        const cllm__interactions *m = cllm__dataset_interactions(w->from, (cllm__split)s);
        for (size_t i = 0; takes_split(w, s) && i < cllm__row_count(m, user); i++) count += !w->items[cllm__row(m, user)[i]];
    }
    return count;
}

static cllm_status choose_users(withholding *w, cllm_error *err) {
    const cllm__interactions *train = cllm__dataset_interactions(w->from, CLLM__TRAIN);
    int32_t *candidates;
    size_t n = 0, trained = 0;
    CLLM_TRY(CLLM_NEW(candidates, train->n_users + 1, err));
    for (size_t user = 0; user < train->n_users; user++) {
        if (cllm__row_count(train, user) == 0) continue;
        trained++;
        if (warm_rows(w, user) >= w->options.least) candidates[n++] = (int32_t)user;
    }
    size_t wanted = part_of(w->options.users, trained);
    w->n_withheld_users = wanted < n / 2 ? wanted : n / 2;
    draw(w->users, candidates, n, w->n_withheld_users, w->options.seed, 1);
    cllm__free(candidates);
    if (wanted > 0 && w->n_withheld_users == 0) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': %zu users have %zu rows or more, too few to withhold some of them",
                          cllm__dataset_path(w->from), n, w->options.least);
    }
    return CLLM_OK;
}

/* ---- Rows ---- */

typedef struct one_row {
    int64_t time;
    float rating;
    int32_t item;
} one_row;

/* In time order, as a data set's rows are; equal times stay in their order. A user has few rows. */
static void sort_by_time(one_row *rows, size_t n) {
    for (size_t i = 1; i < n; i++) {
        one_row row = rows[i];
        size_t at = i;
        for (; at > 0 && rows[at - 1].time > row.time; at--) rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

static cllm_status make_columns(withholding *w, cllm_error *err) {
    size_t total = 0, n_users = cllm__dataset_users(w->from);
    bool times = false, ratings = false;
    for (int s = 0; s < CLLM__SPLITS; s++) {
        const cllm__interactions *m = cllm__dataset_interactions(w->from, (cllm__split)s);
        total += m->count;
        times = times || m->times != NULL;
        ratings = ratings || m->ratings != NULL;
    }
    for (int s = 0; s < CLLM__SPLITS; s++) {
        CLLM_TRY(CLLM_NEW(w->to[s].start, n_users + 1, err));
        CLLM_TRY(CLLM_NEW(w->to[s].items, total, err));
        if (times) CLLM_TRY(CLLM_NEW(w->to[s].times, total, err));
        if (ratings) CLLM_TRY(CLLM_NEW(w->to[s].ratings, total, err));
    }
    return CLLM_OK;
}

/* A user's rows that go to split `to`, from whatever split they come; returns how many. */
static size_t gather(const withholding *w, size_t user, cllm__split to, one_row *rows) {
    size_t n = 0;
    for (int s = 0; s < CLLM__SPLITS; s++) {
        const cllm__interactions *m = cllm__dataset_interactions(w->from, (cllm__split)s);
        for (size_t at = (size_t)m->start[user]; takes_split(w, s) && at < m->start[user + 1]; at++) {
            if (split_of(w, (cllm__split)s, user, m->items[at]) != to) continue;
            rows[n++] = (one_row){m->times != NULL ? m->times[at] : INT64_MIN, m->ratings != NULL ? m->ratings[at] : NAN, m->items[at]};
        }
    }
    sort_by_time(rows, n);
    return n;
}

static cllm_status write_rows(withholding *w, cllm_error *err) {
    size_t n_users = cllm__dataset_users(w->from), n_items = cllm__dataset_items(w->from);
    cllm__interactions splits[CLLM__SPLITS];
    one_row *rows;
    CLLM_TRY(make_columns(w, err));
    CLLM_TRY(CLLM_NEW(rows, n_items + 1, err)); /* no user has an item twice */
    for (int s = 0; s < CLLM__SPLITS; s++) {
        struct columns *to = &w->to[s];
        for (size_t user = 0; user < n_users; user++) {
            size_t n = gather(w, user, (cllm__split)s, rows);
            for (size_t i = 0; i < n; i++, to->count++) {
                to->items[to->count] = rows[i].item;
                if (to->times != NULL) to->times[to->count] = rows[i].time;
                if (to->ratings != NULL) to->ratings[to->count] = rows[i].rating;
            }
            to->start[user + 1] = to->count;
        }
        splits[s] = (cllm__interactions){.n_users = n_users, .n_items = n_items, .count = to->count, .start = to->start,
                                         .items = to->items, .times = to->times, .ratings = to->ratings};
    }
    cllm__free(rows);
    if (w->to[CLLM__TRAIN].count == 0) return cllm__fail(err, CLLM_ERR_DATA, "'%s': no training row is left", cllm__dataset_path(w->from));
    return cllm__write_interactions(w->folder, splits, err);
}

/* ---- Texts ---- */

static cllm_status write_texts(withholding *w, cllm_error *err) {
    size_t n = cllm__dataset_texts(w->from), kept = 0;
    cllm__out *out = NULL;
    uint64_t *start = NULL;
    uint8_t *kind = NULL, *split = NULL;
    int32_t *user = NULL, *item = NULL;
    char *path = cllm__path_join(w->folder, cllm__dataset_file_name(CLLM__FILE_TEXTS));
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : CLLM_OK;
    if (status != CLLM_OK) goto cleanup;
    CLLM_TRY_CLEAN(CLLM_NEW(start, n + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(kind, n, err));
    CLLM_TRY_CLEAN(CLLM_NEW(split, n, err));
    CLLM_TRY_CLEAN(CLLM_NEW(user, n, err));
    CLLM_TRY_CLEAN(CLLM_NEW(item, n, err));
    CLLM_TRY_CLEAN(cllm__out_create(&out, path, err));
    for (size_t i = 0; i < n; i++) {
        cllm__text text = cllm__dataset_text(w->from, i);
        if (!takes_split(w, text.split)) continue;
        CLLM_TRY_CLEAN(cllm__out_write(out, text.text, text.length, err));
        CLLM_TRY_CLEAN(cllm__out_write(out, "", 1, err));
        kind[kept] = (uint8_t)text.kind;
        split[kept] = (uint8_t)(text.kind == CLLM__TEXT_REVIEW ? split_of(w, text.split, (size_t)text.user, text.item) : CLLM__TRAIN);
        user[kept] = text.user;
        item[kept++] = text.item;
        start[kept] = cllm__out_size(out);
        w->kinds[text.kind]++;
    }
    w->n_texts = kept;
    status = cllm__out_commit(out, err);
    out = NULL;
    if (status == CLLM_OK) status = cllm__write_text_index(w->folder, &(cllm__text_index){kept, start, kind, split, user, item}, err);
cleanup:
    cllm__out_abort(out);
    cllm__free(path);
    cllm__free(start);
    cllm__free(kind);
    cllm__free(split);
    cllm__free(user);
    cllm__free(item);
    return status;
}

static cllm_status copy_file(const withholding *w, cllm__dataset_file file, cllm_error *err) {
    const char *name = cllm__dataset_file_name(file);
    char *from = cllm__path_join(cllm__dataset_path(w->from), name), *to = cllm__path_join(w->folder, name);
    cllm__map map = {0};
    cllm_status status = from == NULL || to == NULL ? cllm__fail_nomem(err) : cllm__map_open(&map, from, err);
    if (status == CLLM_OK) status = cllm__write_file(to, map.data, map.size, err);
    cllm__map_close(&map);
    cllm__free(from);
    cllm__free(to);
    return status;
}

/* ---- Manifest ---- */

static void add_count(struct json_object *object, const char *name, uint64_t count) {
    json_object_object_add(object, name, json_object_new_int64((int64_t)count));
}

static void add_share(struct json_object *object, const char *name, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.6g", value);
    json_object_object_add(object, name, json_object_new_double_s(value, text));
}

static struct json_object *summary_of(const withholding *w) {
    static const char *const kinds[CLLM__TEXT_KINDS] = {"reviews", "titles", "brands", "categories", "descriptions", "biographies"};
    static const char *const splits[CLLM__SPLITS] = {"train", "valid", "test"};
    struct json_object *summary = json_object_new_object(), *texts = json_object_new_object(), *how = json_object_new_object();
    size_t users = cllm__dataset_users(w->from), items = cllm__dataset_items(w->from), rows = 0;
    char hash[17];
    for (int s = 0; s < CLLM__SPLITS; s++) rows += w->to[s].count;
    add_count(summary, "users", users);
    add_count(summary, "items", items);
    add_count(summary, "interactions", rows);
    for (int s = 0; s < CLLM__SPLITS; s++) add_count(summary, splits[s], w->to[s].count);
    add_share(summary, "density", (double)rows / ((double)users * (double)items));
    add_count(summary, "texts", w->n_texts);
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) add_count(texts, kinds[k], w->kinds[k]);
    json_object_object_add(summary, "texts_by_kind", texts);
    cllm__hash_text(cllm__dataset_hash(w->from), hash);
    json_object_object_add(how, "from", json_object_new_string(hash));
    add_count(how, "items", w->n_withheld_items);
    add_count(how, "users", w->n_withheld_users);
    add_count(how, "least", w->options.least);
    json_object_object_add(how, "test_kept", json_object_new_boolean(w->options.keep_test));
    json_object_object_add(how, "seed", json_object_new_uint64(w->options.seed));
    json_object_object_add(summary, "withheld", how);
    return summary;
}

static cllm_status write_folder(withholding *w, cllm_error *err) {
    cllm__manifest manifest = {0};
    CLLM_TRY(CLLM_NEW(w->items, cllm__dataset_items(w->from) + 1, err));
    CLLM_TRY(CLLM_NEW(w->users, cllm__dataset_users(w->from) + 1, err));
    CLLM_TRY(choose_items(w, err));
    CLLM_TRY(choose_users(w, err));
    CLLM_TRY(write_rows(w, err));
    CLLM_TRY(write_texts(w, err));
    static const cllm__dataset_file same[] = {CLLM__FILE_USERS, CLLM__FILE_ITEMS, CLLM__FILE_DROPPED};
    for (size_t i = 0; i < CLLM_LEN(same); i++) CLLM_TRY(copy_file(w, same[i], err));
    manifest.summary = summary_of(w);
    cllm_status status = cllm__write_manifest(w->folder, &manifest, err);
    cllm__manifest_free(&manifest);
    return status;
}

cllm_status cllm__withhold_write(const cllm__dataset *dataset, cllm__withhold options, const char *folder, bool force, cllm_error *err) {
    withholding w = {.from = dataset, .options = options};
    if (!(options.items >= 0 && options.items <= 1) || !(options.users >= 0 && options.users <= 1)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "withheld shares %g of the items and %g of the users: give numbers from 0 to 1", options.items, options.users);
    }
    char *temporary;
    CLLM_TRY(cllm__folder_begin(folder, force, CLLM__MANIFEST_NAME, &temporary, err));
    w.folder = temporary;
    cllm_status status = write_folder(&w, err);
    if (status == CLLM_OK) status = cllm__folder_commit(temporary, folder, err);
    if (status != CLLM_OK) cllm__remove_tree(temporary);
    cllm__free(temporary);
    withholding_free(&w);
    return status;
}

/* ---- Parts of a matrix ---- */

cllm_status cllm__select_rows(cllm__merged *part, const cllm__interactions *matrix, cllm__row_filter *keep, const void *context, cllm_error *err) {
    size_t used = 0;
    CLLM_TRY(CLLM_NEW(part->start, matrix->n_users + 1, err));
    CLLM_TRY(CLLM_NEW(part->items, matrix->count + 1, err));
    for (size_t user = 0; user < matrix->n_users; user++) {
        for (size_t at = (size_t)matrix->start[user]; at < matrix->start[user + 1]; at++) {
            if (keep(context, user, matrix->items[at], at)) part->items[used++] = matrix->items[at];
        }
        part->start[user + 1] = used;
    }
    part->matrix = (cllm__interactions){.n_users = matrix->n_users, .n_items = matrix->n_items, .count = used, .start = part->start, .items = part->items};
    return CLLM_OK;
}
