#include "formats/pyliteral.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/record.h"
#include "formats/utf8.h"

typedef struct parser {
    const char *text;
    size_t length, at;
    int depth;
    cllm__pyliteral_buffer *buffer; /* the string that was read last: data[0 … used) */
    size_t used;
    cllm_error *err;
} parser;

static cllm_status fail_at(const parser *p, size_t at, const char *what) {
    return cllm__fail(p->err, CLLM_ERR_DATA, "column %zu: %s", at + 1, what);
}

static char look(const parser *p) {
    return p->at < p->length ? p->text[p->at] : '\0';
}

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c) != NULL;
}

static void skip_space(parser *p) {
    while (is_one_of(look(p), " \t\r\n")) p->at++;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* ---- Strings ---- */

static cllm_status put_bytes(parser *p, const char *bytes, size_t size) {
    CLLM_TRY(CLLM_GROW(p->buffer->data, p->buffer->capacity, p->used + size + 1, p->err));
    memcpy(p->buffer->data + p->used, bytes, size);
    p->used += size;
    return CLLM_OK;
}

static cllm_status put_code_point(parser *p, uint32_t c) {
    char bytes[4];
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = 0xFFFD;
    return put_bytes(p, bytes, cllm__utf8_put(bytes, c));
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly `digits` hexadecimal digits at p->at. */
static cllm_status read_hex(parser *p, int digits, uint32_t *value) {
    uint32_t v = 0;
    for (int i = 0; i < digits; i++) {
        int digit = p->at < p->length ? hex_digit(p->text[p->at]) : -1;
        if (digit < 0) return fail_at(p, p->at, "a hexadecimal digit of an escape is missing");
        v = v << 4 | (uint32_t)digit;
        p->at++;
    }
    *value = v;
    return CLLM_OK;
}

/* \uXXXX, the second half of a surrogate pair included; p->at is behind the "\u". */
static cllm_status read_unicode(parser *p, uint32_t *code_point) {
    CLLM_TRY(read_hex(p, 4, code_point));
    if (*code_point < 0xD800 || *code_point >= 0xDC00) return CLLM_OK;
    size_t back = p->at;
    uint32_t low = 0;
    if (p->length - p->at < 6 || p->text[p->at] != '\\' || p->text[p->at + 1] != 'u') return CLLM_OK;
    p->at += 2;
    CLLM_TRY(read_hex(p, 4, &low));
    if (low >= 0xDC00 && low < 0xE000) *code_point = 0x10000 + ((*code_point - 0xD800) << 10) + (low - 0xDC00);
    else p->at = back;
    return CLLM_OK;
}

/* The escape whose backslash is at p->at. *raw is set when it gave a byte that may be one of several of a character. */
static cllm_status read_escape(parser *p, bool unicode, bool *raw) {
    static const char simple[] = "\\\\''\"\"n\nr\rt\ta\ab\bf\fv\v";
    p->at++;
    if (p->at == p->length) return fail_at(p, p->at, "the string is not closed");
    char c = p->text[p->at++];
    for (size_t i = 0; i + 1 < sizeof simple; i += 2) {
        if (simple[i] == c) return put_bytes(p, &simple[i + 1], 1);
    }
    uint32_t value = 0;
    if (c == 'u') {
        CLLM_TRY(read_unicode(p, &value));
        return put_code_point(p, value);
    }
    if (c == 'U') {
        CLLM_TRY(read_hex(p, 8, &value));
        return put_code_point(p, value);
    }
    if (c == 'x') {
        CLLM_TRY(read_hex(p, 2, &value));
    } else if (c >= '0' && c <= '7') {
        value = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && look(p) >= '0' && look(p) <= '7'; i++)
            value = value << 3 | (uint32_t)(p->text[p->at++] - '0');
    } else { /* no escape: Python keeps the backslash */
        p->at--;
        return put_bytes(p, "\\", 1);
    }
    if (unicode || value < 0x80) return put_code_point(p, value);
    char byte = (char)value;
    *raw = true;
    return put_bytes(p, &byte, 1);
}

/* The bytes of the buffer from `from` on that are not UTF-8 become the Latin-1 characters that they stand for. */
static cllm_status repair_bytes(parser *p, size_t from) {
    size_t size = p->used - from;
    char *bytes = cllm__alloc(size + 1, 1);
    if (bytes == NULL) return cllm__fail_nomem(p->err);
    memcpy(bytes, p->buffer->data + from, size);
    p->used = from;
    cllm_status status = CLLM_OK;
    for (size_t i = 0; i < size && status == CLLM_OK;) {
        size_t good = cllm__utf8_check(bytes + i, size - i);
        status = put_bytes(p, bytes + i, good);
        i += good;
        if (i < size && status == CLLM_OK) status = put_code_point(p, (unsigned char)bytes[i++]);
    }
    cllm__free(bytes);
    return status;
}

/* Whether a string begins at p->at, perhaps with a prefix. */
static bool at_string(const parser *p) {
    size_t i = p->at;
    while (i < p->length && i < p->at + 2 && is_one_of(p->text[i], "uUbBrR")) i++;
    return i < p->length && (p->text[i] == '\'' || p->text[i] == '"');
}

/* One literal, appended to the buffer. */
static cllm_status read_literal(parser *p) {
    bool unicode = false, plain = false, raw = false;
    for (; look(p) != '\'' && look(p) != '"'; p->at++) {
        unicode |= (look(p) | 32) == 'u';
        plain |= (look(p) | 32) == 'r';
    }
    size_t begin = p->at, from = p->used;
    char quote = p->text[p->at++];
    for (;;) {
        size_t run = p->at;
        while (run < p->length && p->text[run] != quote && p->text[run] != '\\') run++;
        if (run == p->length) return fail_at(p, begin, "this string is not closed");
        CLLM_TRY(put_bytes(p, p->text + p->at, run - p->at));
        p->at = run;
        if (p->text[run] == quote) break;
        if (!plain) {
            CLLM_TRY(read_escape(p, unicode, &raw));
        } else {
            size_t size = p->length - run > 1 ? 2 : 1; /* a backslash keeps a quote from closing, and stays */
            CLLM_TRY(put_bytes(p, p->text + run, size));
            p->at += size;
        }
    }
    p->at++;
    return raw ? repair_bytes(p, from) : CLLM_OK;
}

/* Neighbouring literals are one string. */
static cllm_status read_string(parser *p, struct json_object **out) {
    p->used = 0;
    do {
        CLLM_TRY(read_literal(p));
        skip_space(p);
    } while (at_string(p));
    *out = json_object_new_string_len(p->used > 0 ? p->buffer->data : "", (int)p->used);
    return *out != NULL ? CLLM_OK : cllm__fail_nomem(p->err);
}

/* ---- Values ---- */

static const char *skip_digits(const char *s) {
    while (*s >= '0' && *s <= '9') s++;
    return s;
}

static bool is_number(const char *s) {
    if (*s == '-') s++;
    const char *end = skip_digits(s);
    if (end == s) return false;
    s = *end == '.' ? skip_digits(end + 1) : end;
    if (*s == 'e' || *s == 'E') {
        s += s[1] == '+' || s[1] == '-' ? 2 : 1;
        end = skip_digits(s);
        if (end == s) return false;
        s = end;
    }
    return *s == '\0';
}

/* Python writes numbers as JSON does, but for the L of Python 2's long integers. json-c reads them in any locale. */
static cllm_status read_number(parser *p, struct json_object **out) {
    char text[64];
    size_t n = 0, begin = p->at;
    while (n + 1 < sizeof text && (is_word(look(p)) || is_one_of(look(p), "+-."))) text[n++] = p->text[p->at++];
    if (n > 1 && text[n - 1] == 'L') n--;
    text[n] = '\0';
    if (!is_number(text)) return fail_at(p, begin, "a value is expected here");
    enum json_tokener_error problem;
    struct json_object *value = json_tokener_parse_verbose(text, &problem);
    if (value == NULL) return fail_at(p, begin, "this is not a number");
    if (isinf(json_object_get_double(value))) {
        json_object_put(value);
        return fail_at(p, begin, "this number is infinite");
    }
    *out = value;
    return CLLM_OK;
}

static bool take_word(parser *p, const char *word) {
    size_t n = strlen(word);
    if (p->length - p->at < n || memcmp(p->text + p->at, word, n) != 0) return false;
    if (p->at + n < p->length && is_word(p->text[p->at + n])) return false;
    p->at += n;
    return true;
}

static cllm_status read_value(parser *p, struct json_object **out);

/* Behind the opening bracket of a list or tuple. */
static cllm_status read_items(parser *p, char close, struct json_object *list) {
    for (;;) {
        skip_space(p);
        if (look(p) == close) break;
        struct json_object *value;
        CLLM_TRY(read_value(p, &value));
        if (json_object_array_add(list, value) != 0) {
            json_object_put(value);
            return cllm__fail_nomem(p->err);
        }
        skip_space(p);
        if (look(p) == close) break;
        if (look(p) != ',')
            return fail_at(p, p->at, close == ']' ? "',' or ']' is expected here" : "',' or ')' is expected here");
        p->at++;
    }
    p->at++;
    return CLLM_OK;
}

/* Behind the opening brace. */
static cllm_status read_members(parser *p, struct json_object *dict) {
    for (;;) {
        skip_space(p);
        if (look(p) == '}') break;
        if (!at_string(p)) return fail_at(p, p->at, "a key in quotes or '}' is expected here");
        struct json_object *key, *value;
        CLLM_TRY(read_string(p, &key));
        cllm_status status = CLLM_OK;
        if (look(p) != ':') {
            status = fail_at(p, p->at, "':' is expected here");
        } else {
            p->at++;
            skip_space(p);
            status = read_value(p, &value);
            if (status == CLLM_OK && json_object_object_add(dict, json_object_get_string(key), value) != 0) {
                json_object_put(value);
                status = cllm__fail_nomem(p->err);
            }
        }
        json_object_put(key);
        CLLM_TRY(status);
        skip_space(p);
        if (look(p) == '}') break;
        if (look(p) != ',') return fail_at(p, p->at, "',' or '}' is expected here");
        p->at++;
    }
    p->at++;
    return CLLM_OK;
}

static cllm_status read_container(parser *p, struct json_object **out) {
    char open = p->text[p->at];
    if (p->depth == CLLM_RECORD_DEPTH) return fail_at(p, p->at, "nested too deeply");
    struct json_object *value = open == '{' ? json_object_new_object() : json_object_new_array();
    if (value == NULL) return cllm__fail_nomem(p->err);
    p->at++;
    p->depth++;
    cllm_status status = open == '{' ? read_members(p, value) : read_items(p, open == '[' ? ']' : ')', value);
    p->depth--;
    if (status != CLLM_OK) {
        json_object_put(value);
        return status;
    }
    *out = value;
    return CLLM_OK;
}

static cllm_status read_value(parser *p, struct json_object **out) {
    char c = look(p);
    if (c == '{' || c == '[' || c == '(') return read_container(p, out);
    if (at_string(p)) return read_string(p, out);
    if (take_word(p, "None") || take_word(p, "nan")) {
        *out = NULL;
        return CLLM_OK;
    }
    bool yes = take_word(p, "True");
    if (yes || take_word(p, "False")) {
        *out = json_object_new_boolean(yes);
        return *out != NULL ? CLLM_OK : cllm__fail_nomem(p->err);
    }
    return read_number(p, out);
}

cllm_status cllm__pyliteral_parse(cllm__pyliteral_buffer *buffer, const char *text, size_t length,
                                  struct json_object **object, cllm_error *err) {
    parser p = {.text = text, .length = length, .buffer = buffer, .err = err};
    skip_space(&p);
    if (look(&p) != '{') return fail_at(&p, p.at, "a dict ({…}) is expected here");
    struct json_object *value;
    CLLM_TRY(read_value(&p, &value));
    skip_space(&p);
    if (p.at < length) {
        json_object_put(value);
        return fail_at(&p, p.at, "nothing more is expected behind the closing '}'");
    }
    *object = value;
    return CLLM_OK;
}
