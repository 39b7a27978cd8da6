/* Words of items: the tf-idf vectors against a slow count, and the two models on them against their formulas. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "base/threads.h"
#include "eval/baseline.h"

typedef struct document {
    int32_t item;
    const char *text;
} document;

static bool get_document(const void *context, size_t index, int32_t *item, const char **text, size_t *length) {
    const document *documents = context;
    if (documents[index].text == NULL) return false;
    *item = documents[index].item;
    *text = documents[index].text;
    *length = strlen(documents[index].text);
    return true;
}

static cllm__tfidf make_features(size_t n_items, const document *documents, size_t count) {
    cllm_error err;
    cllm__tfidf f;
    cllm__item_texts texts = {documents, count, get_document};
    check_ok(cllm__tfidf_create(&f, n_items, &texts, NULL, &err), &err);
    return f;
}

static double length_of(const cllm__tfidf *f, size_t item) {
    double square = 0;
    for (uint64_t e = f->start[item]; e < f->start[item + 1]; e++) square += (double)f->values[e] * (double)f->values[e];
    return sqrt(square);
}

/* A new text's words and weights are those of the item that has the same text. */
static void check_lexicon(const cllm__tfidf *f, const char *text, size_t item) {
    cllm_error err;
    int32_t *words;
    float *weights;
    size_t count;
    check_ok(cllm__lexicon_weigh(&f->lexicon, text, strlen(text), &words, &weights, &count, &err), &err);
    assert_int_equal(count, f->start[item + 1] - f->start[item]);
    for (size_t e = 0; e < count; e++) {
        assert_int_equal(words[e], f->words[f->start[item] + e]);
        check_near(weights[e], f->values[f->start[item] + e], 1e-6);
    }
    cllm__free(words);
    cllm__free(weights);
}

static void test_by_hand(void **state) {
    (void)state;
    /* Words: red(0) lamp(1) table(2) größe(3). "the" would be in all. Item 3 has no text, item 2 only a word of its own. */
    const document documents[] = {{0, "Red LAMP, red"}, {1, "red-table"}, {2, "Größe"}, {0, NULL}, {0, "lamp\xff"}};
    cllm__tfidf f = make_features(4, documents, 5);
    assert_int_equal(f.n_words, 4);
    assert_int_equal(f.start[1], 2);
    assert_int_equal(f.start[2], 4);
    assert_int_equal(f.start[3], 5);
    assert_int_equal(f.start[4], 5);
    /* Item 0: red twice, in 2 of 4 items; lamp twice, in 1 of 4. */
    double red = (1 + log(2)) * log(2), lamp = (1 + log(2)) * log(4), norm = sqrt(red * red + lamp * lamp);
    assert_int_equal(f.words[0], 0);
    check_near(f.values[0], red / norm, 1e-6);
    check_near(f.values[1], lamp / norm, 1e-6);
    check_near(f.values[2], log(2) / sqrt(log(2) * log(2) + log(4) * log(4)), 1e-6);
    check_near(f.values[4], 1, 1e-6);
    check_lexicon(&f, "Red LAMP, red lamp zebra", 0); /* unknown words count for nothing */
    cllm_error err;
    check_ok(cllm__tfidf_thin(&f, 2, &err), &err); /* red alone stands in two items */
    assert_int_equal(f.n_words, 1);
    check_lexicon(&f, "table red", 1);
    cllm__tfidf_free(&f);
    /* The same word in another spelling of the case, also beyond ASCII; digits count; a word of all items weighs nothing.
     */
    const document more[] = {{0, "GRÖSSE größe MP3 x"}, {1, "Größe mp3, X"}};
    f = make_features(2, more, 2);
    assert_int_equal(f.n_words, 4); /* größe, grösse, mp3, x */
    check_near(length_of(&f, 0), 1, 1e-6);
    check_near(length_of(&f, 1), 0, 0); /* all its words are everywhere */
    cllm__tfidf_free(&f);
    f = make_features(2, NULL, 0);
    assert_int_equal(f.n_words, 0);
    cllm__tfidf_free(&f);
    char run[2000];
    memset(run, 'a', sizeof run);
    run[1999] = '\0';
    const document junk[] = {{0, run}, {0, "ok"}};
    f = make_features(1, junk, 2);
    assert_int_equal(f.n_words, 1); /* 1,999 letters are no word */
    cllm__tfidf_free(&f);
}

