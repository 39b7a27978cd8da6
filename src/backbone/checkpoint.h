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

/* Opens a Hugging Face folder, or a GGUF file, which is known by its first bytes. Free with _close, which accepts an all-zero checkpoint. */
CLLM_CHECK cllm_status cllm__checkpoint_open(cllm__checkpoint *out, const char *path, cllm_error *err);
void cllm__checkpoint_close(cllm__checkpoint *checkpoint);

bool cllm__checkpoint_has(const cllm__checkpoint *checkpoint, const char *name);
/* The floating-point tensor of that name, [rows × columns] or a vector for rows = 0, with finite values. What *out points to
 * lives as long as the checkpoint. */
CLLM_CHECK cllm_status cllm__checkpoint_tensor(const cllm__checkpoint *checkpoint, const char *name, size_t rows, size_t columns,
                                               cllm__stored *out, cllm_error *err);

#endif
