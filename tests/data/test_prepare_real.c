/* The counts that are known of real data; skipped, visibly, where they are not there. */
#include <json-c/json.h>

#include "prepare_test.h"

#define REAL TEST_SHARED_DATA "/"

static void need(const char *path) {
    if (cllm__path_exists(path)) return;
    print_message("skipped: no %s\n", path);
    skip();
}

static int64_t value_of(const char *summary, const char *first, const char *second) {
    struct json_object *object = json_tokener_parse(summary), *value;
    assert_true(json_object_object_get_ex(object, first, &value));
    if (second != NULL) assert_true(json_object_object_get_ex(value, second, &value));
    int64_t number = json_object_get_int64(value);
    json_object_put(object);
    return number;
}

static void count_in(const cllm__dataset *d, size_t users, size_t items, size_t rows) {
    assert_int_equal(cllm__dataset_users(d), users);
    assert_int_equal(cllm__dataset_items(d), items);
    assert_int_equal(total(d), rows);
}

static void test_musical(void **state) {
    (void)state;
    const char *json = REAL "musical-instruments/reviews_Musical_Instruments_5.json.gz";
    const char *csv = REAL "musical-instruments/Musical_instruments_reviews.csv.gz";
    need(json);
    cllm_prepare_options options = from(&json);
    options.output = at("json");
    char *summary;
    cllm__dataset *d = make(&options, &summary);
    count_in(d, 1429, 900, 10261);
    assert_int_equal(value_of(summary, "texts", NULL), 10254); /* seven are empty */
    assert_int_equal(value_of(summary, "dropped", "duplicates"), 0);
    assert_int_equal(value_of(summary, "history", "min"), 3);
    cllm__free(summary);
    cllm__dataset_close(d);
    options.inputs = &csv; /* the same rows in another format */
    options.output = at("csv");
    cllm__dataset_close(make(&options, NULL));
    assert_same_data("json", "csv");
    options.inputs = &json; /* the paper's filter */
    options.output = at("core");
    options.has_min_rating = true;
    options.min_rating = 4;
    options.kcore = 5;
    d = make(&options, NULL);
    count_in(d, 526, 347, 3615);
    for (size_t u = 0; u < 526; u++) {
        size_t n = 0;
        for (int s = 0; s < CLLM__SPLITS; s++) n += cllm__row_count(cllm__dataset_interactions(d, (cllm__split)s), u);
        assert_true(n >= 5);
    }
    cllm__dataset_close(d);
}

static void test_gift_cards(void **state) {
    (void)state;
    const char *input = REAL "gift-cards/Gift_Cards_5.json.gz";
    need(input);
    cllm_prepare_options options = from(&input);
    options.output = at("gifts");
    char *summary;
    cllm__dataset *d = make(&options, &summary);
    count_in(d, 458, 148, 2965);
    assert_int_equal(value_of(summary, "dropped", "duplicates"), 7);
    cllm__free(summary);
    cllm__dataset_close(d);
    options.items = REAL "gift-cards/meta_Gift_Cards.json.gz";
    options.force = true;
    d = make(&options, &summary);
    count_in(d, 458, 1547, 2965);
    assert_int_equal(value_of(summary, "cold_items", NULL), 1399);
    assert_int_equal(value_of(summary, "texts_by_kind", "titles"), 1547);
    cllm__free(summary);
    cllm__dataset_close(d);
    options.only_seen_items = true;
    d = make(&options, &summary);
    count_in(d, 458, 148, 2965);
    assert_int_equal(value_of(summary, "texts_by_kind", "titles"), 148);
    cllm__free(summary);
    cllm__dataset_close(d);
}

static void test_beauty(void **state) {
    (void)state;
    const char *tsv = REAL "beauty-paper/train.tsv", *npz = REAL "beauty-paper/train_matrix.npz";
    need(tsv);
    cllm_prepare_options options = from(&tsv);
    options.split = CLLM_SPLIT_FILES;
    options.valid = REAL "beauty-paper/val.tsv";
    options.items = REAL "beauty-paper/items.tsv";
    options.output = at("tsv");
    char *summary;
    cllm__dataset *d = make(&options, &summary);
    size_t item;
    count_in(d, 10553, 6086, 70614 + 8498);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__TRAIN)->count, 70614);
    assert_int_equal(value_of(summary, "cold_items", NULL), 2);
    assert_int_equal(value_of(summary, "texts_by_kind", "titles"), 6020);
    assert_true(cllm__dataset_find_item(d, "6085", &item));
    cllm__free(summary);
    cllm__dataset_close(d);
    options.inputs = &npz;
    options.output = at("npz");
    cllm__dataset_close(make(&options, NULL));
    assert_same_data("tsv", "npz");
    options = from(&npz); /* the matrix alone: its width is the universe */
    d = make(&options, NULL);
    count_in(d, 10553, 6086, 70614);
    cllm__dataset_close(d);
}

static void test_yelp(void **state) {
    (void)state;
    const char *input = REAL "yelp/sequential_data.txt.gz";
    need(input);
    cllm_prepare_options options = from(&input);
    options.split = CLLM_SPLIT_LOO;
    options.items = REAL "yelp/items.tsv";
    cllm__dataset *d = make(&options, NULL);
    count_in(d, 30431, 20033, 304524);
    assert_string_equal(row_text(d, CLLM__TRAIN, "2"), "57 58 59"); /* the order of the file is time's */
    assert_string_equal(row_text(d, CLLM__VALID, "2"), "60");
    assert_string_equal(row_text(d, CLLM__TEST, "2"), "61");
    cllm__dataset_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_musical), cmocka_unit_test(test_gift_cards),
                                       cmocka_unit_test(test_beauty), cmocka_unit_test(test_yelp)};
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
