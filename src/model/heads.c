#include "model/heads.h"

#include <math.h>

#include "base/alloc.h"
#include "kernels/ops.h"

void cllm__heads_free(cllm__heads *heads) {
    cllm__free(heads->logits);
    cllm__free(heads->pooled);
    heads->logits = heads->pooled = NULL;
    heads->room = heads->pooled_room = 0;
}

size_t cllm__heads_block(size_t classes) {
    size_t rows = (size_t)CLLM__HEAD_BLOCK_VALUES / (classes > 0 ? classes : 1) / 64 * 64;
    return rows < 64 ? 64 : rows > 512 ? 512 : rows;
}

/* One block's logits on their way to losses and, in place, to their gradients. */
typedef struct block {
    cllm__real *logits; /* [rows × classes] */
    size_t classes;
    const uint8_t *cold; /* [n_items], of the first classes */
    size_t n_items;
    cllm__head_targets targets; /* start: of the block's first row on */
    double weight;
    double *nll;    /* [rows] */
    float *scores;  /* [rows × classes], or NULL */
    bool gradient;
} block;

static double row_lse(const cllm__real *logits, size_t classes) {
    cllm__softmax_state state = {.maximum = -(cllm__real)INFINITY};
    cllm__softmax_take(&state, logits, classes);
    return cllm__softmax_lse(&state);
}

static void row_task(void *context, size_t r, int worker) {
    (void)worker;
    const block *b = context;
    cllm__real *logits = b->logits + r * b->classes;
    if (b->cold != NULL)
        for (size_t j = 0; j < b->n_items; j++)
            if (b->cold[j]) logits[j] = -(cllm__real)INFINITY;
    double lse = row_lse(logits, b->classes);
    if (b->scores != NULL) {
        for (size_t j = 0; j < b->classes; j++) b->scores[r * b->classes + j] = (float)((double)logits[j] - lse);
        return;
    }
    const size_t *start = b->targets.start;
    const int32_t *targets = b->targets.targets + (start != NULL ? start[r] : r);
    size_t n = start != NULL ? start[r + 1] - start[r] : 1;
    double nll = 0;
    for (size_t i = 0; i < n; i++) nll += lse - (double)logits[targets[i]];
    b->nll[r] = nll;
    if (!b->gradient) return;
    /* Σ_t (softmax − onehot_t): the softmax as often as there are targets, less one at each. */
    cllm__softmax_gradient(logits, b->classes, lse, (cllm__real)(b->weight * (double)n));
    if (b->cold != NULL)
        for (size_t j = 0; j < b->n_items; j++)
            if (b->cold[j]) logits[j] = 0;
    for (size_t i = 0; i < n; i++) logits[targets[i]] -= (cllm__real)b->weight;
}

/* For a whole block at once, so that a larger batch needs no more. */
static cllm_status make_room(cllm__heads *heads, size_t classes, cllm_error *err) {
    size_t block_rows = cllm__heads_block(classes);
    if (block_rows > SIZE_MAX / (classes > 0 ? classes : 1)) return cllm__fail_nomem(err);
    return CLLM_GROW(heads->logits, heads->room, block_rows * classes, err);
}

static cllm__head_targets targets_from(cllm__head_targets targets, size_t row) {
    if (targets.start != NULL) targets.start += row;
    else if (targets.targets != NULL) targets.targets += row;
    return targets;
}

/* The vocabulary head, with its transpose if gradients are wanted. */
static cllm_status check_vocabulary(const cllm__backbone *backbone, bool gradient, cllm_error *err) {
    if (cllm__backbone_head(backbone) == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "the backbone was opened without its vocabulary head");
    if (gradient && cllm__backbone_head_transposed(backbone) == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "the backbone was not opened for training");
    return CLLM_OK;
}

