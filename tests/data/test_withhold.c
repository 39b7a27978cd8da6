/* Data sets derived from others by keeping items and users out of training. */
#include <math.h>

#include "data/withhold.h"
#include "prepare_test.h"

enum { USERS = 40, ITEMS = 30 };

/* Users 0 … 39 with 8 of 30 items each, with times and reviews; every item has a title. */
static int make_base(void **state) {
    if (make_scratch(state) != 0) return -1;
    static char rows[USERS * 8 * 64], items[ITEMS * 32];
    size_t used = (size_t)sprintf(rows, "user,item,rating,time,text\n"), filled = (size_t)sprintf(items, "item,title\n");
    for (int u = 0; u < USERS; u++) {
        for (int n = 0; n < 8; n++) {
            used += (size_t)sprintf(rows + used, "u%02d,i%02d,%d,%d,review of %d by %d\n", u, (u * 7 + n * 11) % ITEMS, 1 + n % 5, 1000 + 10 * ((n * 3) % 8), n, u);
        }
    }
    for (int i = 0; i < ITEMS; i++) filled += (size_t)sprintf(items + filled, "i%02d,title %d\n", i, i);
    const char *input = put("rows.csv", rows);
    cllm_prepare_options options = from(&input);
    options.output = at("base");
    options.items = put("items.csv", items);
    cllm_error err;
    return cllm__prepare(&options, NULL, &err) == CLLM_OK ? 0 : -1;
}

static cllm__withhold usual(void) {
    return (cllm__withhold){.items = 0.1, .users = 0.1, .least = 4, .keep_test = true, .seed = 7};
}

static void write_from(const char *base, cllm__withhold options, const char *name) {
    cllm__dataset *d = open_made(base);
    cllm_error err = {0};
    if (cllm__withhold_write(d, options, at(name), false, &err) != CLLM_OK) fail_msg("%s", err.message);
    cllm__dataset_close(d);
}

/* Whether a user or an item has training rows. */
static void mark_trained(const cllm__dataset *d, uint8_t *users, uint8_t *items) {
    const cllm__interactions *train = cllm__dataset_interactions(d, CLLM__TRAIN);
    memset(users, 0, USERS);
    memset(items, 0, ITEMS);
    for (size_t u = 0; u < train->n_users; u++) {
        users[u] = cllm__row_count(train, u) > 0;
        for (size_t i = 0; i < cllm__row_count(train, u); i++) items[cllm__row(train, u)[i]] = 1;
    }
}

static size_t count_zeros(const uint8_t *marks, size_t n) {
    size_t zeros = 0;
    for (size_t i = 0; i < n; i++) zeros += marks[i] == 0;
    return zeros;
}

