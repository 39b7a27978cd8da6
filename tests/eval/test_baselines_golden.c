/* The baselines' scores against numpy's and scipy's (tools/golden/baselines.py). */
#include "eval_fixture.h"

#include "eval/baseline.h"
#include "formats/safetensors.h"

typedef struct golden {
    cllm__safetensors *file;
    cllm__interactions train;
    cllm__tfidf features;
} golden;

static cllm__tensor tensor(const golden *g, const char *name) {
    const cllm__tensor *found = cllm__safetensors_find(g->file, name);
    if (found == NULL) fail_msg("the fixture lacks '%s'", name);
    assert_true(cllm__tensor_aligned(found));
    return *found;
}

static golden open_golden(void) {
    cllm_error err;
    golden g = {0};
    check_ok(cllm__safetensors_open(&g.file, TEST_DATA "/golden/baselines.safetensors", &err), &err);
    cllm__tensor popularity = tensor(&g, "popularity"), items = tensor(&g, "items"), words = tensor(&g, "text.words");
    assert_int_equal(popularity.rank, 2);
    g.train = (cllm__interactions){.n_users = popularity.shape[0],
                                   .n_items = popularity.shape[1],
                                   .count = cllm__tensor_count(&items),
                                   .start = tensor(&g, "start").data,
                                   .items = items.data};
    g.features = (cllm__tfidf){.n_items = g.train.n_items,
                               .n_words = (size_t) * (const int32_t *)tensor(&g, "text.n_words").data,
                               .start = (uint64_t *)(uintptr_t)tensor(&g, "text.start").data,
                               .words = (int32_t *)(uintptr_t)words.data,
                               .values = (float *)(uintptr_t)tensor(&g, "text.values").data};
    return g;
}

/* Compares all users' scores, and frees the baseline. */
static void check_scores(const golden *g, cllm__baseline *b, const char *name) {
    cllm_error err;
    size_t users = g->train.n_users, items = g->train.n_items;
    cllm__tensor expected = tensor(g, name);
    assert_int_equal(cllm__tensor_count(&expected), users * items);
    const double *values = expected.data;
    float *scores = malloc(users * items * sizeof *scores);
    int32_t *order = malloc(users * sizeof *order);
    for (size_t u = 0; u < users; u++) order[u] = (int32_t)u;
    check_ok(b->scorer.score(b->scorer.context, order, users, scores, &err), &err);
    double worst = 0, largest = 0;
    for (size_t e = 0; e < users * items; e++) {
        worst = fmax(worst, fabs((double)scores[e] - values[e]));
        largest = fmax(largest, fabs(values[e]));
    }
    print_message("%s: largest score %.3f, largest difference %.1e\n", name, largest, worst);
    assert_true(largest > 0.1);
    assert_true(worst <= 1e-6 * fmax(1, largest));
    free(scores);
    free(order);
    cllm__baseline_free(b);
}

static void test_scores(void **state) {
    (void)state;
    cllm_error err;
    golden g = open_golden();
    cllm__baseline b;
    check_ok(cllm__popularity_create(&b, &g.train, &err), &err);
    check_scores(&g, &b, "popularity");
    check_ok(cllm__itemknn_create(&b, &g.train, (cllm__itemknn_options){0, 10}, NULL, NULL, &err), &err);
    check_scores(&g, &b, "itemknn");
    check_ok(cllm__itemknn_create(&b, &g.train, (cllm__itemknn_options){8, 2.5}, NULL, NULL, &err), &err);
    check_scores(&g, &b, "itemknn_few");
    check_ok(cllm__textknn_create(&b, &g.train, &g.features, NULL, &err), &err);
    check_scores(&g, &b, "textknn");
    check_ok(cllm__userknn_create(&b, &g.train, 5, NULL, &err), &err);
    check_scores(&g, &b, "userknn");
    check_ok(cllm__ease_create(&b, &g.train, 20, 0, NULL, NULL, &err), &err);
    check_scores(&g, &b, "ease");
    check_ok(cllm__ease_text_create(&b, &g.train, &g.features, 7, 20, 0, NULL, NULL, &err), &err);
    check_scores(&g, &b, "ease_text");
    cllm__tensor initial = tensor(&g, "als.initial");
    cllm__als_options als = {
        .factors = initial.shape[1], .regularization = 3, .alpha = 8, .iterations = 5, .initial = initial.data};
    check_ok(cllm__als_create(&b, &g.train, &als, NULL, NULL, &err), &err);
    check_scores(&g, &b, "als");
    cllm__safetensors_close(g.file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scores)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
