/*
 * The items of an implicit ALS model (baseline.h), for the history of anybody: the user's vector is the one that ALS's own step would
 * give, so that a known user scores as in ALS, and a user seen a minute ago needs no fit.
 *
 * With the items' vectors y_i as rows of Y and L·Lᵀ = YᵀY + λI the model keeps z_i = L⁻¹·y_i. For a history H whose z are the rows of P,
 *
 *     s_i = x·y_i = w·z_i,   w = Lᵀx = (1 + α)·Pᵀ·(I + α·P·Pᵀ)⁻¹·1
 *
 * (Hu, Koren & Volinsky 2008), a system as small as the history is short, or as the vectors are.
 */
#ifndef CLLM_EVAL_FOLD_IN_H
#define CLLM_EVAL_FOLD_IN_H

#include "base/status.h"

enum { CLLM__MOST_FACTORS = 4096 };

typedef struct cllm__fold_in {
    size_t n_items, factors;
    double alpha;
    float *columns; /* [factors × n_items]: column i is z_i */
} cllm__fold_in;

void cllm__fold_in_free(cllm__fold_in *model);

/* A safetensors file, written atomically; what is read is checked. `model` is {0} before loading and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__fold_in_save(const cllm__fold_in *model, const char *path, cllm_error *err);
CLLM_CHECK cllm_status cllm__fold_in_load(cllm__fold_in *model, const char *path, cllm_error *err);

/* How many doubles cllm__fold_in_score() needs for histories of up to `longest` items. */
size_t cllm__fold_in_scratch(const cllm__fold_in *model, size_t longest);
/* scores [n_items] = s for the history items[0 … count), zeros for none. */
void cllm__fold_in_score(const cllm__fold_in *model, const int32_t *items, size_t count, double *scratch, float *scores);

#endif