static void test_hostile(void **state) {
    (void)state;
    cllm_error err;
    cllm__tfidf f;
    const document documents[] = {{0, "a"}, {7, "b"}};
    assert_int_equal(cllm__tfidf_create(&f, 3, &(cllm__item_texts){documents, 2, get_document}, NULL, &err), CLLM_ERR_DATA);
    check_message(&err, "item 7 of 3");
    const document negative[] = {{-1, "a"}};
    assert_int_equal(cllm__tfidf_create(&f, 3, &(cllm__item_texts){negative, 1, get_document}, NULL, &err), CLLM_ERR_DATA);
    /* Bytes that are no UTF-8, cut in the middle of a character, at each place. */
    static const char nasty[] = "\xf0\x9f\x98\x80 a\xc3\xa9 \xed\xa0\x80 \xc3";
    for (size_t i = 0; i < sizeof nasty; i++) {
        const document cut[] = {{0, nasty + i}};
        f = make_features(1, cut, 1);
        cllm__tfidf_free(&f);
    }
}

/* ---- The models ---- */

enum { USERS = 60, ITEMS = 40, WORDS = 30 };

typedef struct shop {
    fixture f;
    char *text[ITEMS];
    document documents[ITEMS];
    cllm__tfidf features;
} shop;

/* An item's words come from the tenth of the items that it belongs to; every seventh has none. */
static shop make_shop(void) {
    shop s = {.f = make_fixture(USERS, ITEMS, 20, 1)};
    for (size_t i = 0; i < ITEMS; i++) {
        cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 7, i);
        s.text[i] = calloc(1, 400);
        for (size_t w = 0; w < 12 && i % 7 != 3; w++) {
            unsigned word = (unsigned)(cllm__rng_below(&rng, 3) == 0 ? cllm__rng_below(&rng, WORDS)
                                                                     : i / 4 * 2 + cllm__rng_below(&rng, 4));
            snprintf(s.text[i] + strlen(s.text[i]), 20, "w%u ", word);
        }
        s.documents[i] = (document){(int32_t)i, s.text[i]};
    }
    s.features = make_features(ITEMS, s.documents, ITEMS);
    return s;
}

static void free_shop(shop *s) {
    for (size_t i = 0; i < ITEMS; i++) free(s->text[i]);
    cllm__tfidf_free(&s->features);
    free_fixture(&s->f);
}

static double cosine(const cllm__tfidf *f, size_t i, size_t j) {
    double sum = 0;
    for (uint64_t a = f->start[i]; a < f->start[i + 1]; a++) {
        for (uint64_t b = f->start[j]; b < f->start[j + 1]; b++) {
            if (f->words[a] == f->words[b]) sum += (double)f->values[a] * (double)f->values[b];
        }
    }
    return sum;
}

static float *scores_of(const cllm__baseline *b) {
    cllm_error err;
    int32_t users[USERS];
    for (int u = 0; u < USERS; u++) users[u] = u;
    float *scores = malloc(USERS * ITEMS * sizeof *scores);
    check_ok(b->scorer.score(b->scorer.context, users, USERS, scores, &err), &err);
    return scores;
}

static void test_textknn(void **state) {
    (void)state;
    cllm_error err;
    shop s = make_shop();
    cllm__pool *pool;
    check_ok(cllm__pool_create(&pool, 3, &err), &err);
    cllm__baseline b[2];
    check_ok(cllm__textknn_create(&b[0], &s.f.split[0], &s.features, NULL, &err), &err);
    check_ok(cllm__textknn_create(&b[1], &s.f.split[0], &s.features, pool, &err), &err);
    float *scores = scores_of(&b[0]), *again = scores_of(&b[1]);
    assert_memory_equal(scores, again, USERS * ITEMS * sizeof *scores);
    for (size_t u = 0; u < USERS; u++) {
        for (size_t j = 0; j < ITEMS; j++) {
            double score = 0;
            for (size_t h = 0; h < cllm__row_count(&s.f.split[0], u); h++) {
                score += cosine(&s.features, (size_t)cllm__row(&s.f.split[0], u)[h], j);
            }
            check_near(scores[u * ITEMS + j], score, 1e-5);
        }
    }
    free(scores);
    free(again);
    cllm__baseline_free(&b[0]);
    cllm__baseline_free(&b[1]);
    cllm__pool_free(pool);
    s.features.n_items--;
    assert_int_equal(cllm__textknn_create(&b[0], &s.f.split[0], &s.features, NULL, &err), CLLM_ERR_MISMATCH);
    assert_int_equal(cllm__ease_text_create(&b[0], &s.f.split[0], &s.features, 1, 1, 0, NULL, NULL, &err),
                     CLLM_ERR_MISMATCH);
    s.features.n_items++;
    assert_int_equal(cllm__ease_text_create(&b[0], &s.f.split[0], &s.features, -1, 1, 0, NULL, NULL, &err), CLLM_ERR_USAGE);
    free_shop(&s);
}

