#include "eval/topk.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

cllm_status cllm__ties_create(cllm__ties *ties, size_t n_items, uint64_t seed, cllm_error *err) {
    if (n_items > INT32_MAX) return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%zu items: at most %d", n_items, INT32_MAX);
    cllm__ties made = {
        .n_items = n_items, .key = cllm__alloc(n_items, sizeof *made.key), .item = cllm__alloc(n_items, sizeof *made.item)};
    if (made.key == NULL || made.item == NULL) {
        cllm__ties_free(&made);
        return cllm__fail_nomem(err);
    }
    for (size_t i = 0; i < n_items; i++) made.item[i] = (int32_t)i;
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TIES, 0, 0);
    cllm__rng_shuffle_i32(&rng, made.item, n_items);
    for (size_t i = 0; i < n_items; i++) made.key[made.item[i]] = (uint32_t)i;
    *ties = made;
    return CLLM_OK;
}

void cllm__ties_free(cllm__ties *ties) {
    cllm__free(ties->key);
    cllm__free(ties->item);
    *ties = (cllm__ties){0};
}

/* One number that orders items: the score's bits, made monotone, above the inverted tie key. Higher is better. */
static uint64_t order_of(float score, uint32_t key) {
    float plain = score + 0.0f; /* −0 is 0 */
    uint32_t bits;
    memcpy(&bits, &plain, sizeof bits);
    bits ^= bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31;
    return (uint64_t)bits << 32 | (uint32_t)~key;
}

static float score_of(uint64_t order) {
    uint32_t bits = (uint32_t)(order >> 32);
    bits ^= bits >> 31 ? UINT32_C(1) << 31 : UINT32_MAX;
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

static void sift_down(uint64_t *heap, size_t count, size_t at) {
    uint64_t value = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}

static cllm_status bad_score(float score, int32_t item, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_FAILED, "the score of item %d is %s", item, isnan(score) ? "not a number" : "+inf");
}

/* candidates NULL: item c is candidate c. */
static inline cllm_status rank(const cllm__ties *ties, const int32_t *candidates, const float *scores, size_t n, size_t k,
                               uint64_t *scratch, int32_t *items, float *values, size_t *count, cllm_error *err) {
    size_t held = 0, c = 0;
    for (; c < n && held < k; c++) {
        int32_t item = candidates != NULL ? candidates[c] : (int32_t)c;
        if (isnan(scores[c]) || scores[c] == INFINITY) return bad_score(scores[c], item, err);
        if (scores[c] != -INFINITY) scratch[held++] = order_of(scores[c], ties->key[item]);
    }
    for (size_t at = held / 2; at-- > 0;) sift_down(scratch, held, at); /* the worst of the held ones on top */
    if (held == k && k > 0) {
        float worst = score_of(scratch[0]);
        for (; c < n; c++) {
            if (scores[c] < worst) continue; /* false for NaN */
            int32_t item = candidates != NULL ? candidates[c] : (int32_t)c;
            if (isnan(scores[c]) || scores[c] == INFINITY) return bad_score(scores[c], item, err);
            uint64_t order = order_of(scores[c], ties->key[item]);
            if (order < scratch[0]) continue;
            scratch[0] = order;
            sift_down(scratch, held, 0);
            worst = score_of(scratch[0]);
        }
    }
    for (size_t left = held; left-- > 1;) { /* taking the worst away again and again leaves them sorted, best first */
        uint64_t last = scratch[left];
        scratch[left] = scratch[0];
        scratch[0] = last;
        sift_down(scratch, left, 0);
    }
    for (size_t r = 0; r < held; r++) {
        items[r] = ties->item[(uint32_t)~scratch[r]];
        if (values != NULL) values[r] = score_of(scratch[r]);
    }
    *count = held;
    return CLLM_OK;
}

cllm_status cllm__topk(const cllm__ties *ties, const float *scores, size_t k, uint64_t *scratch, int32_t *items,
                       float *values, size_t *count, cllm_error *err) {
    return rank(ties, NULL, scores, ties->n_items, k, scratch, items, values, count, err);
}

cllm_status cllm__topk_among(const cllm__ties *ties, const int32_t *candidates, const float *scores, size_t n, size_t k,
                             uint64_t *scratch, int32_t *items, float *values, size_t *count, cllm_error *err) {
    return rank(ties, candidates, scores, n, k, scratch, items, values, count, err);
}
