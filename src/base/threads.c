#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"

/* How often a waiting thread looks before it goes to sleep: a few tens of microseconds, the length of a small step. */
enum { SPINS = 4000 };

struct cllm__pool {
    int threads;
    pthread_t *handles;
    pthread_mutex_t mutex;
    pthread_cond_t work, done;

    /* The current job. `generation` changes when a new one is there; `running` counts workers still inside it. */
    atomic_uint generation;
    atomic_int running;
    atomic_bool stop;
    cllm__task *task;
    void *context;
    size_t count;
    atomic_size_t next;
};

typedef struct worker {
    cllm__pool *pool;
    int index;
} worker;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void run_tasks(cllm__pool *pool, int index) {
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->count) return;
        pool->task(pool->context, i, index);
    }
}

static void *worker_main(void *argument) {
    worker self = *(worker *)argument;
    cllm__pool *pool = self.pool;
    cllm__free(argument);
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load_explicit(&pool->generation, memory_order_acquire) == seen; i++) relax();
        if (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen) {
            pthread_mutex_lock(&pool->mutex);
            while (atomic_load(&pool->generation) == seen) pthread_cond_wait(&pool->work, &pool->mutex);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (atomic_load(&pool->stop)) return NULL;
        run_tasks(pool, self.index);
        if (atomic_fetch_sub_explicit(&pool->running, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

static void publish(cllm__pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
}

void cllm__pool_run(cllm__pool *pool, size_t count, cllm__task *task, void *context) {
    if (pool == NULL || pool->threads == 1 || count <= 1) {
        for (size_t i = 0; i < count; i++) task(context, i, 0);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->running, pool->threads - 1, memory_order_relaxed);
    publish(pool);
    run_tasks(pool, 0);
    for (int i = 0; i < SPINS && atomic_load_explicit(&pool->running, memory_order_acquire) > 0; i++) relax();
    if (atomic_load_explicit(&pool->running, memory_order_acquire) > 0) {
        pthread_mutex_lock(&pool->mutex);
        while (atomic_load(&pool->running) > 0) pthread_cond_wait(&pool->done, &pool->mutex);
        pthread_mutex_unlock(&pool->mutex);
    }
}

cllm_status cllm__pool_create(cllm__pool **out, int threads, cllm_error *err) {
    if (threads == 0) threads = cllm__threads_default();
    if (threads < 1 || threads > 1024) return cllm__fail(err, CLLM_ERR_USAGE, "%d threads: give 1 to 1024", threads);
    cllm__pool *pool;
    CLLM_TRY(CLLM_NEW(pool, 1, err));
    pool->handles = cllm__zalloc((size_t)threads, sizeof *pool->handles);
    if (pool->handles == NULL) {
        cllm__free(pool);
        return cllm__fail_nomem(err);
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (pool->threads = 1; pool->threads < threads; pool->threads++) {
        worker *argument = cllm__alloc(1, sizeof *argument);
        if (argument != NULL) *argument = (worker){pool, pool->threads};
        if (argument == NULL || pthread_create(&pool->handles[pool->threads], NULL, worker_main, argument) != 0) {
            cllm__free(argument);
            cllm__pool_free(pool);
            return cllm__fail(err, CLLM_ERR_NOMEM, "cannot start %d threads", threads);
        }
    }
    *out = pool;
    return CLLM_OK;
}

void cllm__pool_free(cllm__pool *pool) {
    if (pool == NULL) return;
    atomic_store(&pool->stop, true);
    publish(pool);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    cllm__free(pool->handles);
    cllm__free(pool);
}

int cllm__pool_threads(const cllm__pool *pool) {
    return pool == NULL ? 1 : pool->threads;
}

/* cgroup v2 keeps "quota period" (or "max period") in one file; v1 in two. */
static int cgroup_cpus(void) {
    long long quota = -1, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (file != NULL) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1;
        fclose(file);
    } else if ((file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r")) != NULL) {
        if (fscanf(file, "%lld", &quota) != 1) quota = -1;
        fclose(file);
        if ((file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r")) != NULL) {
            if (fscanf(file, "%lld", &period) != 1) period = 0;
            fclose(file);
        }
    }
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int cllm__threads_default(void) {
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, limit = cgroup_cpus();
    if (limit > 0 && limit < cpus) cpus = limit;
    return cpus < 1 ? 1 : cpus;
}
