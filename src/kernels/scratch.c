#include "kernels/scratch.h"

#include <pthread.h>

#include "base/alloc.h"

/* A buffer begins with its header; the caller gets what follows it. */
typedef struct buffer {
    struct buffer *next;
    size_t bytes;
} buffer;

enum { HEADER = 64 };

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static buffer *g_free;

/* The smallest free buffer that is big enough, or else the biggest one, out of the list; NULL if there is none. */
static buffer *pick(size_t bytes) {
    buffer **best = NULL;
    for (buffer **at = &g_free; *at != NULL; at = &(*at)->next) {
        size_t has = (*at)->bytes;
        if (best == NULL) best = at;
        else if (has >= bytes) best = (*best)->bytes < bytes || has < (*best)->bytes ? at : best;
        else if (has > (*best)->bytes) best = at;
    }
    if (best == NULL) return NULL;
    buffer *picked = *best;
    *best = picked->next;
    return picked;
}

cllm_status cllm__scratch_take(void **out, size_t count, size_t size, cllm_error *err) {
    if (size != 0 && count > SIZE_MAX / 2 / size) return cllm__fail_nomem(err);
    size_t bytes = count * size;
    pthread_mutex_lock(&g_mutex);
    buffer *got = pick(bytes);
    pthread_mutex_unlock(&g_mutex);
    if (got == NULL || got->bytes < bytes) {
        cllm__free(got);
        got = cllm__alloc(bytes + HEADER, 1);
        if (got == NULL) return cllm__fail_nomem(err);
        got->bytes = bytes;
    }
    *out = (unsigned char *)got + HEADER;
    return CLLM_OK;
}

void cllm__scratch_give(void *memory) {
    if (memory == NULL) return;
    buffer *back = (buffer *)((unsigned char *)memory - HEADER);
    pthread_mutex_lock(&g_mutex);
    back->next = g_free;
    g_free = back;
    pthread_mutex_unlock(&g_mutex);
}

void cllm__scratch_trim(void) {
    pthread_mutex_lock(&g_mutex);
    buffer *list = g_free;
    g_free = NULL;
    pthread_mutex_unlock(&g_mutex);
    while (list != NULL) {
        buffer *next = list->next;
        cllm__free(list);
        list = next;
    }
}
