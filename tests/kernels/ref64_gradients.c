/* Gradients of every operation by central differences, in double, signed. Each check is also given a gradient with one term
 * of the wrong sign and has to refuse it. */
#include "kernel_test.h"

#include "base/real.h"
#include "kernels/gemm.h"
#include "kernels/ops.h"

typedef cllm__real real;

/* A scalar function of x[0 … n). */
typedef double function(void *context, const real *x);

#define STEP 1e-5
#define TOLERANCE 1e-6

/* The worst signed difference between `gradient` and central differences, beside 1 or the gradient's size. */
static double disagreement(function *f, void *context, real *x, size_t n, const real *gradient) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        real old = x[i];
        x[i] = old + STEP;
        double high = f(context, x);
        x[i] = old - STEP;
        double low = f(context, x);
        x[i] = old;
        double numeric = (high - low) / (2 * STEP), off = fabs(gradient[i] - numeric) / fmax(1, fabs(numeric));
        if (!(off <= worst)) worst = off;
    }
    return worst;
}

#define assert_gradient(f, context, x, n, gradient) \
    do { \
        double off_ = disagreement(f, context, x, n, gradient); \
        if (!(off_ <= TOLERANCE)) fail_msg("%s: the gradient is off by %.3g", #f, off_); \
    } while (0)
#define assert_refused(f, context, x, n, gradient) \
    do { \
        double off_ = disagreement(f, context, x, n, gradient); \
        if (off_ <= TOLERANCE) fail_msg("%s: a wrong gradient went through (%.3g)", #f, off_); \
    } while (0)

static void fill_real(real *x, size_t n, uint64_t seed) {
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TEST, 0, n);
    for (size_t i = 0; i < n; i++) x[i] = cllm__rng_normal(&rng);
}

static double weighted(const real *y, const real *w, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += y[i] * w[i];
    return sum;
}

/* ---- Norms ---- */

enum { T = 3, C = 19 };
static real g_w[T * C], g_gain[C], g_bias[C];

static double f_layernorm(void *context, const real *x) {
    real y[T * C], mean[T], rstd[T];
    (void)context;
    cllm__layernorm(NULL, y, mean, rstd, x, g_gain, g_bias, 1e-5, T, C);
    return weighted(y, g_w, T * C);
}

static double f_rmsnorm(void *context, const real *x) {
    real y[T * C], rstd[T];
    (void)context;
    cllm__rmsnorm(NULL, y, rstd, x, g_gain, 1e-6, T, C);
    return weighted(y, g_w, T * C);
}

static void test_norms(void **state) {
    real x[T * C], y[T * C], mean[T], rstd[T], dx[T * C] = {0}, wrong[T * C];
    (void)state;
    fill_real(x, T * C, 1);
    fill_real(g_w, T * C, 2);
    fill_real(g_gain, C, 3);
    fill_real(g_bias, C, 4);
    cllm__layernorm(NULL, y, mean, rstd, x, g_gain, g_bias, 1e-5, T, C);
    cllm__layernorm_backward(NULL, dx, g_w, x, mean, rstd, g_gain, T, C);
    assert_gradient(f_layernorm, NULL, x, T * C, dx);
    for (int term = 0; term < 3; term++) {
        for (size_t t = 0; t < T; t++) {
            double mg = 0, mgn = 0;
            for (size_t i = 0; i < C; i++) {
                mg += g_gain[i] * g_w[t * C + i] / C;
                mgn += g_gain[i] * g_w[t * C + i] * (x[t * C + i] - mean[t]) * rstd[t] / C;
            }
            for (size_t i = 0; i < C; i++) {
                double n = (x[t * C + i] - mean[t]) * rstd[t];
                double terms[3] = {g_gain[i] * g_w[t * C + i], -mg, -n * mgn};
                wrong[t * C + i] = dx[t * C + i] - 2 * rstd[t] * terms[term];
            }
        }
        assert_refused(f_layernorm, NULL, x, T * C, wrong);
    }
    /* It adds to what is there. */
    for (size_t i = 0; i < T * C; i++) wrong[i] = 0.5;
    cllm__layernorm_backward(NULL, wrong, g_w, x, mean, rstd, g_gain, T, C);
    for (size_t i = 0; i < T * C; i++) assert_true(fabs(wrong[i] - dx[i] - 0.5) < 1e-12);

    memset(dx, 0, sizeof dx);
    cllm__rmsnorm(NULL, y, rstd, x, g_gain, 1e-6, T, C);
    cllm__rmsnorm_backward(NULL, dx, g_w, x, rstd, g_gain, T, C);
    assert_gradient(f_rmsnorm, NULL, x, T * C, dx);
    for (int term = 0; term < 2; term++) {
        for (size_t t = 0; t < T; t++) {
            double mgn = 0;
            for (size_t i = 0; i < C; i++) mgn += g_gain[i] * g_w[t * C + i] * x[t * C + i] * rstd[t] / C;
            for (size_t i = 0; i < C; i++) {
                double terms[2] = {g_gain[i] * g_w[t * C + i], -x[t * C + i] * rstd[t] * mgn};
                wrong[t * C + i] = dx[t * C + i] - 2 * rstd[t] * terms[term];
            }
        }
        assert_refused(f_rmsnorm, NULL, x, T * C, wrong);
    }
}

/* ---- Elementwise ---- */

enum { N = 40 };
static real g_other[N];

static double f_gelu(void *context, const real *x) {
    real y[N];
    (void)context;
    cllm__gelu(NULL, y, x, N);
    return weighted(y, g_w, N);
}

static double f_gate(void *context, const real *x) {
    real y[N];
    (void)context;
    cllm__swiglu(NULL, y, x, g_other, N);
    return weighted(y, g_w, N);
}

static double f_up(void *context, const real *x) {
    real y[N];
    (void)context;
    cllm__swiglu(NULL, y, g_other, x, N);
    return weighted(y, g_w, N);
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static void test_elementwise(void **state) {
    real x[N], up[N], d[N], dup[N], wrong[N];
    const double a = 1.5957691216057307117597842397375, b = 0.044715;
    (void)state;
    fill_real(x, N, 1);
    fill_real(g_w, N, 2);
    for (size_t i = 0; i < N; i++) x[i] *= 2;
    memcpy(d, g_w, sizeof d);
    cllm__gelu_backward(NULL, d, x, N);
    assert_gradient(f_gelu, NULL, x, N, d);
    for (int term = 0; term < 2; term++) {
        for (size_t i = 0; i < N; i++) {
            double s = sigmoid(a * (x[i] + b * x[i] * x[i] * x[i])), terms[2] = {s, x[i] * s * (1 - s) * a * (1 + 3 * b * x[i] * x[i])};
            wrong[i] = d[i] - 2 * g_w[i] * terms[term];
        }
        assert_refused(f_gelu, NULL, x, N, wrong);
    }
    fill_real(up, N, 3);
    cllm__swiglu_backward(NULL, d, dup, g_w, x, up, N);
    memcpy(g_other, up, sizeof up);
    assert_gradient(f_gate, NULL, x, N, d);
    for (size_t i = 0; i < N; i++) wrong[i] = d[i] - 2 * g_w[i] * up[i] * x[i] * sigmoid(x[i]) * (1 - sigmoid(x[i]));
    assert_refused(f_gate, NULL, x, N, wrong);
    memcpy(g_other, x, sizeof x);
    assert_gradient(f_up, NULL, up, N, dup);
    for (size_t i = 0; i < N; i++) wrong[i] = -dup[i];
    assert_refused(f_up, NULL, up, N, wrong);
}

/* ---- Attention ---- */

enum { ROWS = 74, MOST = ROWS * 40 };

typedef struct attention_case {
    cllm__attention_shape shape;
    size_t sequences;
    const size_t *start, *first;
    real w[MOST];
} attention_case;

static double f_attention(void *context, const real *qkv) {
    static real out[MOST];
    attention_case *c = context;
    size_t width = c->shape.heads * c->shape.d;
    double sum = 0;
    assert_int_equal(cllm__attention(NULL, out, NULL, qkv, c->shape, c->sequences, c->start, c->first, NULL), CLLM_OK);
    for (size_t s = 0; s < c->sequences; s++)
        for (size_t t = c->first == NULL ? c->start[s] : c->first[s]; t < c->start[s + 1]; t++)
            sum += weighted(out + t * width, c->w + t * width, width);
    return sum;
}

static void check_attention(cllm__attention_shape shape, size_t sequences, const size_t *start, const size_t *first) {
    static attention_case c;
    static real qkv[MOST], out[MOST], lse[MOST], d[MOST], wrong[MOST];
    size_t rows = start[sequences], ld = (shape.heads + 2 * shape.kv_heads) * shape.d;
    assert_true(rows * ld <= MOST);
    c.shape = shape;
    c.sequences = sequences;
    c.start = start;
    c.first = first;
    fill_real(qkv, rows * ld, 1);
    fill_real(c.w, rows * shape.heads * shape.d, 2);
    assert_int_equal(cllm__attention(NULL, out, lse, qkv, shape, sequences, start, first, NULL), CLLM_OK);
    assert_int_equal(cllm__attention_backward(NULL, d, c.w, out, lse, qkv, shape, sequences, start, first, NULL), CLLM_OK);
    assert_gradient(f_attention, &c, qkv, rows * ld, d);
    /* The gradients of q, k and v, each with the wrong sign. */
    size_t ends[4] = {0, shape.heads * shape.d, (shape.heads + shape.kv_heads) * shape.d, ld};
    for (int part = 0; part < 3; part++) {
        memcpy(wrong, d, rows * ld * sizeof *d);
        for (size_t t = 0; t < rows; t++)
            for (size_t i = ends[part]; i < ends[part + 1]; i++) wrong[t * ld + i] *= -1;
        assert_refused(f_attention, &c, qkv, rows * ld, wrong);
    }
    /* The term of the softmax's normaliser, Σ dout·out, with the wrong sign: backward reads `out` for nothing else. */
    for (size_t i = 0; i < rows * shape.heads * shape.d; i++) out[i] = -out[i];
    assert_int_equal(cllm__attention_backward(NULL, wrong, c.w, out, lse, qkv, shape, sequences, start, first, NULL), CLLM_OK);
    assert_refused(f_attention, &c, qkv, rows * ld, wrong);
}

static void test_attention(void **state) {
    static const size_t start[] = {0, 1, 6, 13}, first[] = {0, 4, 12}, longer[] = {0, 70, 74};
    (void)state;
    check_attention((cllm__attention_shape){2, 2, 5, 0.4}, 3, start, NULL);
    check_attention((cllm__attention_shape){4, 2, 3, 0.5}, 3, start, NULL);
    check_attention((cllm__attention_shape){2, 1, 4, 0.5}, 3, start, first);
    check_attention((cllm__attention_shape){1, 1, 3, 0.6}, 2, longer, NULL);
}

/* ---- Softmax cross-entropy ---- */

static double f_loss(void *context, const real *logits) {
    cllm__softmax_state s = {-INFINITY, 0};
    (void)context;
    cllm__softmax_take(&s, logits, 20);
    cllm__softmax_take(&s, logits + 20, N - 20);
    return 1.5 * (cllm__softmax_lse(&s) - logits[7]);
}

static void test_softmax(void **state) {
    real x[N], d[N];
    cllm__softmax_state s = {-INFINITY, 0};
    (void)state;
    fill_real(x, N, 1);
    cllm__softmax_take(&s, x, N);
    memcpy(d, x, sizeof d);
    cllm__softmax_gradient(d, N, cllm__softmax_lse(&s), 1.5);
    d[7] -= 1.5;
    assert_gradient(f_loss, NULL, x, N, d);
    d[7] += 3;
    assert_refused(f_loss, NULL, x, N, d);
    d[7] -= 3;
    for (size_t i = 0; i < N; i++)
        if (i != 7) d[i] = -d[i];
    assert_refused(f_loss, NULL, x, N, d);
}

/* ---- Products: y = x·W, dx = dy·Wᵀ, dW = xᵀ·dy ---- */

enum { M = 4, K = 7, P = 5 };
static real g_x[M * K], g_weight[K * P];

static double f_product_x(void *context, const real *x) {
    real y[M * P];
    (void)context;
    assert_int_equal(cllm__gemm(NULL, false, false, M, P, K, x, K, g_weight, P, 0, y, P, CLLM__F32, NULL), CLLM_OK);
    return weighted(y, g_w, M * P);
}

static double f_product_w(void *context, const real *w) {
    real y[M * P];
    cllm__weight *weight;
    (void)context;
    assert_int_equal(cllm__weight_pack(&weight, w, K, P, false, CLLM__F32, NULL, NULL), CLLM_OK);
    assert_int_equal(cllm__gemm_frozen(NULL, y, P, g_x, K, M, weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
    cllm__weight_free(weight);
    return weighted(y, g_w, M * P);
}

static void test_products(void **state) {
    real dx[M * K], dw[K * P] = {0};
    (void)state;
    fill_real(g_x, M * K, 1);
    fill_real(g_weight, K * P, 2);
    fill_real(g_w, M * P, 3);
    assert_int_equal(cllm__gemm(NULL, false, true, M, K, P, g_w, P, g_weight, P, 0, dx, K, CLLM__F32, NULL), CLLM_OK);
    assert_gradient(f_product_x, NULL, g_x, M * K, dx);
    assert_int_equal(cllm__gemm(NULL, true, false, K, P, M, g_x, K, g_w, P, 1, dw, P, CLLM__F32, NULL), CLLM_OK);
    assert_gradient(f_product_w, NULL, g_weight, K * P, dw);
    dw[11] = -dw[11];
    assert_refused(f_product_w, NULL, g_weight, K * P, dw);
}

static void test_reference(void **state) {
    (void)state;
    assert_string_equal(cllm__ops_isa(), "reference");
    assert_string_equal(cllm__gemm_isa(), "reference");
    assert_false(cllm__gemm_has_bf16());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_norms),   cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_softmax), cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
