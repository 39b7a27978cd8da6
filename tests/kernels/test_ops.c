/* Every operation in every instruction set that this CPU has, against double. */
#include "kernel_test.h"

#include "kernels/ops.h"
#include "kernels/ops_table.h"

static const char *const sets[] = {"baseline", "avx2", "avx512"};
static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 33, 768, 3072};

/* Runs `check` on each table. */
static void each_set(void (*check)(const cllm__ops_table *ops)) {
    size_t seen = 0;
    for (size_t i = 0; i < CLLM_LEN(sets); i++) {
        const cllm__ops_table *ops = cllm__ops_table_for(sets[i]);
        if (ops == NULL) {
            print_message("this CPU has no %s\n", sets[i]);
            continue;
        }
        assert_string_equal(ops->name, sets[i]);
        check(ops);
        seen++;
    }
    assert_true(seen >= 1);
    assert_null(cllm__ops_table_for("sse9"));
}

/* ---- Norms ---- */

static void check_layernorm(const cllm__ops_table *ops) {
    enum { T = 3 };
    for (size_t s = 0; s < CLLM_LEN(sizes); s++)
        for (int kind = 0; kind < FAMILIES; kind++) {
            size_t C = sizes[s];
            guards g = {0};
            float *x = guarded_floats(&g, T * C), *y = guarded_floats(&g, T * C), *gain = guarded_floats(&g, C), *bias = guarded_floats(&g, C);
            float *dy = guarded_floats(&g, T * C), *dx = guarded_floats(&g, T * C), mean[T], rstd[T];
            fill(x, T * C, (family)kind, 1);
            fill(gain, C, GAUSSIAN, 2);
            fill(bias, C, GAUSSIAN, 3);
            fill(dy, T * C, GAUSSIAN, 4);
            for (size_t i = 0; i < T * C; i++) dx[i] = 0.5f;
            if (C == 0) continue;
            ops->layernorm(y, mean, rstd, x, gain, bias, 1e-5, T, C);
            ops->layernorm_backward(dx, dy, x, mean, rstd, gain, T, C);
            for (size_t t = 0; t < T; t++) {
                const float *xt = x + t * C, *dyt = dy + t * C;
                double m = 0, v = 0, size = 0, mg = 0, mgn = 0, size_g = 0, size_gn = 0;
                for (size_t i = 0; i < C; i++) {
                    m += (double)xt[i] / (double)C;
                    size += fabs((double)xt[i]) / (double)C;
                }
                for (size_t i = 0; i < C; i++) v += (xt[i] - m) * (xt[i] - m) / (double)C;
                double r = 1 / sqrt(v + 1e-5), spread = (size * r + 1) * (size * r + 1);
                assert_near(mean[t], m, 16, size);
                assert_near(rstd[t], r, 16, r * (1 + size * size * r * r));
                for (size_t i = 0; i < C; i++) {
                    double n = (xt[i] - m) * r, gi = (double)gain[i] * dyt[i];
                    assert_near(y[t * C + i], n * gain[i] + bias[i], 16, fabs((double)gain[i]) * (fabs(n) + size * r) * spread + fabs((double)bias[i]));
                    mg += gi / (double)C;
                    mgn += gi * n / (double)C;
                    size_g += fabs(gi) / (double)C;
                    size_gn += fabs(gi * n) / (double)C;
                }
                for (size_t i = 0; i < C; i++) {
                    double n = (xt[i] - m) * r, gi = (double)gain[i] * dyt[i], want = 0.5 + r * (gi - mg - n * mgn);
                    assert_near(dx[t * C + i], want, 16, 0.5 + r * (fabs(gi) + size_g + (fabs(n) + size * r) * (size_gn + size_g * size * r)) * spread);
                }
            }
            guards_free(&g);
        }
}

