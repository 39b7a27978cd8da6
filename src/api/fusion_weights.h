/*
 * The weights with which simple models' scores are added to a run's (eval/fusion.h): as its settings have them, or chosen on
 * the validation rows, in which the run's data set shows what its rows are like. The test rows remain for measuring; a data set
 * without any keeps the weights of the settings, since its validation rows are then what is measured on.
 */
#ifndef CLLM_API_FUSION_WEIGHTS_H
#define CLLM_API_FUSION_WEIGHTS_H

#include "api/model.h"

/* Whether a run with this configuration and data set chooses them. */
bool cllm__fusion_weights_are_chosen(const cllm__train_config *config, const cllm__dataset *dataset);

/* The run's: `part_weights` of its manifest where they are there, else of its settings. CLLM_ERR_DATA for numbers that are none. */
CLLM_CHECK cllm_status cllm__fusion_weights_read(double weights[CLLM__FUSION_PARTS], const cllm__run *run, cllm_error *err);

/* Search from the weights of the model's settings: of all weights, each a quarter, half, twice or four times as large, the one is
 * taken that raises NDCG@100 of the validation rows most, if it stands out from noise (by three standard errors, paired over the
 * users); and again, until none does. That of transitions, where it is 0, is tried from .05 to 3. *chosen: an object for the manifest, for the caller to put; NULL if there is no part. */
CLLM_CHECK cllm_status cllm__fusion_weights_choose(struct json_object **chosen, const struct cllm_model *model, cllm__pool *pool, const cllm_host *host,
                                                   cllm_error *err);

#endif
