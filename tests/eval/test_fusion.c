/* Simple models' scores added to a model's, against the formula. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "eval/fusion.h"
#include "eval/recency.h"

enum { USERS = 9, ITEMS = 7, WORDS = 10, WIDTH = 5, SEQUENCES = 4 };

static const int32_t rows[USERS * WIDTH] = {0, 1, 2, -1, -1, 1,  2,  3, -1, -1, 0,  1,  -1, -1, -1, 4, 5,  -1, -1, -1, 2, 3, 4,
                                            5, -1, 0, 5, -1, -1, -1, 1, 4,  -1, -1, -1, -1, -1, -1, -1, -1, 0,  2,  4,  -1, -1};
/* A known user, a visitor, one without a history, and one whose neighbours are none. */
static const int32_t prompts[SEQUENCES][4] = {
    {3, WORDS + 0, WORDS + USERS + 0, WORDS + USERS + 2}, {WORDS + USERS + 1, 4, WORDS + USERS + 4, 5}, {1, WORDS + 2, 2, 3}, {WORDS + USERS + 6, 0, 0, 0}};
static const int32_t histories[SEQUENCES][2] = {{0, 2}, {1, 4}, {-1, -1}, {6, -1}}, users[SEQUENCES] = {0, -1, 2, -1};

static double deviation(const double *values) {
    double mean = 0, square = 0;
    for (int i = 0; i < ITEMS; i++) mean += values[i] / ITEMS;
    for (int i = 0; i < ITEMS; i++) square += (values[i] - mean) * (values[i] - mean) / ITEMS;
    return sqrt(square);
}

static void dense(const cllm__interactions *train, double x[USERS][ITEMS]) {
    memset(x, 0, sizeof(double[USERS][ITEMS]));
    for (size_t u = 0; u < USERS; u++)
        for (size_t r = 0; r < cllm__row_count(train, u); r++) x[u][cllm__row(train, u)[r]] = 1;
}

/* user_neighbours.h's formula; of equal cosines there are none at the edge here. */
static void by_neighbours(double x[USERS][ITEMS], const int32_t *history, int32_t self, size_t neighbours, double *scores) {
    double h[ITEMS] = {0}, cosine[USERS];
    for (int k = 0; k < 2; k++)
        if (history[k] >= 0) h[history[k]] = 1;
    for (int v = 0; v < USERS; v++) {
        double both = 0, a = 0, b = 0;
        for (int i = 0; i < ITEMS; i++) {
            double had = 0;
            for (int u = 0; u < USERS; u++) had += x[u][i];
            double square = had > 0 ? pow(log(USERS / had), 2) : 0;
            both += square * h[i] * x[v][i];
            a += square * h[i];
            b += square * x[v][i];
        }
        cosine[v] = v == self || a == 0 || b == 0 ? 0 : both / sqrt(a * b);
    }
    for (int i = 0; i < ITEMS; i++) scores[i] = 0;
    for (int v = 0; v < USERS; v++) {
        size_t nearer = 0;
        for (int u = 0; u < USERS; u++) nearer += cosine[u] > cosine[v];
        if (nearer >= neighbours) continue;
        for (int i = 0; i < ITEMS; i++) scores[i] += cosine[v] * cosine[v] * x[v][i];
    }
}

static void fill_weights(cllm__item_weights *linear) {
    static uint64_t start[ITEMS + 1];
    static int32_t items[ITEMS * 3];
    static float values[ITEMS * 3];
    for (int j = 0; j < ITEMS; j++) { /* item 6 speaks for nothing */
        start[j + 1] = start[j];
        for (int k = 0; k < 3 && j < 6; k++) {
            items[start[j + 1]] = (j + 1 + 2 * k) % ITEMS < j ? k : 3 + k;
            values[start[j + 1]++] = (float)(0.1 * (j + 1) - 0.2 * k);
        }
    }
    *linear = (cllm__item_weights){ITEMS, start, items, values};
}

enum { FACTORS = 2 };
static float columns[FACTORS * ITEMS] = {0.1f, -0.2f, 0.3f, 0, 0.5f, -0.1f, 0.2f, 0.7f, 0.1f, -0.4f, 0.2f, 0, 0.3f, -0.6f};
static const float recency[ITEMS] = {0, 1.5f, 0.2f, 0, 2, 0.7f, 0.1f};

