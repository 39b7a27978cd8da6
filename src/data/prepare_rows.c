/* The stages between reading and writing: group, filter. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "data/kcore.h"
#include "data/prepare_internal.h"
#include "data/prepare_sort.h"
#include "data/split.h"

/* ---- Ranks of the raw ids ---- */

static int by_name(const void *a, const void *b, const void *context) {
    const cllm__names *names = context;
    return strcmp(cllm__names_get(names, (size_t) * (const int32_t *)a),
                  cllm__names_get(names, (size_t) * (const int32_t *)b));
}

/* order[rank] = number, rank[number] = rank. */
static cllm_status rank_names(const cllm__names *names, int32_t **order, int32_t **rank, cllm_error *err) {
    size_t n = cllm__names_count(names);
    CLLM_TRY(CLLM_NEW(*order, n, err));
    CLLM_TRY(CLLM_NEW(*rank, n, err));
    for (size_t i = 0; i < n; i++) (*order)[i] = (int32_t)i;
    cllm__sort(*order, n, sizeof **order, by_name, names);
    for (size_t i = 0; i < n; i++) (*rank)[(*order)[i]] = (int32_t)i;
    return CLLM_OK;
}

/* ---- Loading ---- */

static cllm_status load(cllm__preparing *p, const int32_t *user_rank, const int32_t *item_rank, cllm_error *err) {
    cllm__prow row;
    p->count = (size_t)(cllm__spool_size(p->row_spool) / sizeof row);
    CLLM_TRY(CLLM_NEW(p->user_start, p->n_users + 1, err));
    CLLM_TRY(cllm__spool_seek(p->row_spool, 0, err));
    for (size_t i = 0; i < p->count; i++) {
        CLLM_TRY(cllm__spool_read(p->row_spool, &row, sizeof row, err));
        p->user_start[user_rank[row.user] + 1]++;
    }
    for (size_t u = 0; u < p->n_users; u++) p->user_start[u + 1] += p->user_start[u];
    p->rows = cllm__alloc(p->count, sizeof *p->rows);
    if (p->rows == NULL) return cllm__fail_nomem(err);
    /* user_start[u] serves as u's cursor, ends where u + 1 began, and is moved back afterwards. */
    CLLM_TRY(cllm__spool_seek(p->row_spool, 0, err));
    for (size_t i = 0; i < p->count; i++) {
        if (i % 65536 == 0) CLLM_TRY(cllm__check_cancelled(p->host, err));
        CLLM_TRY(cllm__spool_read(p->row_spool, &row, sizeof row, err));
        row.user = user_rank[row.user];
        row.item = item_rank[row.item];
        p->rows[p->user_start[row.user]++] = row;
    }
    memmove(p->user_start + 1, p->user_start, p->n_users * sizeof *p->user_start);
    p->user_start[0] = 0;
    cllm__spool_free(p->row_spool);
    p->row_spool = NULL;
    return CLLM_OK;
}

/* ---- Duplicates and texts of their own ---- */

/* By item; of one item interactions before texts, then the later split, the earlier time, the earlier row first: so the
 * last interaction of an item is the one to keep, and the last text. */
static int by_item(const void *a, const void *b, const void *context) {
    (void)context;
    const cllm__prow *x = a, *y = b;
    if (x->item != y->item) return x->item < y->item ? -1 : 1;
    bool x_text = cllm__prow_only_text(x), y_text = cllm__prow_only_text(y);
    if (x_text != y_text) return x_text ? 1 : -1;
    cllm__split x_split = cllm__prow_split(x), y_split = cllm__prow_split(y);
    if (x_split != y_split) return x_split > y_split ? -1 : 1;
    int64_t x_time = cllm__prow_time(x), y_time = cllm__prow_time(y);
    if (x_time != y_time) return x_time < y_time ? -1 : 1;
    uint64_t x_where = cllm__prow_where(x), y_where = cllm__prow_where(y);
    return (x_where > y_where) - (x_where < y_where);
}

static int by_time(const void *a, const void *b, const void *context) {
    (void)context;
    int64_t x_time = cllm__prow_time(a), y_time = cllm__prow_time(b);
    if (x_time != y_time) return x_time < y_time ? -1 : 1;
    uint64_t x_where = cllm__prow_where(a), y_where = cllm__prow_where(b);
    return (x_where > y_where) - (x_where < y_where);
}

typedef struct attachment {
    int32_t item;
    uint64_t offset;
} attachment;

typedef struct attachments {
    attachment *list;
    size_t count, capacity;
} attachments;

