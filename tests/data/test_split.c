/* The split rules: sizes by formula, nothing lost or doubled, independence of the order of the input. */
#include "base/rng.h"
#include "prepare_test.h"

/* User u has u rows; the rows' times are a permutation. */
enum { USERS = 45 };

typedef struct line {
    int user, item;
    long time;
} line;

static line g_lines[USERS * (USERS + 1) / 2];
static size_t g_count;

static void build_lines(void) {
    cllm__rng rng = cllm__rng_make(3, CLLM_RNG_TEST, 0, 0);
    g_count = 0;
    for (int u = 1; u <= USERS; u++) {
        for (int i = 0; i < u; i++) g_lines[g_count++] = (line){u, (u * 7 + i * 13) % 97, 0};
    }
    size_t order[CLLM_LEN(g_lines)];
    for (size_t i = 0; i < g_count; i++) order[i] = i;
    cllm__rng_shuffle_size(&rng, order, g_count);
    for (size_t i = 0; i < g_count; i++) g_lines[order[i]].time = 1000 + (long)i;
}

/* The rows in an order given by the seed; 0: as they are. */
static const char *lines_text(uint64_t seed, bool times) {
    static char text[60000];
    size_t order[CLLM_LEN(g_lines)], used = 0;
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TEST, 0, 1);
    for (size_t i = 0; i < g_count; i++) order[i] = i;
    if (seed > 0) cllm__rng_shuffle_size(&rng, order, g_count);
    used += (size_t)sprintf(text, times ? "user,item,time\n" : "user,item\n");
    for (size_t i = 0; i < g_count; i++) {
        const line *l = &g_lines[order[i]];
        used += (size_t)sprintf(text + used, times ? "u%d,i%d,%ld\n" : "u%d,i%d\n", l->user, l->item, l->time);
    }
    return text;
}

static size_t in_split(const cllm__dataset *d, cllm__split split, int user) {
    char id[16];
    size_t row;
    sprintf(id, "u%d", user);
    assert_true(cllm__dataset_find_user(d, id, &row));
    return cllm__row_count(cllm__dataset_interactions(d, split), row);
}

/* Every line in exactly one split (opening checks that no pair is there twice). */
static void assert_whole(const cllm__dataset *d) {
    assert_int_equal(total(d), g_count);
    for (size_t i = 0; i < g_count; i++) {
        char user[16], item[16];
        sprintf(user, "u%d", g_lines[i].user);
        sprintf(item, "i%d", g_lines[i].item);
        assert_true(find_pair(d, user, item, NULL) >= 0);
    }
}

static void test_ratio(void **state) {
    (void)state;
    cllm__dataset *d = make_from(lines_text(0, false), (cllm_prepare_options){.seed = 11});
    assert_whole(d);
    for (int n = 1; n <= USERS; n++) {
        size_t part = n < 3 ? 0 : n < 20 ? 1 : n < 30 ? 2 : n < 40 ? 3 : 4;
        assert_int_equal(in_split(d, CLLM__VALID, n), part);
        assert_int_equal(in_split(d, CLLM__TEST, n), part);
        assert_int_equal(in_split(d, CLLM__TRAIN, n), (size_t)n - 2 * part);
    }
    int parts[CLLM_LEN(g_lines)];
    for (size_t i = 0; i < g_count; i++) {
        char user[16], item[16];
        sprintf(user, "u%d", g_lines[i].user);
        sprintf(item, "i%d", g_lines[i].item);
        parts[i] = find_pair(d, user, item, NULL);
    }
    cllm__dataset_close(d);
    /* The same split from the rows in another order and with times; another one from another seed. */
    for (uint64_t seed = 11; seed <= 12; seed++) {
        d = make_from(lines_text(7, true), (cllm_prepare_options){.seed = seed});
        size_t moved = 0;
        for (size_t i = 0; i < g_count; i++) {
            char user[16], item[16];
            sprintf(user, "u%d", g_lines[i].user);
            sprintf(item, "i%d", g_lines[i].item);
            moved += find_pair(d, user, item, NULL) != parts[i];
        }
        if (seed == 11) assert_int_equal(moved, 0);
        else assert_true(moved > 50);
        cllm__dataset_close(d);
    }
}

