/* The report says what the evaluation found, under names that don't change. */
#include "eval_fixture.h"

#include <json-c/json.h>

#include "base/alloc.h"
#include "eval/report.h"
#include "eval/statistics.h"

enum { USERS = 80, ITEMS = 50 };

static struct json_object *get(struct json_object *object, const char *key) {
    struct json_object *member;
    if (!json_object_object_get_ex(object, key, &member)) fail_msg("'%s' is missing", key);
    return member;
}

static double get_number(struct json_object *object, const char *key) {
    return json_object_get_double(get(object, key));
}

typedef struct setting {
    fixture f;
    float *scores[3];
    table tables[3];
    cllm__evaluation *evaluation;
} setting;

/* "cllm4rec" knows half of the targets, "ease" a third, "popularity" nothing. */
static setting make_setting(const size_t *ks, size_t n_ks) {
    cllm_error err;
    setting s = {.f = make_fixture(USERS, ITEMS, 30, 1)};
    cllm__scorer scorers[3] = {{"cllm4rec", &s.tables[0], score_table, 16},
                               {"popularity", &s.tables[1], score_table, 16},
                               {"ease", &s.tables[2], score_table, 16}};
    for (size_t m = 0; m < 3; m++) {
        s.scores[m] = random_scores(USERS, ITEMS, 0, m);
        s.tables[m] = (table){.n_items = ITEMS, .scores = s.scores[m]};
        for (size_t i = 0; i < USERS * ITEMS && m != 1; i++) {
            if (has_item(&s.f.split[2], i / ITEMS, (int32_t)(i % ITEMS)) && i % (m == 0 ? 2 : 3) == 0) s.scores[m][i] += 5;
        }
    }
    cllm__eval_options options = {.split = CLLM__TEST, .ks = ks, .n_ks = n_ks};
    check_ok(cllm__evaluate(&s.evaluation, &(cllm__eval_data){&s.f.split[0], &s.f.split[1], &s.f.split[2]}, scorers, 3,
                            &options, &err),
             &err);
    return s;
}

static void free_setting(setting *s) {
    for (int m = 0; m < 3; m++) free(s->scores[m]);
    cllm__evaluation_free(s->evaluation);
    free_fixture(&s->f);
}