static void check_rmsnorm(const cllm__ops_table *ops) {
    enum { T = 3 };
    for (size_t s = 1; s < CLLM_LEN(sizes); s++)
        for (int kind = 0; kind < FAMILIES; kind++) {
            size_t C = sizes[s];
            guards g = {0};
            float *x = guarded_floats(&g, T * C), *y = guarded_floats(&g, T * C), *gain = guarded_floats(&g, C);
            float *dy = guarded_floats(&g, T * C), *dx = guarded_floats(&g, T * C), rstd[T];
            fill(x, T * C, (family)kind, 1);
            fill(gain, C, GAUSSIAN, 2);
            fill(dy, T * C, GAUSSIAN, 4);
            for (size_t i = 0; i < T * C; i++) dx[i] = 0.5f;
            ops->rmsnorm(y, rstd, x, gain, 1e-6, T, C);
            ops->rmsnorm_backward(dx, dy, x, rstd, gain, T, C);
            for (size_t t = 0; t < T; t++) {
                double square = 0, mgn = 0, size_gn = 0;
                for (size_t i = 0; i < C; i++) square += (double)x[t * C + i] * x[t * C + i] / (double)C;
                double r = 1 / sqrt(square + 1e-6);
                assert_near(rstd[t], r, 16, r);
                for (size_t i = 0; i < C; i++) {
                    double n = x[t * C + i] * r, gi = (double)gain[i] * dy[t * C + i];
                    assert_near(y[t * C + i], n * gain[i], 16, fabs(n * gain[i]));
                    mgn += gi * n / (double)C;
                    size_gn += fabs(gi * n) / (double)C;
                }
                for (size_t i = 0; i < C; i++) {
                    double n = x[t * C + i] * r, gi = (double)gain[i] * dy[t * C + i];
                    assert_near(dx[t * C + i], 0.5 + r * (gi - n * mgn), 16, 0.5 + r * (fabs(gi) + fabs(n) * size_gn));
                }
            }
            guards_free(&g);
        }
}

/* ---- Elementwise: the whole line of floats, sparsely, and every special value ---- */