/* Each item of a user is as likely to be held out as another. */
static void test_ratio_is_fair(void **state) {
    (void)state;
    enum { MANY = 3000, N = 6 };
    char *text = malloc(MANY * N * 16);
    size_t used = (size_t)sprintf(text, "user,item\n");
    for (int u = 0; u < MANY; u++) {
        for (int i = 0; i < N; i++) used += (size_t)sprintf(text + used, "%d,%d\n", u, i);
    }
    cllm__dataset *d = make_from(text, (cllm_prepare_options){.seed = 1});
    free(text);
    for (int s = CLLM__VALID; s <= CLLM__TEST; s++) {
        const cllm__interactions *m = cllm__dataset_interactions(d, (cllm__split)s);
        size_t counts[N] = {0};
        assert_int_equal(m->count, MANY);
        for (size_t i = 0; i < m->count; i++) counts[m->items[i]]++;
        for (int i = 0; i < N; i++) { /* 500 expected, standard deviation 20 */
            assert_true(counts[i] > 400 && counts[i] < 600);
        }
    }
    cllm__dataset_close(d);
}

static void test_loo(void **state) {
    (void)state;
    cllm__dataset *d = make_from(lines_text(5, true), (cllm_prepare_options){.split = CLLM_SPLIT_LOO});
    assert_whole(d);
    for (int n = 1; n <= USERS; n++) {
        const line *last = NULL, *before = NULL;
        for (size_t i = 0; i < g_count; i++) {
            const line *l = &g_lines[i];
            if (l->user != n) continue;
            if (last == NULL || l->time > last->time) {
                before = last;
                last = l;
            } else if (before == NULL || l->time > before->time) {
                before = l;
            }
        }
        assert_int_equal(in_split(d, CLLM__TEST, n), n >= 3);
        assert_int_equal(in_split(d, CLLM__VALID, n), n >= 3);
        if (n < 3) continue;
        char user[16], item[16];
        sprintf(user, "u%d", n);
        sprintf(item, "i%d", last->item);
        assert_int_equal(find_pair(d, user, item, NULL), CLLM__TEST);
        sprintf(item, "i%d", before->item);
        assert_int_equal(find_pair(d, user, item, NULL), CLLM__VALID);
    }
    cllm__dataset_close(d);
}

/* Rows of one time: the order of the file says nothing of which is held out, and each is as likely to be. */
static void test_loo_ties(void **state) {
    (void)state;
    enum { MANY = 3000, N = 4 };
    char *text = malloc(MANY * (N + 1) * 24);
    int *held[2] = {calloc(MANY, sizeof(int)), calloc(MANY, sizeof(int))};
    for (int order = 0; order < 2; order++) {
        size_t used = (size_t)sprintf(text, "user,item,time\n"), counts[N] = {0};
        for (int u = 0; u < MANY; u++) {
            used += (size_t)sprintf(text + used, "%d,first,7\n", u); /* earlier than the others: never held out */
            for (int i = 0; i < N; i++) used += (size_t)sprintf(text + used, "%d,%d,8\n", u, order ? N - 1 - i : i);
        }
        cllm__dataset *d = make_from(text, (cllm_prepare_options){.seed = 1, .split = CLLM_SPLIT_LOO});
        const cllm__interactions *train = cllm__dataset_interactions(d, CLLM__TRAIN), *test = cllm__dataset_interactions(d, CLLM__TEST);
        size_t first;
        assert_true(cllm__dataset_find_item(d, "first", &first));
        assert_int_equal(test->count, MANY);
        for (size_t u = 0; u < MANY; u++) {
            assert_int_equal(cllm__row(train, u)[0], first);
            held[order][u] = atoi(cllm__dataset_item_id(d, (size_t)cllm__row(test, u)[0]));
            counts[held[order][u]]++;
        }
        for (int i = 0; i < N; i++) { /* 750 expected, standard deviation 24 */
            assert_true(counts[i] > 630 && counts[i] < 870);
        }
        cllm__dataset_close(d);
    }
    assert_memory_equal(held[0], held[1], MANY * sizeof(int));
    free(held[0]);
    free(held[1]);
    free(text);
}

