/* What a model's files hold; and the model as a Hugging Face folder. */
#ifndef CLLM_BACKBONE_CONVERT_H
#define CLLM_BACKBONE_CONVERT_H

#include "backbone/backbone.h"

struct json_object;

/* Adds to `object`: format ("safetensors", "gguf"), tensor_types (how many of each number format), metadata (a GGUF file's,
 * with long arrays as a count) and tensors (name, type and shape of each, in the files' order). */
void cllm__backbone_tell(const cllm__backbone *backbone, struct json_object *object);

/* Writes config.json and model.safetensors into an existing folder, each whole or not at all: transformers' names, shapes
 * and order, as transformers loads them; CLLM_ERR_UNSUPPORTED for a model that it would compute otherwise. All tensors are in memory at once. With a seed (else NULL) the numbers of each matrix are
 * shuffled: a model of the same shape, of the same numbers, that has learnt nothing. */
CLLM_CHECK cllm_status cllm__backbone_convert(const char *path, const char *folder, cllm__dtype dtype, const uint64_t *shuffle_seed,
                                              cllm_error *err);

#endif
