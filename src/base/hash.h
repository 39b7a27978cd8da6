/* XXH3, 64 bits: checksums of files and keys of caches. */
#ifndef CLLM_BASE_HASH_H
#define CLLM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

uint64_t cllm__hash(const void *data, size_t size);
/* Of a file's bytes, read in pieces. */
CLLM_CHECK cllm_status cllm__hash_file(const char *path, uint64_t *hash, cllm_error *err);
/* 16 hexadecimal digits and a NUL, as manifests hold a checksum. */
void cllm__hash_text(uint64_t hash, char text[17]);

/* In pieces. Wrong order of calls is wrong code. */
typedef struct cllm__hasher cllm__hasher;
cllm__hasher *cllm__hasher_new(void); /* NULL when memory is short */
void cllm__hasher_add(cllm__hasher *hasher, const void *data, size_t size);
uint64_t cllm__hasher_end(cllm__hasher *hasher); /* frees the hasher */

#endif