static void test_ease_text(void **state) {
    (void)state;
    cllm_error err;
    shop s = make_shop();
    const double lambda = 5, weight = 7;
    static double g[ITEMS * ITEMS], spare[ITEMS * ITEMS], p[ITEMS][ITEMS];
    for (size_t i = 0; i < ITEMS; i++) {
        for (size_t j = 0; j < ITEMS; j++) {
            double both = weight * cosine(&s.features, i, j) + (i == j ? lambda : 0);
            for (size_t u = 0; u < USERS; u++)
                both += has_item(&s.f.split[0], u, (int32_t)i) && has_item(&s.f.split[0], u, (int32_t)j);
            g[i * ITEMS + j] = both;
        }
    }
    for (size_t j = 0; j < ITEMS; j++) {
        memcpy(spare, g, sizeof g);
        for (size_t i = 0; i < ITEMS; i++) p[j][i] = i == j;
        solve(spare, p[j], ITEMS);
    }
    cllm__baseline b;
    check_ok(cllm__ease_text_create(&b, &s.f.split[0], &s.features, weight, lambda, 0, NULL, NULL, &err), &err);
    assert_string_equal(b.parameters, "lambda=5,weight=7");
    float *scores = scores_of(&b);
    for (size_t u = 0; u < USERS; u++) {
        for (size_t j = 0; j < ITEMS; j++) {
            double score = 0;
            for (size_t i = 0; i < ITEMS; i++) {
                if (i != j && has_item(&s.f.split[0], u, (int32_t)i)) score -= p[i][j] / p[j][j];
            }
            check_near(scores[u * ITEMS + j], score, 1e-6);
        }
    }
    free(scores);
    cllm__baseline_free(&b);
    free_shop(&s);
}

static void count_trials(void *user, cllm_log_level level, const char *message) {
    (void)level;
    *(size_t *)user += strstr(message, "inner split: ") != NULL;
}

static void test_in_the_set(void **state) {
    (void)state;
    cllm_error err;
    shop s = make_shop();
    size_t trials = 0;
    cllm_host host = {.log = count_trials, .user = &trials};
    cllm__item_texts texts = {s.documents, ITEMS, get_document};
    cllm__baselines_options options = {
        .list = "ease_text,textknn", .texts = &texts, .host = &host, .cache = "text_cache.json"};
    remove(options.cache);
    size_t before = 0;
    char chosen[64];
    for (int round = 0; round < 2; round++) {
        cllm__baselines b;
        check_ok(cllm__baselines_create(&b, &s.f.split[0], &options, &err), &err);
        assert_int_equal(b.count, 2);
        assert_string_equal(b.models[0].scorer.name, "ease_text");
        if (round == 0) memcpy(chosen, b.models[0].parameters, sizeof chosen);
        assert_string_equal(b.models[0].parameters, chosen);
        float *scores = scores_of(&b.models[1]); /* the features live on in the set */
        free(scores);
        cllm__baselines_free(&b);
        if (round == 0) before = trials;
        assert_in_range(before, 5, 30);
        assert_int_equal(trials, before); /* the second round finds them in the cache */
    }
    remove(options.cache);
    options.texts = NULL;
    cllm__baselines none = {0};
    assert_int_equal(cllm__baselines_create(&none, &s.f.split[0], &options, &err), CLLM_ERR_USAGE);
    check_message(&err, "need texts");
    assert_int_equal(trials, before);
    free_shop(&s);
}

typedef struct warnings {
    size_t count;
    char first[256], memory[256]; /* the first warning; the remark on what EASE needs */
} warnings;

static void keep_warnings(void *user, cllm_log_level level, const char *message) {
    warnings *w = user;
    if (level == CLLM_LOG_WARN && w->count++ == 0) snprintf(w->first, sizeof w->first, "%s", message);
    if (strstr(message, "GB of memory") != NULL) snprintf(w->memory, sizeof w->memory, "%s", message);
}

