/* The set of baselines: names, tuning on an inner split, and the cache. */
#include "eval_fixture.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "eval/baseline.h"
#include "eval/evaluate.h"
#include "eval/inner_split.h"

enum { USERS = 150, ITEMS = 60 };

/* What was logged. */
typedef struct listener {
    size_t trials, warnings;
    char last_warning[512];
    int cancel_after;
} listener;

static void listen(void *user, cllm_log_level level, const char *message) {
    listener *l = user;
    l->trials += strstr(message, "inner split: ") != NULL;
    if (level == CLLM_LOG_WARN) {
        l->warnings++;
        snprintf(l->last_warning, sizeof l->last_warning, "%s", message);
    }
}

static bool cancel_later(void *user) {
    listener *l = user;
    return l->cancel_after > 0 && --l->cancel_after == 0;
}

static char g_folder[256];

static int make_folder(void **state) {
    (void)state;
    snprintf(g_folder, sizeof g_folder, "tuning_scratch_%d", (int)getpid());
    cllm__remove_tree(g_folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    cllm__remove_tree(g_folder);
    return 0;
}

static char *cache_path(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/cache/%s", g_folder, name);
    return path;
}

static void test_lists(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(10, 8, 6, 1);
    static const struct {
        const char *list, *names[6];
        size_t count;
    } good[] = {{"none", {0}, 0},
                {"popularity", {"popularity"}, 1},
                {"ease,random", {"ease", "random"}, 2},
                {NULL, {"popularity", "itemknn", "ease", "userknn", "als", "bpr"}, 6},
                {"random,ease,itemknn,popularity", {"random", "ease", "itemknn", "popularity"}, 4},
                {"bpr,als", {"bpr", "als"}, 2},
                {"all", {"popularity", "itemknn", "ease", "userknn", "als", "bpr"}, 6}};
    for (size_t i = 0; i < CLLM_LEN(good); i++) {
        cllm__baselines b;
        check_ok(cllm__baselines_create(&b, &f.split[0], &(cllm__baselines_options){.list = good[i].list}, &err), &err);
        assert_int_equal(b.count, good[i].count);
        for (size_t n = 0; n < b.count; n++) assert_string_equal(b.models[n].scorer.name, good[i].names[n]);
        cllm__baselines_free(&b);
    }
    static const char *const bad[] = {"",          "eas",       "easel",         "ease,", ",ease",
                                      "ease,ease", "none,ease", "ease, itemknn", "EASE"};
    for (size_t i = 0; i < CLLM_LEN(bad); i++) {
        cllm__baselines b = {0};
        assert_int_equal(cllm__baselines_create(&b, &f.split[0], &(cllm__baselines_options){.list = bad[i]}, &err),
                         CLLM_ERR_USAGE);
        assert_null(b.models);
    }
    free_fixture(&f);
}

static void create(cllm__baselines *b, const fixture *f, const char *list, const char *cache, uint64_t hash, listener *l) {
    cllm_error err;
    *l = (listener){0};
    cllm_host host = {.log = listen, .user = l};
    cllm__baselines_options options = {.list = list, .cache = cache, .data_hash = hash, .host = &host};
    check_ok(cllm__baselines_create(b, &f->split[0], &options, &err), &err);
}

static void test_cache(void **state) {
    (void)state;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    cllm__baselines b;
    listener l;
    char first[2][64];
    create(&b, &f, "itemknn", cache_path("a.json"), 7, &l); /* the folder is missing: it is made */
    assert_int_equal(l.trials, 12);
    assert_int_equal(l.warnings, 0);
    memcpy(first[0], b.models[0].parameters, 64);
    cllm__baselines_free(&b);
    create(&b, &f, "itemknn", cache_path("a.json"), 7, &l);
    assert_int_equal(l.trials, 0);
    assert_string_equal(b.models[0].parameters, first[0]);
    cllm__baselines_free(&b);
    create(&b, &f, "ease,itemknn", cache_path("a.json"), 7, &l); /* what is known stays, what is new is added */
    assert_in_range(l.trials, 3, 15);
    assert_string_equal(b.models[1].parameters, first[0]);
    memcpy(first[1], b.models[0].parameters, 64);
    double seconds = b.models[1].tuning_seconds;
    assert_true(seconds > 0 && b.models[0].tuning_seconds > 0);
    cllm__baselines_free(&b);
    create(&b, &f, "popularity,itemknn,ease", cache_path("a.json"), 7, &l);
    assert_int_equal(l.trials, 0);
    assert_true(b.models[0].tuning_seconds == 0 && fabs(b.models[1].tuning_seconds / seconds - 1) < 0.01); /* it is kept as well */
    assert_string_equal(b.models[1].parameters, first[0]);
    assert_string_equal(b.models[2].parameters, first[1]);
    cllm__baselines_free(&b);
    create(&b, &f, "itemknn", cache_path("a.json"), 8, &l); /* other data */
    assert_int_equal(l.trials, 12);
    cllm__baselines_free(&b);
    create(&b, &f, "itemknn", NULL, 7, &l);
    assert_int_equal(l.trials, 12);
    assert_string_equal(b.models[0].parameters, first[0]);
    cllm__baselines_free(&b);
    free_fixture(&f);
}

static void test_spoilt_cache(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    static const struct {
        const char *text;
        bool warns;
    } spoilt[] = {
        {"", true},
        {"{", true},
        {"[]", true},
        {"null", true},
        {"{\"format\": 1}", true},
        {"{\"format\": \"cllm4rec baselines 2\", \"data\": \"0000000000000007\"}", true},
        {"{\"format\": \"cllm4rec baselines 1\", \"data\": 7}", false},
        {"{\"format\": \"cllm4rec baselines 1\", \"data\": \"0000000000000007\", \"itemknn\": {\"neighbours\": -3, "
         "\"shrinkage\": 1}}",
         false},
        {"{\"format\": \"cllm4rec baselines 1\", \"data\": \"0000000000000007\", \"itemknn\": {\"neighbours\": 3, "
         "\"shrinkage\": \"x\"}}",
         false},
        {"{\"format\": \"cllm4rec baselines 1\", \"data\": \"0000000000000007\", \"itemknn\": {\"neighbours\": 1e999, "
         "\"shrinkage\": 1}}",
         false},
        {"{\"format\": \"cllm4rec baselines 1\", \"data\": \"0000000000000007\", \"itemknn\": [3, 1]}", false},
    };
    for (size_t i = 0; i < CLLM_LEN(spoilt); i++) {
        cllm__baselines b;
        listener l;
        check_ok(cllm__write_file(cache_path("b.json"), spoilt[i].text, strlen(spoilt[i].text), &err), &err);
        create(&b, &f, "itemknn", cache_path("b.json"), 7, &l);
        if (l.trials != 12 || l.warnings != spoilt[i].warns)
            fail_msg("%s: %zu trials, %zu warnings", spoilt[i].text, l.trials, l.warnings);
        cllm__baselines_free(&b);
        create(&b, &f, "itemknn", cache_path("b.json"), 7, &l); /* it was replaced by a good one */
        assert_int_equal(l.trials, 0);
        cllm__baselines_free(&b);
    }
    free_fixture(&f);
}

/* A model with a setting is not tuned, and what is known of it stays in the cache. */
static void test_settings(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    listener l = {0};
    cllm_host host = {.log = listen, .user = &l};
    cllm__baselines b;
    char tuned[128];
    create(&b, &f, "itemknn,als,bpr", cache_path("s.json"), 7, &l);
    assert_in_range(l.trials, 12 + 9 + 1 + 1 + 6, 12 + 9 + 3 + 3 + 6);
    memcpy(tuned, b.models[0].parameters, sizeof tuned);
    cllm__baselines_free(&b);
    static const char *const settings[] = {"itemknn.neighbours=0", "itemknn.shrinkage=2.5", "bpr.epochs=2",
                                           "als.factors=3",        "als.iterations=1",      "ease.lambda=7"};
    cllm__baselines_options options = {.list = "itemknn,bpr,als,ease",
                                       .settings = settings,
                                       .n_settings = CLLM_LEN(settings),
                                       .cache = cache_path("s.json"),
                                       .data_hash = 7,
                                       .host = &host};
    l = (listener){0};
    check_ok(cllm__baselines_create(&b, &f.split[0], &options, &err), &err);
    assert_int_equal(l.trials, 0);
    assert_string_equal(b.models[0].parameters, "neighbours=all,shrinkage=2.5");
    assert_string_equal(b.models[1].parameters,
                        "factors=64,learning_rate=0.05,regularization=0.03,epochs=2,uniform negatives");
    assert_string_equal(b.models[2].parameters, "factors=3,regularization=64,alpha=32,iterations=1");
    assert_string_equal(b.models[3].parameters, "lambda=7");
    cllm__baselines_free(&b);
    create(&b, &f, "itemknn,als,bpr", cache_path("s.json"), 7, &l);
    assert_int_equal(l.trials, 0);
    assert_string_equal(b.models[0].parameters, tuned);
    cllm__baselines_free(&b);
    static const char *const wrong[] = {"",
                                        "als",
                                        "als.factors",
                                        "als.factors=",
                                        "als.factors=x",
                                        "als.factors=2x",
                                        "als.factors=0",
                                        "als.factors=2.5",
                                        "als.factors=nan",
                                        "als.rank=3",
                                        "ease.lambda=-1",
                                        "ease=3",
                                        "lambda=3",
                                        "bpr.popular_negatives=2"};
    for (size_t i = 0; i < CLLM_LEN(wrong); i++) {
        options.settings = &wrong[i];
        options.n_settings = 1;
        if (cllm__baselines_create(&b, &f.split[0], &options, &err) != CLLM_ERR_USAGE) fail_msg("'%s' is taken", wrong[i]);
        check_message(&err, "setting");
    }
    free_fixture(&f);
}

static int refuse_writing(void *user, cllm__io_op op, const char *path) {
    (void)user;
    (void)path;
    return op == CLLM_IO_CREATE ? 28 /* ENOSPC */ : 0;
}

static void test_unwritable_cache(void **state) {
    (void)state;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    cllm__baselines b;
    listener l;
    cllm__io_set_hook(refuse_writing, NULL);
    create(&b, &f, "itemknn", cache_path("c.json"), 7, &l);
    cllm__io_set_hook(NULL, NULL);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.last_warning, "c.json"));
    assert_int_equal(b.count, 1);
    assert_false(cllm__path_exists(cache_path("c.json")));
    cllm__baselines_free(&b);
    free_fixture(&f);
}

