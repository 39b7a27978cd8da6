/*
 * One row of loosely typed data as a json-c object: a JSON line, or a Python literal as in Amazon's metadata files
 * ({'asin': '0', 'related': {'also_bought': [u'1']}, 'price': None}).
 */
#ifndef CLLM_FORMATS_RECORD_H
#define CLLM_FORMATS_RECORD_H

#include <json-c/json.h>
#include <stddef.h>

#include "base/status.h"

typedef enum cllm__record_syntax {
    CLLM_RECORD_AUTO, /* Python if the first key has single quotes or a prefix (u'…'), else JSON */
    CLLM_RECORD_JSON,
    CLLM_RECORD_PYTHON
} cllm__record_syntax;

enum { CLLM_RECORD_DEPTH = 32 };

typedef struct cllm__record_parser cllm__record_parser; /* reusable; one thread */

CLLM_CHECK cllm_status cllm__record_parser_create(cllm__record_parser **out, cllm_error *err);
void cllm__record_parser_free(cllm__record_parser *parser); /* accepts NULL */

/* Parses one object, which must be all of text[0 … length) but for white space around it. The caller releases *object with
 * json_object_put(). Strings come out as well-formed UTF-8 (a lone surrogate escape becomes U+FFFD; they may contain NUL:
 * use json_object_get_string_len); of equal keys the last one counts; NaN, which is how pandas writes a missing value,
 * becomes null; an infinite number is refused; nesting ends at CLLM_RECORD_DEPTH. JSON is RFC 8259, except that strings may
 * have single quotes, too. Python literals: dicts with string keys, lists, tuples, strings with prefixes and escapes (and
 * neighbours that join), integers, floats, None, True, False; in strings without a u, escapes from \x80 to \xff that form
 * UTF-8 are its bytes (Python 2), the others Latin-1. The failure (CLLM_ERR_DATA) says "column N: …", N counting bytes from
 * 1, or names the key; callers put file and line before it with cllm__error_prefix(). */
CLLM_CHECK cllm_status cllm__record_parse(cllm__record_parser *parser, cllm__record_syntax syntax, const char *text,
                                          size_t length, struct json_object **object, cllm_error *err);

/* What CLLM_RECORD_AUTO would take this text for. */
cllm__record_syntax cllm__record_recognise(const char *text, size_t length);

#endif
