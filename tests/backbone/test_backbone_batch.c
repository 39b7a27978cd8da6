/* The bits of a sequence's hidden states and gradients depend on the sequence alone: not on what is packed beside it or where
 * it stands, on which rows are asked for, on whether anything is kept, or on the number of threads. */
#include <pthread.h>

#include "models.h"

typedef struct setup {
    cllm__backbone *backbone;
    size_t start[40], sequences, rows, width, *all;
    cllm__real *x, *dh;
} setup;

static bool g_llama; /* which family the tests run on */

static setup set_up(cllm__dtype dtype) {
    static const size_t LENGTHS[] = {17, 1, 40, 3, 8, 25, 2, 33, 9, 12};
    setup s = {.sequences = CLLM_LEN(LENGTHS)};
    model m;
    spec shape = {.layers = 3, .heads = 4, .width = 48, .inner = 80, .vocabulary = 30, .context = 40, .prefix = "", .seed = 9,
                  .type = "llama", .kv_heads = 2, .head_width = 16};
    if (g_llama) model_llama(&m, shape);
    else model_gpt2(&m, shape);
    s.backbone = model_open(&m, "scratch_batch", dtype, true);
    s.rows = row_pointers(s.start, LENGTHS, s.sequences);
    s.width = cllm__backbone_info_of(s.backbone)->width;
    cllm__rng rng = cllm__rng_make(3, CLLM_RNG_TEST, 0, 0);
    s.x = random_numbers(&rng, s.rows * s.width);
    s.dh = random_numbers(&rng, s.rows * s.width);
    s.all = all_rows(s.rows);
    return s;
}

static void tear_down(setup *s) {
    cllm__backbone_close(s->backbone);
    cllm__free(s->x);
    cllm__free(s->dh);
    cllm__free(s->all);
    cllm__remove_tree("scratch_batch");
}

typedef struct result {
    cllm__real *h, *dx;
} result;

/* One pass over everything; dh is that of all rows, of which out_rows[i]'s is taken. */
static result compute(const setup *s, cllm__pool *pool, const size_t *out_rows, size_t n_out, cllm__forward_options options) {
    result r = {numbers(n_out * s->width), numbers(s->rows * s->width)};
    cllm__real *dh = numbers(n_out * s->width);
    for (size_t i = 0; i < n_out; i++) memcpy(dh + i * s->width, s->dh + out_rows[i] * s->width, s->width * sizeof *dh);
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, s->backbone, pool, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){s->sequences, s->start}, s->x, out_rows, n_out, options, r.h, &test_error));
    if (options.keep) MUST(cllm__pass_backward(pass, dh, r.dx, &test_error));
    cllm__pass_free(pass);
    cllm__free(dh);
    return r;
}

static void free_result(result r) {
    cllm__free(r.h);
    cllm__free(r.dx);
}

static const cllm__forward_options KEEP = {.keep = true};

static void same_bits(const char *what, const cllm__real *a, const cllm__real *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0) fail_msg("%s: value %zu is %.9g, should be %.9g", what, i, (double)a[i], (double)b[i]);
}

static void check_alone(cllm__dtype dtype) {
    setup s = set_up(dtype);
    result packed = compute(&s, NULL, s.all, s.rows, KEEP);
    for (size_t i = 0; i < s.sequences; i++) {
        size_t first = s.start[i], length = s.start[i + 1] - first;
        setup one = s;
        one.sequences = 1;
        one.start[0] = 0;
        one.start[1] = one.rows = length;
        one.x = s.x + first * s.width;
        one.dh = s.dh + first * s.width;
        result alone = compute(&one, NULL, s.all, length, KEEP);
        same_bits("hidden states alone", alone.h, packed.h + first * s.width, length * s.width);
        same_bits("gradients alone", alone.dx, packed.dx + first * s.width, length * s.width);
        free_result(alone);
    }
    free_result(packed);
    tear_down(&s);
}

