#include "model/pooled_head.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/ops.h"

/* Sequences first … of a block of rows, on their way from logits to losses and, in place, to gradients. */
typedef struct block {
    const cllm__voices *voices;
    size_t first, n_items;
    const uint8_t *cold;
    cllm__head_targets targets; /* of all sequences */
    double weight;
    cllm__real *logits; /* [rows × n_items] */
    cllm__real *rooms;  /* [threads × 2·n_items] */
    double *nll;        /* of all sequences, or NULL */
    float *scores;      /* of all sequences, or NULL */
    cllm__real *dloudness;
    bool gradient;
} block;

/* logits become exp(logit − its item's largest), sums[i] their sum by item, at least 1, and largest[i] the largest. */
static void exponentiate(cllm__real *logits, size_t rows, size_t n_items, cllm__real *sums, cllm__real *largest) {
    memcpy(largest, logits, n_items * sizeof *largest);
    for (size_t r = 1; r < rows; r++)
        for (size_t i = 0; i < n_items; i++)
            if (logits[r * n_items + i] > largest[i]) largest[i] = logits[r * n_items + i];
    for (size_t r = 0; r < rows; r++) cllm__axpy(logits + r * n_items, -1, largest, n_items);
    cllm__softmax_gradient(logits, rows * n_items, 0, 1);
    memcpy(sums, logits, n_items * sizeof *sums);
    for (size_t r = 1; r < rows; r++) cllm__axpy(sums, 1, logits + r * n_items, n_items);
}

static double lse_of(const cllm__real *values, size_t n) {
    cllm__softmax_state state = {.maximum = -(cllm__real)INFINITY};
    cllm__softmax_take(&state, values, n);
    return cllm__softmax_lse(&state);
}

static void sequence_task(void *context, size_t number, int worker) {
    const block *b = context;
    const cllm__voices *v = b->voices;
    size_t n = b->n_items, s = b->first + number, rows = v->start[s + 1] - v->start[s];
    cllm__real *logits = b->logits + (v->start[s] - v->start[b->first]) * n, *sums = b->rooms + (size_t)worker * 2 * n, *pooled = sums + n;
    for (size_t r = 0; v->loudness != NULL && r < rows; r++)
        for (size_t i = 0; i < n; i++) logits[r * n + i] += v->loudness[v->start[s] + r];
    exponentiate(logits, rows, n, sums, pooled);
    for (size_t i = 0; i < n; i++) pooled[i] = (cllm__real)(((double)pooled[i] + log((double)sums[i])) / v->sharpness);
    for (size_t i = 0; b->cold != NULL && i < n; i++)
        if (b->cold[i]) pooled[i] = -(cllm__real)INFINITY;
    double lse = lse_of(pooled, n);
    if (b->scores != NULL) {
        for (size_t i = 0; i < n; i++) b->scores[s * n + i] = (float)((double)pooled[i] - lse);
        return;
    }
    const int32_t *targets = b->targets.targets;
    size_t first = b->targets.start[s], end = b->targets.start[s + 1];
    b->nll[s] = 0;
    for (size_t t = first; t < end; t++) b->nll[s] += lse - (double)pooled[targets[t]];
    if (!b->gradient) return;
    /* By the pooled scores: the softmax as often as there are targets, less one at each; and a row's share of an item's score. */
    cllm__softmax_gradient(pooled, n, lse, (cllm__real)(b->weight * (double)(end - first)));
    for (size_t t = first; t < end; t++) pooled[targets[t]] -= (cllm__real)b->weight;
    for (size_t i = 0; i < n; i++) pooled[i] /= (cllm__real)v->sharpness * sums[i];
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) logits[r * n + i] *= pooled[i];
    for (size_t r = 0; v->loudness != NULL && r < rows; r++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)logits[r * n + i];
        b->dloudness[v->start[s] + r] = (cllm__real)sum;
    }
}

static cllm_status check_targets(const uint8_t *cold, size_t n_items, cllm__head_targets targets, size_t sequences, cllm_error *err) {
    for (size_t t = targets.start[0]; cold != NULL && t < targets.start[sequences]; t++) {
        if ((size_t)targets.targets[t] < n_items && cold[targets.targets[t]])
            return cllm__fail(err, CLLM_ERR_DATA, "item %d is a target, but it is kept out of the softmax as a cold item", (int)targets.targets[t]);
    }
    return CLLM_OK;
}

/* Where the block of whole sequences that begins at `first` ends: at least one. */
static size_t block_end(const cllm__voices *v, size_t first, size_t rows) {
    size_t end = first + 1;
    while (end < v->sequences && v->start[end + 1] - v->start[first] <= rows) end++;
    return end;
}

/* Blocks of whole sequences, one after the other: their logits, then their tasks, then the products of the gradients. */
static cllm_status run(cllm__heads *heads, block *b, const cllm__real *items, cllm__real *drows, cllm__real *ditems, cllm_error *err) {
    const cllm__voices *v = b->voices;
    size_t n = b->n_items, width = v->width, most = cllm__heads_block(n);
    for (size_t s = 0; s < v->sequences; s++) most = v->start[s + 1] - v->start[s] > most ? v->start[s + 1] - v->start[s] : most;
    if (n > 0 && most > SIZE_MAX / n) return cllm__fail_nomem(err);
    CLLM_TRY(CLLM_GROW(heads->logits, heads->room, most * n, err));
    CLLM_TRY(CLLM_GROW(heads->pooled, heads->pooled_room, (size_t)cllm__pool_threads(heads->pool) * 2 * n, err));
    b->logits = heads->logits;
    b->rooms = heads->pooled;
    for (size_t end; b->first < v->sequences; b->first = end) {
        end = block_end(v, b->first, most);
        size_t first_row = v->start[b->first], rows = v->start[end] - first_row;
        const cllm__real *from = v->rows + first_row * width;
        CLLM_TRY(cllm__gemm(heads->pool, false, true, rows, n, width, from, width, items, width, 0, b->logits, n, heads->dtype, err));
        cllm__pool_run(heads->pool, end - b->first, sequence_task, b);
        if (!b->gradient) continue;
        CLLM_TRY(cllm__gemm(heads->pool, false, false, rows, width, n, b->logits, n, items, width, 0, drows + first_row * width, width,
                            heads->dtype, err));
        CLLM_TRY(cllm__gemm(heads->pool, true, false, n, width, rows, b->logits, n, from, width, b->first > 0 ? 1 : 0, ditems, width,
                            heads->dtype, err));
    }
    return CLLM_OK;
}

cllm_status cllm__pooled_head(cllm__heads *heads, const cllm__voices *voices, const cllm__real *items, size_t n_items, const uint8_t *cold,
                              cllm__head_targets targets, double weight, double *nll, cllm__real *drows, cllm__real *dloudness,
                              cllm__real *ditems, cllm_error *err) {
    block b = {.voices = voices, .n_items = n_items, .cold = cold, .targets = targets, .weight = weight, .nll = nll,
               .dloudness = dloudness, .gradient = drows != NULL};
    CLLM_TRY(check_targets(cold, n_items, targets, voices->sequences, err));
    return run(heads, &b, items, drows, ditems, err);
}

cllm_status cllm__pooled_scores(cllm__heads *heads, const cllm__voices *voices, const cllm__real *items, size_t n_items, float *scores,
                                cllm_error *err) {
    block b = {.voices = voices, .n_items = n_items, .scores = scores};
    return run(heads, &b, items, NULL, NULL, err);
}