static void test_memory_limit(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    cllm__baselines b;
    listener l = {0};
    cllm_host host = {.log = listen, .user = &l};
    cllm__baselines_options options = {.memory_limit = 100, .host = &host};
    check_ok(cllm__baselines_create(&b, &f.split[0], &options, &err), &err); /* by default it is left out */
    assert_int_equal(b.count, 5);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.last_warning, "ease is left out"));
    cllm__baselines_free(&b);
    options.list = "ease";
    assert_int_equal(cllm__baselines_create(&b, &f.split[0], &options, &err),
                     CLLM_ERR_UNSUPPORTED); /* by name it is an error */
    free_fixture(&f);
}

/* What was tuned before an interruption need not be tuned again. */
static void test_interrupted_cache(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    cllm__baselines b = {0};
    listener l;
    for (int looks = 1; !cllm__path_exists(cache_path("d.json")); looks += 10) {
        l = (listener){.cancel_after = looks};
        cllm_host host = {.cancelled = cancel_later, .user = &l};
        cllm__baselines_options options = {.list = "itemknn,als", .cache = cache_path("d.json"), .data_hash = 7, .host = &host};
        assert_int_equal(cllm__baselines_create(&b, &f.split[0], &options, &err), CLLM_ERR_INTERRUPTED);
    }
    create(&b, &f, "itemknn", cache_path("d.json"), 7, &l);
    assert_int_equal(l.trials, 0);
    cllm__baselines_free(&b);
    create(&b, &f, "als", cache_path("d.json"), 7, &l);
    assert_true(l.trials > 0);
    cllm__baselines_free(&b);
    free_fixture(&f);
}