/* Weights of zero: such a part is not there. */
static void check(double linear_weight, double neighbours_weight, size_t neighbours, double factors_weight, double recency_weight, double transitions_weight) {
    cllm_error err;
    cllm__interactions train = make_rows(USERS, ITEMS, WIDTH, rows);
    double x[USERS][ITEMS];
    cllm__item_weights linear;
    cllm__user_neighbours index = {0};
    cllm__batch batch = {0};
    const cllm__batch_rules rules = {.space = {WORDS, USERS, ITEMS}, .context = 16};
    float scores[SEQUENCES * ITEMS];
    dense(&train, x);
    fill_weights(&linear);
    cllm__transitions transitions = {0};
    check_ok(cllm__user_neighbours_create(&index, &train, neighbours, 1, &err), &err);
    check_ok(cllm__transitions_create(&transitions, &train, 0.5, 2, &err), &err);
    cllm__batch_clear(&batch, CLLM__STAGE_PROMPT);
    for (int s = 0; s < SEQUENCES; s++) {
        check_ok(cllm__batch_add_readout(&batch, &rules, prompts[s], 4, NULL, 0, &err), &err);
        for (int i = 0; i < ITEMS; i++) scores[s * ITEMS + i] = (float)(-2 + 0.3 * i * (s + 1) - 0.1 * i * i);
    }
    bool alone = linear_weight + neighbours_weight + factors_weight + recency_weight + transitions_weight == 0;
    float before[SEQUENCES * ITEMS];
    memcpy(before, scores, sizeof scores);
    const cllm__fold_in factors = {ITEMS, FACTORS, 3, columns};
    const cllm__fusion fusion = {
        .linear = linear_weight != 0 ? &linear : NULL,
        .neighbours = neighbours_weight != 0 ? &index : NULL,
        .factors = factors_weight != 0 ? &factors : NULL,
        .recency = recency_weight != 0 ? recency : NULL,
        .transitions = transitions_weight != 0 ? &transitions : NULL,
        .weights = {[CLLM__PART_LINEAR] = linear_weight, [CLLM__PART_NEIGHBOURS] = neighbours_weight,
                    [CLLM__PART_FACTORS] = factors_weight, [CLLM__PART_RECENCY] = recency_weight, [CLLM__PART_TRANSITIONS] = transitions_weight},
    };
    float terms[CLLM__FUSION_PARTS * SEQUENCES * ITEMS];
    check_ok(cllm__fusion_split(&fusion, &batch, &rules.space, scores, terms, NULL, &err), &err);
    assert_memory_equal(scores, before, sizeof scores);
    check_ok(cllm__fusion_add(&fusion, &batch, &rules.space, scores, NULL, &err), &err);
    for (int s = 0; s < SEQUENCES; s++) {
        double own[ITEMS], parts[CLLM__FUSION_PARTS][ITEMS] = {{0}}, expected[ITEMS], total = 0;
        for (int i = 0; i < ITEMS; i++) own[i] = (double)before[s * ITEMS + i];
        for (int k = 0; k < 2; k++)
            for (uint64_t e = 0; histories[s][k] >= 0 && e < linear.start[histories[s][k] + 1]; e++)
                if (e >= linear.start[histories[s][k]]) parts[0][linear.items[e]] += (double)linear.values[e];
        by_neighbours(x, histories[s], users[s], neighbours, parts[1]);
        float folded[ITEMS], followed[ITEMS];
        double scratch[64];
        int count = histories[s][0] < 0 ? 0 : histories[s][1] < 0 ? 1 : 2;
        cllm__fold_in_score(&factors, histories[s], (size_t)count, scratch, folded); /* its formula: test_baselines.c */
        cllm__transitions_score(&transitions, histories[s], (size_t)count, followed); /* test_transitions.c */
        for (int i = 0; i < ITEMS; i++) {
            parts[2][i] = (double)folded[i];
            parts[3][i] = (double)recency[i];
            parts[4][i] = (double)followed[i];
        }
        for (int i = 0; i < ITEMS; i++) expected[i] = own[i];
        for (int part = 0; part < CLLM__FUSION_PARTS; part++) {
            double spread = deviation(parts[part]);
            for (int i = 0; i < ITEMS; i++) {
                double term = fusion.weights[part] != 0 && spread > 1e-12 ? deviation(own) / spread * parts[part][i] : 0;
                expected[i] += fusion.weights[part] * term;
                check_near((double)terms[(part * SEQUENCES + s) * ITEMS + i], term, 1e-5);
            }
        }
        for (int i = 0; i < ITEMS; i++) total += exp(expected[i]);
        for (int i = 0; i < ITEMS && !alone; i++) check_near((double)scores[s * ITEMS + i], expected[i] - log(total), 1e-5);
    }
    if (alone) assert_memory_equal(scores, before, sizeof scores);
    cllm__batch_free(&batch);
    cllm__user_neighbours_free(&index);
    cllm__transitions_free(&transitions);
    free_rows(&train);
}

