#include "formats/json_names.h"

#include <json-c/json.h>

#include "base/alloc.h"

enum { DEPTH = 64 };

size_t cllm__json_line(const char *json, size_t offset) {
    size_t line = 1;
    for (size_t i = 0; i < offset && json[i] != '\0'; i++) line += json[i] == '\n';
    return line;
}

/* Notes the quoted name with its line; the object must not have it. */
static cllm_status see_name(struct json_object *seen, const char *quoted, size_t size, size_t line, cllm_error *err) {
    struct json_tokener *tokener = json_tokener_new();
    if (tokener == NULL) return cllm__fail_nomem(err);
    struct json_object *name = json_tokener_parse_ex(tokener, quoted, (int)size), *first = NULL;
    json_tokener_free(tokener);
    const char *text = json_object_get_string(name);
    cllm_status status = CLLM_OK;
    if (text == NULL || (!json_object_object_get_ex(seen, text, &first) &&
                         json_object_object_add(seen, text, json_object_new_int64((int64_t)line)) != 0)) {
        status = cllm__fail_nomem(err);
    } else if (first != NULL) {
        status = cllm__fail(err, CLLM_ERR_USAGE, "line %zu: '%.60s' stands in line %lld already: leave one of them out", line, text,
                            (long long)json_object_get_int64(first));
    }
    json_object_put(name);
    return status;
}

cllm_status cllm__json_check_names(const char *json, size_t size, cllm_error *err) {
    struct json_object *seen[DEPTH] = {NULL}; /* the names of each open object with their lines; NULL for a list */
    size_t depth = 0, line = 1, string = 0, string_size = 0;
    cllm_status status = CLLM_OK;
    for (size_t i = 0; i < size && json[i] != '\0' && status == CLLM_OK; i++) {
        char c = json[i];
        if (c == '\n') {
            line++;
        } else if (c == '"' || c == '\'') { /* json-c takes the latter for names even in strict mode */
            string = i;
            for (i++; i < size && json[i] != c; i++) {
                line += json[i] == '\n';
                i += json[i] == '\\';
            }
            string_size = i < size ? i + 1 - string : 0;
        } else if (c == '{' || c == '[') {
            if (depth == DEPTH) status = cllm__fail(err, CLLM_ERR_USAGE, "line %zu: more than %d brackets within each other", line, DEPTH);
            else if ((seen[depth++] = c == '{' ? json_object_new_object() : NULL) == NULL && c == '{') status = cllm__fail_nomem(err);
        } else if ((c == '}' || c == ']') && depth > 0) {
            json_object_put(seen[--depth]);
        } else if (c == ':' && depth > 0 && seen[depth - 1] != NULL && string_size > 0) {
            status = see_name(seen[depth - 1], json + string, string_size, line, err);
        }
    }
    while (depth > 0) json_object_put(seen[--depth]);
    return status;
}
