/* UTF-8: checking it, making it. */
#ifndef CLLM_FORMATS_UTF8_H
#define CLLM_FORMATS_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF), or `length` when all is well. A NUL byte is well-formed. */
size_t cllm__utf8_check(const char *text, size_t length);

/* Writes the code point (which must be a scalar value: not a surrogate, ≤ 0x10FFFF) and returns its length, 1 to 4. */
size_t cllm__utf8_put(char out[4], uint32_t code_point);

/* Reads the code point that begins at text[0] of well-formed UTF-8; its length in *size. */
uint32_t cllm__utf8_get(const char *text, size_t *size);

/* ISO 8859-1 → UTF-8. `out` has room for 2 × length bytes and does not overlap `text`; returns the bytes written. */
size_t cllm__latin1_to_utf8(char *out, const char *text, size_t length);

#endif
