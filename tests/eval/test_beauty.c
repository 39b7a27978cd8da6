/* The baselines on the paper's Beauty matrix, against figures that numpy gave for the same validation rows. */
#include "eval_fixture.h"

#include "base/threads.h"
#include "eval/baseline.h"
#include "eval/evaluate.h"

#define FOLDER TEST_SHARED_DATA "/beauty-paper/"

enum { USERS = 10553, ITEMS = 6086, MOST = 80000 };

/* Rows "user<TAB>item", sorted by user. */
static cllm__interactions read_rows(FILE *file) {
    uint64_t *start = calloc(USERS + 1, sizeof *start);
    int32_t *items = malloc(MOST * sizeof *items);
    size_t count = 0;
    int user, item, last = 0;
    while (fscanf(file, "%d\t%d", &user, &item) == 2) {
        assert_true(user >= last && user < USERS && item >= 0 && item < ITEMS && count < MOST);
        last = user;
        items[count++] = item;
        start[user + 1]++;
    }
    fclose(file);
    for (size_t u = 0; u < USERS; u++) start[u + 1] += start[u];
    return (cllm__interactions){.n_users = USERS, .n_items = ITEMS, .count = count, .start = start, .items = items};
}

static void test_known_figures(void **state) {
    (void)state;
    FILE *train_file = fopen(FOLDER "train.tsv", "r"), *valid_file = fopen(FOLDER "val.tsv", "r");
    if (train_file == NULL || valid_file == NULL) {
        if (train_file != NULL) fclose(train_file);
        if (valid_file != NULL) fclose(valid_file);
        print_message("no data in " FOLDER "\n");
        skip();
    }
    cllm_error err;
    cllm__interactions train = read_rows(train_file), valid = read_rows(valid_file);
    assert_int_equal(train.count, 70614);
    cllm__pool *pool;
    check_ok(cllm__pool_create(&pool, 0, &err), &err);
    cllm__baseline models[3];
    check_ok(cllm__popularity_create(&models[0], &train, &err), &err);
    check_ok(cllm__itemknn_create(&models[1], &train, (cllm__itemknn_options){0, 0}, pool, NULL, &err), &err);
    check_ok(cllm__ease_create(&models[2], &train, 200, UINT64_C(1) << 32, pool, NULL, &err), &err);
    cllm__scorer scorers[3] = {models[0].scorer, models[1].scorer, models[2].scorer};
    cllm__evaluation *e;
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){.train = &train, .valid = &valid}, scorers, 3,
                            &(cllm__eval_options){.split = CLLM__VALID, .pool = pool}, &err),
             &err);
    assert_int_equal(e->n_users, 7994);
    /* Recall@20 and Recall@40 (capped), NDCG@100; ties, which are many in popularity, were broken in another way there. */
    static const double known[3][3] = {{.0390, .0683, .0302}, {.1434, .1897, .0931}, {.1772, .2282, .1122}};
    for (size_t m = 0; m < 3; m++) {
        static const cllm__monitor parts[3] = {
            {1, {CLLM__RECALL_CAPPED}, {20}}, {1, {CLLM__RECALL_CAPPED}, {40}}, {1, {CLLM__NDCG}, {100}}};
        for (size_t p = 0; p < 3; p++) {
            double value;
            check_ok(cllm__evaluation_monitor(e, m, &parts[p], &value, &err), &err);
            print_message("%s %.4f (%.4f)\n", scorers[m].name, value, known[m][p]);
            check_near(value, known[m][p], 0.002);
        }
        cllm__baseline_free(&models[m]);
    }
    cllm__evaluation_free(e);
    cllm__pool_free(pool);
    free_rows(&train);
    free_rows(&valid);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_figures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