static void test_formula(void **state) {
    (void)state;
    check(0, 0, 3, 0, 0, 0);
    check(0.4, 0, 3, 0, 0, 0);
    check(0, 0.7, 3, 0, 0, 0);
    check(0, 0.7, 1, 0, 0, 0);
    check(0, 0, 1, 0.3, 0, 0);
    check(0, 0, 1, 0, 0.6, 0);
    check(0, 0, 1, 0, 0, 0.8);
    check(0.4, 0.7, USERS + 5, 0.3, 0.6, 0.8);
}

/* Who has no history gets what is popular; others what they got before. */
static void test_newcomers(void **state) {
    (void)state;
    cllm_error err;
    cllm__batch batch = {0};
    const cllm__batch_rules rules = {.space = {WORDS, USERS, ITEMS}, .context = 16};
    const cllm__fusion fusion = {.newcomers = recency};
    float scores[SEQUENCES * ITEMS], before[SEQUENCES * ITEMS];
    cllm__batch_clear(&batch, CLLM__STAGE_PROMPT);
    for (int s = 0; s < SEQUENCES; s++) {
        double total = 0;
        check_ok(cllm__batch_add_readout(&batch, &rules, prompts[s], 4, NULL, 0, &err), &err);
        for (int i = 0; i < ITEMS; i++) total += exp(0.3 * i * (s + 1));
        for (int i = 0; i < ITEMS; i++) before[s * ITEMS + i] = (float)(0.3 * i * (s + 1) - log(total));
    }
    memcpy(scores, before, sizeof scores);
    float terms[CLLM__FUSION_PARTS * SEQUENCES * ITEMS], split[SEQUENCES * ITEMS];
    memcpy(split, before, sizeof split);
    check_ok(cllm__fusion_add(&fusion, &batch, &rules.space, scores, NULL, &err), &err);
    check_ok(cllm__fusion_split(&fusion, &batch, &rules.space, split, terms, NULL, &err), &err);
    double total = 0;
    for (int i = 0; i < ITEMS; i++) total += exp((double)recency[i]);
    for (int s = 0; s < SEQUENCES; s++) {
        for (int i = 0; i < ITEMS; i++) {
            double expected = histories[s][0] < 0 ? (double)recency[i] - log(total) : (double)before[s * ITEMS + i];
            check_near((double)scores[s * ITEMS + i], expected, 1e-6);
            check_near((double)split[s * ITEMS + i], expected, 1e-6);
        }
    }
    for (size_t i = 0; i < CLLM_LEN(terms); i++) assert_true(terms[i] == 0);
    cllm__batch_free(&batch);
}

/* Half a row for each half-life that it is older than the latest; a row without a time is as old as the oldest. */
static void test_recency(void **state) {
    (void)state;
    enum { DAY = 86400 };
    const uint64_t start[] = {0, 3, 5, 6};
    const int32_t items[] = {0, 1, 2, 1, 2, 0};
    const int64_t times[] = {1000 * DAY, 1010 * DAY, 1020 * DAY, 990 * DAY, 1020 * DAY, INT64_MIN}, none[6] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
    cllm__interactions train = {.n_users = 3, .n_items = 4, .count = 6, .start = start, .items = items, .times = times};
    float of_late[4];
    cllm__recency(of_late, &train, 10);
    const double weights[] = {0.25 + 0.125, 0.5 + 0.125, 2, 0}, rows_each[] = {2, 2, 2, 0};
    for (int i = 0; i < 4; i++) check_near((double)of_late[i], log1p(weights[i]), 1e-6);
    for (int timed = 0; timed < 2; timed++) {
        train.times = timed ? none : NULL;
        cllm__recency(of_late, &train, 10);
        for (int i = 0; i < 4; i++) check_near((double)of_late[i], log1p(rows_each[i]), 1e-6);
    }
}

/* Memory that runs out is said, and nothing leaks. */
static void test_memory(void **state) {
    (void)state;
    cllm_error err;
    cllm__interactions train = make_rows(USERS, ITEMS, WIDTH, rows);
    cllm_status status = CLLM_ERR_NOMEM;
    for (size_t n = 1; status != CLLM_OK; n++) {
        cllm__user_neighbours index = {0};
        cllm__neighbour_search search = {0};
        cllm__alloc_fail_at(n, false);
        status = cllm__user_neighbours_create(&index, &train, 3, 1, &err);
        if (status == CLLM_OK) status = cllm__neighbour_search_create(&search, &index, &err);
        cllm__alloc_fail_at(0, false);
        if (status != CLLM_OK) assert_int_equal(status, CLLM_ERR_NOMEM);
        cllm__neighbour_search_free(&search);
        cllm__user_neighbours_free(&index);
        assert_true(n < 50);
    }
    free_rows(&train);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formula), cmocka_unit_test(test_newcomers), cmocka_unit_test(test_recency), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
