#include "backbone/config.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <string.h>

enum { DEPTH = 64 };

cllm_status cllm__config_parse(cllm__config *out, const char *place, const char *json, size_t size, cllm_error *err) {
    if (size > INT_MAX) return cllm__fail(err, CLLM_ERR_DATA, "%s: %zu bytes are too many for a configuration", place, size);
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH);
    if (tokener == NULL) return cllm__fail_nomem(err);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    struct json_object *object = json_tokener_parse_ex(tokener, json, (int)size);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (error != json_tokener_success)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: not JSON at byte %zu: %s", place, end,
                          error == json_tokener_continue ? "the file ends early" : json_tokener_error_desc(error));
    while (end < size && json[end] != '\0' && strchr(" \t\r\n", json[end]) != NULL) end++;
    if (end < size || !json_object_is_type(object, json_type_object)) {
        json_object_put(object);
        return cllm__fail(err, CLLM_ERR_DATA, "%s: must be one JSON object%s", place, end < size ? " and nothing after it" : "");
    }
    *out = (cllm__config){place, object};
    return CLLM_OK;
}

void cllm__config_free(cllm__config *config) {
    json_object_put(config->object);
    config->object = NULL;
}

static struct json_object *find(cllm__config config, const char *key) {
    struct json_object *value = NULL;
    json_object_object_get_ex(config.object, key, &value);
    return value; /* json-c represents null as NULL */
}

bool cllm__config_has(cllm__config config, const char *key) {
    return find(config, key) != NULL;
}

bool cllm__config_is_null(cllm__config config, const char *key) {
    struct json_object *value = NULL;
    return json_object_object_get_ex(config.object, key, &value) && value == NULL;
}

/* "config.json: n_layer is \"two\"; ", cut where a hostile value is long. */
#define SHOW "%s: %s is %.60s"
#define SHOWN(config, key, value) (config).place, (key), json_object_to_json_string_ext((value), JSON_C_TO_STRING_PLAIN)

static cllm_status missing(cllm__config config, const char *key, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_DATA, "%s: %s is missing", config.place, key);
}

cllm_status cllm__config_size(cllm__config config, const char *key, size_t low, size_t high, const size_t *fallback, size_t *out,
                              cllm_error *err) {
    struct json_object *value = find(config, key);
    if (value == NULL && fallback == NULL) return missing(config, key, err);
    if (value == NULL) {
        *out = *fallback;
        return CLLM_OK;
    }
    /* json-c saturates integers beyond int64, which the range then refuses. */
    int64_t number = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;
    if (number < 0 || (uint64_t)number < low || (uint64_t)number > high)
        return cllm__fail(err, CLLM_ERR_DATA, SHOW "; it must be an integer from %zu to %zu", SHOWN(config, key, value), low, high);
    *out = (size_t)number;
    return CLLM_OK;
}

cllm_status cllm__config_number(cllm__config config, const char *key, double low, double high, const double *fallback, double *out,
                                cllm_error *err) {
    struct json_object *value = find(config, key);
    if (value == NULL && fallback == NULL) return missing(config, key, err);
    if (value == NULL) {
        *out = *fallback;
        return CLLM_OK;
    }
    bool number = json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
    double real = number ? json_object_get_double(value) : NAN;
    if (!(real >= low && real <= high))
        return cllm__fail(err, CLLM_ERR_DATA, SHOW "; it must be a number from %g to %g", SHOWN(config, key, value), low, high);
    *out = real;
    return CLLM_OK;
}

cllm_status cllm__config_bool(cllm__config config, const char *key, bool fallback, bool *out, cllm_error *err) {
    struct json_object *value = find(config, key);
    if (value != NULL && !json_object_is_type(value, json_type_boolean))
        return cllm__fail(err, CLLM_ERR_DATA, SHOW "; it must be true or false", SHOWN(config, key, value));
    *out = value == NULL ? fallback : json_object_get_boolean(value);
    return CLLM_OK;
}

cllm_status cllm__config_text(cllm__config config, const char *key, const char *fallback, const char **out, cllm_error *err) {
    struct json_object *value = find(config, key);
    if (value != NULL && !json_object_is_type(value, json_type_string))
        return cllm__fail(err, CLLM_ERR_DATA, SHOW "; it must be a string", SHOWN(config, key, value));
    *out = value == NULL ? fallback : json_object_get_string(value);
    return CLLM_OK;
}

cllm_status cllm__config_object(cllm__config config, const char *key, cllm__config *out, cllm_error *err) {
    struct json_object *value = find(config, key);
    if (value != NULL && !json_object_is_type(value, json_type_object))
        return cllm__fail(err, CLLM_ERR_DATA, SHOW "; it must be an object", SHOWN(config, key, value));
    *out = (cllm__config){config.place, value};
    return CLLM_OK;
}

cllm_status cllm__config_refuse(cllm__config config, const char *key, cllm_error *err) {
    struct json_object *value = find(config, key);
    if (value == NULL || (json_object_is_type(value, json_type_boolean) && !json_object_get_boolean(value))) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED, SHOW ", which is not supported", SHOWN(config, key, value));
}