/* Each row of the base is where the rule says, with its time, rating and review; nothing else is there. */
static void test_rows(void **state) {
    (void)state;
    write_from("base", usual(), "held");
    cllm__dataset *base = open_made("base"), *held = open_made("held");
    uint8_t users[USERS], items[ITEMS];
    mark_trained(held, users, items);
    assert_int_equal(count_zeros(users, USERS), 4);
    assert_int_equal(count_zeros(items, ITEMS), 3);
    assert_int_equal(total(held), total(base));
    for (size_t u = 0; u < USERS; u++) {
        for (int s = 0; s < CLLM__SPLITS; s++) {
            const cllm__interactions *m = cllm__dataset_interactions(base, (cllm__split)s);
            for (uint64_t i = m->start[u]; i < m->start[u + 1]; i++) {
                size_t place = 0;
                int32_t item = m->items[i];
                int found = find_pair(held, cllm__dataset_user_id(base, u), cllm__dataset_item_id(base, (size_t)item), &place);
                assert_int_equal(found, users[u] && items[item] ? s : CLLM__TEST);
                const cllm__interactions *to = cllm__dataset_interactions(held, (cllm__split)found);
                assert_true(to->times[place] == m->times[i] && to->ratings[place] == m->ratings[i]);
            }
        }
        for (int s = 0; s < CLLM__SPLITS; s++) { /* in time order */
            const cllm__interactions *m = cllm__dataset_interactions(held, (cllm__split)s);
            for (uint64_t i = m->start[u]; i + 1 < m->start[u + 1]; i++) assert_true(m->times[i] <= m->times[i + 1]);
        }
    }
    /* Opening has checked that each review stands in its pair's split. */
    assert_int_equal(cllm__dataset_texts(held), cllm__dataset_texts(base));
    for (size_t i = 0; i < cllm__dataset_texts(base); i++) {
        cllm__text a = cllm__dataset_text(base, i), b = cllm__dataset_text(held, i);
        assert_true(a.kind == b.kind && a.user == b.user && a.item == b.item && a.length == b.length && memcmp(a.text, b.text, a.length) == 0);
    }
    for (size_t i = 0; i < ITEMS; i++) assert_string_equal(cllm__dataset_item_field(held, i, CLLM__TEXT_TITLE), cllm__dataset_item_field(base, i, CLLM__TEXT_TITLE));
    char *json;
    assert_int_equal(cllm__dataset_summary(held, &json, NULL), CLLM_OK);
    assert_non_null(strstr(json, "\"withheld\":{"));
    cllm__free(json);
    cllm__dataset_close(base);
    cllm__dataset_close(held);
}

/* Without the test rows: they are gone with their reviews, and those that were withheld are left. */
static void test_without_test(void **state) {
    (void)state;
    cllm__withhold options = usual();
    options.keep_test = false;
    write_from("base", options, "held");
    cllm__dataset *base = open_made("base"), *held = open_made("held");
    const cllm__interactions *test = cllm__dataset_interactions(base, CLLM__TEST);
    assert_int_equal(total(held), total(base) - test->count);
    for (size_t u = 0; u < USERS; u++) {
        for (uint64_t i = test->start[u]; i < test->start[u + 1]; i++) {
            assert_int_equal(find_pair(held, cllm__dataset_user_id(base, u), cllm__dataset_item_id(base, (size_t)test->items[i]), NULL), -1);
        }
    }
    assert_true(cllm__dataset_interactions(held, CLLM__TEST)->count > 0);
    assert_int_equal(cllm__dataset_texts(held), cllm__dataset_texts(base) - test->count);
    cllm__dataset_close(base);
    cllm__dataset_close(held);
}

static void test_seeds(void **state) {
    (void)state;
    cllm__withhold other = usual();
    other.seed = 8;
    write_from("base", usual(), "a");
    write_from("base", usual(), "b");
    write_from("base", other, "c");
    static const char *const names[] = {"dataset.json", "interactions.safetensors", "texts.utf8", "texts.safetensors", "dropped.tsv"};
    for (size_t i = 0; i < CLLM_LEN(names); i++) {
        char a[80], b[80];
        snprintf(a, sizeof a, "a/%s", names[i]);
        snprintf(b, sizeof b, "b/%s", names[i]);
        assert_same_file(at(a), at(b));
    }
    uint8_t users[2][USERS], items[2][ITEMS];
    cllm__dataset *a = open_made("a"), *c = open_made("c");
    mark_trained(a, users[0], items[0]);
    mark_trained(c, users[1], items[1]);
    assert_true(memcmp(users[0], users[1], USERS) != 0 && memcmp(items[0], items[1], ITEMS) != 0);
    cllm__dataset_close(a);
    cllm__dataset_close(c);
}

static void refuse_withhold(cllm__withhold options, const char *name, cllm_status status, const char *words) {
    cllm__dataset *d = open_made("base");
    cllm_error err = {0};
    cllm_status got = cllm__withhold_write(d, options, at(name), false, &err);
    if (got != status || strstr(err.message, words) == NULL) fail_msg("%d '%s' instead of %d '%s'", got, err.message, status, words);
    cllm__dataset_close(d);
}

