#include "api/item_states.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "eval/lexicon.h"
#include "formats/safetensors.h"
#include "kernels/ops.h"

static const char FORMAT[] = "cllm4rec states 1";

void cllm__item_states_free(cllm__item_states *states) {
    cllm__pca_free(&states->pca);
    cllm__free(states->vectors);
    *states = (cllm__item_states){0};
}

void cllm__item_states_weigh(const cllm__item_states *states, const float *state, float *weights) {
    cllm__pca_apply(&states->pca, state, weights);
    cllm__to_unit_length(weights, states->pca.dims);
}

cllm_status cllm__item_states_add(const cllm__item_states *states, const float *state, cllm__real *token, cllm_error *err) {
    float *weights;
    CLLM_TRY(CLLM_NEW(weights, states->pca.dims, err));
    cllm__item_states_weigh(states, state, weights);
    for (size_t d = 0; d < states->pca.dims; d++) cllm__axpy(token, weights[d], states->vectors + d * states->width, states->width);
    cllm__free(weights);
    return CLLM_OK;
}

/* ---- The file ---- */

cllm_status cllm__item_states_save(const cllm__item_states *states, const cllm__real *vectors, size_t width, const char *path, cllm_error *err) {
    const cllm__pca *pca = &states->pca;
    const cllm__tensor tensors[] = {
        {.name = "axes", .dtype = CLLM_ST_F32, .rank = 2, .shape = {pca->dims, pca->width}, .data = pca->axes,
         .bytes = pca->dims * pca->width * sizeof *pca->axes},
        {.name = "mean", .dtype = CLLM_ST_F32, .rank = 1, .shape = {pca->width}, .data = pca->mean, .bytes = pca->width * sizeof *pca->mean},
        {.name = "vectors", .dtype = CLLM_ST_F32, .rank = 2, .shape = {pca->dims, width}, .data = vectors,
         .bytes = pca->dims * width * sizeof *vectors},
    };
    char key[17];
    cllm__hash_text(states->key, key);
    const char *metadata[] = {"format", FORMAT, "key", key};
    return cllm__safetensors_write(path, tensors, vectors != NULL ? 3 : 2, metadata, 2, err);
}

static cllm_status damaged(const char *path, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: train the run anew", path);
}

/* A copy of a tensor's numbers, which are finite. */
static cllm_status read_numbers(float **numbers, const cllm__tensor *tensor, const char *path, cllm_error *err) {
    size_t count = tensor->bytes / sizeof **numbers;
    CLLM_TRY(CLLM_NEW(*numbers, count + 1, err));
    if (count > 0) memcpy(*numbers, tensor->data, tensor->bytes);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite((*numbers)[i])) return damaged(path, err);
    }
    return CLLM_OK;
}

static cllm_status read_key(uint64_t *key, const cllm__safetensors *file, const char *path, cllm_error *err) {
    const char *format = cllm__safetensors_metadata(file, "format"), *text = cllm__safetensors_metadata(file, "key");
    if (format == NULL || strcmp(format, FORMAT) != 0 || text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return damaged(path, err);
    *key = strtoull(text, NULL, 16);
    return CLLM_OK;
}

cllm_status cllm__item_states_load(cllm__item_states *states, size_t width, const char *path, cllm_error *err) {
    cllm__safetensors *file;
    CLLM_TRY(cllm__safetensors_open(&file, path, err));
    cllm_status status;
    const uint64_t any[] = {UINT64_MAX, UINT64_MAX};
    const cllm__tensor *axes, *mean, *vectors;
    CLLM_TRY_CLEAN(read_key(&states->key, file, path, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "axes", CLLM_ST_F32, 2, any, &axes, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "mean", CLLM_ST_F32, 1, axes->shape + 1, &mean, err));
    states->pca.dims = (size_t)axes->shape[0];
    states->pca.width = (size_t)axes->shape[1];
    if (states->pca.width != width) {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' is of states of width %zu, the backbone's have %zu", path, states->pca.width, width));
    }
    if (states->pca.dims == 0 || states->pca.dims > width) CLLM_TRY_CLEAN(damaged(path, err));
    CLLM_TRY_CLEAN(read_numbers(&states->pca.axes, axes, path, err));
    CLLM_TRY_CLEAN(read_numbers(&states->pca.mean, mean, path, err));
    if (cllm__safetensors_find(file, "vectors") != NULL) {
        const uint64_t shape[] = {states->pca.dims, UINT64_MAX};
        CLLM_TRY_CLEAN(cllm__safetensors_require(file, "vectors", CLLM_ST_F32, 2, shape, &vectors, err));
        CLLM_TRY_CLEAN(read_numbers(&states->vectors, vectors, path, err));
        states->width = (size_t)vectors->shape[1];
    }
cleanup:
    cllm__safetensors_close(file);
    return status;
}
