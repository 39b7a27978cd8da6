#define _DEFAULT_SOURCE /* posix_memalign(), madvise() */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

static atomic_size_t g_count;
static atomic_size_t g_fail_at; /* value of g_count at which an allocation fails, 0 = never */
static atomic_bool g_fail_sticky;

static bool must_fail(void) {
    size_t now = atomic_fetch_add(&g_count, 1) + 1, at = atomic_load(&g_fail_at);
    return at != 0 && (now == at || (now > at && atomic_load(&g_fail_sticky)));
}

void cllm__alloc_fail_at(size_t n, bool sticky) {
    atomic_store(&g_fail_sticky, sticky);
    atomic_store(&g_fail_at, n == 0 ? 0 : atomic_load(&g_count) + n);
}

size_t cllm__alloc_count(void) {
    return atomic_load(&g_count);
}

/* The size of a block stands before it, in a line of its own, so that realloc can keep the alignment. */
typedef union header {
    size_t size;
    unsigned char line[ALIGNMENT];
} header;

/* Matrices are read from end to end, again and again. What fills whole huge pages asks for them: a processor fetches ahead
 * within a page only. */
static void *allocate(size_t bytes) {
    size_t whole = bytes / HUGE_PAGE * HUGE_PAGE;
    void *block;
    if (posix_memalign(&block, whole == 0 ? ALIGNMENT : HUGE_PAGE, bytes) != 0) return NULL;
#ifdef MADV_HUGEPAGE
    if (whole > 0) (void)madvise(block, whole, MADV_HUGEPAGE); /* a wish */
#endif
    return block;
}

void *cllm__alloc(size_t count, size_t size) {
    if (must_fail()) return NULL;
    if (size != 0 && count > (SIZE_MAX / 2 - sizeof(header)) / size) return NULL;
    size_t bytes = count * size;
    header *block = allocate(sizeof(header) + bytes);
    if (block == NULL) return NULL;
    block->size = bytes;
    return block + 1;
}

void *cllm__zalloc(size_t count, size_t size) {
    void *block = cllm__alloc(count, size);
    if (block != NULL) memset(block, 0, count * size);
    return block;
}

void *cllm__realloc(void *block, size_t count, size_t size) {
    void *bigger = cllm__alloc(count, size);
    if (bigger != NULL && block != NULL) {
        size_t old = ((header *)block - 1)->size, now = count * size;
        memcpy(bigger, block, old < now ? old : now);
        cllm__free(block);
    }
    return bigger;
}

void cllm__free(void *block) {
    if (block != NULL) free((header *)block - 1);
}

char *cllm__strndup(const char *text, size_t length) {
    char *copy = cllm__alloc(length + 1, 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *cllm__strdup(const char *text) {
    return cllm__strndup(text, strlen(text));
}

cllm_status cllm__grow(void **pointer, size_t *capacity, size_t need, size_t size, cllm_error *err) {
    if (need <= *capacity) return CLLM_OK;
    size_t wanted = *capacity < 16 ? 16 : *capacity;
    while (wanted < need) {
        if (wanted > SIZE_MAX / 2) return cllm__fail_nomem(err);
        wanted *= 2;
    }
    void *bigger = cllm__realloc(*pointer, wanted, size);
    if (bigger == NULL) return cllm__fail_nomem(err);
    *pointer = bigger;
    *capacity = wanted;
    return CLLM_OK;
}

size_t cllm__arena_need(size_t count, size_t size) {
    return (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

cllm_status cllm__arena_reserve(cllm__arena *arena, size_t bytes, cllm_error *err) {
    CLLM_ASSERT(arena->used == 0);
    if (bytes <= arena->size) return CLLM_OK;
    cllm__arena_free(arena);
    arena->base = cllm__alloc(bytes, 1);
    if (arena->base == NULL) return cllm__fail_nomem(err);
    arena->size = bytes;
    return CLLM_OK;
}

void *cllm__arena_take(cllm__arena *arena, size_t count, size_t size) {
    size_t bytes = cllm__arena_need(count, size);
    CLLM_ASSERT(bytes <= arena->size - arena->used);
    void *block = arena->base + arena->used;
    arena->used += bytes;
    return block;
}

void cllm__arena_free(cllm__arena *arena) {
    cllm__free(arena->base);
    *arena = (cllm__arena){0};
}
