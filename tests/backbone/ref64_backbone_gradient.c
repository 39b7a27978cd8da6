/* The backward pass against finite differences, and proof that this comparison would see a mistake: each operation that the
 * backward pass calls is left out, and has its sign flipped, in turn (the linker puts the wrappers below in their place). */
#include "backbone/rotary.h"
#include "gradient.h"
#include "kernels/gemm.h"
#include "kernels/ops.h"

static const double TOLERANCE = 1e-7;

static const spec SPECS[] = {
    {.layers = 2, .heads = 2, .width = 8, .inner = 12, .vocabulary = 7, .context = 5, .prefix = "", .seed = 1},
    {.layers = 1, .heads = 1, .width = 6, .inner = 24, .vocabulary = 7, .context = 9, .prefix = "transformer.", .seed = 2},
    {.layers = 3, .heads = 3, .width = 6, .inner = 8, .vocabulary = 7, .context = 6, .prefix = "", .seed = 3,
     .extra = ", \"scale_attn_by_inverse_layer_idx\": true, \"scale_attn_weights\": false, \"layer_norm_epsilon\": 0.3"},
    {.type = "llama", .layers = 2, .heads = 4, .kv_heads = 2, .head_width = 4, .width = 8, .inner = 12, .vocabulary = 7, .context = 5,
     .prefix = "model.", .seed = 4, .attention_bias = true, .projection_bias = true, .mlp_bias = true,
     .extra = ", \"rope_theta\": 100"},
    {.type = "qwen2", .layers = 2, .heads = 2, .kv_heads = 1, .head_width = 8, .width = 6, .inner = 8, .vocabulary = 7, .context = 9,
     .prefix = "", .seed = 5, .attention_bias = true, .head = true, .extra = ", \"partial_rotary_factor\": 0.5"},
    {.type = "mistral", .layers = 1, .heads = 3, .kv_heads = 3, .head_width = 2, .width = 6, .inner = 8, .vocabulary = 7, .context = 9,
     .prefix = "", .seed = 6, .extra = ", \"sliding_window\": 6, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}"},
};

static cllm__backbone *open_spec(spec s) {
    model m;
    if (s.type != NULL) model_llama(&m, s);
    else model_gpt2(&m, s);
    return model_open(&m, "scratch_gradient", CLLM__F32, true);
}

/* ---- Mutations ---- */

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* the linker declares these, by --wrap */

typedef enum mutation { NONE, DROPPED, FLIPPED } mutation;
static struct {
    bool active;
    size_t calls, target;
    mutation kind;
    char name[64];
} g_mutation;

static mutation next_call(const char *name) {
    if (!g_mutation.active || g_mutation.calls++ != g_mutation.target) return NONE;
    snprintf(g_mutation.name, sizeof g_mutation.name, "%s", name);
    return g_mutation.kind;
}

static void around_backward(bool begin) {
    g_mutation.active = begin;
    if (begin) g_mutation.calls = 0;
}

/* What the call added to y becomes 0 or its opposite. */
static void mutate(mutation kind, cllm__real *y, const cllm__real *before, size_t n) {
    for (size_t i = 0; i < n && kind != NONE; i++) y[i] = kind == DROPPED ? before[i] : 2 * before[i] - y[i];
}

cllm_status __real_cllm__gemm_frozen(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                                     const cllm__weight *weight, const cllm__real *bias, cllm__gemm_flags flags, cllm_error *err);
cllm_status __wrap_cllm__gemm_frozen(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                                     const cllm__weight *weight, const cllm__real *bias, cllm__gemm_flags flags, cllm_error *err) {
    mutation kind = next_call("gemm_frozen");
    size_t n = cllm__weight_columns(weight);
    cllm__real *before = numbers(m * n);
    for (size_t i = 0; i < m && flags == CLLM__GEMM_ADD; i++) memcpy(before + i * n, y + i * ld_y, n * sizeof *y);
    cllm_status status = __real_cllm__gemm_frozen(pool, y, ld_y, x, ld_x, m, weight, bias, flags, err);
    for (size_t i = 0; i < m; i++) mutate(kind, y + i * ld_y, before + i * n, n);
    cllm__free(before);
    return status;
}

void __real_cllm__layernorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x,
                                     const cllm__real *mean, const cllm__real *rstd, const cllm__real *gain, size_t T, size_t C);