static void test_contents(void **state) {
    (void)state;
    cllm_error err;
    setting s = make_setting(NULL, 0);
    const cllm__evaluation *e = s.evaluation;
    struct json_object *root;
    const char *parameters[] = {NULL, NULL, "lambda=200"};
    check_ok(cllm__report(&root, e, &(cllm__report_options){.model = 0, .parameters = parameters, .seed = 3}, &err), &err);
    assert_string_equal(json_object_get_string(get(root, "split")), "test");
    assert_int_equal(json_object_get_int(get(root, "users")), e->n_users);
    assert_int_equal(json_object_get_int(get(root, "users_without_targets")), e->without_targets);
    assert_int_equal(json_object_array_length(get(root, "k")), 5);
    assert_string_equal(json_object_get_string(get(root, "profile")), "paper");
    assert_string_equal(json_object_get_string(get(get(root, "definitions"), "recall_capped")),
                        "hits in the first k / min(k, |T|)");

    struct json_object *models = get(root, "models"), *headline = get(root, "headline");
    assert_int_equal(json_object_object_length(models), 3);
    assert_string_equal(json_object_get_string(get(json_object_array_get_idx(headline, 0), "label")), "Recall@20");
    assert_string_equal(json_object_get_string(get(json_object_array_get_idx(headline, 0), "metric")), "recall_capped@20");
    for (size_t m = 0; m < 3; m++) {
        struct json_object *model = get(models, e->models[m].name);
        for (size_t v = 0; v < e->values; v++) {
            char label[CLLM__METRIC_NAME];
            cllm__metric_label((cllm__metric)(v / 5), e->cutoffs.ks[v % 5], label);
            check_near(get_number(model, label), e->models[m].mean[v], 1e-6);
        }
        check_near(get_number(model, "coverage@20"), e->models[m].coverage[2], 1e-5);
        check_near(get_number(model, "popularity@5"), e->models[m].popularity[0], 1e-5);
        check_near(get_number(model, "novelty@100"), e->models[m].novelty[4], 1e-4);
        check_near(get_number(model, "gini@10"), e->models[m].gini[1], 1e-5);
        struct json_object *range = get(get(model, "interval"), "ndcg@100");
        double low = json_object_get_double(json_object_array_get_idx(range, 0));
        double high = json_object_get_double(json_object_array_get_idx(range, 1));
        assert_true(low < get_number(model, "ndcg@100") && high > get_number(model, "ndcg@100") && high - low < 0.2);
        assert_false(json_object_object_get_ex(get(model, "interval"), "map@20", NULL));
    }
    assert_string_equal(json_object_get_string(get(get(models, "ease"), "parameters")), "lambda=200");

    struct json_object *paired = get(root, "paired");
    assert_string_equal(json_object_get_string(get(paired, "model")), "cllm4rec");
    assert_string_equal(json_object_get_string(get(paired, "best_baseline")), "ease");
    assert_string_equal(json_object_get_string(get(paired, "metric")), "ndcg@100");
    double difference = get_number(get(models, "cllm4rec"), "ndcg@100") - get_number(get(models, "ease"), "ndcg@100");
    check_near(get_number(paired, "difference"), difference, 2e-6);
    assert_true(difference > 0.02 && get_number(paired, "p") < 0.2 && get_number(paired, "p_permutation") < 0.2);

    struct json_object *buckets = get(root, "buckets");
    size_t users = 0;
    for (size_t b = 0; b < json_object_array_length(buckets); b++) {
        struct json_object *bucket = json_object_array_get_idx(buckets, b);
        users += (size_t)json_object_get_int(get(bucket, "users"));
        assert_true(strlen(json_object_get_string(get(bucket, "history"))) > 0);
        assert_true(get_number(get(get(bucket, "models"), "ease"), "recall@20") >= 0);
    }
    assert_int_equal(users, e->n_users);

    /* By the popularity of what was held out: counted once more, from the rows. */
    size_t had[ITEMS] = {0}, targets[CLLM__ITEM_BUCKETS] = {0}, items[CLLM__ITEM_BUCKETS] = {0}, all = 0;
    for (size_t i = 0; i < s.f.split[0].count; i++) had[s.f.split[0].items[i]]++;
    for (size_t i = 0; i < ITEMS; i++) items[cllm__item_bucket_of(had[i])]++;
    for (size_t i = 0; i < s.f.split[2].count; i++) targets[cllm__item_bucket_of(had[s.f.split[2].items[i]])]++;
    struct json_object *by_item = get(root, "item_buckets");
    for (size_t b = 0, row = 0; b < CLLM__ITEM_BUCKETS; b++) {
        if (targets[b] == 0) continue;
        struct json_object *bucket = json_object_array_get_idx(by_item, row++);
        assert_string_equal(json_object_get_string(get(bucket, "training_rows")), cllm__item_bucket_name(b));
        assert_int_equal(get_number(bucket, "targets"), targets[b]);
        assert_int_equal(get_number(bucket, "items"), items[b]);
        struct json_object *model = get(get(bucket, "models"), "cllm4rec");
        assert_true(get_number(model, "found@5") <= get_number(model, "found@20"));
        all += targets[b];
    }
    assert_int_equal(all, s.f.split[2].count);
    /* All that was found, over all targets: precision counts the same hits. */
    double found = 0;
    for (size_t b = 0; b < json_object_array_length(by_item); b++) {
        struct json_object *bucket = json_object_array_get_idx(by_item, b);
        found += get_number(get(get(bucket, "models"), "ease"), "found@10") * get_number(bucket, "targets");
    }
    check_near(found, get_number(get(models, "ease"), "precision@10") * 10 * (double)e->n_users, 1e-2);
    json_object_put(root);
    free_setting(&s);
}

