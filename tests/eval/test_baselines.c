/* Each baseline against its formula, computed densely and slowly. */
#include <unistd.h>

#include "eval_fixture.h"

#include "base/alloc.h"
#include "base/threads.h"
#include "eval/baseline.h"
#include "eval/topk.h"

enum { USERS = 60, ITEMS = 45 };

/* Scores of all users, [n_users × n_items]. */
static float *all_scores(const cllm__baseline *baseline, size_t n_users, size_t n_items) {
    cllm_error err;
    float *scores = malloc((n_users * n_items + 1) * sizeof *scores);
    int32_t *users = calloc(n_users + 1, sizeof *users);
    for (size_t u = 0; u < n_users; u++) users[u] = (int32_t)u;
    check_ok(baseline->scorer.score(baseline->scorer.context, users, n_users, scores, &err), &err);
    /* A user's scores are the same alone. */
    float *alone = malloc((n_items + 1) * sizeof *alone);
    for (size_t u = 0; u < n_users; u += 7) {
        check_ok(baseline->scorer.score(baseline->scorer.context, users + u, 1, alone, &err), &err);
        assert_memory_equal(alone, scores + u * n_items, n_items * sizeof *alone);
    }
    free(users);
    free(alone);
    return scores;
}

/* X densely: x[u][i]. */
static double *dense(const cllm__interactions *train) {
    double *x = calloc(train->n_users * train->n_items + 1, sizeof *x);
    for (size_t u = 0; u < train->n_users; u++) {
        for (size_t r = 0; r < cllm__row_count(train, u); r++) x[u * train->n_items + (size_t)cllm__row(train, u)[r]] = 1;
    }
    return x;
}

static double *gram(const double *x, size_t n_users, size_t n) {
    double *g = calloc(n * n + 1, sizeof *g);
    for (size_t u = 0; u < n_users; u++) {
        for (size_t i = 0; i < n; i++) {
            if (x[u * n + i] == 0) continue;
            for (size_t j = 0; j < n; j++) g[i * n + j] += x[u * n + j];
        }
    }
    return g;
}

static void test_popularity_and_random(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 30, 1);
    cllm__baseline b;
    check_ok(cllm__popularity_create(&b, &f.split[0], &err), &err);
    float *scores = all_scores(&b, USERS, ITEMS);
    for (size_t i = 0; i < ITEMS; i++) {
        float count = 0;
        for (size_t u = 0; u < USERS; u++) count += has_item(&f.split[0], u, (int32_t)i);
        for (size_t u = 0; u < USERS; u++) assert_true(scores[u * ITEMS + i] == count);
    }
    free(scores);
    cllm__baseline_free(&b);

    float *drawn[3];
    for (int s = 0; s < 3; s++) {
        check_ok(cllm__random_create(&b, ITEMS, s == 2 ? 0 : (uint64_t)s, &err), &err);
        drawn[s] = all_scores(&b, USERS, ITEMS);
        cllm__baseline_free(&b);
    }
    assert_memory_equal(drawn[0], drawn[2], USERS * ITEMS * sizeof(float));
    double sum = 0, product = 0, users = 0;
    for (size_t i = 0; i < USERS * ITEMS; i++) {
        assert_true(drawn[0][i] >= 0 && drawn[0][i] < 1);
        sum += (double)drawn[0][i];
        product += ((double)drawn[0][i] - 0.5) * ((double)drawn[1][i] - 0.5);
        if (i >= ITEMS) users += ((double)drawn[0][i] - 0.5) * ((double)drawn[0][i - ITEMS] - 0.5);
    }
    check_near(sum / (USERS * ITEMS), 0.5, 0.03);
    check_near(product / (USERS * ITEMS), 0, 0.01);
    check_near(users / (USERS * ITEMS), 0, 0.01);
    for (int s = 0; s < 3; s++) free(drawn[s]);
    free_fixture(&f);
}

/* The neighbours of item j, by counting: kept[i] if fewer than `limit` are better. */
static bool is_neighbour(const double *similar, const uint32_t *key, size_t n, size_t j, size_t i, size_t limit) {
    size_t better = 0;
    float own = (float)similar[i * n + j];
    if (own <= 0 || i == j) return false;
    for (size_t other = 0; other < n; other++) {
        float value = (float)similar[other * n + j];
        if (other == j || other == i || value <= 0) continue;
        better += value > own || (value == own && key[other] < key[i]);
    }
    return better < limit;
}

