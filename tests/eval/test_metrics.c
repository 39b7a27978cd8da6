/* Metrics against hand-computed cases and against definitions written out once more, the slow way. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "eval/metrics.h"

static double at(const cllm__cutoffs *cutoffs, const double *values, cllm__metric metric, size_t k) {
    size_t index = cllm__cutoffs_index(cutoffs, metric, k);
    assert_true(index < cllm__cutoffs_values(cutoffs));
    return values[index];
}

static void test_by_hand(void **state) {
    (void)state;
    cllm_error err;
    cllm__cutoffs cutoffs;
    check_ok(cllm__cutoffs_create(&cutoffs, (size_t[]){4, 1, 2, 4}, 4, 10, &err), &err);
    assert_int_equal(cutoffs.count, 3);
    assert_int_equal(cutoffs.depth, 4);
    /* Hits at ranks 2 and 4; three targets, one of which is not in the list. */
    double v[64];
    cllm__metrics_user(&cutoffs, (unsigned char[]){0, 1, 0, 1}, 4, 3, v);
    const double eps = 1e-12, log3 = log(3) / log(2), log5 = log(5) / log(2);
    check_near(at(&cutoffs, v, CLLM__RECALL, 1), 0, eps);
    check_near(at(&cutoffs, v, CLLM__RECALL, 2), 1.0 / 3, eps);
    check_near(at(&cutoffs, v, CLLM__RECALL, 4), 2.0 / 3, eps);
    check_near(at(&cutoffs, v, CLLM__RECALL_CAPPED, 2), 1.0 / 2, eps);
    check_near(at(&cutoffs, v, CLLM__RECALL_CAPPED, 4), 2.0 / 3, eps);
    check_near(at(&cutoffs, v, CLLM__NDCG, 1), 0, eps);
    check_near(at(&cutoffs, v, CLLM__NDCG, 2), (1 / log3) / (1 + 1 / log3), eps);
    check_near(at(&cutoffs, v, CLLM__NDCG, 4), (1 / log3 + 1 / log5) / (1 + 1 / log3 + 1 / 2.0), eps);
    check_near(at(&cutoffs, v, CLLM__HIT, 1), 0, eps);
    check_near(at(&cutoffs, v, CLLM__HIT, 2), 1, eps);
    check_near(at(&cutoffs, v, CLLM__MRR, 1), 0, eps);
    check_near(at(&cutoffs, v, CLLM__MRR, 2), 1.0 / 2, eps);
    check_near(at(&cutoffs, v, CLLM__MRR, 4), 1.0 / 2, eps);
    check_near(at(&cutoffs, v, CLLM__MAP, 2), (1.0 / 2) / 2, eps);
    check_near(at(&cutoffs, v, CLLM__MAP, 4), (1.0 / 2 + 2.0 / 4) / 3, eps);
    check_near(at(&cutoffs, v, CLLM__PRECISION, 4), 2.0 / 4, eps);
    cllm__cutoffs_free(&cutoffs);
}

static void test_perfect_list_is_one(void **state) {
    (void)state;
    cllm_error err;
    cllm__cutoffs cutoffs;
    check_ok(cllm__cutoffs_create(&cutoffs, NULL, 0, 1000, &err), &err);
    assert_int_equal(cutoffs.count, 5);
    for (size_t targets = 1; targets <= 150; targets += 7) {
        unsigned char hits[100];
        double v[64];
        for (size_t r = 0; r < 100; r++) hits[r] = r < targets;
        cllm__metrics_user(&cutoffs, hits, 100, targets, v);
        for (size_t c = 0; c < cutoffs.count; c++) {
            size_t k = cutoffs.ks[c];
            static const cllm__metric perfect[] = {CLLM__RECALL_CAPPED, CLLM__NDCG, CLLM__HIT, CLLM__MRR, CLLM__MAP};
            for (size_t m = 0; m < CLLM_LEN(perfect); m++) check_near(at(&cutoffs, v, perfect[m], k), 1, 1e-12);
            check_near(at(&cutoffs, v, CLLM__RECALL, k), k < targets ? (double)k / (double)targets : 1, 1e-12);
        }
    }
    cllm__cutoffs_free(&cutoffs);
}

/* The definitions, each cut-off for itself, from the positions of the hits. */
static double slowly(cllm__metric metric, const unsigned char *hits, size_t n_ranked, size_t n_targets, size_t k) {
    double dcg = 0, ideal = 0, hit = 0, first = 0, precisions = 0;
    for (size_t rank = 1; rank <= k; rank++) {
        double gain = log(2) / log((double)rank + 1);
        if (rank <= n_targets) ideal += gain;
        if (rank > n_ranked || !hits[rank - 1]) continue;
        double up_to = 0;
        for (size_t r = 1; r <= rank; r++) up_to += hits[r - 1];
        dcg += gain;
        precisions += up_to / (double)rank;
        if (hit++ == 0) first = (double)rank;
    }
    double capped = k < n_targets ? (double)k : (double)n_targets;
    switch (metric) {
    case CLLM__RECALL: return hit / (double)n_targets;
    case CLLM__RECALL_CAPPED: return hit / capped;
    case CLLM__NDCG: return dcg / ideal;
    case CLLM__HIT: return hit > 0 ? 1 : 0;
    case CLLM__MRR: return first > 0 ? 1 / first : 0;
    case CLLM__MAP: return precisions / capped;
    case CLLM__PRECISION: return hit / (double)k;
    }
    return NAN;
}