static size_t sample(float *x, size_t room) {
    static const float special[] = {0, -0.0f, 1e-45f, -1e-45f, 1e-38f, 1, -1, 12, -12, 59.9f, -59.9f, 61, -61, 1e20f, -1e20f, 3e38f, -3e38f};
    size_t n = 0;
    for (size_t i = 0; i < CLLM_LEN(special); i++) x[n++] = special[i];
    for (double v = -30; v < 30 && n < room; v += 0.00731) x[n++] = (float)v;
    for (double v = 1e-30; v < 1e3 && n + 1 < room; v *= 1.37) {
        x[n++] = (float)v;
        x[n++] = (float)-v;
    }
    return n;
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static const double gelu_a = 1.5957691216057307117597842397375, gelu_b = 0.044715;

static void check_gelu(const cllm__ops_table *ops) {
    static float x[20000], y[20000], dy[20000];
    size_t n = sample(x, CLLM_LEN(x));
    for (size_t i = 0; i < n; i++) dy[i] = 1.5f;
    ops->gelu(y, x, n);
    ops->gelu_backward(dy, x, n);
    for (size_t i = 0; i < n; i++) {
        double v = x[i], u = gelu_a * (v + gelu_b * v * v * v), s = sigmoid(u), slope = gelu_a * (1 + 3 * gelu_b * v * v);
        double t = s * sigmoid(-u) * v * slope;
        if (fabs(v) > 1e10) t = 0; /* ∞·0 in the formula as it stands */
        if (u < -88) {             /* e^88 is inf in float: both are 0 or next to it */
            assert_true(fabsf(y[i]) < 1e-36f && fabsf(dy[i]) < 1e-34f);
            continue;
        }
        assert_near(y[i], v * s, 4 + 4 * fmin(fabs(u), 200), fabs(v * s));
        assert_near(dy[i], 1.5 * (s + t), 8 + 8 * fmin(fabs(u), 200), fabs(s) + fabs(t) + (fabs(u) < 30 ? fabs(v * slope) * ULP : 0));
    }
    /* In place, and special values. */
    float z[4] = {NAN, INFINITY, -INFINITY, 2}, dz[4] = {1, 1, 1, NAN};
    ops->gelu(z, z, 4);
    assert_true(isnan(z[0]) && z[1] == INFINITY && isnan(z[2]) && fabsf(z[3] - 1.9545977f) < 1e-6f);
    float in[4] = {NAN, INFINITY, -INFINITY, 2};
    ops->gelu_backward(dz, in, 4);
    assert_true(isnan(dz[0]) && dz[1] == 1 && dz[2] == 0 && isnan(dz[3]));
}

static void check_swiglu(const cllm__ops_table *ops) {
    static float gate[20000], up[20000], y[20000], dy[20000], dgate[20000], dup[20000];
    size_t n = sample(gate, CLLM_LEN(gate));
    fill(up, n, GAUSSIAN, 1);
    fill(dy, n, GAUSSIAN, 2);
    ops->swiglu(y, gate, up, n);
    ops->swiglu_backward(dgate, dup, dy, gate, up, n);
    for (size_t i = 0; i < n; i++) {
        double v = gate[i], s = sigmoid(v), silu = v * s, c = 6 + 2 * fmin(fabs(v), 110);
        if (v < -88) continue;          /* e^88 is inf in float: results are denormal or 0 */
        if (fabs(v) > 1e37) continue;   /* products overflow */
        assert_near(y[i], silu * up[i], c, fabs(silu * up[i]) + 1e-37);
        assert_near(dup[i], silu * dy[i], c, fabs(silu * dy[i]) + 1e-37);
        double rest = v > 40 ? 0 : v * (1 - s);
        assert_near(dgate[i], (double)dy[i] * up[i] * s * (1 + rest), c + 8, fabs((double)dy[i] * up[i]) * s * (1 + fabs(rest) + fabs(v < 40 ? v : 0)) + 1e-37);
    }
    float g[2] = {-200, NAN}, one[2] = {1, 1}, out[2];
    ops->swiglu(out, g, one, 2);
    assert_true(out[0] == 0 && isnan(out[1]));
}

static void check_simple(const cllm__ops_table *ops) {
    for (size_t s = 0; s < CLLM_LEN(sizes); s++)
        for (int kind = 0; kind < FAMILIES; kind++) {
            size_t n = sizes[s];
            guards g = {0};
            float *x = guarded_floats(&g, n), *y = guarded_floats(&g, n), *z = guarded_floats(&g, n), *old = malloc((n + 1) * sizeof *old);
            fill(x, n, (family)kind, 1);
            fill(y, n, (family)kind, 2);
            memcpy(old, y, n * sizeof *y);
            memcpy(z, y, n * sizeof *y);
            ops->add(y, x, n);
            for (size_t i = 0; i < n; i++) assert_true(y[i] == old[i] + x[i]);
            ops->axpy(z, -1.25f, x, n);
            double sum = 0, size = 0, distance = 0;
            for (size_t i = 0; i < n; i++) {
                assert_near(z[i], old[i] - 1.25 * x[i], 2, fabs((double)old[i]) + 1.25 * fabs((double)x[i]));
                sum += (double)x[i] * old[i];
                size += fabs((double)x[i] * old[i]);
                distance += ((double)x[i] - old[i]) * ((double)x[i] - old[i]);
            }
            memcpy(y, old, n * sizeof *y);
            assert_near(ops->dot(x, y, n), sum, 16, size);
            assert_near(ops->distance2(x, y, n), distance, 16, distance);
            free(old);
            guards_free(&g);
        }
    /* Long sums of positive values stay within the bound, too. */
    static float a[50257], b[50257];
    double sum = 0;
    fill(a, CLLM_LEN(a), POSITIVE, 1);
    fill(b, CLLM_LEN(b), POSITIVE, 2);
    for (size_t i = 0; i < CLLM_LEN(a); i++) sum += (double)a[i] * b[i];
    assert_near(ops->dot(a, b, CLLM_LEN(a)), sum, 16, sum);
    a[40000] = NAN;
    assert_true(isnan(ops->dot(a, b, CLLM_LEN(a))) && isnan(ops->distance2(a, b, CLLM_LEN(a))));
}

/* The value of each element is the same wherever it stands, alone or among others. */
static void check_places(const cllm__ops_table *ops) {
    enum { N = 100 };
    float x[N], u[N], d[N], whole[N], single, dg, du, whole_g[N], whole_u[N], back[N];
    fill(x, N, HEAVY, 1);
    fill(u, N, GAUSSIAN, 2);
    fill(d, N, GAUSSIAN, 3);
    ops->gelu(whole, x, N);
    ops->swiglu_backward(whole_g, whole_u, d, x, u, N);
    memcpy(back, d, sizeof d);
    ops->gelu_backward(back, x, N);
    for (size_t i = 0; i < N; i++) {
        ops->gelu(&single, x + i, 1);
        assert_true(same_bits(&single, whole + i, sizeof single));
        ops->swiglu_backward(&dg, &du, d + i, x + i, u + i, 1);
        assert_true(same_bits(&dg, whole_g + i, sizeof dg) && same_bits(&du, whole_u + i, sizeof du));
        single = d[i];
        ops->gelu_backward(&single, x + i, 1);
        assert_true(same_bits(&single, back + i, sizeof single));
    }
    float p[N], m[N], v[N], pi, mi, vi;
    fill(p, N, GAUSSIAN, 4);
    fill(m, N, GAUSSIAN, 5);
    for (size_t i = 0; i < N; i++) v[i] = m[i] * m[i];
    float before[3][N];
    memcpy(before[0], p, sizeof p);
    memcpy(before[1], m, sizeof m);
    memcpy(before[2], v, sizeof v);
    cllm__adam adam = {1e-3, 0.9, 0.999, 1e-8};
    ops->adam_step(p, m, v, d, N, adam, 7);
    for (size_t i = 0; i < N; i++) {
        pi = before[0][i], mi = before[1][i], vi = before[2][i];
        ops->adam_step(&pi, &mi, &vi, d + i, 1, adam, 7);
        assert_true(same_bits(&pi, p + i, sizeof pi) && same_bits(&mi, m + i, sizeof mi) && same_bits(&vi, v + i, sizeof vi));
    }
}

/* ---- Softmax ---- */

static void check_softmax(const cllm__ops_table *ops) {
    static float x[3072 * 16];
    for (size_t s = 1; s < CLLM_LEN(sizes); s++)
        for (int kind = 0; kind < FAMILIES; kind++) {
            size_t n = sizes[s];
            guards g = {0};
            float *logits = guarded_floats(&g, n);
            fill(logits, n, (family)kind, 1);
            for (size_t i = 0; i < n; i++) logits[i] *= 8;
            double top = -INFINITY, sum = 0;
            for (size_t i = 0; i < n; i++) top = fmax(top, (double)logits[i]);
            for (size_t i = 0; i < n; i++) sum += exp(logits[i] - top);
            double want = top + log(sum);
            /* All at once, and in pieces in which the maximum keeps growing. */
            cllm__softmax_state whole = {-INFINITY, 0}, pieces = {-INFINITY, 0};
            ops->softmax_take(&whole, logits, n);
            for (size_t i = 0; i < n; i += 7) ops->softmax_take(&pieces, logits + i, n - i < 7 ? n - i : 7);
            assert_near(cllm__softmax_lse(&whole), want, 16, 1 + fabs(want));
            assert_near(cllm__softmax_lse(&pieces), want, 16, 1 + fabs(want));
            float *p = malloc(n * sizeof *p);
            memcpy(p, logits, n * sizeof *p);
            memcpy(x, logits, n * sizeof *p);
            ops->softmax_gradient(logits, n, want, 0.25f);
            for (size_t i = 0; i < n; i++) {
                double e = 0.25 * exp((double)p[i] - want);
                assert_near(logits[i], e, 8 + 4 * fabs(p[i] - want) + 4 * fabs(want), e);
            }
            free(p);
            guards_free(&g);
        }
    /* e^x overflows, e^(x − max) does not. */
    float big[3] = {1000, 999, -1000};
    cllm__softmax_state state = {-INFINITY, 0};
    ops->softmax_take(&state, big, 3);
    assert_near(cllm__softmax_lse(&state), 1000 + log(1 + exp(-1)), 4, 1000);
    /* −inf is probability 0; nothing else gives −inf; NaN and +inf give NaN. */
    float none[3] = {-INFINITY, -INFINITY, -INFINITY}, some[3] = {-INFINITY, 2, -INFINITY}, nan_in[2] = {1, NAN}, inf_in[2] = {1, INFINITY};
    state = (cllm__softmax_state){-INFINITY, 0};
    ops->softmax_take(&state, none, 3);
    assert_true(cllm__softmax_lse(&state) == -INFINITY);
    ops->softmax_take(&state, some, 3);
    assert_true(cllm__softmax_lse(&state) == 2);
    state = (cllm__softmax_state){-INFINITY, 0};
    ops->softmax_take(&state, nan_in, 2);
    assert_true(isnan(cllm__softmax_lse(&state)));
    state = (cllm__softmax_state){-INFINITY, 0};
    ops->softmax_take(&state, inf_in, 2);
    assert_true(isnan(cllm__softmax_lse(&state)));
    state = (cllm__softmax_state){-INFINITY, 0};
    ops->softmax_take(&state, none, 0);
    assert_true(cllm__softmax_lse(&state) == -INFINITY);
}

/* e^x to 1.5 units in the last place over its whole range, denormal results included. */
static void check_exp(const cllm__ops_table *ops) {
    double worst = 0;
    for (double v = -105; v < 88.72; v += 0.000917) {
        float x = (float)v, y = x;
        ops->softmax_gradient(&y, 1, 0, 1);
        double want = exp((double)x), unit = ldexp(1, (int)floor(log2(want)) - 23);
        if (unit < 0x1p-149) unit = 0x1p-149;
        worst = fmax(worst, fabs(y - want) / unit);
    }
    assert_true(worst <= 1.5);
    float x[6] = {89, INFINITY, -INFINITY, -150, NAN, 0};
    ops->softmax_gradient(x, 6, 0, 1);
    assert_true(x[0] == INFINITY && x[1] == INFINITY && x[2] == 0 && x[3] == 0 && isnan(x[4]) && x[5] == 1);
}

/* ---- Adam ---- */

static void check_adam(const cllm__ops_table *ops) {
    cllm__adam adam = {1e-3, 0.9, 0.999, 1e-8};
    for (size_t s = 0; s < CLLM_LEN(sizes); s++) {
        size_t n = sizes[s];
        guards g = {0};
        float *p = guarded_floats(&g, n), *m = guarded_floats(&g, n), *v = guarded_floats(&g, n), *d = guarded_floats(&g, n);
        double *wp = malloc((n + 1) * 3 * sizeof *wp), *wm = wp + n, *wv = wm + n;
        fill(p, n, GAUSSIAN, 1);
        for (size_t i = 0; i < n; i++) {
            m[i] = v[i] = 0;
            wp[i] = p[i];
            wm[i] = wv[i] = 0;
        }
        for (uint64_t t = 1; t <= 20; t++) {
            fill(d, n, HEAVY, t);
            ops->adam_step(p, m, v, d, n, adam, t);
            for (size_t i = 0; i < n; i++) {
                wm[i] = adam.beta1 * wm[i] + (1 - adam.beta1) * d[i];
                wv[i] = adam.beta2 * wv[i] + (1 - adam.beta2) * d[i] * d[i];
                double root = sqrt(wv[i]) / sqrt(1 - pow(adam.beta2, (double)t)) + adam.eps;
                wp[i] -= adam.lr / (1 - pow(adam.beta1, (double)t)) * wm[i] / root;
            }
        }
        for (size_t i = 0; i < n; i++) assert_near(p[i], wp[i], 20 * 4, fabs(wp[i]) + 0.02);
        /* No gradient is a gradient of zero, bit for bit, −0 included. */
        float *q = malloc((n + 1) * 4 * sizeof *q), *qm = q + n, *qv = qm + n, *zero = qv + n;
        if (n > 2) m[1] = -0.0f;
        memcpy(q, p, n * sizeof *q);
        memcpy(qm, m, n * sizeof *q);
        memcpy(qv, v, n * sizeof *q);
        for (size_t i = 0; i < n; i++) zero[i] = 0;
        for (uint64_t t = 21; t < 30; t++) {
            ops->adam_step(p, m, v, NULL, n, adam, t);
            ops->adam_step(q, qm, qv, zero, n, adam, t);
        }
        assert_true(same_bits(p, q, n * sizeof *p) && same_bits(m, qm, n * sizeof *p) && same_bits(v, qv, n * sizeof *p));
        free(wp);
        free(q);
        guards_free(&g);
    }
}

/* ---- Dropout ---- */

static void check_dropout(const cllm__ops_table *ops) {
    enum { N = 100000 };
    static float x[N], y[N];
    for (size_t i = 0; i < N; i++) x[i] = y[i] = 3;
    ops->dropout(x, 0, N, 0.1, 42);
    size_t dropped = 0;
    for (size_t i = 0; i < N; i++) {
        dropped += x[i] == 0;
        if (x[i] != 0) assert_near(x[i], 3 / 0.9, 2, 4);
    }
    assert_true(fabs((double)dropped - 0.1 * N) < 5 * sqrt(0.09 * N));
    /* A function of key and index: the same in pieces, another with another key. */
    for (size_t i = 0; i < N; i += 1004) ops->dropout(y + i, i, N - i < 1004 ? N - i : 1004, 0.1, 42);
    assert_true(same_bits(x, y, sizeof x));
    for (size_t i = 0; i < N; i++) y[i] = 3;
    ops->dropout(y, 0, N, 0.1, 43);
    size_t both = 0;
    for (size_t i = 0; i < N; i++) both += x[i] == 0 && y[i] == 0;
    assert_true(fabs((double)both - 0.01 * N) < 5 * sqrt(0.01 * N));
    /* The words are those of base/rng.c: value i takes word i mod 4 of block i / 4. */
    cllm__rng rng = {.key = {42, 0}, .used = 4};
    for (size_t i = 0; i < 4000; i++) assert_true((x[i] == 0) == (cllm__rng_u32(&rng) < (uint32_t)(0.1 * 0x1p32)));
    float all[5] = {1, NAN, INFINITY, 2, 3};
    ops->dropout(all, 0, 5, 1, 1);
    for (size_t i = 0; i < 5; i++) assert_true(all[i] == 0);
}

/* ---- Storage types ---- */

static float reference_f16(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) value = mantissa != 0 ? NAN : INFINITY;
    return (float)(h & 0x8000 ? -value : value);
}

