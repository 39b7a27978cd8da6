#include "text/json_read.h"

#include <limits.h>

cllm_status cllm__json_parse(const char *json, size_t size, const char *name, json_object **object, cllm_error *err) {
    if (size == 0) return cllm__fail(err, CLLM_ERR_DATA, "%s: the file is empty", name);
    if (size > INT_MAX) return cllm__fail(err, CLLM_ERR_DATA, "%s: %zu bytes are too many", name, size);
    json_tokener *tokener = json_tokener_new();
    if (tokener == NULL) return cllm__fail_nomem(err);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *parsed = json_tokener_parse_ex(tokener, json, (int)size);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (error == json_tokener_success && parsed != NULL) {
        *object = parsed;
        return CLLM_OK;
    }
    json_object_put(parsed);
    if (error == json_tokener_continue) return cllm__fail(err, CLLM_ERR_DATA, "%s: the JSON text ends too soon", name);
    return cllm__fail(err, CLLM_ERR_DATA, "%s: not JSON: %s at byte %zu", name,
                      error == json_tokener_success ? "null" : json_tokener_error_desc(error), end);
}

bool cllm__json_id(const json_object *value, int32_t *id) {
    if (!json_object_is_type(value, json_type_int)) return false;
    int64_t number = json_object_get_int64(value);
    if (number < 0 || number > INT32_MAX) return false;
    *id = (int32_t)number;
    return true;
}

const char *cllm__json_text(const json_object *object, const char *key) {
    json_object *value;
    if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_string)) return NULL;
    return json_object_get_string(value);
}

bool cllm__json_flag(const json_object *object, const char *key, bool otherwise) {
    json_object *value;
    if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_boolean)) return otherwise;
    return json_object_get_boolean(value);
}