/* The same sequences in reverse order: every one at another place. */
static void check_order(cllm__dtype dtype) {
    setup s = set_up(dtype), r = s;
    result packed = compute(&s, NULL, s.all, s.rows, KEEP);
    r.x = numbers(s.rows * s.width);
    r.dh = numbers(s.rows * s.width);
    for (size_t i = 0; i < s.sequences; i++) {
        size_t from = s.sequences - 1 - i, n = s.start[from + 1] - s.start[from];
        r.start[i + 1] = r.start[i] + n;
        memcpy(r.x + r.start[i] * s.width, s.x + s.start[from] * s.width, n * s.width * sizeof *r.x);
        memcpy(r.dh + r.start[i] * s.width, s.dh + s.start[from] * s.width, n * s.width * sizeof *r.dh);
    }
    result reversed = compute(&r, NULL, s.all, s.rows, KEEP);
    for (size_t i = 0; i < s.sequences; i++) {
        size_t from = s.sequences - 1 - i, n = (s.start[from + 1] - s.start[from]) * s.width;
        same_bits("hidden states elsewhere", reversed.h + r.start[i] * s.width, packed.h + s.start[from] * s.width, n);
        same_bits("gradients elsewhere", reversed.dx + r.start[i] * s.width, packed.dx + s.start[from] * s.width, n);
    }
    cllm__free(r.x);
    cllm__free(r.dh);
    free_result(reversed);
    free_result(packed);
    tear_down(&s);
}

static void check_threads(cllm__dtype dtype) {
    setup s = set_up(dtype);
    for (int dropout = 0; dropout <= 1; dropout++) {
        cllm__forward_options options = {.keep = true, .dropout = 0.2 * dropout, .key = 5};
        result one = compute(&s, NULL, s.all, s.rows, options);
        for (int threads = 1; threads <= 3; threads++) {
            cllm__pool *pool;
            MUST(cllm__pool_create(&pool, threads, &test_error));
            result many = compute(&s, pool, s.all, s.rows, options);
            same_bits("hidden states with threads", many.h, one.h, s.rows * s.width);
            same_bits("gradients with threads", many.dx, one.dx, s.rows * s.width);
            free_result(many);
            cllm__pool_free(pool);
        }
        free_result(one);
    }
    tear_down(&s);
}

/* Asking for few rows and keeping nothing changes no bit of what is asked for. */
static void check_rows(cllm__dtype dtype) {
    setup s = set_up(dtype);
    size_t some[400], last[40], counts[] = {0, 0, 1}, middle = s.rows / 2;
    for (size_t i = 0; i < s.rows; i++)
        if (i % 3 == 1) some[counts[0]++] = i;
    for (size_t i = 0; i < s.sequences; i++) last[counts[1]++] = s.start[i + 1] - 1;
    const size_t *subsets[] = {some, last, &middle};
    for (int dropout = 0; dropout <= 1; dropout++) {
        cllm__forward_options keep = {.keep = true, .dropout = 0.2 * dropout, .key = 5}, no_keep = {.dropout = keep.dropout, .key = 5};
        result all = compute(&s, NULL, s.all, s.rows, keep), bare = compute(&s, NULL, s.all, s.rows, no_keep);
        same_bits("hidden states without keep", bare.h, all.h, s.rows * s.width);
        free_result(bare);
        for (size_t j = 0; j < CLLM_LEN(subsets); j++) {
            result kept = compute(&s, NULL, subsets[j], counts[j], keep), lost = compute(&s, NULL, subsets[j], counts[j], no_keep);
            for (size_t i = 0; i < counts[j]; i++) {
                const cllm__real *expected = all.h + subsets[j][i] * s.width;
                same_bits("hidden states of a row", kept.h + i * s.width, expected, s.width);
                same_bits("hidden states of a row without keep", lost.h + i * s.width, expected, s.width);
            }
            free_result(kept);
            free_result(lost);
        }
        free_result(all);
    }
    tear_down(&s);
}

static void both(void (*check)(cllm__dtype)) {
    for (int family = 0; family < 2; family++) {
        g_llama = family == 1;
        check(CLLM__F32);
        check(CLLM__BF16);
    }
    g_llama = false;
}
static void test_alone_equals_packed(void **state) {
    (void)state;
    both(check_alone);
}
static void test_order_in_the_batch(void **state) {
    (void)state;
    both(check_order);
}
static void test_threads(void **state) {
    (void)state;
    both(check_threads);
}
static void test_out_rows_and_keep(void **state) {
    (void)state;
    both(check_rows);
}

/* Gradients of few rows are those of all rows with zeros in the other places, up to rounding. */
static void test_gradient_of_few_rows(void **state) {
    (void)state;
    setup s = set_up(CLLM__F32);
    size_t some[400], n = 0;
    for (size_t i = 0; i < s.rows; i++) {
        if (i % 3 == 1) some[n++] = i;
        else memset(s.dh + i * s.width, 0, s.width * sizeof *s.dh);
    }
    result all = compute(&s, NULL, s.all, s.rows, KEEP), few = compute(&s, NULL, some, n, KEEP);
    double *expected = cllm__alloc(s.rows * s.width, sizeof *expected);
    for (size_t i = 0; i < s.rows * s.width; i++) expected[i] = all.dx[i];
    double error = relative(few.dx, expected, s.rows * s.width);
    if (!(error < 1e-6)) fail_msg("off by %g", error);
    cllm__free(expected);
    free_result(all);
    free_result(few);
    tear_down(&s);
}

