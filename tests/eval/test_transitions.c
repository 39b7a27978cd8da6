/* What follows what: the chain against its formula, written out pair by pair. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "eval/baseline.h"
#include "eval/held_out.h"
#include "eval/transitions.h"

enum { USERS = 40, ITEMS = 25 };

/* c(i, j) of transitions.h. */
static double follow_count(const cllm__interactions *rows, int i, int j, double decay, size_t furthest) {
    double count = 0;
    for (size_t u = 0; u < rows->n_users; u++) {
        const int32_t *row = cllm__row(rows, u);
        for (size_t a = 0; a < cllm__row_count(rows, u); a++) {
            for (size_t b = a + 1; b < cllm__row_count(rows, u); b++) {
                if (row[a] == i && row[b] == j && b - a <= furthest) count += pow(decay, (double)(b - a - 1));
            }
        }
    }
    return count;
}

static void check_formula(const cllm__interactions *rows, double decay, double smoothing, size_t furthest) {
    cllm_error err;
    cllm__transitions t = {0};
    double counts[ITEMS][ITEMS], totals[ITEMS] = {0}, share[ITEMS] = {0};
    for (size_t r = 0; r < rows->count; r++) share[rows->items[r]] += 1 / (double)rows->count;
    for (int i = 0; i < ITEMS; i++)
        for (int j = 0; j < ITEMS; j++) totals[i] += counts[i][j] = follow_count(rows, i, j, decay, furthest);
    check_ok(cllm__transitions_create(&t, rows, decay, smoothing, &err), &err);
    for (size_t u = 0; u < rows->n_users; u++) {
        const int32_t *row = cllm__row(rows, u);
        size_t n = cllm__row_count(rows, u);
        float scores[ITEMS];
        cllm__transitions_score(&t, row, n, scores);
        for (int j = 0; j < ITEMS; j++) {
            double expected = 0;
            for (size_t k = 0; k < n && k < furthest; k++) {
                int i = row[n - 1 - k];
                if (totals[i] + smoothing > 0) expected += pow(decay, (double)k) * (counts[i][j] + smoothing * share[j]) / (totals[i] + smoothing);
            }
            check_near((double)scores[j], expected, 1e-6);
        }
    }
    cllm__transitions_free(&t);
}

static void test_formula(void **state) {
    (void)state;
    fixture f = make_fixture(USERS, ITEMS, 24, 3);
    check_formula(&f.split[0], 0, 0, 1);
    check_formula(&f.split[0], 0, 5, 1);
    check_formula(&f.split[0], 0.3, 1, 4); /* .3⁴ < .01 */
    check_formula(&f.split[0], 0.9, 10, 44);
    check_formula(&f.split[0], 0.99, 0.5, 50);
    free_fixture(&f);
}

static void test_edges(void **state) {
    (void)state;
    cllm_error err;
    const int32_t rows[] = {0, 1, 2, -1, 0, 1, -1, -1};
    cllm__interactions train = make_rows(2, 4, 4, rows), none = make_rows(1, 0, 1, (int32_t[]){-1});
    float scores[4];
    cllm__transitions t = {0};
    check_ok(cllm__transitions_create(&t, &train, 0, 0, &err), &err);
    cllm__transitions_score(&t, NULL, 0, scores); /* nobody says nothing */
    for (int i = 0; i < 4; i++) assert_true(scores[i] == 0);
    cllm__transitions_score(&t, (int32_t[]){2, 0}, 2, scores); /* only what came last counts */
    for (int i = 0; i < 4; i++) assert_true(scores[i] == (i == 1 ? 1 : 0));
    cllm__transitions_score(&t, (int32_t[]){3}, 1, scores); /* nothing ever followed */
    for (int i = 0; i < 4; i++) assert_true(scores[i] == 0);
    cllm__transitions_free(&t);
    check_ok(cllm__transitions_create(&t, &none, 0.5, 10, &err), &err);
    cllm__transitions_free(&t);
    for (int bad = 0; bad < 5; bad++) {
        const double decay = bad == 0 ? 1 : bad == 1 ? -0.1 : bad == 2 ? NAN : 0.5, smoothing = bad == 3 ? -1 : bad == 4 ? INFINITY : 1;
        assert_int_equal(cllm__transitions_create(&t, &train, decay, smoothing, &err), CLLM_ERR_USAGE);
        check_message(&err, bad < 3 ? "decay" : "smoothing");
        cllm__transitions_free(&t);
    }
    cllm_status status = CLLM_ERR_NOMEM;
    for (size_t n = 1; status != CLLM_OK; n++) {
        cllm__baseline b;
        cllm__alloc_fail_at(n, false);
        status = cllm__markov_create(&b, &train, 0.5, 1, NULL, &err);
        cllm__alloc_fail_at(0, false);
        if (status != CLLM_OK) assert_int_equal(status, CLLM_ERR_NOMEM);
        else cllm__baseline_free(&b);
        assert_true(n < 50);
    }
    free_rows(&train);
    free_rows(&none);
}