static void test_itemknn(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 30, 2);
    double *x = dense(&f.split[0]), *c = gram(x, USERS, ITEMS), *similar = calloc(ITEMS * ITEMS, sizeof *similar);
    cllm__ties ties;
    check_ok(cllm__ties_create(&ties, ITEMS, 0, &err), &err);
    static const cllm__itemknn_options options[] = {{0, 0}, {0, 10}, {5, 0}, {5, 2.5}, {1, 100}, {1000, 0}};
    for (size_t o = 0; o < CLLM_LEN(options); o++) {
        size_t limit = options[o].neighbours > 0 ? options[o].neighbours : ITEMS;
        for (size_t i = 0; i < ITEMS; i++) {
            for (size_t j = 0; j < ITEMS; j++) {
                double norm = sqrt(c[i * ITEMS + i] * c[j * ITEMS + j]) + options[o].shrinkage;
                similar[i * ITEMS + j] = norm > 0 ? c[i * ITEMS + j] / norm : 0;
            }
        }
        cllm__baseline b;
        check_ok(cllm__itemknn_create(&b, &f.split[0], options[o], NULL, NULL, &err), &err);
        float *scores = all_scores(&b, USERS, ITEMS);
        double largest = 0;
        for (size_t u = 0; u < USERS; u++) {
            for (size_t j = 0; j < ITEMS; j++) {
                double score = 0;
                for (size_t i = 0; i < ITEMS; i++) {
                    if (x[u * ITEMS + i] > 0 && is_neighbour(similar, ties.key, ITEMS, j, i, limit))
                        score += similar[i * ITEMS + j];
                }
                check_near(scores[u * ITEMS + j], score, 1e-5);
                largest = fmax(largest, score);
            }
        }
        assert_true(largest > 0.01);
        free(scores);
        cllm__baseline_free(&b);
    }
    cllm__baseline b;
    check_ok(cllm__itemknn_create(&b, &f.split[0], options[3], NULL, NULL, &err), &err);
    assert_string_equal(b.parameters, "neighbours=5,shrinkage=2.5");
    cllm__baseline_free(&b);
    assert_int_equal(cllm__itemknn_create(&b, &f.split[0], (cllm__itemknn_options){5, -1}, NULL, NULL, &err),
                     CLLM_ERR_USAGE);
    assert_int_equal(cllm__itemknn_create(&b, &f.split[0], (cllm__itemknn_options){5, NAN}, NULL, NULL, &err),
                     CLLM_ERR_USAGE);
    free(x);
    free(c);
    free(similar);
    cllm__ties_free(&ties);
    free_fixture(&f);
}

/* The inverse by Gauss-Jordan elimination with row pivoting. */
static double *invert(const double *a, size_t n) {
    double *m = malloc(n * 2 * n * sizeof *m), *inverse = malloc(n * n * sizeof *inverse);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            m[i * 2 * n + j] = a[i * n + j];
            m[i * 2 * n + n + j] = i == j;
        }
    }
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k; i < n; i++) pivot = fabs(m[i * 2 * n + k]) > fabs(m[pivot * 2 * n + k]) ? i : pivot;
        for (size_t j = 0; j < 2 * n; j++) {
            double swap = m[k * 2 * n + j];
            m[k * 2 * n + j] = m[pivot * 2 * n + j];
            m[pivot * 2 * n + j] = swap;
        }
        for (size_t i = 0; i < n; i++) {
            double factor = i == k ? 0 : m[i * 2 * n + k] / m[k * 2 * n + k];
            for (size_t j = k; factor != 0 && j < 2 * n; j++) m[i * 2 * n + j] -= factor * m[k * 2 * n + j];
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) inverse[i * n + j] = m[i * 2 * n + n + j] / m[i * 2 * n + i];
    }
    free(m);
    return inverse;
}

