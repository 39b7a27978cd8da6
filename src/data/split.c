#include "data/split.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "data/prepare_sort.h"

/* ---- Per user ---- */

/* The indices of a user's kept rows, in their order. */
static cllm_status kept_rows(const cllm__preparing *p, size_t user, size_t **list, size_t *capacity, size_t *count,
                             cllm_error *err) {
    size_t n = 0;
    for (uint64_t i = p->user_start[user]; i < p->user_start[user + 1]; i++) {
        if (cllm__prow_fate(&p->rows[i]) != CLLM__KEPT) continue;
        CLLM_TRY(CLLM_GROW(*list, *capacity, n + 1, err));
        (*list)[n++] = (size_t)i;
    }
    *count = n;
    return CLLM_OK;
}

static int by_item(const void *a, const void *b, const void *context) {
    const cllm__prow *rows = context;
    int32_t left = rows[*(const size_t *)a].item, right = rows[*(const size_t *)b].item;
    return (left > right) - (left < right);
}

static void split_ratio(cllm__preparing *p, size_t user, size_t *list, size_t n) {
    const char *id = cllm__names_get(p->users, (size_t)p->user_order[user]);
    cllm__rng rng = cllm__rng_make(p->options->seed, CLLM_RNG_SPLIT, 0, cllm__hash(id, strlen(id)));
    size_t part = n / 10 > 0 ? n / 10 : 1;
    cllm__sort(list, n, sizeof *list, by_item, p->rows);
    cllm__rng_shuffle_size(&rng, list, n);
    for (size_t i = 0; i < 2 * part; i++) cllm__prow_set_split(&p->rows[list[i]], i < part ? CLLM__VALID : CLLM__TEST);
}

static int by_raw_item(const void *a, const void *b, const void *context) {
    (void)context;
    int32_t left = ((const cllm__prow *)a)->item, right = ((const cllm__prow *)b)->item;
    return (left > right) - (left < right);
}

typedef struct row_list {
    cllm__prow *rows;
    size_t capacity;
} row_list;

/* Rows of one time have no order. That of the file may be anything, by item for one, and would give away which of them is held out: one is
 * drawn. *tied: whether the user's last rows are such. */
static cllm_status draw_ties(cllm__preparing *p, size_t user, const size_t *list, size_t n, row_list *scratch, bool *tied, cllm_error *err) {
    const char *id = cllm__names_get(p->users, (size_t)p->user_order[user]);
    cllm__rng rng = cllm__rng_make(p->options->seed, CLLM_RNG_SPLIT, 2, cllm__hash(id, strlen(id)));
    *tied = false;
    for (size_t first = 0, end; first < n; first = end) {
        int64_t time = cllm__prow_time(&p->rows[list[first]]);
        for (end = first + 1; end < n && cllm__prow_time(&p->rows[list[end]]) == time; end++) continue;
        size_t count = end - first;
        if (time == CLLM__NO_TIME || count < 2) continue;
        *tied = end == n;
        CLLM_TRY(CLLM_GROW(scratch->rows, scratch->capacity, count, err));
        for (size_t k = 0; k < count; k++) scratch->rows[k] = p->rows[list[first + k]];
        cllm__sort(scratch->rows, count, sizeof *scratch->rows, by_raw_item, NULL); /* so that the order of the input does not matter */
        for (size_t k = count; k > 0; k--) {
            size_t drawn = (size_t)cllm__rng_below(&rng, k);
            p->rows[list[first + k - 1]] = scratch->rows[drawn];
            scratch->rows[drawn] = scratch->rows[k - 1];
        }
    }
    return CLLM_OK;
}