/* Each user likes one of five kinds of items and takes one item in five at random: a model that is fitted to the noise,
 * with next to no lambda, must lose against the tuned ones. */
static void test_tuning_helps(void **state) {
    (void)state;
    cllm_error err;
    enum { U = 400, N = 100, W = 14 };
    int32_t *train = malloc(U * W * sizeof *train), *test = malloc(U * W * sizeof *test);
    for (size_t u = 0; u < U; u++) {
        cllm__rng rng = cllm__rng_make(4, CLLM_RNG_TEST, 5, u);
        bool had[N] = {0};
        size_t kind = cllm__rng_below(&rng, 5), n = 0;
        while (n < 9) {
            double x = cllm__rng_uniform(&rng);
            size_t item = cllm__rng_below(&rng, 5) == 0 ? cllm__rng_below(&rng, N) : 5 * (size_t)(x * x * 20) + kind;
            if (had[item]) continue;
            had[item] = true;
            if (n < 7) train[u * W + n] = (int32_t)item;
            else test[u * W + n - 7] = (int32_t)item;
            n++;
        }
        train[u * W + 7] = -1;
        test[u * W + 2] = -1;
    }
    cllm__interactions rows = make_rows(U, N, W, train), held = make_rows(U, N, W, test);
    cllm__baselines b;
    check_ok(cllm__baselines_create(&b, &rows, &(cllm__baselines_options){.list = "ease,itemknn,popularity,random"}, &err),
             &err);
    cllm__baseline wild;
    check_ok(cllm__ease_create(&wild, &rows, 0.01, 0, NULL, NULL, &err), &err);
    cllm__scorer scorers[5] = {b.models[0].scorer, b.models[1].scorer, b.models[2].scorer, b.models[3].scorer, wild.scorer};
    cllm__evaluation *e;
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){.train = &rows, .valid = &held}, scorers, 5,
                            &(cllm__eval_options){.split = CLLM__VALID}, &err),
             &err);
    double ndcg[5];
    for (size_t m = 0; m < 5; m++) check_ok(cllm__evaluation_mean(e, m, CLLM__NDCG, 20, &ndcg[m], &err), &err);
    assert_true(ndcg[0] > ndcg[2] + 0.05 && ndcg[1] > ndcg[2] + 0.05); /* both beat popularity, which beats chance */
    assert_true(ndcg[2] > ndcg[3] + 0.01);
    assert_true(ndcg[0] > ndcg[4] + 0.05);
    cllm__evaluation_free(e);
    cllm__baseline_free(&wild);
    cllm__baselines_free(&b);
    free(train);
    free(test);
    free_rows(&rows);
    free_rows(&held);
}