/* The lists that ask for what there is. */
#define REST "userknn", "als", "bpr"
static void test_defaults(void **state) {
    (void)state;
    cllm_error err;
    shop s = make_shop();
    cllm__item_texts texts = {s.documents, ITEMS, get_document}, no_texts = {NULL, 0, get_document};
    uint64_t one = cllm__ease_memory(ITEMS), both = one + ITEMS * ITEMS * sizeof(float);
    const struct {
        const char *list;
        const cllm__item_texts *texts;
        uint64_t limit;
        const char *names[8], *warning, *memory;
        size_t warnings;
    } cases[] = {
        {NULL, &texts, 0, {"popularity", "itemknn", "textknn", "ease", "ease_text", REST}, "", "ease and ease_text: ", 0},
        {NULL, &no_texts, 0, {"popularity", "itemknn", "ease", REST}, "", "ease: ", 0},
        {NULL, &texts, both, {"popularity", "itemknn", "textknn", "ease", "ease_text", REST}, "", "ease and ease_text: ", 0},
        {"all", &texts, both - 1, {"popularity", "itemknn", "textknn", "ease_text", REST}, "ease is left out", "ease_text: ", 1},
        {NULL, &texts, one - 1, {"popularity", "itemknn", "textknn", REST}, "ease is left out", "", 2},
        {"all", &no_texts, one - 1, {"popularity", "itemknn", REST}, "ease is left out", "", 1},
        {"ease,ease_text", &texts, both - 1, {NULL}, NULL, "", 0},
        {"ease", &texts, one - 1, {NULL}, NULL, "", 0},
    };
    for (size_t c = 0; c < CLLM_LEN(cases); c++) {
        warnings w = {0};
        cllm_host host = {.log = keep_warnings, .user = &w};
        cllm__baselines_options options = {
            .list = cases[c].list, .texts = cases[c].texts, .host = &host, .memory_limit = cases[c].limit};
        cllm__baselines b = {0};
        cllm_status status = cllm__baselines_create(&b, &s.f.split[0], &options, &err);
        assert_int_equal(status, cases[c].warning != NULL ? CLLM_OK : CLLM_ERR_UNSUPPORTED);
        if (status != CLLM_OK) check_message(&err, "GB are allowed");
        size_t n = 0;
        for (; n < CLLM_LEN(cases[c].names) && cases[c].names[n] != NULL; n++) {
            assert_true(n < b.count);
            assert_string_equal(b.models[n].scorer.name, cases[c].names[n]);
        }
        assert_int_equal(b.count, n);
        assert_int_equal(w.count, cases[c].warnings);
        assert_ptr_equal(strstr(w.first, cases[c].warning != NULL ? cases[c].warning : ""), w.first);
        assert_ptr_equal(strstr(w.memory, cases[c].memory), w.memory);
        cllm__baselines_free(&b);
    }
    free_shop(&s);
}

static bool cancel_now(void *user) {
    (void)user;
    return true;
}

static void test_failures(void **state) {
    (void)state;
    cllm_error err;
    shop s = make_shop();
    cllm__item_texts texts = {s.documents, ITEMS, get_document};
    for (int kind = 0; kind < 3; kind++) {
        size_t n = 1;
        for (;; n++) {
            cllm__tfidf f = {0};
            cllm__baseline b = {0};
            cllm__alloc_fail_at(n, false);
            cllm_status status = kind == 0 ? cllm__tfidf_create(&f, ITEMS, &texts, NULL, &err)
                                 : kind == 1
                                     ? cllm__textknn_create(&b, &s.f.split[0], &s.features, NULL, &err)
                                     : cllm__ease_text_create(&b, &s.f.split[0], &s.features, 1, 1, 0, NULL, NULL, &err);
            cllm__tfidf_free(&f);
            cllm__baseline_free(&b);
            if (status == CLLM_OK) break;
            assert_int_equal(status, CLLM_ERR_NOMEM);
        }
        cllm__alloc_fail_at(0, false);
        assert_true(n > 2);
    }
    cllm__tfidf f;
    cllm__baseline b;
    cllm_host host = {.cancelled = cancel_now};
    assert_int_equal(cllm__tfidf_create(&f, ITEMS, &texts, &host, &err), CLLM_ERR_INTERRUPTED);
    assert_int_equal(cllm__ease_text_create(&b, &s.f.split[0], &s.features, 1, 1, 0, NULL, &host, &err),
                     CLLM_ERR_INTERRUPTED);
    free_shop(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),   cmocka_unit_test(test_hostile),    cmocka_unit_test(test_textknn),
        cmocka_unit_test(test_ease_text), cmocka_unit_test(test_in_the_set), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
