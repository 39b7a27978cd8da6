/*
 * A model's configuration: the JSON object of config.json, read key by key with checks. Messages name file, key and value.
 */
#ifndef CLLM_BACKBONE_CONFIG_H
#define CLLM_BACKBONE_CONFIG_H

#include "base/status.h"

struct json_object;

/* An object in a configuration file. `place` stands before the key in messages: "gpt2/config.json: ". */
typedef struct cllm__config {
    const char *place;
    struct json_object *object;
} cllm__config;

/* Parses `size` bytes of JSON, which must be one object. `place` is borrowed for the configuration's life. */
CLLM_CHECK cllm_status cllm__config_parse(cllm__config *out, const char *place, const char *json, size_t size, cllm_error *err);
void cllm__config_free(cllm__config *config);

/* Whether the key is there and not null. */
bool cllm__config_has(cllm__config config, const char *key);
/* Whether the key is there and null, where that means something else than its absence. */
bool cllm__config_is_null(cllm__config config, const char *key);
/* An integer in [low, high]. If the key is missing: the fallback, or CLLM_ERR_DATA where `fallback` is NULL. */
CLLM_CHECK cllm_status cllm__config_size(cllm__config config, const char *key, size_t low, size_t high, const size_t *fallback,
                                         size_t *out, cllm_error *err);
/* A finite number in [low, high]. */
CLLM_CHECK cllm_status cllm__config_number(cllm__config config, const char *key, double low, double high, const double *fallback,
                                           double *out, cllm_error *err);
CLLM_CHECK cllm_status cllm__config_bool(cllm__config config, const char *key, bool fallback, bool *out, cllm_error *err);
/* A string, borrowed for the configuration's life; `fallback` may be NULL, which makes a missing key give NULL. */
CLLM_CHECK cllm_status cllm__config_text(cllm__config config, const char *key, const char *fallback, const char **out,
                                         cllm_error *err);
/* An object inside; *out.object is NULL if the key is missing. Not to be freed. */
CLLM_CHECK cllm_status cllm__config_object(cllm__config config, const char *key, cllm__config *out, cllm_error *err);
/* CLLM_ERR_UNSUPPORTED if the key is there with another value than false: for features that a family does not have. */
CLLM_CHECK cllm_status cllm__config_refuse(cllm__config config, const char *key, cllm_error *err);

#endif