static void check_storage(const cllm__ops_table *ops) {
    static uint16_t half[65536], back[65536];
    static float wide[65536];
    for (size_t i = 0; i < 65536; i++) half[i] = (uint16_t)i;
    ops->from_f16(wide, half, 65536);
    for (size_t i = 0; i < 65536; i++) {
        float want = reference_f16((uint16_t)i);
        if (isnan(want)) assert_true(isnan(wide[i]) && !signbit(wide[i]) == !(i & 0x8000));
        else assert_true(same_bits(&wide[i], &want, sizeof want));
    }
    ops->from_bf16(wide, half, 65536);
    ops->to_bf16(back, wide, 65536);
    for (size_t i = 0; i < 65536; i++) {
        if (isnan(wide[i])) assert_true((back[i] & 0x7f80) == 0x7f80 && (back[i] & 0x7f) != 0);
        else assert_int_equal(back[i], i);
    }
    /* To the nearest, halves to even; a value beyond the last one becomes inf. */
    static const struct {
        uint32_t from;
        uint16_t to;
    } cases[] = {{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, {0x7f7fffff, 0x7f80},
                 {0xff7fffff, 0xff80}, {0x7f800001, 0x7fc0}, {0x00008000, 0x0000}, {0x80018000, 0x8002}};
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        float f;
        uint16_t got;
        memcpy(&f, &cases[i].from, sizeof f);
        ops->to_bf16(&got, &f, 1);
        assert_int_equal(got, cases[i].to);
        float kept;
        ops->round_bf16(&kept, &f, 1);
        uint32_t bits;
        memcpy(&bits, &kept, sizeof bits);
        assert_int_equal(bits, (uint32_t)cases[i].to << 16);
    }
    for (size_t s = 0; s < CLLM_LEN(sizes); s++) {
        guards g = {0};
        uint16_t *h = guarded(&g, sizes[s], sizeof *h);
        float *f = guarded_floats(&g, sizes[s]);
        memset(h, 0, sizes[s] * sizeof *h);
        ops->from_f16(f, h, sizes[s]);
        ops->from_bf16(f, h, sizes[s]);
        ops->to_bf16(h, f, sizes[s]);
        guards_free(&g);
    }
}

