#include "formats/utf8.h"

#include <string.h>

enum { WORD = 8 };
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the leading run of ASCII bytes, in whole words. */
static size_t ascii_words(const char *text, size_t length) {
    size_t i = 0;
    for (; length - i >= WORD; i += WORD) {
        uint64_t word;
        memcpy(&word, text + i, WORD);
        if ((word & HIGH_BITS) != 0) break;
    }
    return i;
}

static int is_tail(unsigned char byte) {
    return (byte & 0xC0) == 0x80;
}

/* Bytes of the sequence at s (n bytes left), 0 if it is malformed. Table 3-7 of the Unicode standard. */
static size_t sequence(const unsigned char *s, size_t n) {
    unsigned char a = s[0];
    if (a < 0x80) return 1;
    if (a < 0xC2 || a > 0xF4) return 0;
    if (n < 2) return 0;
    unsigned char low = 0x80, high = 0xBF;
    if (a == 0xE0) low = 0xA0;
    else if (a == 0xED) high = 0x9F;
    else if (a == 0xF0) low = 0x90;
    else if (a == 0xF4) high = 0x8F;
    if (s[1] < low || s[1] > high) return 0;
    if (a < 0xE0) return 2;
    if (n < 3 || !is_tail(s[2])) return 0;
    if (a < 0xF0) return 3;
    return n >= 4 && is_tail(s[3]) ? 4 : 0;
}

size_t cllm__utf8_check(const char *text, size_t length) {
    size_t i = 0;
    while (i < length) {
        if ((unsigned char)text[i] < 0x80) {
            i += ascii_words(text + i, length - i);
            while (i < length && (unsigned char)text[i] < 0x80) i++;
            continue;
        }
        size_t n = sequence((const unsigned char *)text + i, length - i);
        if (n == 0) return i;
        i += n;
    }
    return length;
}

size_t cllm__utf8_put(char out[4], uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

uint32_t cllm__utf8_get(const char *text, size_t *size) {
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        *size = 1;
        return s[0];
    }
    if (s[0] < 0xE0) {
        *size = 2;
        return (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
    }
    if (s[0] < 0xF0) {
        *size = 3;
        return (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    }
    *size = 4;
    return (s[0] & 0x07u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
}

size_t cllm__latin1_to_utf8(char *out, const char *text, size_t length) {
    size_t used = 0, i = 0;
    while (i < length) {
        size_t plain = ascii_words(text + i, length - i);
        if (plain == 0) {
            used += cllm__utf8_put(out + used, (unsigned char)text[i]);
            i++;
        } else {
            memcpy(out + used, text + i, plain);
            used += plain;
            i += plain;
        }
    }
    return used;
}
