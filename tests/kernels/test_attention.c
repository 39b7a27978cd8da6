/* Attention in every instruction set against sums in double, with bounds from the magnitudes of what is summed. */
#include "kernel_test.h"

#include "base/alloc.h"
#include "kernels/ops.h"
#include "kernels/ops_table.h"

typedef struct result {
    double *out, *lse, *dqkv;             /* values */
    double *out_size, *lse_size, *d_size; /* Σ|terms|, with what errors of the scores add */
} result;

static double *zeros(size_t n) {
    return calloc(n + 1, sizeof(double));
}

/* One query head: row `row` of the sequence that begins at `begin`. */
static void reference_row(result *want, const float *qkv, const float *dout, cllm__attention_shape shape, size_t begin, size_t row,
                          size_t head) {
    size_t heads = shape.heads, d = shape.d, ld = (heads + 2 * shape.kv_heads) * d, kv = head / (heads / shape.kv_heads);
    size_t n = row - begin + 1;
    const float *q = qkv + row * ld + head * d, *g = dout + row * heads * d + head * d;
    size_t k_at = (heads + kv) * d, v_at = (heads + shape.kv_heads + kv) * d;
    double *p = zeros(n), *spread = zeros(n), top = -INFINITY, sum = 0, worst = 0, dot = 0, dot_size = 0;
    for (size_t j = 0; j < n; j++) {
        double size = 0;
        for (size_t c = 0; c < d; c++) {
            double term = shape.scale * q[c] * qkv[(begin + j) * ld + k_at + c];
            p[j] += term;
            size += fabs(term);
        }
        top = fmax(top, p[j]);
        worst = fmax(worst, size);
    }
    for (size_t j = 0; j < n; j++) sum += exp(p[j] - top);
    for (size_t j = 0; j < n; j++) p[j] = exp(p[j] - top) / sum;
    want->lse[row * heads + head] = top + log(sum);
    want->lse_size[row * heads + head] = 1 + worst + fabs(top);
    double factor = 1 + 3 * (1 + worst); /* an error of the score is an error of p by its absolute size */
    for (size_t c = 0; c < d; c++) {
        double o = 0, size = 0;
        for (size_t j = 0; j < n; j++) {
            o += p[j] * qkv[(begin + j) * ld + v_at + c];
            size += p[j] * fabs((double)qkv[(begin + j) * ld + v_at + c]);
        }
        want->out[row * heads * d + head * d + c] = o;
        want->out_size[row * heads * d + head * d + c] = size * factor;
        dot += o * g[c];
        dot_size += size * fabs((double)g[c]);
    }
    for (size_t j = 0; j < n; j++) {
        const float *k = qkv + (begin + j) * ld + k_at, *v = qkv + (begin + j) * ld + v_at;
        double dp = 0, size = dot_size;
        for (size_t c = 0; c < d; c++) {
            dp += (double)g[c] * v[c];
            size += fabs((double)g[c] * v[c]);
        }
        double ds = p[j] * (dp - dot), ds_size = p[j] * size * factor;
        for (size_t c = 0; c < d; c++) {
            want->dqkv[(begin + j) * ld + v_at + c] += p[j] * g[c];
            want->d_size[(begin + j) * ld + v_at + c] += p[j] * fabs((double)g[c]) * factor;
            want->dqkv[row * ld + head * d + c] += shape.scale * ds * k[c];
            want->d_size[row * ld + head * d + c] += shape.scale * ds_size * fabs((double)k[c]);
            want->dqkv[(begin + j) * ld + k_at + c] += shape.scale * ds * q[c];
            want->d_size[(begin + j) * ld + k_at + c] += shape.scale * ds_size * fabs((double)q[c]);
        }
    }
    free(p);
    free(spread);
}

/* Runs one table over the sequences as ops.c does, with buffers at guard pages. */
static void run_table(const cllm__ops_table *ops, guards *g, cllm__attention_shape shape, size_t sequences, const size_t *start,
                      const size_t *first, const float *qkv, const float *dout, float *out, float *lse, float *dqkv) {
    size_t heads = shape.heads, d = shape.d, group = heads / shape.kv_heads, ld = (heads + 2 * shape.kv_heads) * d, longest = 0;
    for (size_t s = 0; s < sequences; s++) longest = start[s + 1] - start[s] > longest ? start[s + 1] - start[s] : longest;
    float *forward = guarded_floats(g, ops->attention_scratch(longest, d)), *backward = guarded_floats(g, ops->attention_backward_scratch(longest, d));
    for (size_t s = 0; s < sequences; s++)
        for (size_t kv = 0; kv < shape.kv_heads; kv++) {
            size_t row = start[s], q = row * ld + kv * group * d, k = row * ld + (heads + kv) * d, v = k + shape.kv_heads * d;
            cllm__attention_job job = {
                .q = qkv + q, .k = qkv + k, .v = qkv + v, .ld = ld, .T = start[s + 1] - row, .d = d, .group = group,
                .first = first == NULL ? 0 : first[s] - row, .scale = shape.scale,
                .out = out + row * heads * d + kv * group * d, .lse = lse + row * heads + kv * group, .ld_out = heads * d,
                .ld_lse = heads, .dout = dout + row * heads * d + kv * group * d, .dq = dqkv + q, .dk = dqkv + k, .dv = dqkv + v,
            };
            ops->attention(&job, forward);
            ops->attention_backward(&job, backward);
        }
}

