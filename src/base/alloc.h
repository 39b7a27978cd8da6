/*
 * Memory for the library's own code. Every allocation goes through here, so that tests can make the n-th one fail
 * and count them. Sizes are products of count and element size, checked for overflow.
 */
#ifndef CLLM_BASE_ALLOC_H
#define CLLM_BASE_ALLOC_H

#include "base/status.h"

/* All return NULL when memory is short. Blocks are 64-byte aligned (a cache line, a zmm register), zeroed by _zalloc
 * only, and freed by cllm__free. */
void *cllm__alloc(size_t count, size_t size);
void *cllm__zalloc(size_t count, size_t size);
void *cllm__realloc(void *block, size_t count, size_t size);
void cllm__free(void *block);
char *cllm__strdup(const char *text);
char *cllm__strndup(const char *text, size_t length);

/* Allocates `count` zeroed elements of *pointer; for use as CLLM_TRY(CLLM_NEW(pointer, count, err)). */
#define CLLM_NEW(pointer, count, err) \
    (((pointer) = cllm__zalloc((count), sizeof *(pointer))) != NULL ? CLLM_OK : cllm__fail_nomem(err))

/* Makes room for at least `need` elements in a growing array (doubling); contents are kept. */
#define CLLM_GROW(pointer, capacity, need, err) cllm__grow((void **)&(pointer), &(capacity), (need), sizeof *(pointer), err)
CLLM_CHECK cllm_status cllm__grow(void **pointer, size_t *capacity, size_t need, size_t size, cllm_error *err);

/* Tests only. The n-th allocation from now on fails (1 = the next one), and all after it if `sticky`; 0 = never. */
void cllm__alloc_fail_at(size_t n, bool sticky);
/* Allocations made since the program began. */
size_t cllm__alloc_count(void);

/* A bump arena for buffers with one lifetime: reset and reused in each step, grown only while it warms up. */
typedef struct cllm__arena {
    unsigned char *base;
    size_t used, size;
} cllm__arena;

/* Makes the arena at least `bytes` big; it must be empty (used = 0). */
CLLM_CHECK cllm_status cllm__arena_reserve(cllm__arena *arena, size_t bytes, cllm_error *err);
/* The next `count` × `size` bytes, 64-byte aligned, not zeroed. Wrong code if they were not reserved. */
void *cllm__arena_take(cllm__arena *arena, size_t count, size_t size);
/* What _take would use, for measuring before reserving. */
size_t cllm__arena_need(size_t count, size_t size);
void cllm__arena_free(cllm__arena *arena);

#endif