/* ---- Transposing and products by panels ---- */

static void check_transpose(const cllm__ops_table *ops) {
    static const size_t shapes[][2] = {{0, 3}, {1, 1}, {7, 9}, {8, 8}, {16, 24}, {17, 33}, {64, 15}};
    for (size_t s = 0; s < CLLM_LEN(shapes); s++) {
        size_t rows = shapes[s][0], columns = shapes[s][1];
        guards g = {0};
        float *from = guarded_floats(&g, rows * columns), *to = guarded_floats(&g, rows * columns);
        fill(from, rows * columns, GAUSSIAN, 1);
        ops->transpose(to, rows, from, columns, rows, columns);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) assert_true(to[c * rows + r] == from[r * columns + c]);
        guards_free(&g);
    }
}

static void check_panels(const cllm__ops_table *ops) {
    static const size_t shapes[][3] = {{1, 5, 1}, {6, 64, 16}, {7, 70, 33}, {50, 130, 300}, {3, 64, 0}};
    for (size_t s = 0; s < CLLM_LEN(shapes); s++)
        for (int transposed = 0; transposed < 2; transposed++) {
            size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2], k_padded = (k + 15) / 16 * 16, panels = (n + 63) / 64;
            guards g = {0};
            float *x = guarded_floats(&g, m * k), *w = guarded_floats(&g, k * n), *y = guarded_floats(&g, m * n), *packed = guarded_floats(&g, panels * 64 * k_padded);
            fill(x, m * k, GAUSSIAN, 1);
            fill(w, k * n, GAUSSIAN, 2);
            for (size_t p = 0; p < panels; p++)
                ops->pack_panel(packed + p * 64 * k_padded, w + p * 64 * (transposed ? k : 1), transposed ? 1 : n, transposed ? k : 1, k, k_padded, n - p * 64 < 64 ? n - p * 64 : 64);
            ops->panel_product(y, n, x, k, m, k, transposed ? 32 : 256, packed, k_padded, n, NULL, false);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                    double sum = 0, size = 0;
                    for (size_t p = 0; p < k; p++) {
                        double term = (double)x[i * k + p] * (transposed ? w[j * k + p] : w[p * n + j]);
                        sum += term;
                        size += fabs(term);
                    }
                    assert_near(y[i * n + j], sum, 16, size);
                }
            guards_free(&g);
        }
}