static void check_ease(size_t n_users, size_t n_items, size_t longest, double lambda) {
    cllm_error err;
    fixture f = make_fixture(n_users, n_items, longest, 3);
    double *x = dense(&f.split[0]), *g = gram(x, n_users, n_items);
    for (size_t i = 0; i < n_items; i++) g[i * n_items + i] += lambda;
    double *p = invert(g, n_items), worst = 0, largest = 0;
    cllm__baseline b;
    check_ok(cllm__ease_create(&b, &f.split[0], lambda, 0, NULL, NULL, &err), &err);
    float *scores = all_scores(&b, n_users, n_items);
    for (size_t u = 0; u < n_users; u++) {
        for (size_t j = 0; j < n_items; j++) {
            double score = 0;
            for (size_t i = 0; i < n_items; i++) {
                if (i != j && x[u * n_items + i] > 0) score -= p[i * n_items + j] / p[j * n_items + j];
            }
            worst = fmax(worst, fabs(score - (double)scores[u * n_items + j]));
            largest = fmax(largest, score);
        }
    }
    assert_true(largest > 0.05);
    if (worst > 1e-6) fail_msg("%zu items: scores differ by %g", n_items, worst);
    free(x);
    free(g);
    free(p);
    free(scores);
    cllm__baseline_free(&b);
    free_fixture(&f);
}

static void test_ease(void **state) {
    (void)state;
    check_ease(USERS, ITEMS, 30, 10);
    check_ease(USERS, ITEMS, 30, 0.5);
    check_ease(200, 300, 60, 20); /* two tiles a side */
    check_ease(100, 256, 60, 20); /* exactly one */
}

static void test_ease_refuses(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 30, 3);
    cllm__baseline b;
    assert_int_equal(cllm__ease_create(&b, &f.split[0], 10, 1000, NULL, NULL, &err), CLLM_ERR_UNSUPPORTED);
    check_message(&err, "45 items needs");
    check_message(&err, "GB");
    static const double wrong[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < CLLM_LEN(wrong); i++) {
        assert_int_equal(cllm__ease_create(&b, &f.split[0], wrong[i], 0, NULL, NULL, &err), CLLM_ERR_USAGE);
    }
    /* 20,000 items: half a matrix of doubles and a whole one of floats. */
    assert_true(cllm__ease_memory(20000) > UINT64_C(3200000000) && cllm__ease_memory(20000) < UINT64_C(3500000000));
    assert_true(cllm__ease_memory(SIZE_MAX) == UINT64_MAX && cllm__ease_memory(INT32_MAX) == UINT64_MAX);
    assert_true(cllm__ease_memory_limit() > 1 << 20);
    free_fixture(&f);
}

enum { MOST_FACTORS = 12 };

/* The step as Hu, Koren and Volinsky print it: (YᵀCY + λI)⁻¹·YᵀC·p for each row of x, [n × m] of zeros and ones that is
 * read with these strides. */
static void als_step(double *out, const double *y, const double *x, size_t n, size_t m, size_t stride_n, size_t stride_m,
                     const cllm__als_options *o) {
    size_t f = o->factors;
    for (size_t r = 0; r < n; r++) {
        double a[MOST_FACTORS * MOST_FACTORS] = {0}, *b = out + r * f;
        memset(b, 0, f * sizeof *b);
        for (size_t d = 0; d < f; d++) a[d * f + d] = o->regularization;
        for (size_t i = 0; i < m; i++) {
            double p = x[r * stride_n + i * stride_m], confidence = 1 + o->alpha * p;
            for (size_t d = 0; d < f; d++) {
                b[d] += confidence * p * y[i * f + d];
                for (size_t e = 0; e < f; e++) a[d * f + e] += confidence * y[i * f + d] * y[i * f + e];
            }
        }
        solve(a, b, f);
    }
}

