#include "formats/record.h"

#include "formats/utf8.h"
#include "fuzz.h"

static void check_strings(struct json_object *value) {
    if (json_object_is_type(value, json_type_string)) {
        size_t length = (size_t)json_object_get_string_len(value);
        FUZZ_CHECK(cllm__utf8_check(json_object_get_string(value), length) == length);
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) check_strings(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member) {
            FUZZ_CHECK(cllm__utf8_check(key, strlen(key)) == strlen(key));
            check_strings(member);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static cllm__record_parser *parser; /* kept: what one row leaves behind must not harm the next */
    cllm_error err;
    if (parser == NULL) FUZZ_CHECK(cllm__record_parser_create(&parser, &err) == CLLM_OK);
    char *text = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, size);
    for (int syntax = CLLM_RECORD_AUTO; syntax <= CLLM_RECORD_PYTHON; syntax++) {
        struct json_object *object;
        if (cllm__record_parse(parser, (cllm__record_syntax)syntax, text, size, &object, &err) != CLLM_OK) continue;
        FUZZ_CHECK(json_object_is_type(object, json_type_object));
        check_strings(object);
        json_object_put(object);
    }
    free(text);
    return 0;
}