cllm_status cllm__item_head(cllm__heads *heads, const cllm__real *h, size_t rows, size_t width, const cllm__real *items,
                            size_t n_items, const uint8_t *cold, const cllm__backbone *joint, cllm__head_targets targets,
                            double weight, double *nll, cllm__real *dh, cllm__real *ditems, bool add, cllm_error *err) {
    size_t n_targets = targets.start != NULL ? targets.start[rows] : rows;
    for (size_t i = targets.start != NULL ? targets.start[0] : 0; cold != NULL && i < n_targets; i++)
        if ((size_t)targets.targets[i] < n_items && cold[targets.targets[i]])
            return cllm__fail(err, CLLM_ERR_DATA, "item %d is a target, but it is kept out of the softmax as a cold item",
                              (int)targets.targets[i]);
    const cllm__weight *words = NULL, *words_transposed = NULL;
    if (joint != NULL) {
        CLLM_TRY(check_vocabulary(joint, dh != NULL, err));
        words = cllm__backbone_head(joint);
        words_transposed = cllm__backbone_head_transposed(joint);
    }
    size_t classes = n_items + (words != NULL ? cllm__weight_columns(words) : 0), step = cllm__heads_block(classes);
    CLLM_TRY(make_room(heads, classes, err));
    for (size_t r = 0; r < rows; r += step) {
        size_t n = rows - r < step ? rows - r : step;
        const cllm__real *from = h + r * width;
        cllm__real *logits = heads->logits, *word_logits = logits + n_items;
        CLLM_TRY(cllm__gemm(heads->pool, false, true, n, n_items, width, from, width, items, width, 0, logits, classes, heads->dtype, err));
        if (words != NULL) CLLM_TRY(cllm__gemm_frozen(heads->pool, word_logits, classes, from, width, n, words, NULL, CLLM__GEMM_PLAIN, err));
        block b = {.logits = logits, .classes = classes, .cold = cold, .n_items = n_items, .targets = targets_from(targets, r),
                   .weight = weight, .nll = nll + r, .gradient = dh != NULL};
        cllm__pool_run(heads->pool, n, row_task, &b);
        if (dh == NULL) continue;
        cllm__real *to = dh + r * width;
        CLLM_TRY(cllm__gemm(heads->pool, false, false, n, width, n_items, logits, classes, items, width, 0, to, width, heads->dtype, err));
        if (words != NULL)
            CLLM_TRY(cllm__gemm_frozen(heads->pool, to, width, word_logits, classes, n, words_transposed, NULL, CLLM__GEMM_ADD, err));
        CLLM_TRY(cllm__gemm(heads->pool, true, false, n_items, width, n, logits, classes, from, width, add || r > 0 ? 1 : 0, ditems,
                            width, heads->dtype, err));
    }
    return CLLM_OK;
}

cllm_status cllm__item_scores(cllm__heads *heads, const cllm__real *h, size_t rows, size_t width, const cllm__real *items,
                              size_t n_items, const cllm__weight *packed, float *scores, cllm_error *err) {
    CLLM_TRY(make_room(heads, n_items, err));
    size_t step = cllm__heads_block(n_items);
    for (size_t r = 0; r < rows; r += step) {
        size_t n = rows - r < step ? rows - r : step;
        const cllm__real *from = h + r * width;
        if (packed != NULL)
            CLLM_TRY(cllm__gemm_frozen(heads->pool, heads->logits, n_items, from, width, n, packed, NULL, CLLM__GEMM_PLAIN, err));
        else
            CLLM_TRY(cllm__gemm(heads->pool, false, true, n, n_items, width, from, width, items, width, 0, heads->logits, n_items,
                                heads->dtype, err));
        block b = {.logits = heads->logits, .classes = n_items, .scores = scores + r * n_items};
        cllm__pool_run(heads->pool, n, row_task, &b);
    }
    return CLLM_OK;
}

cllm_status cllm__word_head(cllm__heads *heads, const cllm__real *h, size_t rows, size_t width, const cllm__backbone *backbone,
                            const int32_t *targets, double weight, double *nll, cllm__real *dh, cllm_error *err) {
    const cllm__weight *head = cllm__backbone_head(backbone), *transposed = cllm__backbone_head_transposed(backbone);
    CLLM_TRY(check_vocabulary(backbone, dh != NULL, err));
    size_t classes = cllm__weight_columns(head), step = cllm__heads_block(classes);
    CLLM_TRY(make_room(heads, classes, err));
    for (size_t r = 0; r < rows; r += step) {
        size_t n = rows - r < step ? rows - r : step;
        CLLM_TRY(cllm__gemm_frozen(heads->pool, heads->logits, classes, h + r * width, width, n, head, NULL, CLLM__GEMM_PLAIN, err));
        block b = {.logits = heads->logits, .classes = classes, .targets = {.targets = targets + r}, .weight = weight,
                   .nll = nll + r, .gradient = dh != NULL};
        cllm__pool_run(heads->pool, n, row_task, &b);
        if (dh == NULL) continue;
        CLLM_TRY(cllm__gemm_frozen(heads->pool, dh + r * width, width, heads->logits, classes, n, transposed, NULL, CLLM__GEMM_PLAIN, err));
    }
    return CLLM_OK;
}