/* ---- The public functions, with workers ---- */

static void test_workers(void **state) {
    enum { T = 90, C = 768 };
    static float x[T * C], y[2][T * C], d[T * C], gain[C], bias[C], mean[2][T], rstd[2][T], other[2][T * C];
    cllm__pool *pools[2] = {NULL, NULL};
    (void)state;
    assert_int_equal(cllm__pool_create(&pools[1], 2, NULL), CLLM_OK);
    fill(x, T * C, GAUSSIAN, 1);
    fill(d, T * C, GAUSSIAN, 2);
    fill(gain, C, GAUSSIAN, 3);
    fill(bias, C, GAUSSIAN, 4);
#define BOTH(call) \
    do { \
        for (int w = 0; w < 2; w++) { \
            cllm__pool *pool = pools[w]; \
            memcpy(y[w], d, sizeof d); \
            call; \
        } \
        assert_true(same_bits(y[0], y[1], sizeof d)); \
        assert_true(!same_bits(y[0], d, sizeof d)); \
    } while (0)
    BOTH(cllm__layernorm(pool, y[w], mean[w], rstd[w], x, gain, bias, 1e-5, T, C));
    assert_true(same_bits(mean[0], mean[1], sizeof mean[0]) && same_bits(rstd[0], rstd[1], sizeof mean[0]));
    BOTH(cllm__layernorm_backward(pool, y[w], d, x, mean[0], rstd[0], gain, T, C));
    BOTH(cllm__rmsnorm(pool, y[w], rstd[w], x, gain, 1e-5, T, C));
    BOTH(cllm__rmsnorm_backward(pool, y[w], d, x, rstd[0], gain, T, C));
    BOTH(cllm__gelu(pool, y[w], x, T * C));
    BOTH(cllm__gelu_backward(pool, y[w], x, T * C));
    BOTH(cllm__swiglu(pool, y[w], x, d, T * C));
    BOTH(cllm__swiglu_backward(pool, y[w], other[w], d, x, d, T * C));
    assert_true(same_bits(other[0], other[1], sizeof other[0]));
    BOTH(cllm__add(pool, y[w], x, T * C));
    BOTH(cllm__dropout(pool, y[w], T * C, 0.5, 9));
#undef BOTH
    /* A row alone is the row among others; nothing happens to nothing. */
    float alone[C], m, r;
    cllm__layernorm(pools[1], y[0], mean[0], rstd[0], x, gain, bias, 1e-5, T, C);
    cllm__layernorm(NULL, alone, &m, &r, x + 41 * C, gain, bias, 1e-5, 1, C);
    assert_true(same_bits(alone, y[0] + 41 * C, sizeof alone));
    cllm__layernorm(pools[1], NULL, NULL, NULL, NULL, gain, bias, 1e-5, 0, C);
    cllm__gelu(pools[1], NULL, NULL, 0);
    cllm__dropout(NULL, NULL, 0, 0.5, 1);
    memcpy(y[0], x, sizeof x);
    cllm__dropout(NULL, y[0], T * C, 0, 1);
    assert_true(same_bits(y[0], x, sizeof x));
    assert_true(cllm__dot(x, x, C) > 0 && cllm__distance2(x, x, C) == 0);
    cllm__pool_free(pools[1]);
}

#define TEST(name) \
    static void test_##name(void **state) { \
        (void)state; \
        each_set(check_##name); \
    }
TEST(layernorm)
TEST(rmsnorm)
TEST(gelu)
TEST(swiglu)
TEST(simple)
TEST(places)
TEST(softmax)
TEST(exp)
TEST(adam)
TEST(dropout)
TEST(storage)
TEST(transpose)
TEST(panels)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layernorm), cmocka_unit_test(test_rmsnorm), cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_swiglu),    cmocka_unit_test(test_simple),  cmocka_unit_test(test_places),
        cmocka_unit_test(test_softmax),   cmocka_unit_test(test_exp),     cmocka_unit_test(test_adam),
        cmocka_unit_test(test_dropout),   cmocka_unit_test(test_storage), cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_panels),    cmocka_unit_test(test_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