/* The history of a known user, folded in, scores as in the model, also after the file has been written and read. */
static void check_folding(const cllm__interactions *train, const cllm__als_options *o, const float *scores) {
    cllm_error err;
    cllm__fold_in made = {0}, read = {0};
    double scratch[4096];
    float folded[ITEMS];
    check_ok(cllm__als_fold_in(&made, train, o, NULL, NULL, &err), &err);
    check_ok(cllm__fold_in_save(&made, "fold_in.safetensors", &err), &err);
    check_ok(cllm__fold_in_load(&read, "fold_in.safetensors", &err), &err);
    for (size_t u = 0; u < USERS; u++) {
        size_t count = cllm__row_count(train, u);
        assert_true(cllm__fold_in_scratch(&read, count) <= CLLM_LEN(scratch));
        cllm__fold_in_score(&read, cllm__row(train, u), count, scratch, folded);
        for (size_t i = 0; i < ITEMS; i++) check_near((double)folded[i], (double)scores[u * ITEMS + i], 2e-6);
    }
    made.columns[1] = NAN;
    check_ok(cllm__fold_in_save(&made, "fold_in.safetensors", &err), &err);
    cllm__fold_in_free(&read);
    assert_int_equal(cllm__fold_in_load(&read, "fold_in.safetensors", &err), CLLM_ERR_DATA);
    check_message(&err, "fold_in.safetensors' is damaged");
    assert_int_equal(unlink("fold_in.safetensors"), 0);
    cllm__fold_in_free(&read);
    cllm__fold_in_free(&made);
}

/* 3 factors: nearly all rows are longer; 12: many are shorter. */
static void test_als(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 30, 7);
    double *x = dense(&f.split[0]), initial[ITEMS * MOST_FACTORS], items[ITEMS * MOST_FACTORS], users[USERS * MOST_FACTORS];
    static const cllm__als_options options[] = {
        {.factors = 3, .regularization = 2, .alpha = 5, .iterations = 3},
        {.factors = 12, .regularization = 0.5, .alpha = 40, .iterations = 2},
        {.factors = 12, .regularization = 10, .alpha = 0, .iterations = 1},
        {.factors = 1, .regularization = 1, .alpha = 1, .iterations = 0},
    };
    cllm__rng rng = cllm__rng_make(7, CLLM_RNG_TEST, 3, 0);
    for (size_t e = 0; e < CLLM_LEN(initial); e++) initial[e] = 0.3 * cllm__rng_normal(&rng);
    for (size_t n = 0; n < CLLM_LEN(options); n++) {
        cllm__als_options o = options[n];
        size_t k = o.factors;
        o.initial = initial;
        memcpy(items, initial, sizeof items);
        for (size_t i = 0; i <= o.iterations; i++) {
            als_step(users, items, x, USERS, ITEMS, ITEMS, 1, &o);
            if (i < o.iterations) als_step(items, users, x, ITEMS, USERS, 1, ITEMS, &o);
        }
        cllm__baseline b;
        check_ok(cllm__als_create(&b, &f.split[0], &o, NULL, NULL, &err), &err);
        float *scores = all_scores(&b, USERS, ITEMS);
        double largest = 0;
        for (size_t u = 0; u < USERS; u++) {
            for (size_t i = 0; i < ITEMS; i++) {
                double score = 0;
                for (size_t d = 0; d < k; d++) score += users[u * k + d] * items[i * k + d];
                check_near(scores[u * ITEMS + i], score, 2e-6);
                largest = fmax(largest, score);
            }
        }
        assert_true(largest > 0.001);
        if (n == 1) assert_string_equal(b.parameters, "factors=12,regularization=0.5,alpha=40,iterations=2");
        check_folding(&f.split[0], &o, scores);
        free(scores);
        cllm__baseline_free(&b);
    }
    static const cllm__als_options wrong[] = {{0, 1, 1, 1, 1, NULL},   {5000, 1, 1, 1, 1, NULL},     {2, 0, 1, 1, 1, NULL},
                                              {2, NAN, 1, 1, 1, NULL}, {2, INFINITY, 1, 1, 1, NULL}, {2, 1, -1, 1, 1, NULL},
                                              {2, 1, NAN, 1, 1, NULL}};
    for (size_t n = 0; n < CLLM_LEN(wrong); n++) {
        cllm__baseline b;
        assert_int_equal(cllm__als_create(&b, &f.split[0], &wrong[n], NULL, NULL, &err), CLLM_ERR_USAGE);
        check_message(&err, "als: ");
    }
    free(x);
    free_fixture(&f);
}

