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
    float *scores, *parts; /* parts: NULL to add them */
    desk *desks;           /* one a thread */
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

static void normalise(float *scores, size_t n) {
    double largest = -INFINITY, total = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, (double)scores[i]);
    for (size_t i = 0; i < n; i++) total += exp((double)scores[i] - largest);
    for (size_t i = 0; i < n; i++) scores[i] = (float)((double)scores[i] - largest - log(total));
}

bool cllm__fusion_has(const cllm__fusion *f, cllm__fusion_part part) {
    switch (part) {
    case CLLM__PART_LINEAR: return f->linear != NULL;
    case CLLM__PART_NEIGHBOURS: return f->neighbours != NULL;
    case CLLM__PART_FACTORS: return f->factors != NULL;
    case CLLM__PART_RECENCY: return f->recency != NULL;
    case CLLM__PART_TRANSITIONS: return f->transitions != NULL;
    default: return false;
    }
}

const char *cllm__fusion_part_name(cllm__fusion_part part) {
    static const char *const names[CLLM__FUSION_PARTS] = {"linear", "neighbours", "factors", "recency", "transitions"};
    return names[part];
}

/* What a part makes of the desk's history of `count` items. */
static const float *score_part(const cllm__fusion *f, cllm__fusion_part part, desk *d, size_t count, int32_t user) {
    switch (part) {
    case CLLM__PART_LINEAR: cllm__item_weights_score(f->linear, d->history, count, d->part); break;
    case CLLM__PART_NEIGHBOURS: cllm__user_neighbours_score(f->neighbours, &d->search, d->history, count, user, d->part); break;
    case CLLM__PART_FACTORS: cllm__fold_in_score(f->factors, d->history, count, d->folding, d->part); break;
    case CLLM__PART_TRANSITIONS: cllm__transitions_score(f->transitions, d->history, count, d->part); break;
    default: return f->recency;
    }
    return d->part;
}

static void fuse_row(void *context, size_t row, int worker) {
    const adding *a = context;
    const cllm__fusion *f = a->fusion;
    desk *d = &a->desks[worker];
    size_t n = a->n_items, sequences = a->batch->sequences;
    float *scores = a->scores + row * n;
    int32_t user;
    size_t count = read_history(a, row, d->history, &user);
    bool newcomer = count == 0 && f->newcomers != NULL;
    if (newcomer) memcpy(scores, f->newcomers, n * sizeof *scores);
    double spread = newcomer ? 0 : deviation_of(scores, n);
    for (int k = 0; k < CLLM__FUSION_PARTS; k++) {
        float *split = a->parts == NULL ? NULL : a->parts + ((size_t)k * sequences + row) * n;
        bool there = spread > 0 && cllm__fusion_has(f, (cllm__fusion_part)k);
        const float *part = there ? score_part(f, (cllm__fusion_part)k, d, count, user) : NULL;
        double part_spread = there ? deviation_of(part, n) : 0;
        if (split != NULL) {
            for (size_t i = 0; i < n; i++) split[i] = part_spread > 0 ? (float)(spread / part_spread * (double)part[i]) : 0;
        } else if (part_spread > 0) {
            double factor = f->weights[k] * spread / part_spread;
            for (size_t i = 0; i < n; i++) scores[i] = (float)((double)scores[i] + factor * (double)part[i]);
        }
    }
    if (newcomer || (spread > 0 && a->parts == NULL)) normalise(scores, n);
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

static cllm_status fuse(adding *a, cllm__pool *pool, cllm_error *err) {
    int threads = cllm__pool_threads(pool);
    cllm_status status = set_up(a, threads, err);
    if (status == CLLM_OK) cllm__pool_run(pool, a->batch->sequences, fuse_row, a);
    for (int w = 0; a->desks != NULL && w < threads; w++) {
        cllm__free(a->desks[w].history);
        cllm__free(a->desks[w].part);
        cllm__free(a->desks[w].folding);
        cllm__neighbour_search_free(&a->desks[w].search);
    }
    cllm__free(a->desks);
    return status;
}

cllm_status cllm__fusion_add(const cllm__fusion *fusion, const cllm__batch *batch, const cllm__id_space *space, float *scores,
                             cllm__pool *pool, cllm_error *err) {
    adding a = {.fusion = fusion, .batch = batch, .space = space, .n_items = (size_t)space->n_items, .scores = scores};
    bool any = fusion->newcomers != NULL;
    for (int k = 0; k < CLLM__FUSION_PARTS; k++) any = any || cllm__fusion_has(fusion, (cllm__fusion_part)k);
    return any ? fuse(&a, pool, err) : CLLM_OK;
}

cllm_status cllm__fusion_split(const cllm__fusion *fusion, const cllm__batch *batch, const cllm__id_space *space, float *scores,
                               float *parts, cllm__pool *pool, cllm_error *err) {
    adding a = {.fusion = fusion, .batch = batch, .space = space, .n_items = (size_t)space->n_items, .scores = scores, .parts = parts};
    return fuse(&a, pool, err);
}
