/* Reading and writing the JSON files of runs, sweeps, reports and ablations. */
#ifndef CLLM_API_JSON_H
#define CLLM_API_JSON_H

#include <json-c/json.h>

#include "base/status.h"

/* A member by a path like "models/ease/ndcg@100"; NULL if it is missing. `object` may be NULL. */
struct json_object *cllm__json_at(struct json_object *object, const char *path);
/* NaN if it is missing or no number. */
double cllm__json_number(struct json_object *object, const char *path);
/* NULL if it is missing or no string; and for showing, "" then. */
const char *cllm__json_string(struct json_object *object, const char *path);
const char *cllm__json_shown(struct json_object *object, const char *path);
/* Whether it is an array of at most `limit` strings. */
bool cllm__json_is_texts(struct json_object *array, size_t limit);
/* A string member; null if `value` is NULL. */
void cllm__json_put_text(struct json_object *object, const char *name, const char *value);
/* [low, high], for the caller to put. */
struct json_object *cllm__json_range(double low, double high);

/* Text of a JSON object for the caller of the library (cllm_text_free); puts the object. */
CLLM_CHECK cllm_status cllm__json_to_text(struct json_object *object, char **text, cllm_error *err);
/* Parses a JSON file of at most 64 MiB that holds an object. */
CLLM_CHECK cllm_status cllm__json_file(const char *path, struct json_object **object, cllm_error *err);
/* Writes folder/name atomically. */
CLLM_CHECK cllm_status cllm__json_write(const char *folder, const char *name, struct json_object *object, cllm_error *err);

#endif
