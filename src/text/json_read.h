/* JSON files of tokenizers, through json-c. */
#ifndef CLLM_TEXT_JSON_READ_H
#define CLLM_TEXT_JSON_READ_H

#include <json-c/json.h>

#include "base/status.h"

/* Strict JSON, at most 32 levels deep. The caller puts *object. `name` stands in messages. */
CLLM_CHECK cllm_status cllm__json_parse(const char *json, size_t size, const char *name, json_object **object,
                                        cllm_error *err);
/* An id: a whole number from 0 to INT32_MAX. False if `value` is none. */
bool cllm__json_id(const json_object *value, int32_t *id);
/* A string member, or NULL if it is missing, null or no string. */
const char *cllm__json_text(const json_object *object, const char *key);
/* A boolean member, `otherwise` if it is missing or no boolean. */
bool cllm__json_flag(const json_object *object, const char *key, bool otherwise);

#endif
