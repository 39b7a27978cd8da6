/*
 * Names that stand twice in one JSON object: json-c silently keeps the last of them, so that what a person wrote counts for nothing.
 */
#ifndef CLLM_FORMATS_JSON_NAMES_H
#define CLLM_FORMATS_JSON_NAMES_H

#include "base/status.h"

/* Refuses a text in which an object, at whatever depth, has a name twice (CLLM_ERR_USAGE with both lines and the name). `json` is a
 * text that json-c took in strict mode. */
CLLM_CHECK cllm_status cllm__json_check_names(const char *json, size_t size, cllm_error *err);
/* The line of a byte, from 1. */
size_t cllm__json_line(const char *json, size_t offset);

#endif
