#include "formats/record.h"

#include <limits.h>
#include <math.h>

#include "base/alloc.h"
#include "formats/pyliteral.h"
#include "formats/utf8.h"

struct cllm__record_parser {
    struct json_tokener *tokener;
    cllm__pyliteral_buffer buffer;
};

cllm_status cllm__record_parser_create(cllm__record_parser **out, cllm_error *err) {
    cllm__record_parser *parser;
    CLLM_TRY(CLLM_NEW(parser, 1, err));
    parser->tokener = json_tokener_new_ex(CLLM_RECORD_DEPTH);
    if (parser->tokener == NULL) {
        cllm__record_parser_free(parser);
        return cllm__fail_nomem(err);
    }
    json_tokener_set_flags(parser->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    *out = parser;
    return CLLM_OK;
}

void cllm__record_parser_free(cllm__record_parser *parser) {
    if (parser == NULL) return;
    if (parser->tokener != NULL) json_tokener_free(parser->tokener);
    cllm__free(parser->buffer.data);
    cllm__free(parser);
}

static size_t skip_space(const char *text, size_t length, size_t at) {
    while (at < length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n')) at++;
    return at;
}

cllm__record_syntax cllm__record_recognise(const char *text, size_t length) {
    size_t at = skip_space(text, length, 0);
    if (at == length || text[at] != '{') return CLLM_RECORD_JSON;
    at = skip_space(text, length, at + 1);
    if (at == length || text[at] == '"' || text[at] == '}') return CLLM_RECORD_JSON;
    return CLLM_RECORD_PYTHON;
}

/* Turns NaN into null and finds infinite numbers: the name of the member that holds one, or NULL. */
static const char *clean_numbers(struct json_object *value, const char *name) {
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member) {
            if (json_object_is_type(member, json_type_double) && isnan(json_object_get_double(member))) {
                if (json_object_object_add(value, key, NULL) != 0) return key;
                continue;
            }
            const char *bad = clean_numbers(member, key);
            if (bad != NULL) return bad;
        }
    } else if (json_object_is_type(value, json_type_array)) {
        size_t n = json_object_array_length(value);
        for (size_t i = 0; i < n; i++) {
            struct json_object *member = json_object_array_get_idx(value, i);
            if (json_object_is_type(member, json_type_double) && isnan(json_object_get_double(member))) {
                if (json_object_array_put_idx(value, i, NULL) != 0) return name;
                continue;
            }
            const char *bad = clean_numbers(member, name);
            if (bad != NULL) return bad;
        }
    } else if (json_object_is_type(value, json_type_double) && isinf(json_object_get_double(value))) {
        return name;
    }
    return NULL;
}

static cllm_status parse_json(cllm__record_parser *parser, const char *text, size_t length, struct json_object **object,
                              cllm_error *err) {
    if (length > INT_MAX) return cllm__fail(err, CLLM_ERR_DATA, "column 1: the record is longer than %d bytes", INT_MAX);
    json_tokener_reset(parser->tokener);
    struct json_object *value = json_tokener_parse_ex(parser->tokener, text, (int)length);
    enum json_tokener_error problem = json_tokener_get_error(parser->tokener);
    size_t end = json_tokener_get_parse_end(parser->tokener);
    if (problem != json_tokener_success && problem != json_tokener_continue) {
        json_object_put(value);
        return cllm__fail(err, CLLM_ERR_DATA, "column %zu: this is not JSON (%s)", end + 1,
                          json_tokener_error_desc(problem));
    }
    size_t rest = skip_space(text, length, end);
    if (problem == json_tokener_continue) {
        bool begun = skip_space(text, length, 0) < length;
        return cllm__fail(err, CLLM_ERR_DATA, "column %zu: %s", rest + 1,
                          begun ? "the line ends inside the JSON object" : "a JSON object ({…}) is expected here");
    }
    if (rest < length || !json_object_is_type(value, json_type_object)) {
        json_object_put(value);
        if (rest < length)
            return cllm__fail(err, CLLM_ERR_DATA, "column %zu: nothing more is expected behind the JSON object", rest + 1);
        return cllm__fail(err, CLLM_ERR_DATA, "column %zu: a JSON object ({…}) is expected here",
                          skip_space(text, length, 0) + 1);
    }
    const char *bad = clean_numbers(value, "");
    if (bad != NULL) {
        cllm_status status =
            cllm__fail(err, CLLM_ERR_DATA, "the value of \"%s\" is an infinite number: write null or a number", bad);
        json_object_put(value);
        return status;
    }
    *object = value;
    return CLLM_OK;
}

cllm_status cllm__record_parse(cllm__record_parser *parser, cllm__record_syntax syntax, const char *text, size_t length,
                               struct json_object **object, cllm_error *err) {
    if (syntax == CLLM_RECORD_AUTO) syntax = cllm__record_recognise(text, length);
    if (syntax == CLLM_RECORD_JSON) return parse_json(parser, text, length, object, err);
    size_t bad = cllm__utf8_check(text, length);
    if (bad < length)
        return cllm__fail(err, CLLM_ERR_DATA, "column %zu: byte 0x%02x is not UTF-8", bad + 1, (unsigned char)text[bad]);
    if (length > INT_MAX) return cllm__fail(err, CLLM_ERR_DATA, "column 1: the record is longer than %d bytes", INT_MAX);
    return cllm__pyliteral_parse(&parser->buffer, text, length, object, err);
}