/* A pass is used again: larger, smaller, kept or not; nothing of an earlier batch shows. A later one's rows see nothing of
 * the rows that follow them (the attention is causal). */
static void check_reuse(cllm__dtype dtype) {
    setup s = set_up(dtype), small = s;
    small.sequences = 2;
    small.rows = s.start[2];
    result big = compute(&s, NULL, s.all, s.rows, KEEP), little = compute(&small, NULL, s.all, small.rows, KEEP);
    cllm__real *h = numbers(s.rows * s.width), *dx = numbers(s.rows * s.width);
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, s.backbone, NULL, &test_error));
    for (int round = 0; round < 6; round++) {
        const setup *now = round % 2 == 0 ? &small : &s;
        const result *expected = round % 2 == 0 ? &little : &big;
        bool keep = round % 3 != 2;
        cllm__ragged ragged = {now->sequences, now->start};
        MUST(cllm__pass_forward(pass, ragged, now->x, s.all, now->rows, (cllm__forward_options){.keep = keep}, h, &test_error));
        same_bits("hidden states again", h, expected->h, now->rows * s.width);
        for (int again = 0; again < 2 && keep; again++) {
            MUST(cllm__pass_backward(pass, s.dh, dx, &test_error));
            same_bits("gradients again", dx, expected->dx, now->rows * s.width);
        }
        if (!keep) assert_int_equal(cllm__pass_backward(pass, s.dh, dx, NULL), CLLM_ERR_USAGE);
    }
    cllm__pass_free(pass);

    setup cut = s;
    cut.sequences = 1;
    cut.rows = cut.start[1] = 10;
    result prefix = compute(&cut, NULL, s.all, cut.rows, KEEP);
    same_bits("hidden states of a prefix", prefix.h, big.h, cut.rows * s.width);
    free_result(prefix);
    cllm__free(h);
    cllm__free(dx);
    free_result(big);
    free_result(little);
    tear_down(&s);
}

static void test_reuse(void **state) {
    (void)state;
    both(check_reuse);
}

typedef struct sharer {
    const setup *s;
    result r;
} sharer;

static void *share(void *argument) {
    sharer *me = argument;
    for (int i = 0; i < 3; i++) {
        if (i > 0) free_result(me->r);
        me->r = compute(me->s, NULL, me->s->all, me->s->rows, KEEP);
    }
    return NULL;
}

/* One backbone, several threads, a pass each. */
static void test_shared_backbone(void **state) {
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        setup s = set_up(bf16 ? CLLM__BF16 : CLLM__F32);
        sharer sharers[3] = {{.s = &s}, {.s = &s}, {.s = &s}};
        pthread_t threads[3];
        for (size_t i = 1; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, share, &sharers[i]), 0);
        share(&sharers[0]);
        for (size_t i = 1; i < 3; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            same_bits("hidden states of another thread", sharers[i].r.h, sharers[0].r.h, s.rows * s.width);
            same_bits("gradients of another thread", sharers[i].r.dx, sharers[0].r.dx, s.rows * s.width);
        }
        for (size_t i = 0; i < 3; i++) free_result(sharers[i].r);
        tear_down(&s);
    }
}

static void expect_usage(const setup *s, cllm__ragged ragged, const size_t *rows, size_t n, cllm__forward_options options,
                         const char *words) {
    cllm__pass *pass;
    cllm__real *h = numbers(1000 * s->width);
    cllm_error err = {0};
    MUST(cllm__pass_create(&pass, s->backbone, NULL, &test_error));
    assert_int_equal(cllm__pass_forward(pass, ragged, s->x, rows, n, options, h, &err), CLLM_ERR_USAGE);
    if (strstr(err.message, words) == NULL) fail_msg("'%s' does not say '%s'", err.message, words);
    assert_int_equal(cllm__pass_backward(pass, s->dh, h, &err), CLLM_ERR_USAGE);
    cllm__pass_free(pass);
    cllm__free(h);
}