static void test_time(void **state) {
    (void)state;
    cllm__dataset *d = make_from(lines_text(5, true), (cllm_prepare_options){.split = CLLM_SPLIT_TIME});
    assert_whole(d);
    size_t part = g_count / 10;
    assert_int_equal(cllm__dataset_interactions(d, CLLM__TEST)->count, part);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__VALID)->count, part);
    for (size_t i = 0; i < g_count; i++) {
        char user[16], item[16];
        sprintf(user, "u%d", g_lines[i].user);
        sprintf(item, "i%d", g_lines[i].item);
        size_t rank = (size_t)(g_lines[i].time - 1000);
        int expected = rank >= g_count - part ? CLLM__TEST : rank >= g_count - 2 * part ? CLLM__VALID : CLLM__TRAIN;
        assert_int_equal(find_pair(d, user, item, NULL), expected);
    }
    cllm__dataset_close(d);
}

/* A moment is never torn apart: it is taken whole, or left to the part before. */
static void test_time_ties(void **state) {
    (void)state;
    const cllm_prepare_options by_time = {.split = CLLM_SPLIT_TIME};
    static const struct {
        int sizes[8];           /* rows at the moments 0, 1, … */
        int train, valid, test; /* moments of each part */
    } cases[] = {
        {{10, 1, 1}, 1, 1, 1},       /* 12 rows, parts of at most 1 */
        {{16, 1, 1, 1, 1}, 1, 2, 2}, /* 20 rows, parts of at most 2 */
        {{15, 1, 3, 1},
         2,
         1,
         1},                  /* 3 are too many to go with the last one; as the moment before test they are taken whole */
        {{5, 5, 5}, 1, 1, 1}, /* every moment is too big */
        {{8, 1, 1, 10}, 1, 2, 1},
    };
    for (size_t c = 0; c < CLLM_LEN(cases); c++) {
        char text[2048];
        size_t used = (size_t)sprintf(text, "user,item,time\n"), expected[3] = {0};
        int moments = cases[c].train + cases[c].valid + cases[c].test;
        for (int m = 0, row = 0; m < moments; m++) {
            int part = m < cases[c].train ? 0 : m < cases[c].train + cases[c].valid ? 1 : 2;
            for (int i = 0; i < cases[c].sizes[m]; i++, row++)
                used += (size_t)sprintf(text + used, "u%d,i%d,%d\n", row % 3, row, m * 100);
            expected[part] += (size_t)cases[c].sizes[m];
        }
        cllm__dataset *d = make_from(text, by_time);
        for (int s = 0; s < CLLM__SPLITS; s++) {
            if (cllm__dataset_interactions(d, (cllm__split)s)->count != expected[s]) fail_msg("case %zu, split %d", c, s);
        }
        cllm__dataset_close(d);
    }
    refuse_text("user,item,time\nu,a,5\nu,b,5\nv,c,5\n", by_time, CLLM_ERR_DATA, "too few different times");
    refuse_text("user,item,time\nu,a,5\nu,b,6\nv,c,6\n", by_time, CLLM_ERR_DATA, "too few different times");
    refuse_text("user,item,time\nu,a,5\nu,b,\nv,c,6\n", by_time, CLLM_ERR_DATA, "1 of 3 have none");
    refuse_text("user,item\nu,a\nu,b\nv,c\n", by_time, CLLM_ERR_DATA, "3 of 3 have none");
}

