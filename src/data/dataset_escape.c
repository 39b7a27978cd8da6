#include "data/dataset_escape.h"

#include <stdint.h>
#include <string.h>

static const char *escape_of(char c) {
    switch (c) {
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\\': return "\\\\";
    default: return NULL;
    }
}

cllm_status cllm__escape_write(cllm__out *out, const char *text, size_t length, cllm_error *err) {
    size_t plain = 0; /* begin of what is not written yet */
    for (size_t i = 0; i < length; i++) {
        const char *escape = escape_of(text[i]);
        if (escape == NULL) continue;
        CLLM_TRY(cllm__out_write(out, text + plain, i - plain, err));
        CLLM_TRY(cllm__out_write(out, escape, 2, err));
        plain = i + 1;
    }
    return cllm__out_write(out, text + plain, length - plain, err);
}

/* The character behind a backslash, or 0. */
static char meaning(char c) {
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case '\\': return '\\';
    default: return 0;
    }
}

size_t cllm__unescape(char *out, const char *field, size_t length) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = field[i];
        if (c == '\\') {
            c = i + 1 < length ? meaning(field[++i]) : 0;
            if (c == 0) return SIZE_MAX;
        }
        out[used++] = c;
    }
    return used;
}

int cllm__escape_compare(const char *field, size_t length, const char *text) {
    size_t at = 0;
    for (size_t i = 0; i < length; i++, at++) {
        char c = field[i];
        if (c == '\\' && i + 1 < length && meaning(field[i + 1]) != 0) c = meaning(field[++i]);
        if (c != text[at]) return (unsigned char)c < (unsigned char)text[at] ? -1 : 1;
    }
    return text[at] == '\0' ? 0 : -1;
}