static void test_cancelling_and_memory(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(50, 20, 15, 3);
    /* The first points at which it looks, then ever fewer, until it gets through. */
    size_t looks = 1;
    for (;; looks += 1 + looks / 16) {
        listener l = {.cancel_after = (int)looks};
        cllm_host host = {.cancelled = cancel_later, .user = &l};
        cllm__baselines b = {0};
        cllm_status status = cllm__baselines_create(&b, &f.split[0], &(cllm__baselines_options){.host = &host}, &err);
        cllm__baselines_free(&b);
        if (status == CLLM_OK) break;
        assert_int_equal(status, CLLM_ERR_INTERRUPTED);
    }
    assert_true(looks > 20);
    size_t n = 1;
    for (;; n++) {
        cllm__baselines b = {0};
        cllm__alloc_fail_at(n, false);
        cllm_status status =
            cllm__baselines_create(&b, &f.split[0], &(cllm__baselines_options){.list = "popularity,itemknn,ease"}, &err);
        cllm__baselines_free(&b);
        if (status == CLLM_OK) break;
        assert_int_equal(status, CLLM_ERR_NOMEM);
    }
    cllm__alloc_fail_at(0, false);
    assert_true(n > 100);
    free_fixture(&f);
}

/* Rows of times 1 to `count` in a scrambled order, the last four of the same moment. */
static int64_t *make_times(size_t count) {
    int64_t *times = malloc(count * sizeof *times);
    for (size_t r = 0; r < count; r++) {
        times[r] = (int64_t)(r * 7919 % count) + 1;
        if (times[r] > (int64_t)count - 4) times[r] = (int64_t)count - 3;
        times[r] *= 86400;
    }
    return times;
}