/* The same draws, each step in double by the formula. */
static void bpr_slowly(double *users, double *items, double *bias, const cllm__interactions *train,
                       const cllm__bpr_options *o) {
    size_t f = o->factors;
    memset(users, 0, train->n_users * f * sizeof *users);
    memset(items, 0, train->n_items * f * sizeof *items);
    memset(bias, 0, train->n_items * sizeof *bias);
    for (size_t u = 0; u < train->n_users; u++) {
        cllm__rng rng = cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 1, u);
        for (size_t d = 0; d < f && cllm__row_count(train, u) > 0; d++)
            users[u * f + d] = (cllm__rng_uniform(&rng) - 0.5) / (double)f;
    }
    for (size_t r = 0; r < train->count; r++) {
        size_t i = (size_t)train->items[r];
        cllm__rng rng = cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 2, i);
        for (size_t d = 0; d < f; d++) items[i * f + d] = (cllm__rng_uniform(&rng) - 0.5) / (double)f;
    }
    for (size_t epoch = 0; epoch < o->epochs; epoch++) {
        cllm__rng rng = cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 3, epoch);
        for (size_t s = 0; s < train->count; s++) {
            size_t row = (size_t)((double)cllm__rng_u32(&rng) * (double)train->count * 0x1p-32), user = 0;
            while (train->start[user + 1] <= row) user++;
            size_t i = (size_t)train->items[row];
            double second = (double)cllm__rng_u32(&rng) * 0x1p-32;
            size_t j = o->popular_negatives ? (size_t)train->items[(size_t)(second * (double)train->count)]
                                            : (size_t)(second * (double)train->n_items);
            if (has_item(train, user, (int32_t)j)) continue;
            double margin = bias[i] - bias[j], rate = o->learning_rate, reg = o->regularization;
            for (size_t d = 0; d < f; d++) margin += users[user * f + d] * (items[i * f + d] - items[j * f + d]);
            double pull = 1 / (1 + exp(margin)); /* the derivative of ln σ */
            for (size_t d = 0; d < f; d++) {
                double a = users[user * f + d], b = items[i * f + d], c = items[j * f + d];
                users[user * f + d] += rate * (pull * (b - c) - reg * a);
                items[i * f + d] += rate * (pull * a - reg * b);
                items[j * f + d] += rate * (-pull * a - reg * c);
            }
            bias[i] += rate * (pull - reg * bias[i]);
            bias[j] += rate * (-pull - reg * bias[j]);
        }
    }
}

static void test_bpr(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 20, 8);
    static double users[USERS * 20], items[ITEMS * 20], bias[ITEMS];
    static const cllm__bpr_options options[] = {/* factors, rate, regularization, epochs, popular negatives, seed */
                                                {5, 0.1, 0.02, 60, false, 1},
                                                {20, 0.05, 0, 20, false, 2},
                                                {16, 0.1, 0.1, 20, true, 3}};
    for (size_t n = 0; n < CLLM_LEN(options); n++) {
        const cllm__bpr_options *o = &options[n];
        bpr_slowly(users, items, bias, &f.split[0], o);
        cllm__baseline b;
        check_ok(cllm__bpr_create(&b, &f.split[0], o, NULL, NULL, &err), &err);
        float *scores = all_scores(&b, USERS, ITEMS);
        double liked = 0, others = 0, n_liked = 0, n_others = 0;
        for (size_t u = 0; u < USERS; u++) {
            for (size_t i = 0; i < ITEMS; i++) {
                double score = bias[i];
                for (size_t d = 0; d < o->factors; d++) score += users[u * o->factors + d] * items[i * o->factors + d];
                check_near(scores[u * ITEMS + i], score, 1e-4);
                bool has = has_item(&f.split[0], u, (int32_t)i);
                *(has ? &liked : &others) += score;
                *(has ? &n_liked : &n_others) += 1;
            }
        }
        assert_true(liked / n_liked > others / n_others + 0.05);
        free(scores);
        cllm__baseline_free(&b);
    }
    static const cllm__bpr_options wrong[] = {
        {0, 0.1, 0, 1, false, 1}, {5000, 0.1, 0, 1, false, 1}, {2, 0, 0, 1, false, 1},     {2, NAN, 0, 1, false, 1},
        {2, 11, 0, 1, false, 1},  {2, 0.1, -1, 1, false, 1},   {2, 0.1, NAN, 1, false, 1}, {2, 0.1, 11, 1, false, 1}};
    for (size_t n = 0; n < CLLM_LEN(wrong); n++) {
        cllm__baseline b;
        assert_int_equal(cllm__bpr_create(&b, &f.split[0], &wrong[n], NULL, NULL, &err), CLLM_ERR_USAGE);
        check_message(&err, "bpr: ");
    }
    cllm__baseline b;
    assert_int_equal(cllm__bpr_create(&b, &f.split[0], &(cllm__bpr_options){4, 10, 10, 50, false, 1}, NULL, NULL, &err),
                     CLLM_ERR_DATA);
    check_message(&err, "diverges");
    free_fixture(&f);
}

