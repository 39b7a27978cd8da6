/*
 * A pool of worker threads that runs numbered tasks. Which worker runs a task is left to chance, so a task must write
 * only what belongs to it; sums over tasks are made afterwards, in the order of the tasks. Then results do not depend
 * on the number of threads.
 */
#ifndef CLLM_BASE_THREADS_H
#define CLLM_BASE_THREADS_H

#include "base/status.h"

typedef struct cllm__pool cllm__pool;

/* `threads` counts the calling thread; 0 takes cllm__threads_default(). */
CLLM_CHECK cllm_status cllm__pool_create(cllm__pool **out, int threads, cllm_error *err);
void cllm__pool_free(cllm__pool *pool);
/* 1 for a NULL pool. */
int cllm__pool_threads(const cllm__pool *pool);

/* Runs task(context, 0) … task(context, count - 1), each once, and returns when all have ended. `worker` is in
 * [0, threads), for scratch memory. A NULL pool runs them in order on the caller. Calls must not be nested. */
typedef void cllm__task(void *context, size_t index, int worker);
void cllm__pool_run(cllm__pool *pool, size_t count, cllm__task *task, void *context);

/* The smaller of CPU affinity and the cgroup's CPU quota, at least 1. */
int cllm__threads_default(void);

#endif