static cllm_status split_users(cllm__preparing *p, cllm_error *err) {
    size_t *list = NULL, capacity = 0, n, users = 0, tied = 0;
    row_list scratch = {0};
    bool ties = false;
    cllm_status status = CLLM_OK;
    for (size_t u = 0; u < p->n_users && status == CLLM_OK; u++) {
        status = kept_rows(p, u, &list, &capacity, &n, err);
        if (status != CLLM_OK || n == 0) continue;
        if (n < 3) {
            p->short_users++;
        } else if (p->options->split == CLLM_SPLIT_RATIO) {
            split_ratio(p, u, list, n);
        } else {
            status = draw_ties(p, u, list, n, &scratch, &ties, err);
            users++;
            tied += ties;
            cllm__prow_set_split(&p->rows[list[n - 1]], CLLM__TEST);
            cllm__prow_set_split(&p->rows[list[n - 2]], CLLM__VALID);
        }
    }
    cllm__free(list);
    cllm__free(scratch.rows);
    if (tied > 0) {
        cllm__log(p->host, CLLM_LOG_INFO, "note: %zu of %zu users have several rows of the same latest time: which of them is the last is drawn", tied,
                  users);
    }
    return status;
}

/* ---- By time ---- */

static uint64_t count_between(const cllm__preparing *p, int64_t from, int64_t to) {
    uint64_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        int64_t time = cllm__prow_time(&p->rows[i]);
        count += cllm__prow_fate(&p->rows[i]) == CLLM__KEPT && time >= from && time < to;
    }
    return count;
}

/* The earliest moment m with at most `limit` rows in [m, end), by bisection: a few dozen passes instead of a second array
 * of all times. Where even the last moment before `end` holds more, that moment. */
static int64_t moment_before(const cllm__preparing *p, int64_t first, int64_t last, int64_t end, uint64_t limit) {
    int64_t low = first, high = last + 1; /* high always satisfies the limit */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (count_between(p, middle, end) <= limit) high = middle;
        else low = middle + 1;
    }
    return high > last ? last : high;
}

static cllm_status split_time(cllm__preparing *p, cllm_error *err) {
    uint64_t n = 0, none = 0;
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < p->count; i++) {
        if (cllm__prow_fate(&p->rows[i]) != CLLM__KEPT) continue;
        int64_t time = cllm__prow_time(&p->rows[i]);
        n++;
        none += time == CLLM__NO_TIME;
        if (time < first) first = time;
        if (time > last) last = time;
    }
    if (none > 0) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "--split time needs the time of every row, and %llu of %llu have none: name the column with "
                          "--time-col, or take --split ratio or loo",
                          (unsigned long long)none, (unsigned long long)n);
    }
    int64_t test = moment_before(p, first, last, INT64_MAX, n / 10);
    int64_t before = INT64_MIN; /* the last moment before test */
    for (size_t i = 0; i < p->count; i++) {
        int64_t time = cllm__prow_time(&p->rows[i]);
        if (cllm__prow_fate(&p->rows[i]) == CLLM__KEPT && time < test && time > before) before = time;
    }
    int64_t valid = before == INT64_MIN ? test : moment_before(p, first, before, test, n / 10);
    if (valid <= first) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "the %llu rows have too few different times for --split time to leave any for training: take "
                          "--split ratio or loo",
                          (unsigned long long)n);
    }
    for (size_t i = 0; i < p->count; i++) {
        int64_t time = cllm__prow_time(&p->rows[i]);
        cllm__prow_set_split(&p->rows[i], time >= test ? CLLM__TEST : time >= valid ? CLLM__VALID : CLLM__TRAIN);
    }
    return CLLM_OK;
}

cllm_status cllm__split_rows(cllm__preparing *p, cllm_error *err) {
    switch (p->options->split) {
    case CLLM_SPLIT_FILES: return CLLM_OK;
    case CLLM_SPLIT_TIME: return split_time(p, err);
    case CLLM_SPLIT_RATIO:
        if (p->with_time > 0) {
            cllm__log(p->host, CLLM_LOG_INFO,
                      "note: the rows have times, and a random split lets the model learn from what happened after "
                      "a test row; --split time or --split loo measures without that leak");
        }
        return split_users(p, err);
    default: return split_users(p, err);
    }
}
