/*
 * A GGUF file seen as a Hugging Face checkpoint: its metadata as the configuration that transformers would have for the
 * model, its tensors under transformers' names and in transformers' order. So families know nothing of GGUF.
 *
 * Architectures: `llama` (LLaMA, Mistral and what else is converted as such; q and k in adjacent rotary pairs), `qwen2`
 * (halves, as transformers has them) and `gpt2` (matrices transposed).
 */
#ifndef CLLM_BACKBONE_GGUF_MODEL_H
#define CLLM_BACKBONE_GGUF_MODEL_H

#include "backbone/config.h"
#include "backbone/stored.h"

typedef struct cllm__gguf_model cllm__gguf_model;

/* Fills in `config` (cllm__config_free), whose place is the path. Refuses by name, CLLM_ERR_UNSUPPORTED, what the
 * computation here doesn't have: other architectures, experts, yarn, tensors that the architecture doesn't know. */
CLLM_CHECK cllm_status cllm__gguf_model_open(cllm__gguf_model **out, const char *path, cllm__config *config,
                                             cllm_error *err);
void cllm__gguf_model_close(cllm__gguf_model *model); /* accepts NULL */
const cllm__gguf *cllm__gguf_model_file(const cllm__gguf_model *model);

bool cllm__gguf_model_has(const cllm__gguf_model *model, const char *name);
/* The tensor that transformers calls so, [rows × columns], a vector for rows = 0. CLLM_ERR_NOT_FOUND and CLLM_ERR_MISMATCH
 * give the name in the file. */
CLLM_CHECK cllm_status cllm__gguf_model_tensor(const cllm__gguf_model *model, const char *name, size_t rows, size_t columns,
                                               cllm__stored *out, cllm_error *err);

/* Transformers' name of the file's tensor `index`, without the prefix of the model's body, with its rank (1 or 2) and its
 * shape there; false for a tensor that transformers has no name for. `size` ≥ 192 leaves room for the prefix. */
bool cllm__gguf_model_name(const cllm__gguf_model *model, size_t index, char *name, size_t size, size_t *rank,
                           uint64_t *shape);
/* "model." or "transformer.": before all names but the head's. */
const char *cllm__gguf_model_prefix(const cllm__gguf_model *model);

#endif
