#include "kernels/gemm_onednn.h"

#ifndef CLLM_REF64

#include <dnnl.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/gemm_amx.h"

/* Of libgomp, which Debian's oneDNN is built on. The number belongs to the calling thread. */
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);

/* What one worker hands to a primitive: memory objects, whose addresses are set for each run. */
typedef struct arguments {
    dnnl_memory_t x, w, y, scratch;
    dnnl_stream_t stream;
    void *scratch_bytes;
} arguments;

struct cllm__onednn_team {
    cllm__onednn_team *next; /* among the product's free teams */
    struct product *product;
    int workers;
    arguments each[];
};

typedef struct product {
    struct product *next; /* in its bucket */
    cllm__onednn_shape shape;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t x, w, y, scratch;
    dnnl_memory_desc_t stored; /* w's bytes as a matrix without padding: see build() */
    cllm__onednn_team *idle;
} product;

enum { BUCKETS = 256 };

static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static dnnl_engine_t g_engine;
static product *g_products[BUCKETS];
static size_t g_created;
static char g_isa[2][64];
static bool g_in_blocks, g_as_tiles;

static int begin_single(void) {
    int threads = omp_get_max_threads();
    if (threads != 1) omp_set_num_threads(1);
    return threads;
}

static void end_single(int threads) {
    if (threads != 1) omp_set_num_threads(threads);
}

static bool ok(dnnl_status_t status) {
    return status == dnnl_success;
}

static bool matrix(dnnl_memory_desc_t *desc, size_t rows, size_t columns, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    return ok(dnnl_memory_desc_init_by_tag(desc, 2, dims, type, tag));
}

/* Makes the primitive; `isa` receives what follows "brg:" in its name. Fails if oneDNN has none of that kind. */
static bool build(product *made, char *isa, size_t isa_size) {
    cllm__onednn_shape s = made->shape;
    dnnl_data_type_t type = s.bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t desc = NULL;
    const char *name = NULL;
    bool done = false;
    if (!matrix(&made->x, s.h, s.k, type, dnnl_ab) || !matrix(&made->y, s.h, s.n, dnnl_f32, dnnl_ab) ||
        !matrix(&made->w, s.k, s.n, type, s.bf16 ? dnnl_BA16a64b2a : dnnl_BA16a64b))
        return false;
    /* oneDNN writes zeros into a blocked matrix's padding whenever a memory object gets an address. Ours are zero already,
     * and shared by threads; described with its padding as part of the matrix, the same bytes are left alone. */
    size_t block = s.bf16 ? 32 : 16, k = (s.k + block - 1) / block * block,
           n = (s.n + CLLM__PANEL - 1) / CLLM__PANEL * CLLM__PANEL;
    if (!matrix(&made->stored, k, n, type, s.bf16 ? dnnl_BA16a64b2a : dnnl_BA16a64b)) return false;
    if (!ok(dnnl_matmul_desc_init(&matmul, &made->x, &made->w, NULL, &made->y))) return false;
    if (!ok(dnnl_primitive_attr_create(&attributes))) return false;
    if (!ok(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user))) goto cleanup;
    if (!ok(dnnl_primitive_desc_create(&desc, &matmul, attributes, g_engine, NULL))) goto cleanup;
    if (!ok(dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name)) || strncmp(name, "brg:", 4) != 0)
        goto cleanup;
    made->scratch = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    done = ok(dnnl_primitive_create(&made->primitive, desc));
    if (done && isa != NULL) {
        strncpy(isa, name + 4, isa_size - 1);
        isa[isa_size - 1] = '\0';
    }
cleanup:
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attributes);
    return done;
}

static void free_team(cllm__onednn_team *team) {
    for (int i = 0; i < team->workers; i++) {
        arguments *a = &team->each[i];
        dnnl_memory_destroy(a->x);
        dnnl_memory_destroy(a->w);
        dnnl_memory_destroy(a->y);
        dnnl_memory_destroy(a->scratch);
        dnnl_stream_destroy(a->stream);
        cllm__free(a->scratch_bytes);
    }
    cllm__free(team);
}

