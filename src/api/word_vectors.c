#include "api/word_vectors.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "eval/lexicon.h"
#include "eval/pca.h"

/* means [words × width of the backbone]; a word without a piece has zeros. */
static cllm_status mean_embeddings(float *means, const cllm__names *words, const cllm__tokenizer *tokenizer, const cllm__backbone *backbone,
                                   cllm_error *err) {
    size_t width = cllm__backbone_info_of(backbone)->width;
    cllm__tokens pieces = {0};
    cllm__real *row;
    CLLM_TRY(CLLM_NEW(row, width, err));
    cllm_status status = CLLM_OK;
    for (size_t w = 0; w < cllm__names_count(words) && status == CLLM_OK; w++) {
        char text[CLLM__WORD_BYTES + 8] = " ";
        const char *word = cllm__names_get(words, w);
        size_t length = strlen(word);
        CLLM_ASSERT(length + 1 < sizeof text);
        memcpy(text + 1, word, length);
        pieces.count = 0;
        status = cllm__tokenizer_encode_inner(tokenizer, text, length + 1, &pieces, err);
        for (size_t p = 0; p < pieces.count && status == CLLM_OK; p++) {
            cllm__backbone_embed(backbone, pieces.ids[p], row);
            for (size_t c = 0; c < width; c++) means[w * width + c] += (float)row[c] / (float)pieces.count;
        }
    }
    cllm__tokens_free(&pieces);
    cllm__free(row);
    return status;
}

/* To root mean square `deviation` over all but the `skipped` columns, which are zero. */
static void scale(float *vectors, size_t n, size_t width, size_t skipped, double deviation) {
    double square = 0;
    for (size_t i = 0; i < n * width; i++) square += (double)vectors[i] * (double)vectors[i];
    double mean = square / ((double)n * (double)(width - skipped));
    for (size_t i = 0; i < n * width && mean > 0; i++) vectors[i] = (float)(deviation * (double)vectors[i] / sqrt(mean));
}

cllm_status cllm__word_vectors_create(float **vectors, const cllm__names *words, const cllm__tokenizer *tokenizer, const cllm__backbone *backbone,
                                      size_t width, size_t skipped, double deviation, cllm_error *err) {
    size_t n = cllm__names_count(words), from = cllm__backbone_info_of(backbone)->width, columns;
    float *means = NULL, *made = NULL;
    cllm__pca pca = {0};
    cllm_status status;
    if (width == 0) width = from;
    if (width <= skipped) return cllm__fail(err, CLLM_ERR_USAGE, "init-words backbone: a width of %zu leaves no column for words; give more", width);
    columns = width - skipped;
    if (columns > from) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "init-words backbone: the backbone's embeddings have %zu numbers, too few for a width of %zu; take --width %zu",
                          from, width, from);
    }
    CLLM_TRY_CLEAN(CLLM_NEW(means, n * from, err));
    CLLM_TRY_CLEAN(CLLM_NEW(made, n * width, err));
    CLLM_TRY_CLEAN(mean_embeddings(means, words, tokenizer, backbone, err));
    CLLM_TRY_CLEAN(cllm__pca_create(&pca, means, NULL, n, from, columns, false, err));
    for (size_t w = 0; w < n; w++) {
        float *row = made + w * width + skipped;
        const float *mean = means + w * from;
        if (columns < from) cllm__pca_apply(&pca, mean, row);
        for (size_t c = 0; c < from && columns == from; c++) row[c] = mean[c] - pca.mean[c];
    }
    scale(made, n, width, skipped, deviation);
    *vectors = made;
    made = NULL;
cleanup:
    cllm__free(means);
    cllm__free(made);
    cllm__pca_free(&pca);
    return status;
}
