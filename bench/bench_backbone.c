/*
 * The backbone alone: forward and backward of GPT-2's 124M shape (12 layers of 768; no heads, no tables) on the batches of
 * the training steps and of one user, in f32 and bf16.
 *
 *     bench_backbone [THREADS [LAYERS [REPEATS]]]
 *
 * The share is of the best rate that one dense product of the same matrices reaches in the same run: what is left is norms,
 * activation, attention and moving numbers about. Each batch's products count with the FLOPs that it needs, attention
 * included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "base/rng.h"
#include "kernels/ops.h"

typedef struct shape {
    const char *name;
    size_t sequences, length;
    bool last_only; /* only the last row of each sequence is asked for */
    bool backward;
} shape;

static const shape SHAPES[] = {
    {"collab 20 x 16", 20, 16, false, true},    {"content 20 x 108", 20, 108, false, true}, {"rec 20 x 20", 20, 20, true, true},
    {"users 64 x 20", 64, 20, true, false},     {"one user 1 x 20", 1, 20, true, false},
};

static cllm_error g_error;
static void must(cllm_status status) {
    if (status == CLLM_OK) return;
    fprintf(stderr, "%s\n", g_error.message);
    exit(cllm_status_exit_code(status));
}

static float *random_values(size_t n) {
    float *values = cllm__alloc(n, sizeof *values);
    if (values == NULL) must(cllm__fail_nomem(&g_error));
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++) values[i] = (float)(cllm__rng_uniform(&rng) - 0.5);
    return values;
}

/* GFLOP/s of the best of a few products of 1,024 rows with a [768 × 3,072] matrix. */
static double product_rate(cllm__pool *pool, cllm__dtype dtype, int repeats) {
    enum { M = 1024, K = 768, N = 3072 };
    cllm__weight *weight;
    float *values = random_values((size_t)K * N), *x = random_values((size_t)M * K), *y = random_values((size_t)M * N);
    must(cllm__weight_pack(&weight, values, K, N, false, dtype, pool, &g_error));
    double best = 1e30;
    for (int i = 0; i < 2 + 4 * repeats; i++) {
        double begin = cllm__now();
        must(cllm__gemm_frozen(pool, y, N, x, K, M, weight, NULL, CLLM__GEMM_PLAIN, &g_error));
        double seconds = cllm__now() - begin;
        if (seconds < best) best = seconds;
    }
    cllm__weight_free(weight);
    cllm__free(values);
    cllm__free(x);
    cllm__free(y);
    return 2.0 * M * K * N / best / 1e9;
}

static void run(const cllm__backbone *backbone, cllm__pool *pool, const shape *s, double rate, int repeats) {
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    size_t T = s->sequences * s->length, C = info->width, n = 0, *start = cllm__alloc(s->sequences + 1, sizeof *start);
    size_t *rows = cllm__alloc(T, sizeof *rows);
    float *x = random_values(T * C), *h = random_values(T * C), *dx = random_values(T * C);
    cllm__pass *pass;
    must(start != NULL && rows != NULL ? CLLM_OK : cllm__fail_nomem(&g_error));
    for (size_t i = 0; i <= s->sequences; i++) start[i] = i * s->length;
    for (size_t t = 0; t < T; t++)
        if (!s->last_only || (t + 1) % s->length == 0) rows[n++] = t;
    cllm__ragged ragged = {s->sequences, start};
    must(cllm__pass_create(&pass, backbone, pool, &g_error));
    double forward = 1e30, both = 1e30;
    size_t allocations = 0;
    for (int i = 0; i < 1 + repeats; i++) {
        if (i == 1) allocations = cllm__alloc_count();
        double begin = cllm__now();
        must(cllm__pass_forward(pass, ragged, x, rows, n, (cllm__forward_options){.keep = s->backward}, h, &g_error));
        double middle = cllm__now();
        if (s->backward) must(cllm__pass_backward(pass, h, dx, &g_error));
        double end = cllm__now();
        if (i == 0) continue; /* warm-up */
        if (middle - begin < forward) forward = middle - begin;
        if (end - begin < both) both = end - begin;
    }
    allocations = cllm__alloc_count() - allocations;
    /* Backward: the dense products once more, and attention's two products become four. */
    double flops = cllm__backbone_flops(info, ragged, n), keys = 0;
    for (size_t i = 0; i < s->sequences; i++) keys += (double)s->length * (double)(s->length + 1) / 2;
    double attention = 4.0 * (double)(info->heads * info->head_width) * keys * ((double)info->layers - 1 + (double)n / (double)T);
    printf("%-18s forward %8.1f ms %8.0f tokens/s %6.0f GFLOP/s %5.1f %%", s->name, 1e3 * forward, (double)T / forward,
           flops / forward / 1e9, 100 * flops / forward / 1e9 / rate);
    if (s->backward) {
        double all = 2 * flops + attention;
        printf("   with backward %8.1f ms %8.0f tokens/s %6.0f GFLOP/s %5.1f %%", 1e3 * both, (double)T / both, all / both / 1e9,
               100 * all / both / 1e9 / rate);
    }
    printf("   %zu allocations\n", allocations);
    cllm__pass_free(pass);
    cllm__free(start);
    cllm__free(rows);
    cllm__free(x);
    cllm__free(h);
    cllm__free(dx);
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 0, layers = argc > 2 ? atoi(argv[2]) : 12, repeats = argc > 3 ? atoi(argv[3]) : 5;
    const char *base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    char folder[4096];
    cllm__pool *pool;
    snprintf(folder, sizeof folder, "%s/bench_backbone_%ld", base, (long)getpid());
    must(cllm__pool_create(&pool, threads, &g_error));
    cllm__gpt2_shape gpt2 = {.layers = (size_t)layers, .heads = 12, .width = 768, .vocabulary = 512, .context = 1024};
    must(cllm__gpt2_init(folder, gpt2, 1, &g_error));
    printf("%d threads, operations on %s, products on %s\n", cllm__pool_threads(pool), cllm__ops_isa(), cllm__gemm_isa());
    for (int bf16 = 0; bf16 <= 1; bf16++) {
        cllm__dtype dtype = bf16 ? CLLM__BF16 : CLLM__F32;
        cllm__backbone *backbone;
        double begin = cllm__now();
        cllm_status status = cllm__backbone_open(&backbone, folder, (cllm__backbone_options){.dtype = dtype, .training = true, .headless = true, .pool = pool}, &g_error);
        if (status != CLLM_OK) cllm__remove_tree(folder);
        must(status);
        double opened = cllm__now() - begin, rate = product_rate(pool, dtype, repeats);
        const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
        printf("%s: opened in %.2f s, %.0f MB of file, %.0f MB resident; one product %.0f GFLOP/s\n", bf16 ? "bf16" : "f32", opened,
               (double)info->file_bytes / 1e6, (double)info->resident_bytes / 1e6, rate);
        for (size_t i = 0; i < CLLM_LEN(SHAPES); i++) run(backbone, pool, &SHAPES[i], rate, repeats);
        cllm__backbone_close(backbone);
    }
    cllm__remove_tree(folder);
    cllm__pool_free(pool);
    return 0;
}
