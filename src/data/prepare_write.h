/* The parts of writing a data set folder. */
#ifndef CLLM_DATA_PREPARE_WRITE_H
#define CLLM_DATA_PREPARE_WRITE_H

#include <json-c/json.h>

#include "data/dataset_manifest.h"
#include "data/prepare_internal.h"

/* What the summary tells about the written data. */
typedef struct cllm__written {
    uint64_t interactions, count[CLLM__SPLITS];
    uint64_t texts, kinds[CLLM__TEXT_KINDS], words, tokens;
    uint64_t cold_items;
    uint64_t *history; /* [users kept]: training rows of each user, sorted */
} cllm__written;

/* texts.utf8, texts.safetensors and items.tsv, users.tsv in two steps: the first needs the rows (which it reorders), the
 * second comes when they are gone. The index of the texts waits in a spool between them. */
typedef struct cllm__text_writer cllm__text_writer;
CLLM_CHECK cllm_status cllm__texts_write(cllm__preparing *p, cllm__text_writer **out, cllm__written *written,
                                         cllm_error *err);
CLLM_CHECK cllm_status cllm__texts_write_index(cllm__preparing *p, cllm__text_writer *writer, cllm_error *err);
void cllm__text_writer_free(cllm__text_writer *writer); /* accepts NULL */

/* The summary as JSON: what the data are, and where they came from (the caller puts both). */
CLLM_CHECK cllm_status cllm__summary_make(const cllm__preparing *p, const cllm__written *written,
                                          struct json_object **summary, cllm_error *err);
CLLM_CHECK cllm_status cllm__summary_source(const cllm__preparing *p, struct json_object **source, cllm_error *err);

/* "folder/name" in the temporary folder (cllm__free). */
CLLM_CHECK cllm_status cllm__output_path(const cllm__preparing *p, const char *name, char **path, cllm_error *err);

#endif