static void check_shape(const cllm__ops_table *ops, cllm__attention_shape shape, size_t sequences, const size_t *start,
                        const size_t *first, float scale_up) {
    size_t heads = shape.heads, d = shape.d, ld = (heads + 2 * shape.kv_heads) * d, T = start[sequences];
    guards g = {0};
    float *qkv = guarded_floats(&g, T * ld), *dout = guarded_floats(&g, T * heads * d), *out = guarded_floats(&g, T * heads * d);
    float *lse = guarded_floats(&g, T * heads), *dqkv = guarded_floats(&g, T * ld);
    result want = {zeros(T * heads * d), zeros(T * heads), zeros(T * ld), zeros(T * heads * d), zeros(T * heads), zeros(T * ld)};
    fill(qkv, T * ld, GAUSSIAN, 1);
    fill(dout, T * heads * d, GAUSSIAN, 2);
    for (size_t i = 0; i < T * ld; i++) qkv[i] *= scale_up;
    for (size_t i = 0; i < T * heads * d; i++) out[i] = 7;
    for (size_t i = 0; i < T * ld; i++) dqkv[i] = NAN;
    run_table(ops, &g, shape, sequences, start, first, qkv, dout, out, lse, dqkv);
    for (size_t s = 0; s < sequences; s++)
        for (size_t t = start[s]; t < start[s + 1]; t++)
            for (size_t h = 0; h < heads; h++) {
                bool needed = first == NULL || t >= first[s];
                if (needed) reference_row(&want, qkv, dout, shape, start[s], t, h);
                for (size_t c = 0; c < d && !needed; c++) assert_true(out[t * heads * d + h * d + c] == 7);
                for (size_t c = 0; c < d && needed; c++)
                    assert_near(out[t * heads * d + h * d + c], want.out[t * heads * d + h * d + c], 16, want.out_size[t * heads * d + h * d + c]);
                if (needed) assert_near(lse[t * heads + h], want.lse[t * heads + h], 16, want.lse_size[t * heads + h]);
            }
    for (size_t i = 0; i < T * ld; i++) assert_near(dqkv[i], want.dqkv[i], 16, want.d_size[i]);
    free(want.out);
    free(want.lse);
    free(want.dqkv);
    free(want.out_size);
    free(want.lse_size);
    free(want.d_size);
    guards_free(&g);
}

static const cllm__ops_table *table_at(size_t i) {
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    return cllm__ops_table_for(names[i]);
}

static void test_values(void **state) {
    static const size_t short_ones[] = {0, 1, 3, 20, 51}, blocks[] = {0, 31, 63, 96, 160, 225}, one_long[] = {0, 300};
    static const size_t first[] = {0, 2, 19, 30}, last_row[] = {299};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const cllm__ops_table *ops = table_at(i);
        if (ops == NULL) continue;
        check_shape(ops, (cllm__attention_shape){2, 2, 64, 0.125}, 4, short_ones, NULL, 1);
        check_shape(ops, (cllm__attention_shape){2, 2, 64, 0.125}, 4, short_ones, first, 1);
        check_shape(ops, (cllm__attention_shape){4, 2, 12, 0.3}, 4, short_ones, first, 1);
        check_shape(ops, (cllm__attention_shape){3, 1, 16, 0.25}, 5, blocks, NULL, 1);
        check_shape(ops, (cllm__attention_shape){1, 1, 1, 1}, 4, short_ones, NULL, 1);
        check_shape(ops, (cllm__attention_shape){1, 1, 33, 0.2}, 1, one_long, NULL, 4);
        check_shape(ops, (cllm__attention_shape){1, 1, 80, 0.1}, 1, one_long, last_row, 1);
    }
}

