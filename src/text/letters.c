#include "text/letters.h"

#include "formats/utf8.h"

enum { FIRST = 256, CONTROLS = 0x21, DELETE = 0x7F, LATIN = 0xA1, SOFT_HYPHEN = 0xAD, LAST = FIRST + 67 };

uint32_t cllm__letter_of_byte(unsigned char byte) {
    if (byte < CONTROLS) return FIRST + (uint32_t)byte;
    if (byte >= DELETE && byte < LATIN) return FIRST + CONTROLS + (uint32_t)(byte - DELETE);
    return byte == SOFT_HYPHEN ? LAST : byte;
}

int cllm__byte_of_letter(uint32_t c) {
    if (c < FIRST) return c == cllm__letter_of_byte((unsigned char)c) ? (int)c : -1;
    if (c > LAST) return -1;
    if (c == LAST) return SOFT_HYPHEN;
    uint32_t n = c - FIRST;
    return (int)(n < CONTROLS ? n : n - CONTROLS + DELETE);
}

size_t cllm__letters_from_bytes(char *out, const char *bytes, size_t count) {
    size_t used = 0;
    for (size_t i = 0; i < count; i++) used += cllm__utf8_put(out + used, cllm__letter_of_byte((unsigned char)bytes[i]));
    return used;
}

bool cllm__letters_to_bytes(char *out, size_t *count, const char *letters, size_t length) {
    if (cllm__utf8_check(letters, length) != length) return false;
    *count = 0;
    for (size_t i = 0, size; i < length; i += size) {
        int byte = cllm__byte_of_letter(cllm__utf8_get(letters + i, &size));
        if (byte < 0) return false;
        out[(*count)++] = (char)byte;
    }
    return true;
}