static cllm__onednn_team *new_team(product *p, int workers) {
    cllm__onednn_team *team = cllm__zalloc(1, sizeof *team + (size_t)workers * sizeof team->each[0]);
    if (team == NULL) return NULL;
    team->product = p;
    team->workers = workers;
    for (int i = 0; i < workers; i++) {
        arguments *a = &team->each[i];
        size_t bytes = dnnl_memory_desc_get_size(&p->scratch);
        a->scratch_bytes = cllm__alloc(bytes + 1, 1);
        if (a->scratch_bytes == NULL || !ok(dnnl_stream_create(&a->stream, g_engine, dnnl_stream_default_flags)) ||
            !ok(dnnl_memory_create(&a->x, &p->x, g_engine, DNNL_MEMORY_NONE)) ||
            !ok(dnnl_memory_create(&a->w, &p->stored, g_engine, DNNL_MEMORY_NONE)) ||
            !ok(dnnl_memory_create(&a->y, &p->y, g_engine, DNNL_MEMORY_NONE)) ||
            (bytes > 0 && !ok(dnnl_memory_create(&a->scratch, &p->scratch, g_engine, a->scratch_bytes)))) {
            free_team(team);
            return NULL;
        }
    }
    return team;
}

bool cllm__onednn_run(cllm__onednn_team *team, int worker, float *y, const void *x, const void *panels) {
    arguments *a = &team->each[worker];
    dnnl_exec_arg_t list[4] = {{DNNL_ARG_SRC, a->x}, {DNNL_ARG_WEIGHTS, a->w}, {DNNL_ARG_DST, a->y}};
    int count = 3;
    /* The casts drop a const that oneDNN's interface does not know. */
    if (!ok(dnnl_memory_set_data_handle(a->x, (void *)x)) || !ok(dnnl_memory_set_data_handle(a->w, (void *)panels)) ||
        !ok(dnnl_memory_set_data_handle(a->y, y)))
        return false;
    if (a->scratch != NULL) list[count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, a->scratch};
    int threads = begin_single();
    bool done =
        ok(dnnl_primitive_execute(team->product->primitive, a->stream, count, list)) && ok(dnnl_stream_wait(a->stream));
    end_single(threads);
    return done;
}

static size_t block_of(size_t k) {
    return k > 1024 ? 1024 : 512;
}

/* A product of ROWS rows with a panel, of numbers made up; `y` is what oneDNN makes of it. */
enum { ROWS = 24, DEEPEST = 1600 };

typedef struct trial {
    float y[ROWS * CLLM__PANEL];
    float x[ROWS * DEEPEST], w[CLLM__PANEL * DEEPEST]; /* or their bf16 */
} trial;

static bool run_trial(trial *t, size_t k, bool bf16) {
    product made = {.shape = {.h = ROWS, .n = CLLM__PANEL, .k = k, .bf16 = bf16}};
    if (!build(&made, NULL, 0)) return false;
    uint32_t state = 1;
    for (size_t i = 0; i < (ROWS + CLLM__PANEL) * k; i++) {
        state = state * 1664525 + 1013904223;
        float *to = i < ROWS * k ? t->x : t->w;
        size_t at = i < ROWS * k ? i : i - ROWS * k;
        if (bf16) ((uint16_t *)(void *)to)[at] = (uint16_t)(0x3f00 | (state >> 16 & 0x80ff)); /* 1/2 to 2, with a sign */
        else to[at] = (float)(int32_t)state * 0x1p-31f;
    }
    cllm__onednn_team *team = new_team(&made, 1);
    bool done = team != NULL && cllm__onednn_run(team, 0, t->y, t->x, t->w);
    if (team != NULL) free_team(team);
    dnnl_primitive_destroy(made.primitive);
    return done;
}

/* Whether a product in f32 sums as cllm__onednn_block() says. */
static bool sums_in_blocks(trial *t, size_t k) {
    bool same = run_trial(t, k, false);
    for (size_t i = 0; same && i < ROWS * CLLM__PANEL; i += 37) {
        const float *row = t->x + i / CLLM__PANEL * k, *column = t->w + i % CLLM__PANEL;
        float sum = 0;
        for (size_t p = 0; p < k; p += block_of(k)) {
            float part = 0;
            for (size_t q = p; q < k && q < p + block_of(k); q++) part = fmaf(row[q], column[q * CLLM__PANEL], part);
            sum = p == 0 ? part : sum + part;
        }
        same = sum == t->y[i];
    }
    return same;
}

/* Whether one in bf16 sums as gemm_amx.c does. */
static bool sums_as_tiles(trial *t, size_t k) {
    float y[ROWS * CLLM__PANEL];
    if (!run_trial(t, k, true)) return false;
    cllm__amx_product(y, (const uint16_t *)(const void *)t->x, ROWS, k, (const uint16_t *)(const void *)t->w, 1);
    return memcmp(y, t->y, sizeof y) == 0;
}