static void test_against_definitions(void **state) {
    (void)state;
    cllm_error err;
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    for (int round = 0; round < 500; round++) {
        size_t n_items = 1 + cllm__rng_below(&rng, 60), ks[4];
        for (int i = 0; i < 4; i++) ks[i] = 1 + cllm__rng_below(&rng, 90); /* also beyond the number of items */
        cllm__cutoffs cutoffs;
        check_ok(cllm__cutoffs_create(&cutoffs, ks, 4, n_items, &err), &err);
        assert_true(cutoffs.depth <= n_items);
        unsigned char hits[60];
        size_t n_ranked = cllm__rng_below(&rng, cutoffs.depth + 1), n_hits = 0;
        for (size_t r = 0; r < n_ranked; r++) n_hits += hits[r] = cllm__rng_below(&rng, 4) == 0;
        size_t n_targets = n_hits + cllm__rng_below(&rng, n_items - n_hits + 1);
        if (n_targets == 0) n_targets = 1;
        double v[64];
        cllm__metrics_user(&cutoffs, hits, n_ranked, n_targets, v);
        for (size_t c = 0; c < cutoffs.count; c++) {
            for (int m = 0; m < CLLM__METRICS; m++) {
                check_near(at(&cutoffs, v, (cllm__metric)m, cutoffs.ks[c]),
                           slowly((cllm__metric)m, hits, n_ranked, n_targets, cutoffs.ks[c]), 1e-12);
            }
        }
        cllm__cutoffs_free(&cutoffs);
    }
}

static void test_names(void **state) {
    (void)state;
    cllm_error err;
    cllm__metric metric;
    size_t k;
    for (int m = 0; m < CLLM__METRICS; m++) {
        char label[CLLM__METRIC_NAME];
        cllm__metric_label((cllm__metric)m, 37, label);
        check_ok(cllm__metric_parse(label, &metric, &k, &err), &err);
        assert_int_equal(metric, m);
        assert_int_equal(k, 37);
        assert_true(strlen(cllm__metric_definition(metric)) > 10);
    }
    static const char *const wrong[] = {"",
                                        "ndcg",
                                        "ndcg@",
                                        "ndcg@0",
                                        "ndcg@-1",
                                        "ndcg@5x",
                                        "@5",
                                        "ndgc@5",
                                        "recall_@5",
                                        "ndcg@ 5",
                                        "ndcg@99999999999999999999",
                                        "ndcg@5@5"};
    for (size_t i = 0; i < CLLM_LEN(wrong); i++) {
        assert_int_equal(cllm__metric_parse(wrong[i], &metric, &k, &err), CLLM_ERR_USAGE);
        check_message(&err, "is no metric");
    }
    cllm__monitor monitor;
    check_ok(cllm__monitor_parse("recall_capped@20+recall_capped@40+ndcg@100", &monitor, &err), &err);
    assert_int_equal(monitor.count, 3);
    assert_int_equal(monitor.metric[2], CLLM__NDCG);
    assert_int_equal(monitor.k[1], 40);
    static const char *const bad[] = {"",
                                      "+",
                                      "ndcg@5+",
                                      "+ndcg@5",
                                      "ndcg@5++hit@2",
                                      "ndcg@5 + hit@2",
                                      "hit@1+hit@2+hit@3+hit@4+hit@5+hit@6+hit@7+hit@8+hit@9"};
    for (size_t i = 0; i < CLLM_LEN(bad); i++)
        assert_int_equal(cllm__monitor_parse(bad[i], &monitor, &err), CLLM_ERR_USAGE);
}

static void test_wrong_cutoffs(void **state) {
    (void)state;
    cllm_error err;
    cllm__cutoffs cutoffs;
    size_t many[CLLM__MAX_KS + 1];
    for (size_t i = 0; i < CLLM_LEN(many); i++) many[i] = i + 1;
    assert_int_equal(cllm__cutoffs_create(&cutoffs, many, CLLM_LEN(many), 10, &err), CLLM_ERR_USAGE);
    assert_int_equal(cllm__cutoffs_create(&cutoffs, many, 0, 10, &err), CLLM_ERR_USAGE);
    many[3] = 0;
    assert_int_equal(cllm__cutoffs_create(&cutoffs, many, 5, 10, &err), CLLM_ERR_USAGE);
    for (size_t n = 1; n <= 2; n++) {
        cllm__alloc_fail_at(n, false);
        assert_int_equal(cllm__cutoffs_create(&cutoffs, NULL, 0, 10, &err), CLLM_ERR_NOMEM);
    }
    cllm__alloc_fail_at(0, false);
    check_ok(cllm__cutoffs_create(&cutoffs, (size_t[]){SIZE_MAX, 3}, 2, 10, &err), &err); /* costs ten numbers, not 2^64 */
    assert_int_equal(cutoffs.depth, 10);
    assert_int_equal(cllm__cutoffs_index(&cutoffs, CLLM__NDCG, 4), SIZE_MAX);
    cllm__cutoffs_free(&cutoffs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_perfect_list_is_one),
        cmocka_unit_test(test_against_definitions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wrong_cutoffs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