static void test_wrong_batches(void **state) {
    (void)state;
    setup s = set_up(CLLM__F32);
    const size_t empty[] = {0, 3, 3, 5}, backward[] = {0, 4, 2}, too_long[] = {0, 2, 43}, fine[] = {0, 3, 7};
    const size_t descending[] = {2, 1}, twice[] = {1, 1}, outside[] = {7};
    cllm__forward_options plain = {0};
    expect_usage(&s, (cllm__ragged){3, empty}, s.all, 1, plain, "sequence 1 of the batch is empty");
    expect_usage(&s, (cllm__ragged){2, backward}, s.all, 1, plain, "sequence 1 of the batch is empty");
    expect_usage(&s, (cllm__ragged){2, too_long}, s.all, 1, plain, "sequence 1 of the batch has 41 tokens; the backbone takes at most 40");
    expect_usage(&s, (cllm__ragged){2, fine}, descending, 2, plain, "ascending");
    expect_usage(&s, (cllm__ragged){2, fine}, twice, 2, plain, "ascending");
    expect_usage(&s, (cllm__ragged){2, fine}, outside, 1, plain, "output row 7");
    expect_usage(&s, (cllm__ragged){2, fine}, s.all, 1, (cllm__forward_options){.dropout = 1}, "dropout 1");
    expect_usage(&s, (cllm__ragged){2, fine}, s.all, 1, (cllm__forward_options){.dropout = -0.5}, "dropout -0.5");
    expect_usage(&s, (cllm__ragged){2, fine}, s.all, 1, (cllm__forward_options){.dropout = NAN}, "dropout nan");
    tear_down(&s);

    model m;
    model_gpt2(&m, (spec){.layers = 1, .heads = 1, .width = 4, .inner = 4, .vocabulary = 3, .context = 8, .prefix = "", .seed = 1});
    s = set_up(CLLM__F32);
    cllm__backbone_close(s.backbone);
    s.backbone = model_open(&m, "scratch_batch", CLLM__F32, false);
    assert_null(cllm__backbone_head_transposed(s.backbone));
    expect_usage(&s, (cllm__ragged){2, fine}, s.all, 1, KEEP, "not opened for training");
    tear_down(&s);
}

/* No rows asked for, and no sequences at all. */
static void test_nothing_asked_for(void **state) {
    (void)state;
    setup s = set_up(CLLM__F32);
    cllm__real *dx = numbers(s.rows * s.width), none;
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, s.backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){s.sequences, s.start}, s.x, NULL, 0, KEEP, &none, &test_error));
    for (size_t i = 0; i < s.rows * s.width; i++) dx[i] = NAN;
    MUST(cllm__pass_backward(pass, &none, dx, &test_error));
    for (size_t i = 0; i < s.rows * s.width; i++) assert_true(dx[i] == 0);
    MUST(cllm__pass_forward(pass, (cllm__ragged){0, s.start}, s.x, NULL, 0, KEEP, &none, &test_error));
    MUST(cllm__pass_backward(pass, &none, dx, &test_error));
    cllm__pass_free(pass);
    cllm__free(dx);
    tear_down(&s);
}

/* Dropout: the key decides, the mean is kept, nothing is dropped at 0. */
static void test_dropout_keys(void **state) {
    (void)state;
    setup s = set_up(CLLM__F32);
    cllm__forward_options options = {.dropout = 0.1, .key = 1};
    result plain = compute(&s, NULL, s.all, s.rows, (cllm__forward_options){.key = 9}), zero = compute(&s, NULL, s.all, s.rows, KEEP);
    result first = compute(&s, NULL, s.all, s.rows, options), again = compute(&s, NULL, s.all, s.rows, options);
    options.key = 2;
    result other = compute(&s, NULL, s.all, s.rows, options);
    size_t n = s.rows * s.width, same = 0;
    same_bits("without dropout the key means nothing", plain.h, zero.h, n);
    same_bits("the same key", first.h, again.h, n);
    for (size_t i = 0; i < n; i++) same += first.h[i] == other.h[i];
    assert_true(same < n / 100);
    result results[] = {plain, zero, first, again, other};
    for (size_t i = 0; i < CLLM_LEN(results); i++) free_result(results[i]);
    tear_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_equals_packed), cmocka_unit_test(test_order_in_the_batch), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_out_rows_and_keep),   cmocka_unit_test(test_gradient_of_few_rows), cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_shared_backbone),     cmocka_unit_test(test_wrong_batches),      cmocka_unit_test(test_nothing_asked_for),
        cmocka_unit_test(test_dropout_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