static void test_profiles_and_choices(void **state) {
    (void)state;
    cllm_error err;
    cllm__metrics_profile profile;
    check_ok(cllm__profile_parse(NULL, &profile, &err), &err);
    assert_int_equal(profile, CLLM__PROFILE_PAPER);
    check_ok(cllm__profile_parse("recbole", &profile, &err), &err);
    assert_int_equal(profile, CLLM__PROFILE_RECBOLE);
    cllm__metrics_profile unused;
    assert_int_equal(cllm__profile_parse("Paper", &unused, &err), CLLM_ERR_USAGE);

    setting s = make_setting((size_t[]){3, 10}, 2);
    struct json_object *root;
    cllm__report_options options = {.model = 1, .profile = profile, .rounds = 50};
    check_ok(cllm__report(&root, s.evaluation, &options, &err), &err);
    struct json_object *headline = get(root, "headline");
    assert_int_equal(json_object_array_length(headline), 5);
    assert_string_equal(json_object_get_string(get(json_object_array_get_idx(headline, 0), "metric")), "recall@10");
    assert_string_equal(json_object_get_string(get(get(root, "paired"), "best_baseline")), "cllm4rec");
    assert_string_equal(json_object_get_string(get(get(root, "paired"), "metric")), "ndcg@10"); /* 100 was not measured */
    assert_true(get_number(get(root, "paired"), "difference") < 0);
    json_object_put(root);

    options.paired_metric = "recall@3";
    check_ok(cllm__report(&root, s.evaluation, &options, &err), &err);
    assert_string_equal(json_object_get_string(get(get(root, "paired"), "metric")), "recall@3");
    json_object_put(root);
    static const char *const wrong[] = {"recall@4", "map@3", "x"};
    for (size_t i = 0; i < CLLM_LEN(wrong); i++) {
        options.paired_metric = wrong[i];
        assert_int_equal(cllm__report(&root, s.evaluation, &options, &err), CLLM_ERR_USAGE);
        check_message(&err, wrong[i]);
    }
    options = (cllm__report_options){.model = SIZE_MAX, .rounds = 50};
    check_ok(cllm__report(&root, s.evaluation, &options, &err), &err);
    assert_false(json_object_object_get_ex(root, "paired", NULL));
    json_object_put(root);
    free_setting(&s);
}

static void test_text_and_nobody(void **state) {
    (void)state;
    cllm_error err;
    setting s = make_setting(NULL, 0);
    char *text[2];
    for (int i = 0; i < 2; i++) {
        cllm__pool *pool;
        check_ok(cllm__pool_create(&pool, i + 1, &err), &err);
        check_ok(cllm__report_text(&text[i], s.evaluation, &(cllm__report_options){.rounds = 50, .pool = pool}, &err),
                 &err);
        cllm__pool_free(pool);
    }
    assert_string_equal(text[0], text[1]);
    struct json_object *parsed = json_tokener_parse(text[0]);
    assert_true(json_object_is_type(parsed, json_type_object));
    json_object_put(parsed);
    cllm__free(text[0]);
    cllm__free(text[1]);
    free_setting(&s);

    /* Without a user there are no intervals and no test, but there is a report. */
    cllm__interactions none = make_rows(2, 3, 1, (int32_t[]){-1, -1});
    float scores[6] = {0};
    table t = {.n_items = 3, .scores = scores};
    cllm__scorer scorers[2] = {{"cllm4rec", &t, score_table, 1}, {"ease", &t, score_table, 1}};
    cllm__evaluation *e;
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){&none, &none, &none}, scorers, 2,
                            &(cllm__eval_options){.split = CLLM__TEST}, &err),
             &err);
    struct json_object *root;
    check_ok(cllm__report(&root, e, &(cllm__report_options){0}, &err), &err);
    assert_int_equal(json_object_get_int(get(root, "users")), 0);
    assert_int_equal(json_object_get_int(get(root, "users_without_targets")), 2);
    assert_int_equal(json_object_array_length(get(root, "buckets")), 0);
    assert_false(json_object_object_get_ex(root, "paired", NULL));
    check_near(get_number(get(get(root, "models"), "ease"), "ndcg@100"), 0, 0);
    json_object_put(root);
    cllm__evaluation_free(e);
    free_rows(&none);
}

static void test_allocation_failures(void **state) {
    (void)state;
    cllm_error err;
    setting s = make_setting(NULL, 0);
    char *text = NULL;
    size_t n = 1;
    for (;; n++) {
        cllm__alloc_fail_at(n, false);
        cllm_status status = cllm__report_text(&text, s.evaluation, &(cllm__report_options){.rounds = 10}, &err);
        if (status == CLLM_OK) break;
        assert_int_equal(status, CLLM_ERR_NOMEM);
        assert_null(text);
    }
    cllm__alloc_fail_at(0, false);
    assert_true(n > 5);
    cllm__free(text);
    free_setting(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_profiles_and_choices),
        cmocka_unit_test(test_text_and_nobody),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
