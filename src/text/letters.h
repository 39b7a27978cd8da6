/*
 * The byte-level alphabet of GPT-2: each byte value has a visible character, so that vocabularies can be written as text.
 * Bytes that Latin-1 shows (0x21–0x7E, 0xA1–0xAC, 0xAE–0xFF) stand for themselves, the other 68 in order for U+0100 and on.
 */
#ifndef CLLM_TEXT_LETTERS_H
#define CLLM_TEXT_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point that stands for a byte. */
uint32_t cllm__letter_of_byte(unsigned char byte);
/* The byte that a code point stands for, -1 for a code point outside the alphabet. */
int cllm__byte_of_letter(uint32_t code_point);

/* Writes the letters of bytes[0 … count), UTF-8, at most 2 × count bytes; returns their number. */
size_t cllm__letters_from_bytes(char *out, const char *bytes, size_t count);
/* The other way round; at most `length` bytes. False, with *count unspecified, if `letters` has another character or is
 * not UTF-8. */
bool cllm__letters_to_bytes(char *out, size_t *count, const char *letters, size_t length);

#endif
