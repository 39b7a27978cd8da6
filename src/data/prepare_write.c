#include "data/prepare_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"
#include "data/dataset_escape.h"
#include "data/dataset_write.h"
#include "data/prepare_sort.h"

/* ---- Numbering ---- */

/* Users are numbered in the order of their raw ids, items by a seeded permutation of theirs. */
static cllm_status number_rows(cllm__preparing *p, cllm__written *written, cllm_error *err) {
    cllm_status status;
    uint8_t *seen = NULL;
    int32_t *order = NULL;
    CLLM_TRY_CLEAN(CLLM_NEW(p->user_row, p->n_users, err));
    CLLM_TRY_CLEAN(CLLM_NEW(p->item_row, p->n_items, err));
    CLLM_TRY_CLEAN(CLLM_NEW(seen, p->n_items, err));
    for (size_t u = 0; u < p->n_users; u++) {
        bool any = false;
        for (uint64_t i = p->user_start[u]; i < p->user_start[u + 1]; i++) {
            if (cllm__prow_fate(&p->rows[i]) != CLLM__KEPT) continue;
            any = true;
            seen[p->rows[i].item] = 1;
        }
        p->user_row[u] = any ? (int32_t)p->users_kept++ : -1;
    }
    for (size_t v = 0; v < p->n_items; v++) {
        bool in = p->fixed_items == SIZE_MAX || p->options->only_seen_items ? seen[v] != 0
                                                                            : (size_t)p->item_order[v] < p->fixed_items;
        p->item_row[v] = in ? (int32_t)p->items_kept++ : -1;
        written->cold_items += in && !seen[v];
    }
    CLLM_TRY_CLEAN(CLLM_NEW(order, p->items_kept, err));
    for (size_t i = 0; i < p->items_kept; i++) order[i] = (int32_t)i;
    cllm__rng rng = cllm__rng_make(p->options->seed, CLLM_RNG_ITEM_ORDER, 0, 0);
    cllm__rng_shuffle_i32(&rng, order, p->items_kept);
    for (size_t v = 0; v < p->n_items; v++) {
        if (p->item_row[v] >= 0) p->item_row[v] = order[p->item_row[v]];
    }
    status = CLLM_OK;
cleanup:
    cllm__free(seen);
    cllm__free(order);
    return status;
}

/* ---- Dropped rows ---- */

static cllm_status write_dropped(cllm__preparing *p, cllm_error *err) {
    char *path;
    cllm__out *out;
    CLLM_TRY(cllm__output_path(p, cllm__dataset_file_name(CLLM__FILE_DROPPED), &path, err));
    cllm_status status = cllm__out_create(&out, path, err);
    cllm__free(path);
    CLLM_TRY(status);
    CLLM_TRY_CLEAN(cllm__out_printf(out, err, "#user\titem\tliked\n"));
    for (size_t i = 0; i < p->count; i++) {
        const cllm__prow *row = &p->rows[i];
        if (cllm__prow_fate(row) == CLLM__KEPT) continue;
        const char *user = cllm__names_get(p->users, (size_t)p->user_order[row->user]);
        const char *item = cllm__names_get(p->items, (size_t)p->item_order[row->item]);
        CLLM_TRY_CLEAN(cllm__escape_write(out, user, strlen(user), err));
        CLLM_TRY_CLEAN(cllm__out_write(out, "\t", 1, err));
        CLLM_TRY_CLEAN(cllm__escape_write(out, item, strlen(item), err));
        CLLM_TRY_CLEAN(cllm__out_write(out, cllm__prow_fate(row) == CLLM__LOW_RATING ? "\t0\n" : "\t1\n", 3, err));
    }
    return cllm__out_commit(out, err);
cleanup:
    cllm__out_abort(out);
    return status;
}

/* ---- Interactions ---- */

typedef struct columns {
    uint64_t *start[CLLM__SPLITS];
    int32_t *items[CLLM__SPLITS];
    int64_t *times[CLLM__SPLITS];
    float *ratings[CLLM__SPLITS];
} columns;

static void columns_free(columns *c) {
    for (int s = 0; s < CLLM__SPLITS; s++) {
        cllm__free(c->start[s]);
        cllm__free(c->items[s]);
        cllm__free(c->times[s]);
        cllm__free(c->ratings[s]);
    }
}

/* Kept rows into the spool, in their order and with their final numbers; users' counts and histories. */
static cllm_status spool_rows(cllm__preparing *p, cllm__spool *spool, columns *c, cllm__written *written, cllm_error *err) {
    for (int s = 0; s < CLLM__SPLITS; s++) CLLM_TRY(CLLM_NEW(c->start[s], p->users_kept + 1, err));
    CLLM_TRY(CLLM_NEW(written->history, p->users_kept, err));
    for (size_t i = 0; i < p->count; i++) {
        if (cllm__prow_fate(&p->rows[i]) != CLLM__KEPT) continue;
        cllm__prow row = p->rows[i];
        cllm__split split = cllm__prow_split(&row);
        row.user = p->user_row[row.user];
        row.item = p->item_row[row.item];
        c->start[split][row.user + 1]++;
        written->count[split]++;
        written->interactions++;
        if (split == CLLM__TRAIN) written->history[row.user]++;
        CLLM_TRY(cllm__spool_write(spool, &row, sizeof row, err));
    }
    for (int s = 0; s < CLLM__SPLITS; s++) {
        for (size_t u = 0; u < p->users_kept; u++) c->start[s][u + 1] += c->start[s][u];
    }
    return CLLM_OK;
}

