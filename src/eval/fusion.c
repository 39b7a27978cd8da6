#include "eval/fusion.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

/* What one thread needs. */
typedef struct desk {
    int32_t *history;
    float *part; /* [n_items]: one model's scores */
    cllm__neighbour_search search;
    double *folding;
} desk;

typedef struct adding {
    const cllm__fusion *fusion;
    const cllm__batch *batch;
    const cllm__id_space *space;
    size_t n_items;
    float *scores;
    desk *desks; /* one a thread */
} adding;

static double deviation_of(const float *values, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)values[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += ((double)values[i] - mean) * ((double)values[i] - mean);
    return sqrt(squares / (double)n);
}

/* The items of a sequence's prompt; *user its user token, or −1. */
static size_t read_history(const adding *a, size_t row, int32_t *history, int32_t *user) {
    int32_t first_user = a->space->vocab_rows, first_item = first_user + a->space->n_users;
    size_t count = 0;
    *user = -1;
    for (size_t t = a->batch->start[row]; t < a->batch->start[row + 1]; t++) {
        int32_t token = a->batch->tokens[t];
        if (token >= first_item) history[count++] = token - first_item;
        else if (token >= first_user) *user = token - first_user;
    }
    return count;
}

static void add_part(float *scores, const float *part, size_t n, double weight, double spread) {
    double part_spread = deviation_of(part, n);
    if (!(part_spread > 0)) return;
    for (size_t i = 0; i < n; i++) scores[i] = (float)((double)scores[i] + weight * spread / part_spread * (double)part[i]);
}

static void normalise(float *scores, size_t n) {
    double largest = -INFINITY, total = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, (double)scores[i]);
    for (size_t i = 0; i < n; i++) total += exp((double)scores[i] - largest);
    for (size_t i = 0; i < n; i++) scores[i] = (float)((double)scores[i] - largest - log(total));
}

static void add_row(void *context, size_t row, int worker) {
    const adding *a = context;
    const cllm__fusion *f = a->fusion;
    desk *d = &a->desks[worker];
    float *scores = a->scores + row * a->n_items;
    int32_t user;
    size_t count = read_history(a, row, d->history, &user);
    if (count == 0 && f->newcomers != NULL) {
        memcpy(scores, f->newcomers, a->n_items * sizeof *scores);
        normalise(scores, a->n_items);
        return;
    }
    double spread = deviation_of(scores, a->n_items);
    if (!(spread > 0)) return;
    if (f->linear != NULL) {
        cllm__item_weights_score(f->linear, d->history, count, d->part);
        add_part(scores, d->part, a->n_items, f->linear_weight, spread);
    }
    if (f->neighbours != NULL) {
        cllm__user_neighbours_score(f->neighbours, &d->search, d->history, count, user, d->part);
        add_part(scores, d->part, a->n_items, f->neighbours_weight, spread);
    }
    if (f->factors != NULL) {
        cllm__fold_in_score(f->factors, d->history, count, d->folding, d->part);
        add_part(scores, d->part, a->n_items, f->factors_weight, spread);
    }
    if (f->recency != NULL) add_part(scores, f->recency, a->n_items, f->recency_weight, spread);
    normalise(scores, a->n_items);
}

static cllm_status set_up(adding *a, int threads, cllm_error *err) {
    size_t longest = 0;
    for (size_t s = 0; s < a->batch->sequences; s++) {
        size_t length = a->batch->start[s + 1] - a->batch->start[s];
        if (length > longest) longest = length;
    }
    CLLM_TRY(CLLM_NEW(a->desks, (size_t)threads, err));
    for (int w = 0; w < threads; w++) {
        CLLM_TRY(CLLM_NEW(a->desks[w].history, longest + 1, err));
        CLLM_TRY(CLLM_NEW(a->desks[w].part, a->n_items + 1, err));
        if (a->fusion->neighbours != NULL) CLLM_TRY(cllm__neighbour_search_create(&a->desks[w].search, a->fusion->neighbours, err));
        if (a->fusion->factors != NULL) CLLM_TRY(CLLM_NEW(a->desks[w].folding, cllm__fold_in_scratch(a->fusion->factors, longest), err));
    }
    return CLLM_OK;
}

cllm_status cllm__fusion_add(const cllm__fusion *fusion, const cllm__batch *batch, const cllm__id_space *space, float *scores,
                             cllm__pool *pool, cllm_error *err) {
    adding a = {.fusion = fusion, .batch = batch, .space = space, .n_items = (size_t)space->n_items, .scores = scores};
    int threads = cllm__pool_threads(pool);
    bool any = fusion->linear != NULL || fusion->neighbours != NULL || fusion->factors != NULL || fusion->recency != NULL || fusion->newcomers != NULL;
    if (!any) return CLLM_OK;
    cllm_status status = set_up(&a, threads, err);
    if (status == CLLM_OK) cllm__pool_run(pool, batch->sequences, add_row, &a);
    for (int w = 0; a.desks != NULL && w < threads; w++) {
        cllm__free(a.desks[w].history);
        cllm__free(a.desks[w].part);
        cllm__free(a.desks[w].folding);
        cllm__neighbour_search_free(&a.desks[w].search);
    }
    cllm__free(a.desks);
    return status;
}