static void probe(void) {
    int threads = begin_single();
    if (ok(dnnl_engine_create(&g_engine, dnnl_cpu, 0))) {
        for (int bf16 = 0; bf16 < 2; bf16++) {
            product wanted = {.shape = {.h = 64, .n = 192, .k = 96, .bf16 = bf16 != 0}};
            if (build(&wanted, g_isa[bf16], sizeof g_isa[bf16])) dnnl_primitive_destroy(wanted.primitive);
        }
        trial *t = cllm__alloc(1, sizeof *t);
        g_in_blocks = t != NULL && sums_in_blocks(t, 640) && sums_in_blocks(t, DEEPEST);
        g_as_tiles = t != NULL && strstr(g_isa[true], "amx") != NULL && cllm__amx_has() && sums_as_tiles(t, 640) &&
                     sums_as_tiles(t, DEEPEST);
        cllm__free(t);
    }
    end_single(threads);
}

bool cllm__onednn_has(bool bf16) {
    pthread_once(&g_once, probe);
#if defined(__x86_64__)
    if (bf16 && !__builtin_cpu_supports("avx512bf16")) return false;
#endif
    return g_isa[bf16][0] != '\0';
}

const char *cllm__onednn_isa(bool bf16) {
    pthread_once(&g_once, probe);
    return g_isa[bf16];
}

bool cllm__onednn_amx(void) {
    return cllm__onednn_has(true) && strstr(g_isa[true], "amx") != NULL;
}

size_t cllm__onednn_block(size_t k) {
    pthread_once(&g_once, probe);
    return g_in_blocks ? block_of(k) : 0;
}

bool cllm__onednn_as_tiles(void) {
    pthread_once(&g_once, probe);
    return g_as_tiles;
}

static size_t bucket_of(cllm__onednn_shape s) {
    size_t hash = s.k * 0x9E3779B97F4A7C15u + s.n;
    hash = hash * 0x9E3779B97F4A7C15u + s.h * 2 + (s.bf16 ? 1 : 0);
    return (hash * 0x9E3779B97F4A7C15u) >> 56;
}

static bool same(cllm__onednn_shape a, cllm__onednn_shape b) {
    return a.h == b.h && a.n == b.n && a.k == b.k && a.bf16 == b.bf16;
}

cllm_status cllm__onednn_take(cllm__onednn_team **out, cllm__onednn_shape shape, int workers, cllm_error *err) {
    cllm_status status = CLLM_OK;
    product **bucket = &g_products[bucket_of(shape)], *found;
    cllm__onednn_team *team = NULL;
    pthread_once(&g_once, probe);
    pthread_mutex_lock(&g_mutex);
    for (found = *bucket; found != NULL && !same(found->shape, shape); found = found->next) continue;
    if (found == NULL) {
        found = cllm__zalloc(1, sizeof *found);
        if (found == NULL) {
            status = cllm__fail_nomem(err);
            goto cleanup;
        }
        found->shape = shape;
        int threads = begin_single();
        bool built = build(found, NULL, 0);
        end_single(threads);
        if (!built) {
            cllm__free(found);
            status = cllm__fail(err, CLLM_ERR_FAILED, "oneDNN cannot make the product of %zu × %zu by %zu × %zu", shape.h,
                                shape.k, shape.k, shape.n);
            goto cleanup;
        }
        found->next = *bucket;
        *bucket = found;
        g_created++;
    }
    for (cllm__onednn_team **at = &found->idle; *at != NULL; at = &(*at)->next)
        if ((*at)->workers >= workers) {
            team = *at;
            *at = team->next;
            break;
        }
    if (team == NULL) team = new_team(found, workers);
    if (team == NULL) status = cllm__fail_nomem(err);
    else *out = team;
cleanup:
    pthread_mutex_unlock(&g_mutex);
    return status;
}

void cllm__onednn_give(cllm__onednn_team *team) {
    if (team == NULL) return;
    pthread_mutex_lock(&g_mutex);
    team->next = team->product->idle;
    team->product->idle = team;
    pthread_mutex_unlock(&g_mutex);
}

size_t cllm__onednn_created(void) {
    pthread_mutex_lock(&g_mutex);
    size_t count = g_created;
    pthread_mutex_unlock(&g_mutex);
    return count;
}

#else
typedef int cllm__gemm_onednn_is_not_in_the_double_build;
#endif