/* Side by side, with more steps than are drawn at once, each is to the bit what it is alone. */
static void test_bpr_several(void **state) {
    (void)state;
    cllm_error err;
    enum { MODELS = 3 };
    fixture f = make_fixture(USERS, ITEMS, 20, 8);
    cllm__bpr_options o[MODELS] = {{5, 0.1, 0.02, 400, false, 1}, {20, 0.05, 0, 400, false, 1}, {16, 0.1, 0.1, 400, false, 1}};
    assert_true(f.split[0].count * o[0].epochs > 3 * (1 << 15));
    for (int threads = 1; threads <= 3; threads++) {
        cllm__pool *pool;
        cllm__baseline several[MODELS], alone;
        check_ok(cllm__pool_create(&pool, threads, &err), &err);
        check_ok(cllm__bpr_create_several(several, MODELS, &f.split[0], o, pool, NULL, &err), &err);
        for (size_t m = 0; m < MODELS; m++) {
            check_ok(cllm__bpr_create(&alone, &f.split[0], &o[m], NULL, NULL, &err), &err);
            float *one = all_scores(&alone, USERS, ITEMS), *other = all_scores(&several[m], USERS, ITEMS);
            assert_memory_equal(one, other, USERS * ITEMS * sizeof(float));
            assert_string_equal(alone.parameters, several[m].parameters);
            free(one);
            free(other);
            cllm__baseline_free(&alone);
            cllm__baseline_free(&several[m]);
        }
        cllm__pool_free(pool);
    }
    cllm__baseline none[MODELS];
    o[2].seed = 2;
    assert_int_equal(cllm__bpr_create_several(none, MODELS, &f.split[0], o, NULL, NULL, &err), CLLM_ERR_USAGE);
    check_message(&err, "the same epochs, seed and negatives");
    o[2].seed = 1;
    o[2].learning_rate = o[2].regularization = 10;
    assert_int_equal(cllm__bpr_create_several(none, MODELS, &f.split[0], o, NULL, NULL, &err), CLLM_ERR_DATA);
    free_fixture(&f);
}

static const cllm__als_options g_als = {.factors = 7, .regularization = 3, .alpha = 4, .iterations = 4, .seed = 5};
static const cllm__bpr_options g_bpr = {.factors = 7, .learning_rate = 0.1, .regularization = 0.01, .epochs = 4, .seed = 5};

static void test_threads_change_nothing(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(120, 300, 50, 4);
    for (int kind = 0; kind < 4; kind++) {
        float *scores[3];
        for (int threads = 1; threads <= 3; threads++) {
            cllm__pool *pool;
            cllm__baseline b;
            check_ok(cllm__pool_create(&pool, threads, &err), &err);
            if (kind == 0) {
                check_ok(cllm__itemknn_create(&b, &f.split[0], (cllm__itemknn_options){7, 3}, pool, NULL, &err), &err);
            } else if (kind == 1) {
                check_ok(cllm__ease_create(&b, &f.split[0], 30, 0, pool, NULL, &err), &err);
            } else if (kind == 2) {
                check_ok(cllm__als_create(&b, &f.split[0], &g_als, pool, NULL, &err), &err);
            } else {
                check_ok(cllm__bpr_create(&b, &f.split[0], &g_bpr, pool, NULL, &err), &err);
            }
            scores[threads - 1] = all_scores(&b, 120, 300);
            cllm__baseline_free(&b);
            cllm__pool_free(pool);
        }
        assert_memory_equal(scores[0], scores[1], 120 * 300 * sizeof(float));
        assert_memory_equal(scores[0], scores[2], 120 * 300 * sizeof(float));
        for (int i = 0; i < 3; i++) free(scores[i]);
    }
    free_fixture(&f);
}