void __wrap_cllm__layernorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x,
                                     const cllm__real *mean, const cllm__real *rstd, const cllm__real *gain, size_t T, size_t C) {
    mutation kind = next_call("layernorm_backward");
    cllm__real *before = numbers(T * C);
    memcpy(before, dx, T * C * sizeof *dx);
    __real_cllm__layernorm_backward(pool, dx, dy, x, mean, rstd, gain, T, C);
    mutate(kind, dx, before, T * C);
    cllm__free(before);
}

void __real_cllm__gelu_backward(cllm__pool *pool, cllm__real *dy, const cllm__real *x, size_t count);
void __wrap_cllm__gelu_backward(cllm__pool *pool, cllm__real *dy, const cllm__real *x, size_t count) {
    mutation kind = next_call("gelu_backward");
    cllm__real *before = numbers(count);
    if (kind == DROPPED) memcpy(before, dy, count * sizeof *dy); /* the gradient goes through as it is */
    __real_cllm__gelu_backward(pool, dy, x, count);
    mutate(kind, dy, before, count);
    cllm__free(before);
}

void __real_cllm__rmsnorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x,
                                   const cllm__real *rstd, const cllm__real *gain, size_t T, size_t C);
void __wrap_cllm__rmsnorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x,
                                   const cllm__real *rstd, const cllm__real *gain, size_t T, size_t C) {
    mutation kind = next_call("rmsnorm_backward");
    cllm__real *before = numbers(T * C);
    memcpy(before, dx, T * C * sizeof *dx);
    __real_cllm__rmsnorm_backward(pool, dx, dy, x, rstd, gain, T, C);
    mutate(kind, dx, before, T * C);
    cllm__free(before);
}

/* Two results, so two calls to spoil. */
void __real_cllm__swiglu_backward(cllm__pool *pool, cllm__real *dgate, cllm__real *dup, const cllm__real *dy, const cllm__real *gate,
                                  const cllm__real *up, size_t count);
void __wrap_cllm__swiglu_backward(cllm__pool *pool, cllm__real *dgate, cllm__real *dup, const cllm__real *dy, const cllm__real *gate,
                                  const cllm__real *up, size_t count) {
    mutation first = next_call("swiglu_backward, gate"), second = next_call("swiglu_backward, up");
    cllm__real *before = numbers(count);
    __real_cllm__swiglu_backward(pool, dgate, dup, dy, gate, up, count);
    mutate(first, dgate, before, count);
    mutate(second, dup, before, count);
    cllm__free(before);
}

/* Left out, or turned the forward way. */
void __real_cllm__rotary_apply(const cllm__rotary *rotary, cllm__pool *pool, cllm__real *qkv, const cllm__architecture *architecture,
                               const size_t *start, size_t sequences, bool inverse);
void __wrap_cllm__rotary_apply(const cllm__rotary *rotary, cllm__pool *pool, cllm__real *qkv, const cllm__architecture *architecture,
                               const size_t *start, size_t sequences, bool inverse) {
    mutation kind = architecture->rotary_width > 0 ? next_call("rotary_apply") : NONE;
    if (kind != DROPPED) __real_cllm__rotary_apply(rotary, pool, qkv, architecture, start, sequences, inverse != (kind == FLIPPED));
}

cllm_status __real_cllm__attention_backward(cllm__pool *pool, cllm__real *dqkv, const cllm__real *dout, const cllm__real *out,
                                            const cllm__real *lse, const cllm__real *qkv, cllm__attention_shape shape,
                                            size_t sequences, const size_t *start, const size_t *query_first, cllm_error *err);
cllm_status __wrap_cllm__attention_backward(cllm__pool *pool, cllm__real *dqkv, const cllm__real *dout, const cllm__real *out,
                                            const cllm__real *lse, const cllm__real *qkv, cllm__attention_shape shape,
                                            size_t sequences, const size_t *start, const size_t *query_first, cllm_error *err) {
    mutation kind = next_call("attention_backward");
    size_t count = start[sequences] * (shape.heads + 2 * shape.kv_heads) * shape.d;
    cllm__real *before = numbers(count);
    cllm_status status =
        __real_cllm__attention_backward(pool, dqkv, dout, out, lse, qkv, shape, sequences, start, query_first, err);
    mutate(kind, dqkv, before, count);
    cllm__free(before);
    return status;
}

