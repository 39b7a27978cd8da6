/* The header of a .npy array. Used by npz.c and npz_write.c. */
#ifndef CLLM_FORMATS_NPY_H
#define CLLM_FORMATS_NPY_H

#include "formats/npz.h"

/* Bytes before the header's text: 6 of magic, 2 of version, 2 or 4 of length. */
enum { CLLM_NPY_PREFIX = 12, CLLM_NPY_HEADER_MAX = 1 << 16 };

/* From the first CLLM_NPY_PREFIX bytes: where the header's text begins and how long it is; false if they are no .npy 1.0 to
 * 3.0, or the text is longer than CLLM_NPY_HEADER_MAX. */
bool cllm__npy_prefix(const unsigned char prefix[CLLM_NPY_PREFIX], size_t *begin, size_t *length);
/* Reads the text into all of *array but its data. `name` is for messages. The number of bytes fits 63 bits. */
CLLM_CHECK cllm_status cllm__npy_parse(const char *text, size_t length, const char *name, cllm__array *array,
                                       cllm_error *err);
/* Bytes of an element of a type of fixed size, 0 for strings. */
size_t cllm__npy_item(cllm__npy_type type);
/* Writes prefix and text, a multiple of 64 bytes, and returns their size. */
size_t cllm__npy_format(char out[512], cllm__npy_type type, size_t item, size_t rank, const uint64_t *shape);

#endif