static void test_refused(void **state) {
    (void)state;
    cllm__withhold options = usual();
    options.items = 1.5;
    refuse_withhold(options, "no", CLLM_ERR_USAGE, "1.5 of the items");
    options = usual();
    options.users = NAN;
    refuse_withhold(options, "no", CLLM_ERR_USAGE, "nan of the users");
    options = usual();
    options.least = 9;
    refuse_withhold(options, "no", CLLM_ERR_DATA, "0 users have 9 rows or more");
    options = usual();
    options.items = 1;
    options.users = 0;
    refuse_withhold(options, "no", CLLM_ERR_DATA, "no training row is left");
    assert_false(cllm__path_exists(at("no")));
    write_from("base", usual(), "there");
    refuse_withhold(usual(), "there", CLLM_ERR_EXISTS, "there");
    assert_int_equal(count_files("no"), 0);
}

/* Every allocation, and every operation on files, fails once: an error, no folder, nothing left over. */
static int g_left;
static int fail_operation(void *user, cllm__io_op op, const char *path) {
    (void)user;
    (void)op;
    (void)path;
    return --g_left == 0 ? 28 : 0; /* ENOSPC */
}

static void test_faults(void **state) {
    (void)state;
    cllm__dataset *d = open_made("base");
    for (int kind = 0; kind < 2; kind++) {
        bool done = false;
        for (int n = 1; !done && n < 4000; n++) {
            cllm_error err = {0};
            if (kind == 0) cllm__alloc_fail_at((size_t)n, false);
            g_left = n;
            if (kind == 1) cllm__io_set_hook(fail_operation, NULL);
            cllm_status status = cllm__withhold_write(d, usual(), at("held"), true, &err);
            cllm__alloc_fail_at(0, false);
            cllm__io_set_hook(NULL, NULL);
            done = status == CLLM_OK;
            if (!done) assert_true(err.message[0] != '\0');
            if (done) assert_true(n > 10);
            else if (!cllm__path_exists(at("held"))) assert_int_equal(count_files("held"), 0);
            cllm__remove_tree(at("held"));
        }
        assert_true(done);
    }
    cllm__dataset_close(d);
}

static bool even_items_of_odd_places(const void *context, size_t user, int32_t item, size_t place) {
    return *(const int *)context == 5 && user < USERS && item % 2 == 0 && place % 2 == 1;
}

static void test_select(void **state) {
    (void)state;
    const int context = 5;
    cllm__dataset *d = open_made("base");
    const cllm__interactions *train = cllm__dataset_interactions(d, CLLM__TRAIN);
    cllm__merged part = {0};
    assert_int_equal(cllm__select_rows(&part, train, even_items_of_odd_places, &context, NULL), CLLM_OK);
    size_t expected = 0;
    for (size_t u = 0; u < USERS; u++) {
        for (uint64_t i = train->start[u]; i < train->start[u + 1]; i++) {
            if (train->items[i] % 2 != 0 || i % 2 != 1) continue;
            assert_true(part.matrix.start[u] <= expected && expected < part.matrix.start[u + 1]);
            assert_int_equal(part.matrix.items[expected++], train->items[i]);
        }
    }
    assert_true(expected > 0);
    assert_int_equal(part.matrix.count, expected);
    cllm__merged_free(&part);
    cllm__dataset_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, make_base, drop_scratch),
        cmocka_unit_test_setup_teardown(test_without_test, make_base, drop_scratch),
        cmocka_unit_test_setup_teardown(test_seeds, make_base, drop_scratch),
        cmocka_unit_test_setup_teardown(test_refused, make_base, drop_scratch),
        cmocka_unit_test_setup_teardown(test_faults, make_base, drop_scratch),
        cmocka_unit_test_setup_teardown(test_select, make_base, drop_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
