/*
 * dataset.json: what a data set folder holds. Two data sets with the same contents have the same manifest, byte for byte;
 * where the contents came from stands in source.json.
 */
#ifndef CLLM_DATA_DATASET_MANIFEST_H
#define CLLM_DATA_DATASET_MANIFEST_H

#include <json-c/json.h>
#include <stdint.h>

#include "base/status.h"
#include "data/dataset.h"

enum { CLLM__DATASET_VERSION = 1, CLLM__MANIFEST_LIMIT = 1 << 20 };

#define CLLM__MANIFEST_NAME "dataset.json"
#define CLLM__SOURCE_NAME "source.json"

/* The files that the manifest vouches for. */
typedef enum cllm__dataset_file {
    CLLM__FILE_INTERACTIONS,
    CLLM__FILE_USERS,
    CLLM__FILE_ITEMS,
    CLLM__FILE_TEXTS,
    CLLM__FILE_TEXT_INDEX,
    CLLM__FILE_DROPPED
} cllm__dataset_file;
enum { CLLM__DATASET_FILES = 6 };
/* "interactions.safetensors", … */
const char *cllm__dataset_file_name(cllm__dataset_file file);

typedef struct cllm__manifest {
    uint64_t users, items, texts, count[CLLM__SPLITS];
    struct {
        uint64_t bytes, hash;
    } files[CLLM__DATASET_FILES];
    struct json_object *summary; /* an object */
} cllm__manifest;

/* From the text of dataset.json; `name` stands in messages. Refuses what is no manifest, another version, counts that are
 * no row numbers, a missing file entry. The caller frees with cllm__manifest_free. */
CLLM_CHECK cllm_status cllm__manifest_parse(cllm__manifest *manifest, const char *text, size_t length, const char *name,
                                            cllm_error *err);
/* The text of dataset.json (caller frees with cllm__free). */
CLLM_CHECK cllm_status cllm__manifest_print(const cllm__manifest *manifest, char **text, cllm_error *err);
void cllm__manifest_free(cllm__manifest *manifest);

/* json-c as text of our own (cllm__free). */
CLLM_CHECK cllm_status cllm__manifest_json_text(struct json_object *object, char **text, cllm_error *err);

#endif
