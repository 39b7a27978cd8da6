/* The files of a data set folder that hold numbers: written by preparing (prepare_write.c) and by deriving (withhold.c). */
#ifndef CLLM_DATA_DATASET_WRITE_H
#define CLLM_DATA_DATASET_WRITE_H

#include "data/dataset_manifest.h"

/* interactions.safetensors in `folder`: all splits of the same users. */
CLLM_CHECK cllm_status cllm__write_interactions(const char *folder, const cllm__interactions splits[CLLM__SPLITS], cllm_error *err);

/* Where the texts begin and whose they are; arrays of `count`, start of count + 1. */
typedef struct cllm__text_index {
    size_t count;
    const uint64_t *start;
    const uint8_t *kind, *split;
    const int32_t *user, *item;
} cllm__text_index;
/* texts.safetensors in `folder`. */
CLLM_CHECK cllm_status cllm__write_text_index(const char *folder, const cllm__text_index *index, cllm_error *err);

/* dataset.json in `folder`, whose other files are there: measures them into `manifest`, which has its summary. */
CLLM_CHECK cllm_status cllm__write_manifest(const char *folder, cllm__manifest *manifest, cllm_error *err);

/* An object as a file of the folder. */
CLLM_CHECK cllm_status cllm__write_json(const char *folder, const char *name, struct json_object *object, cllm_error *err);

#endif