static void test_smallest(void **state) {
    (void)state;
    cllm_error err;
    cllm__interactions one = make_rows(1, 1, 1, (int32_t[]){0}), none = make_rows(2, 3, 1, (int32_t[]){-1, -1});
    cllm__interactions no_items = make_rows(1, 0, 1, (int32_t[]){-1});
    const cllm__interactions *rows[] = {&one, &none, &no_items};
    for (size_t r = 0; r < CLLM_LEN(rows); r++) {
        cllm__baseline b[5];
        check_ok(cllm__popularity_create(&b[0], rows[r], &err), &err);
        check_ok(cllm__itemknn_create(&b[1], rows[r], (cllm__itemknn_options){10, 0}, NULL, NULL, &err), &err);
        check_ok(cllm__ease_create(&b[2], rows[r], 1, 0, NULL, NULL, &err), &err);
        check_ok(cllm__als_create(&b[3], rows[r], &g_als, NULL, NULL, &err), &err);
        check_ok(cllm__bpr_create(&b[4], rows[r], &g_bpr, NULL, NULL, &err), &err);
        for (int i = 0; i < 5; i++) {
            float *scores = all_scores(&b[i], rows[r]->n_users, rows[r]->n_items);
            for (size_t s = 0; s < rows[r]->n_users * rows[r]->n_items; s++)
                assert_true(r == 0 && i >= 3 ? scores[s] > -1 && scores[s] < 1 : scores[s] == (i == 0 && r == 0 ? 1 : 0));
            free(scores);
            cllm__baseline_free(&b[i]);
        }
    }
    free_rows(&one);
    free_rows(&none);
    free_rows(&no_items);
    cllm__baseline_free(NULL);
    cllm__baseline_free(&(cllm__baseline){0});
}

static bool cancel_now(void *user) {
    (void)user;
    return true;
}

static cllm_status create_kind(int kind, cllm__baseline *b, const fixture *f, const cllm_host *host, cllm_error *err) {
    switch (kind) {
    case 0: return cllm__random_create(b, ITEMS, 1, err);
    case 1: return cllm__popularity_create(b, &f->split[0], err);
    case 2: return cllm__itemknn_create(b, &f->split[0], (cllm__itemknn_options){3, 0}, NULL, host, err);
    case 3: return cllm__ease_create(b, &f->split[0], 10, 0, NULL, host, err);
    case 4: return cllm__als_create(b, &f->split[0], &g_als, NULL, host, err);
    default: return cllm__bpr_create(b, &f->split[0], &g_bpr, NULL, host, err);
    }
}

static void test_failures(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 30, 5);
    for (int kind = 0; kind < 6; kind++) {
        cllm__baseline b = {0};
        size_t n = 1;
        for (;; n++) {
            cllm__alloc_fail_at(n, false);
            cllm_status status = create_kind(kind, &b, &f, NULL, &err);
            if (status == CLLM_OK) break;
            assert_int_equal(status, CLLM_ERR_NOMEM);
            assert_null(b.free);
        }
        cllm__alloc_fail_at(0, false);
        assert_true(n > (kind < 2 ? 1 : 6));
        cllm__baseline_free(&b);
        if (kind >= 2) {
            assert_int_equal(create_kind(kind, &b, &f, &(cllm_host){.cancelled = cancel_now}, &err), CLLM_ERR_INTERRUPTED);
        }
    }
    free_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_popularity_and_random),  cmocka_unit_test(test_itemknn),  cmocka_unit_test(test_ease),
        cmocka_unit_test(test_ease_refuses),           cmocka_unit_test(test_als),      cmocka_unit_test(test_bpr),
        cmocka_unit_test(test_bpr_several),
        cmocka_unit_test(test_threads_change_nothing), cmocka_unit_test(test_smallest), cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