/* The spool's rows are ordered by user, so each split just grows. */
static cllm_status fill_columns(cllm__preparing *p, cllm__spool *spool, columns *c, const cllm__written *written,
                                cllm_error *err) {
    size_t at[CLLM__SPLITS] = {0};
    for (int s = 0; s < CLLM__SPLITS; s++) {
        size_t n = (size_t)written->count[s];
        CLLM_TRY(CLLM_NEW(c->items[s], n, err));
        if (p->with_time > 0) CLLM_TRY(CLLM_NEW(c->times[s], n, err));
        if (p->with_rating > 0) CLLM_TRY(CLLM_NEW(c->ratings[s], n, err));
    }
    CLLM_TRY(cllm__spool_seek(spool, 0, err));
    for (uint64_t i = 0; i < written->interactions; i++) {
        cllm__prow row;
        if (i % 65536 == 0) CLLM_TRY(cllm__check_cancelled(p->host, err));
        CLLM_TRY(cllm__spool_read(spool, &row, sizeof row, err));
        cllm__split s = cllm__prow_split(&row);
        int64_t time = cllm__prow_time(&row);
        c->items[s][at[s]] = row.item;
        if (p->with_time > 0) c->times[s][at[s]] = time == CLLM__NO_TIME ? INT64_MIN : time;
        if (p->with_rating > 0) c->ratings[s][at[s]] = row.rating;
        at[s]++;
    }
    return CLLM_OK;
}

static cllm_status write_columns(cllm__preparing *p, const columns *c, const cllm__written *written, cllm_error *err) {
    cllm__interactions splits[CLLM__SPLITS];
    for (int s = 0; s < CLLM__SPLITS; s++) {
        splits[s] = (cllm__interactions){.n_users = p->users_kept, .n_items = p->items_kept, .count = (size_t)written->count[s],
                                         .start = c->start[s], .items = c->items[s], .times = c->times[s], .ratings = c->ratings[s]};
    }
    return cllm__write_interactions(p->folder, splits, err);
}

/* ---- Manifest ---- */

static cllm_status write_manifest(cllm__preparing *p, const cllm__written *written, char **summary, cllm_error *err) {
    cllm__manifest manifest = {0};
    struct json_object *source = NULL;
    cllm_status status;
    CLLM_TRY_CLEAN(cllm__summary_make(p, written, &manifest.summary, err));
    CLLM_TRY_CLEAN(cllm__summary_source(p, &source, err));
    CLLM_TRY_CLEAN(cllm__write_json(p->folder, CLLM__SOURCE_NAME, source, err));
    CLLM_TRY_CLEAN(cllm__write_manifest(p->folder, &manifest, err));
    if (summary != NULL) {
        json_object_object_foreach(source, key, value) {
            if (json_object_object_add(manifest.summary, key, json_object_get(value)) != 0) {
                status = cllm__fail_nomem(err);
                goto cleanup;
            }
        }
        status = cllm__manifest_json_text(manifest.summary, summary, err);
    }
cleanup:
    json_object_put(source);
    cllm__manifest_free(&manifest);
    return status;
}

/* ---- All ---- */

static int by_size(const void *a, const void *b, const void *context) {
    (void)context;
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

cllm_status cllm__preparing_write(cllm__preparing *p, char **summary, cllm_error *err) {
    cllm_status status;
    cllm__written written = {0};
    columns c = {0};
    cllm__spool *spool = NULL;
    cllm__text_writer *texts = NULL;
    CLLM_TRY_CLEAN(number_rows(p, &written, err));
    CLLM_TRY_CLEAN(write_dropped(p, err));
    CLLM_TRY_CLEAN(cllm__spool_create(&spool, p->folder, "rows.tmp", err));
    CLLM_TRY_CLEAN(spool_rows(p, spool, &c, &written, err));
    CLLM_TRY_CLEAN(cllm__texts_write(p, &texts, &written, err));
    cllm__free(p->rows); /* the spool has them: make room for the columns */
    p->rows = NULL;
    CLLM_TRY_CLEAN(fill_columns(p, spool, &c, &written, err));
    CLLM_TRY_CLEAN(write_columns(p, &c, &written, err));
    columns_free(&c);
    c = (columns){0};
    CLLM_TRY_CLEAN(cllm__texts_write_index(p, texts, err));
    cllm__sort(written.history, p->users_kept, sizeof *written.history, by_size, NULL);
    status = write_manifest(p, &written, summary, err);
cleanup:
    cllm__text_writer_free(texts);
    cllm__spool_free(spool);
    columns_free(&c);
    cllm__free(written.history);
    return status;
}