/* A sequence gives the same bits alone, among others, with one worker or two, and for a part of its rows. */
static void test_bits(void **state) {
    enum { HEADS = 4, KV = 2, D = 24, LD = (HEADS + 2 * KV) * D, T = 190 };
    static const size_t start[] = {0, 40, 41, 150, 190}, first[] = {13, 40, 140, 189};
    static float qkv[T * LD], dout[T * HEADS * D], out[3][T * HEADS * D], lse[3][T * HEADS], dqkv[3][T * LD];
    cllm__attention_shape shape = {HEADS, KV, D, 0.2};
    cllm__pool *pool;
    (void)state;
    assert_int_equal(cllm__pool_create(&pool, 2, NULL), CLLM_OK);
    fill(qkv, T * LD, GAUSSIAN, 1);
    fill(dout, T * HEADS * D, GAUSSIAN, 2);
    for (int w = 0; w < 2; w++) {
        assert_int_equal(cllm__attention(w ? pool : NULL, out[w], lse[w], qkv, shape, 4, start, NULL, NULL), CLLM_OK);
        assert_int_equal(cllm__attention_backward(w ? pool : NULL, dqkv[w], dout, out[w], lse[w], qkv, shape, 4, start, NULL, NULL), CLLM_OK);
    }
    assert_true(same_bits(out[0], out[1], sizeof out[0]) && same_bits(lse[0], lse[1], sizeof lse[0]) && same_bits(dqkv[0], dqkv[1], sizeof dqkv[0]));
    /* Alone. */
    size_t alone[] = {0, 109}, at = 41;
    assert_int_equal(cllm__attention(pool, out[2], lse[2], qkv + at * LD, shape, 1, alone, NULL, NULL), CLLM_OK);
    assert_int_equal(cllm__attention_backward(pool, dqkv[2], dout + at * HEADS * D, out[2], lse[2], qkv + at * LD, shape, 1, alone, NULL, NULL), CLLM_OK);
    assert_true(same_bits(out[2], out[0] + at * HEADS * D, 109 * HEADS * D * sizeof(float)));
    assert_true(same_bits(dqkv[2], dqkv[0] + at * LD, 109 * LD * sizeof(float)));
    /* The last rows, without lse. */
    assert_int_equal(cllm__attention(pool, out[1], NULL, qkv, shape, 4, start, first, NULL), CLLM_OK);
    assert_true(same_bits(out[0], out[1], sizeof out[0]));
    cllm__pool_free(pool);
}

/* What stands in later rows reaches no earlier one. */
static void test_causal(void **state) {
    enum { D = 20, LD = 3 * D, T = 100 };
    static const size_t start[] = {0, T};
    static float qkv[T * LD], clean[T * D], out[T * D];
    cllm__attention_shape shape = {1, 1, D, 0.2};
    (void)state;
    fill(qkv, T * LD, GAUSSIAN, 1);
    assert_int_equal(cllm__attention(NULL, clean, NULL, qkv, shape, 1, start, NULL, NULL), CLLM_OK);
    static const size_t rows[] = {1, 2, 31, 63, 64, 70, 99};
    for (size_t r = 0; r < CLLM_LEN(rows); r++) {
        static float spoilt[T * LD];
        memcpy(spoilt, qkv, sizeof qkv);
        for (size_t i = rows[r] * LD; i < T * LD; i++) spoilt[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : 1e38f;
        assert_int_equal(cllm__attention(NULL, out, NULL, spoilt, shape, 1, start, NULL, NULL), CLLM_OK);
        assert_true(same_bits(out, clean, rows[r] * D * sizeof *out));
        for (size_t c = 0; c < D; c++) assert_true(isnan(out[rows[r] * D + c]));
    }
}

static void test_steady_state(void **state) {
    enum { D = 16, LD = 3 * D, T = 120 };
    static const size_t start[] = {0, 50, T};
    static float qkv[T * LD], out[T * D], lse[T], dqkv[T * LD];
    cllm__attention_shape shape = {1, 1, D, 0.25};
    cllm__pool *pool;
    size_t count = 0;
    (void)state;
    fill(qkv, T * LD, GAUSSIAN, 1);
    assert_int_equal(cllm__pool_create(&pool, 2, NULL), CLLM_OK);
    for (int step = 0; step < 4; step++) {
        if (step == 1) count = cllm__alloc_count();
        assert_int_equal(cllm__attention(pool, out, lse, qkv, shape, 2, start, NULL, NULL), CLLM_OK);
        assert_int_equal(cllm__attention_backward(pool, dqkv, out, out, lse, qkv, shape, 2, start, NULL, NULL), CLLM_OK);
    }
    assert_int_equal(cllm__alloc_count(), count);
    assert_int_equal(cllm__attention(pool, NULL, NULL, NULL, shape, 0, start, NULL, NULL), CLLM_OK);
    cllm__pool_free(pool);
}

static void test_no_memory(void **state) {
    enum { D = 16, LD = 3 * D, T = 5000 };
    static const size_t start[] = {0, T};
    float *qkv = calloc(T * LD, sizeof *qkv), *out = calloc(T * D, sizeof *out);
    cllm_error err;
    (void)state;
    cllm__alloc_fail_at(1, false); /* longer than anything before, so scratch has to grow */
    assert_int_equal(cllm__attention(NULL, out, NULL, qkv, (cllm__attention_shape){1, 1, D, 0.25}, 1, start, (size_t[]){T - 1}, &err), CLLM_ERR_NOMEM);
    cllm__alloc_fail_at(0, false);
    assert_int_equal(cllm__attention(NULL, out, NULL, qkv, (cllm__attention_shape){1, 1, D, 0.25}, 1, start, (size_t[]){T - 1}, &err), CLLM_OK);
    free(qkv);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_bits),      cmocka_unit_test(test_causal),
        cmocka_unit_test(test_steady_state), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
