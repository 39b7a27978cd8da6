/*
 * A model as it lies on disk: its configuration and its named tensors, whatever files they are in.
 */
#ifndef CLLM_BACKBONE_CHECKPOINT_H
#define CLLM_BACKBONE_CHECKPOINT_H

#include <stdint.h>

#include "backbone/config.h"
#include "backbone/gguf_model.h"
#include "backbone/stored.h"

typedef struct cllm__checkpoint {
    cllm__config config;
    char *config_path;
    char *weights_path; /* the file that messages about a missing tensor name */
    cllm__safetensors **files; /* of a Hugging Face folder, or */
    size_t n_files;
    cllm__gguf_model *gguf;    /* a GGUF file */
    uint64_t file_bytes; /* of all weight files */
    uint64_t hash;       /* of their bytes */
} cllm__checkpoint;

/* Whether a backbone is a GGUF file instead of a folder. CLLM_ERR_NOT_FOUND for a path that is not there; CLLM_ERR_UNSUPPORTED, with its first
 * bytes, for another file. */
CLLM_CHECK cllm_status cllm__checkpoint_recognise(const char *path, bool *gguf, cllm_error *err);
/* Opens a Hugging Face folder, or a GGUF file, which is known by its first bytes. Free with _close, which accepts an all-zero checkpoint. */
CLLM_CHECK cllm_status cllm__checkpoint_open(cllm__checkpoint *out, const char *path, cllm_error *err);
void cllm__checkpoint_close(cllm__checkpoint *checkpoint);
/* The rows of the word embeddings of the model at `path`, from its configuration or its list of tensors alone, for who has no use
 * for the weights; 0 where there is only a tokenizer. */
CLLM_CHECK cllm_status cllm__checkpoint_rows(const char *path, size_t *rows, cllm_error *err);
/* Gives back the memory of what was read so far, between two large tensors. */
void cllm__checkpoint_rest(const cllm__checkpoint *checkpoint);

bool cllm__checkpoint_has(const cllm__checkpoint *checkpoint, const char *name);
/* The floating-point tensor of that name, [rows × columns] or a vector for rows = 0, with finite values. What *out points to
 * lives as long as the checkpoint. */
CLLM_CHECK cllm_status cllm__checkpoint_tensor(const cllm__checkpoint *checkpoint, const char *name, size_t rows, size_t columns,
                                               cllm__stored *out, cllm_error *err);

/* The tensors of a model one by one, under the names that transformers writes, in the files' order. What only the file format
 * needs is left out. */
typedef struct cllm__listed {
    char name[192];
    size_t rank;
    uint64_t shape[CLLM_ST_RANK_MAX];
    cllm__stored stored; /* to be read: floating-point numbers, or .plain of another type */
} cllm__listed;
size_t cllm__checkpoint_count(const cllm__checkpoint *checkpoint);
/* False if tensor `index` is left out. CLLM_ERR_DATA if it has a NaN or an infinity, or its name is too long. */
CLLM_CHECK cllm_status cllm__checkpoint_at(const cllm__checkpoint *checkpoint, size_t index, bool *there, cllm__listed *out,
                                           cllm_error *err);

#endif
