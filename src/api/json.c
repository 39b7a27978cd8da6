#include "api/json.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

enum { JSON_LIMIT = 64 << 20 };

struct json_object *cllm__json_at(struct json_object *object, const char *path) {
    char name[128];
    while (object != NULL && *path != '\0') {
        size_t length = strcspn(path, "/");
        if (length >= sizeof name || !json_object_is_type(object, json_type_object)) return NULL;
        memcpy(name, path, length);
        name[length] = '\0';
        struct json_object *member = NULL;
        if (!json_object_object_get_ex(object, name, &member)) return NULL;
        object = member;
        path += length + (path[length] == '/');
    }
    return object;
}

double cllm__json_number(struct json_object *object, const char *path) {
    struct json_object *member = cllm__json_at(object, path);
    bool number = json_object_is_type(member, json_type_double) || json_object_is_type(member, json_type_int);
    return number ? json_object_get_double(member) : NAN;
}

const char *cllm__json_string(struct json_object *object, const char *path) {
    struct json_object *member = cllm__json_at(object, path);
    return json_object_is_type(member, json_type_string) ? json_object_get_string(member) : NULL;
}

const char *cllm__json_shown(struct json_object *object, const char *path) {
    const char *text = cllm__json_string(object, path);
    return text != NULL ? text : "";
}

bool cllm__json_is_texts(struct json_object *array, size_t limit) {
    if (!json_object_is_type(array, json_type_array) || json_object_array_length(array) > limit) return false;
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        if (!json_object_is_type(json_object_array_get_idx(array, i), json_type_string)) return false;
    }
    return true;
}

void cllm__json_put_text(struct json_object *object, const char *name, const char *value) {
    json_object_object_add(object, name, value == NULL ? NULL : json_object_new_string(value));
}

struct json_object *cllm__json_range(double low, double high) {
    struct json_object *array = json_object_new_array();
    json_object_array_add(array, json_object_new_double(low));
    json_object_array_add(array, json_object_new_double(high));
    return array;
}

cllm_status cllm__json_to_text(struct json_object *object, char **text, cllm_error *err) {
    const char *made = object == NULL ? NULL : json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    char *copy = made == NULL ? NULL : cllm__strdup(made);
    json_object_put(object);
    if (copy == NULL) return cllm__fail_nomem(err);
    *text = copy;
    return CLLM_OK;
}

cllm_status cllm__json_file(const char *path, struct json_object **object, cllm_error *err) {
    char *data;
    size_t size;
    CLLM_TRY(cllm__read_file(path, JSON_LIMIT, &data, &size, err));
    struct json_tokener *tokener = json_tokener_new_ex(32);
    if (tokener == NULL) {
        cllm__free(data);
        return cllm__fail_nomem(err);
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *parsed = json_tokener_parse_ex(tokener, data, (int)size);
    cllm_status status = CLLM_OK;
    if (json_tokener_get_error(tokener) != json_tokener_success || !json_object_is_type(parsed, json_type_object)) {
        status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is not a JSON object (byte %zu)", path, json_tokener_get_parse_end(tokener));
        json_object_put(parsed);
    } else {
        *object = parsed;
    }
    json_tokener_free(tokener);
    cllm__free(data);
    return status;
}

cllm_status cllm__json_write(const char *folder, const char *name, struct json_object *object, cllm_error *err) {
    char *path = cllm__path_join(folder, name);
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
    cllm_status status = path == NULL || text == NULL ? cllm__fail_nomem(err) : cllm__write_file(path, text, strlen(text), err);
    cllm__free(path);
    return status;
}