void __real_cllm__axpy(cllm__real *y, cllm__real alpha, const cllm__real *x, size_t n);
void __wrap_cllm__axpy(cllm__real *y, cllm__real alpha, const cllm__real *x, size_t n) {
    mutation kind = next_call("axpy");
    __real_cllm__axpy(y, kind == DROPPED ? 0 : kind == FLIPPED ? -alpha : alpha, x, n);
}

void __real_cllm__dropout(cllm__pool *pool, cllm__real *x, size_t count, double p, uint64_t key);
void __wrap_cllm__dropout(cllm__pool *pool, cllm__real *x, size_t count, double p, uint64_t key) {
    mutation kind = next_call("dropout");
    cllm__real *before = numbers(count);
    if (kind == DROPPED) memcpy(before, x, count * sizeof *x);
    __real_cllm__dropout(pool, x, count, p, key);
    mutate(kind, x, before, count);
    cllm__free(before);
}

/* ---- Tests ---- */

static void test_finite_differences(void **state) {
    (void)state;
    for (size_t i = 0; i < CLLM_LEN(SPECS); i++) {
        cllm__backbone *backbone = open_spec(SPECS[i]);
        for (size_t j = 0; j < CLLM_LEN(GRADIENT_CASES); j++) {
            gradient_setup g = gradient_begin(backbone, &GRADIENT_CASES[j]);
            double *numeric = cllm__alloc(g.n, sizeof *numeric);
            numeric_gradient(&g, numeric);
            double error = gradient_error(&g, numeric, NULL);
            cllm__free(numeric);
            gradient_end(&g);
            print_message("model %zu, batch %zu: %.1e\n", i, j, error);
            if (!(error < TOLERANCE)) fail_msg("model %zu, batch %zu: off by %g", i, j, error);
        }
        cllm__backbone_close(backbone);
    }
}

static void test_mutations_are_seen(void **state) {
    (void)state;
    /* Every row matters to one that is asked for, and none of these is a sequence's first, which sees itself alone, so that
     * its query has no gradient that could be missed. */
    static const size_t LENGTHS[] = {5, 4}, ROWS[] = {1, 3, 4, 7, 8};
    static const gradient_case BATCHES[] = {{LENGTHS, ROWS, 2, 5, 0}, {LENGTHS, ROWS, 2, 5, 0.3}};
    static const size_t MODELS[] = {0, 3}; /* GPT-2 and LLaMA */
    for (size_t i = 0; i < CLLM_LEN(MODELS) * CLLM_LEN(BATCHES); i++) {
        cllm__backbone *backbone = open_spec(SPECS[MODELS[i / CLLM_LEN(BATCHES)]]);
        gradient_setup g = gradient_begin(backbone, &BATCHES[i % CLLM_LEN(BATCHES)]);
        double *numeric = cllm__alloc(g.n, sizeof *numeric);
        numeric_gradient(&g, numeric);
        assert_true(gradient_error(&g, numeric, NULL) < TOLERANCE);
        size_t calls = SIZE_MAX, tried = 0;
        double weakest = INFINITY;
        for (size_t target = 0; target < calls; target++) {
            for (mutation kind = DROPPED; kind <= FLIPPED; kind++) {
                g_mutation.target = target;
                g_mutation.kind = kind;
                g_mutation.name[0] = '\0';
                double error = gradient_error(&g, numeric, around_backward);
                calls = g_mutation.calls;
                if (!(error > 1000 * TOLERANCE))
                    fail_msg("round %zu: call %zu (%s) %s and nobody sees it: error %g", i, target, g_mutation.name,
                             kind == DROPPED ? "left out" : "with its sign flipped", error);
                if (error < weakest) weakest = error;
                tried++;
            }
        }
        g_mutation.target = SIZE_MAX;
        print_message("round %zu: %zu mutations of %zu calls, the weakest leaves an error of %.1e\n", i, tried, calls, weakest);
        assert_true(calls >= 20);
        cllm__free(numeric);
        gradient_end(&g);
        cllm__backbone_close(backbone);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_finite_differences), cmocka_unit_test(test_mutations_are_seen)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cllm__remove_tree("scratch_gradient");
    return failed;
}