/* A walk in which an item is always followed by the next one. */
static cllm__interactions make_walk(void) {
    int32_t rows[USERS * 10];
    for (int u = 0; u < USERS; u++)
        for (int i = 0; i < 10; i++) rows[u * 10 + i] = (u * 7 + i) % ITEMS;
    return make_rows(USERS, ITEMS, 10, rows);
}

/* Tuning on the last rows finds that the latest item says it all; the model is shown where last rows are held out. */
static void test_tuned(void **state) {
    (void)state;
    cllm_error err;
    cllm__interactions walk = make_walk();
    cllm__baselines b = {0};
    double decay, smoothing;
    const cllm__baselines_options last = {.list = "markov", .held_out = CLLM__HELD_LAST};
    check_ok(cllm__baselines_create(&b, &walk, &last, &err), &err);
    assert_string_equal(b.models[0].parameters, "decay=0,smoothing=1");
    float scores[ITEMS];
    check_ok(b.models[0].scorer.score(b.models[0].scorer.context, (int32_t[]){3}, 1, scores, &err), &err);
    for (int i = 0; i < ITEMS; i++) assert_true(i == (3 * 7 + 10) % ITEMS || scores[i] < scores[(3 * 7 + 10) % ITEMS]);
    cllm__baselines_free(&b);
    check_ok(cllm__baselines_markov(&decay, &smoothing, &walk, &last, &err), &err);
    assert_true(decay == 0 && smoothing == 1);
    static const char *const usual[] = {"itemknn.neighbours=20", "ease.lambda=200", "userknn.neighbours=50", "als.factors=4", "bpr.epochs=1",
                                        "markov.decay=0.25", "recent.half_life=9"};
    for (int h = CLLM__HELD_ANY; h <= CLLM__HELD_LATEST; h++) {
        const cllm__baselines_options all = {.settings = usual, .n_settings = CLLM_LEN(usual), .held_out = (cllm__held_out)h};
        check_ok(cllm__baselines_create(&b, &walk, &all, &err), &err);
        size_t found = 0;
        for (size_t i = 0; i < b.count; i++) found += strcmp(b.models[i].scorer.name, "markov") == 0 && strcmp(b.models[i].parameters, "decay=0.25,smoothing=10") == 0;
        assert_int_equal(found, h != CLLM__HELD_ANY);
        cllm__baselines_free(&b);
    }
    free_rows(&walk);
}

static void test_held_out(void **state) {
    (void)state;
    const uint64_t two_each[] = {0, 2, 4}, one_each[] = {0, 1, 2}, one[] = {0, 1, 1};
    const int32_t items[] = {0, 1, 2, 3};
    const int64_t before_times[] = {1, 2, 5, 6};
    struct {
        int64_t times[2];
        const uint64_t *start;
        cllm__held_out is;
    } cases[] = {
        {{2, 6}, one_each, CLLM__HELD_LAST},  {{6, 9}, one_each, CLLM__HELD_LATEST}, {{1, 9}, one_each, CLLM__HELD_ANY},
        {{3, 0}, one, CLLM__HELD_LAST},       {{7, 0}, one, CLLM__HELD_LATEST},      {{INT64_MIN, 9}, one_each, CLLM__HELD_ANY},
    };
    cllm__interactions before = {.n_users = 2, .n_items = 4, .count = 4, .start = two_each, .items = items, .times = before_times};
    for (size_t c = 0; c < CLLM_LEN(cases); c++) {
        cllm__interactions after = {.n_users = 2, .n_items = 4, .count = (size_t)cases[c].start[2], .start = cases[c].start, .items = items, .times = cases[c].times};
        assert_int_equal(cllm__held_out_between(&before, &after), cases[c].is);
        assert_int_equal(cllm__held_out_between(&before, &(cllm__interactions){.n_users = 2, .count = 2, .start = one_each, .items = items}), CLLM__HELD_ANY);
        after.count = 0;
        assert_int_equal(cllm__held_out_between(&before, &after), CLLM__HELD_ANY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_tuned),
        cmocka_unit_test(test_held_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
