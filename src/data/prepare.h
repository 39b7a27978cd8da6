/*
 * From raw files to a data set folder: read, filter, resolve duplicates, split, write. Texts stream through a spool file
 * and are never held whole. docs/FORMATS.md describes inputs and the folder.
 */
#ifndef CLLM_DATA_PREPARE_H
#define CLLM_DATA_PREPARE_H

#include "base/status.h"

/* cllm_prepare_options and its documentation are public: cllm4rec/cllm4rec.h. */
CLLM_CHECK cllm_status cllm__prepare(const cllm_prepare_options *options, char **summary_json, cllm_error *err);

#endif