static void test_files(void **state) {
    (void)state;
    char *summary;
    const char *input = put("train", "u\ta\nu\tb\nv\ta\n");
    cllm_prepare_options options = from(&input);
    options.split = CLLM_SPLIT_FILES;
    options.valid = put("valid", "u\tc\nu\ta\nw\ta\n"); /* one stands in train, one user in no other part */
    options.test = put("test", "u\td\nu\tc\nv\tb\nv\tb\n");
    cllm__dataset *d = make(&options, &summary);
    assert_int_equal(cllm__dataset_users(d), 3);
    assert_int_equal(total(d), 7);
    assert_string_equal(row_text(d, CLLM__TRAIN, "u"), "a b");
    assert_string_equal(row_text(d, CLLM__VALID, "u"), "c");
    assert_string_equal(row_text(d, CLLM__TEST, "u"), "d");
    assert_string_equal(row_text(d, CLLM__TRAIN, "w"), "");
    assert_string_equal(row_text(d, CLLM__VALID, "w"), "a");
    assert_string_equal(row_text(d, CLLM__TEST, "v"), "b");
    assert_non_null(strstr(summary, "\"overlaps\":2,"));
    assert_non_null(strstr(summary, "\"duplicates\":1,"));
    cllm__free(summary);
    cllm__dataset_close(d);
    options.valid = NULL;
    d = make(&options, NULL);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__VALID)->count, 0);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__TEST)->count, 3);
    cllm__dataset_close(d);
}

/* A review has its pair's split. */
static void test_texts_follow(void **state) {
    (void)state;
    char text[8192];
    size_t used = (size_t)sprintf(text, "user,item,text\n");
    for (int u = 0; u < 12; u++) {
        for (int i = 0; i < 8; i++) used += (size_t)sprintf(text + used, "u%d,i%d,words of %d and %d\n", u, i, u, i);
    }
    cllm__dataset *d = make_from(text, (cllm_prepare_options){0});
    size_t counts[CLLM__SPLITS] = {0};
    assert_int_equal(cllm__dataset_texts(d), 96);
    for (size_t i = 0; i < 96; i++) {
        cllm__text t = cllm__dataset_text(d, i);
        char expected[64];
        const char *user = cllm__dataset_user_id(d, (size_t)t.user), *item = cllm__dataset_item_id(d, (size_t)t.item);
        assert_int_equal(find_pair(d, user, item, NULL), t.split);
        sprintf(expected, "words of %s and %s", user + 1, item + 1);
        assert_int_equal(t.length, strlen(expected));
        assert_memory_equal(t.text, expected, t.length);
        counts[t.split]++;
    }
    assert_int_equal(counts[CLLM__TRAIN], 72);
    assert_int_equal(counts[CLLM__TEST], 12);
    cllm__dataset_close(d);
}

typedef struct heard {
    int notes, warnings;
} heard;

static void listen(void *user, cllm_log_level level, const char *message) {
    heard *h = user;
    h->notes += level == CLLM_LOG_INFO && strstr(message, "--split time") != NULL;
    h->warnings += level == CLLM_LOG_WARN;
}

static void test_leak_note(void **state) {
    (void)state;
    heard h = {0};
    const cllm_host host = {.log = listen, .user = &h};
    static const char with[] = "user,item,time\nu,a,1\nu,b,2\nu,c,3\nv,a,9\nv,b,10\n";
    cllm__dataset_close(make_from("user,item\nu,a\nu,b\nu,c\n", (cllm_prepare_options){.host = host}));
    assert_int_equal(h.notes, 0);
    cllm__dataset_close(make_from(with, (cllm_prepare_options){.host = host, .split = CLLM_SPLIT_LOO}));
    assert_int_equal(h.notes, 0);
    cllm__dataset_close(make_from(with, (cllm_prepare_options){.host = host}));
    assert_int_equal(h.notes, 1);
    assert_int_equal(h.warnings, 0);
}

static int set_up(void **state) {
    build_lines();
    return make_scratch(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratio),        cmocka_unit_test(test_ratio_is_fair), cmocka_unit_test(test_loo), cmocka_unit_test(test_loo_ties),
        cmocka_unit_test(test_time),         cmocka_unit_test(test_time_ties),     cmocka_unit_test(test_files),
        cmocka_unit_test(test_texts_follow), cmocka_unit_test(test_leak_note),
    };
    return cmocka_run_group_tests(tests, set_up, drop_scratch);
}