static void test_inner_split(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    cllm__interactions rows = f.split[0];
    size_t n = rows.count;
    int64_t *times = make_times(n);
    assert_true(n % 7919 != 0);
    for (int h = CLLM__HELD_ANY; h <= CLLM__HELD_LATEST; h++) {
        for (int timed = 0; timed < 2; timed++) {
            bool latest = h == CLLM__HELD_LATEST && timed, last = h == CLLM__HELD_LAST;
            size_t users = 0;
            cllm__inner_split split = {0};
            rows.times = timed ? times : NULL;
            check_ok(cllm__inner_split_create(&split, &rows, (cllm__held_out)h, &err), &err);
            assert_int_equal(split.train.count + split.held.count, n);
            size_t at[2] = {0};
            for (size_t u = 0; u < USERS; u++) { /* each row stands in one part, in its order */
                for (size_t r = (size_t)rows.start[u]; r < rows.start[u + 1]; r++) {
                    const cllm__interactions *part[] = {&split.train, &split.held};
                    int p = at[0] < split.train.start[u + 1] && split.train.items[at[0]] == rows.items[r] ? 0 : 1;
                    assert_int_equal(part[p]->items[at[p]], rows.items[r]);
                    if (timed) assert_true(part[p]->times[at[p]] == times[r]);
                    if (latest) assert_int_equal(p, times[r] > 86400 * (int64_t)(n - n / 10));
                    if (last) assert_int_equal(p, r + 1 == rows.start[u + 1] && cllm__row_count(&rows, u) > 1);
                    at[p]++;
                }
                users += cllm__row_count(&rows, u) > 1;
                if (!latest) assert_true(cllm__row_count(&rows, u) == 0 || cllm__row_count(&split.train, u) > 0);
            }
            if (latest) assert_int_equal(split.held.count, n / 10);
            else if (last) assert_int_equal(split.held.count, users);
            else assert_in_range(split.held.count, n / 12, n / 8);
            cllm__inner_split_free(&split);
        }
    }
    /* The last moment is taken whole, however much it holds; all of one moment, or rows without a time: by user. */
    for (size_t same = n / 2; same <= n; same += n - n / 2) {
        cllm__inner_split split = {0};
        for (size_t r = 0; r < n; r++) times[r] = r < same ? 9 : 1;
        rows.times = times;
        check_ok(cllm__inner_split_create(&split, &rows, CLLM__HELD_LATEST, &err), &err);
        if (same < n) assert_int_equal(split.held.count, same);
        else assert_in_range(split.held.count, n / 12, n / 8);
        cllm__inner_split_free(&split);
        times[0] = INT64_MIN;
        check_ok(cllm__inner_split_create(&split, &rows, CLLM__HELD_LATEST, &err), &err);
        assert_in_range(split.held.count, n / 12, n / 8);
        cllm__inner_split_free(&split);
    }
    free(times);
    free_fixture(&f);
}

/* recent is asked for by name, or shown where what is measured comes later. */
static void test_recent(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(USERS, ITEMS, 40, 2);
    cllm__interactions rows = f.split[0];
    cllm__baselines b = {0};
    assert_int_equal(cllm__baselines_create(&b, &rows, &(cllm__baselines_options){.list = "recent"}, &err), CLLM_ERR_USAGE);
    check_message(&err, "recent needs the rows' times");
    int64_t *times = make_times(rows.count);
    rows.times = times;
    static const char *const usual[] = {"itemknn.neighbours=20", "ease.lambda=200", "userknn.neighbours=50", "als.factors=4", "bpr.epochs=1"};
    for (int by_time = 0; by_time < 2; by_time++) {
        const cllm__baselines_options options = {.settings = usual, .n_settings = CLLM_LEN(usual), .held_out = by_time ? CLLM__HELD_LATEST : CLLM__HELD_ANY};
        check_ok(cllm__baselines_create(&b, &rows, &options, &err), &err);
        assert_int_equal(b.count, 6 + 2 * by_time); /* recent and markov */
        if (by_time) assert_string_equal(b.models[1].scorer.name, "recent");
        cllm__baselines_free(&b);
    }
    /* Tuning finds the half-life that the rows were made with: items come and go. */
    for (size_t r = 0; r < rows.count; r++) ((int32_t *)(uintptr_t)rows.items)[r] = (int32_t)((times[r] / 86400 / 20 + (int64_t)(r % 3)) % ITEMS);
    check_ok(cllm__baselines_create(&b, &rows, &(cllm__baselines_options){.list = "recent", .held_out = CLLM__HELD_LATEST}, &err), &err);
    assert_string_equal(b.models[0].parameters, "half_life=10");
    cllm__baselines_free(&b);
    free(times);
    free_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_inner_split),
        cmocka_unit_test(test_recent),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_spoilt_cache),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_unwritable_cache),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_interrupted_cache),
        cmocka_unit_test(test_tuning_helps),
        cmocka_unit_test(test_cancelling_and_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