/* One user's rows [from, to) become rows [out, …), one for each item, in time order; returns their end. */
static cllm_status resolve_user(cllm__preparing *p, size_t from, size_t to, size_t *out, attachments *texts,
                                cllm_error *err) {
    size_t begin = *out;
    texts->count = 0;
    cllm__sort(p->rows + from, to - from, sizeof *p->rows, by_item, NULL);
    for (size_t i = from; i < to;) {
        size_t pairs = 0, words = 0, end = i;
        for (; end < to && p->rows[end].item == p->rows[i].item; end++) {
            if (cllm__prow_only_text(&p->rows[end])) words++;
            else pairs++;
        }
        if (pairs == 0) {
            p->texts_unused += words;
        } else {
            cllm__prow keep = p->rows[i + pairs - 1];
            for (size_t k = i; k + 1 < i + pairs; k++) {
                if (cllm__prow_split(&p->rows[k]) != cllm__prow_split(&keep)) p->overlaps++;
                else p->duplicates++;
            }
            if (words > 0) {
                CLLM_TRY(CLLM_GROW(texts->list, texts->capacity, texts->count + 1, err));
                texts->list[texts->count++] = (attachment){keep.item, cllm__prow_offset(&p->rows[end - 1])};
            }
            p->rows[(*out)++] = keep;
        }
        i = end;
    }
    cllm__sort(p->rows + begin, *out - begin, sizeof *p->rows, by_time, NULL);
    for (size_t i = begin; i < *out && texts->count > 0; i++) {
        cllm__prow *row = &p->rows[i];
        size_t low = 0, high = texts->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (texts->list[middle].item < row->item) low = middle + 1;
            else high = middle;
        }
        if (low == texts->count || texts->list[low].item != row->item) continue;
        cllm__prow_set_where(row, texts->list[low].offset, cllm__prow_split(row), cllm__prow_fate(row), false);
    }
    return CLLM_OK;
}

static cllm_status resolve(cllm__preparing *p, cllm_error *err) {
    attachments texts = {0};
    cllm_status status = CLLM_OK;
    size_t out = 0;
    for (size_t u = 0; u < p->n_users && status == CLLM_OK; u++) {
        size_t from = (size_t)p->user_start[u], to = (size_t)p->user_start[u + 1];
        p->user_start[u] = out;
        status = resolve_user(p, from, to, &out, &texts, err);
        if (u % 4096 == 0 && status == CLLM_OK) status = cllm__check_cancelled(p->host, err);
    }
    p->user_start[p->n_users] = out;
    p->count = out;
    cllm__free(texts.list);
    return status;
}

cllm_status cllm__preparing_group(cllm__preparing *p, cllm_error *err) {
    int32_t *user_rank = NULL, *item_rank = NULL;
    cllm_status status;
    p->n_users = cllm__names_count(p->users);
    p->n_items = cllm__names_count(p->items);
    CLLM_TRY_CLEAN(rank_names(p->users, &p->user_order, &user_rank, err));
    CLLM_TRY_CLEAN(rank_names(p->items, &p->item_order, &item_rank, err));
    CLLM_TRY_CLEAN(load(p, user_rank, item_rank, err));
    status = resolve(p, err);
cleanup:
    cllm__free(user_rank);
    cllm__free(item_rank);
    return status;
}

/* ---- Filters ---- */

cllm_status cllm__preparing_filter(cllm__preparing *p, cllm_error *err) {
    CLLM_TRY(cllm__kcore(p->rows, p->user_start, p->n_users, p->n_items, p->options->kcore, p->host, err));
    uint64_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        cllm__fate fate = cllm__prow_fate(&p->rows[i]);
        kept += fate == CLLM__KEPT;
        p->low += fate == CLLM__LOW_RATING;
        p->outside += fate == CLLM__OUTSIDE_ITEMS;
        p->core += fate == CLLM__OUTSIDE_CORE;
        if (fate != CLLM__KEPT) continue;
        if (cllm__prow_time(&p->rows[i]) == CLLM__NO_TIME) p->without_time++;
        else p->with_time++;
        if (isnan(p->rows[i].rating)) p->without_rating++;
        else p->with_rating++;
    }
    if (kept == 0) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "no interactions are left: %llu rows read, %llu malformed, %llu with items that --items does "
                          "not have, %llu rated too low, %llu outside the %d-core: check the columns, loosen the filters",
                          (unsigned long long)p->rows_read, (unsigned long long)p->bad_total,
                          (unsigned long long)p->outside, (unsigned long long)p->low, (unsigned long long)p->core,
                          p->options->kcore > 1 ? p->options->kcore : 1);
    }
    return cllm__split_rows(p, err);
}
