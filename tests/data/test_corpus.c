/* Documents for content training: which texts are taken, how they are cut, and the control with shuffled texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "data/corpus.h"
#include "data/prepare.h"
#include "text/bpe_train.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { USERS = 6, ITEMS = 8 };

typedef struct world {
    char folder[64];
    cllm__dataset *dataset;
    cllm__tokenizer *tokenizer; /* of bytes */
    cllm__prompts prompts;
} world;

/* A user's text about an item says who wrote about what; user 0's texts are empty or white. */
static void review(char *text, size_t size, int user, int item) {
    if (user == 0) snprintf(text, size, "%s", item % 2 ? "" : " ");
    else snprintf(text, size, "u%d i%d%.*s", user, item, 10 * item, " and so on and so on and so on and so on and so on and so on and so on and so on");
}

static void write_inputs(const char *folder) {
    char path[128], text[256];
    snprintf(path, sizeof path, "%s/reviews.jsonl", folder);
    FILE *file = fopen(path, "w");
    for (int u = 0; u < USERS; u++)
        for (int i = 0; i < ITEMS; i++) {
            review(text, sizeof text, u, i);
            fprintf(file, "{\"reviewerID\":\"u%d\",\"asin\":\"i%d\",\"overall\":5.0,\"unixReviewTime\":%d,\"reviewText\":\"%s\"}\n", u, i, 1000 + i, text);
        }
    fclose(file);
    snprintf(path, sizeof path, "%s/items.jsonl", folder);
    file = fopen(path, "w");
    for (int i = 0; i < ITEMS; i++)
        fprintf(file, "{\"asin\":\"i%d\",\"title\":\"title of i%d\",\"brand\":\"%s\"}\n", i, i, i < 3 ? "brand" : "");
    fclose(file);
}

static int open_world(void **state) {
    static world w;
    w = (world){.folder = "corpus-XXXXXX"};
    assert_non_null(mkdtemp(w.folder));
    write_inputs(w.folder);
    char reviews[128], items[128], output[128];
    snprintf(reviews, sizeof reviews, "%s/reviews.jsonl", w.folder);
    snprintf(items, sizeof items, "%s/items.jsonl", w.folder);
    snprintf(output, sizeof output, "%s/data", w.folder);
    const char *inputs[] = {reviews};
    cllm_prepare_options options = {.inputs = inputs, .n_inputs = 1, .items = items, .output = output, .raw_text = true};
    OK(cllm__prepare(&options, NULL, ERR));
    OK(cllm__dataset_open(&w.dataset, output, false, ERR));
    cllm__bpe_trainer *trainer;
    OK(cllm__bpe_trainer_create(&trainer, ERR));
    OK(cllm__bpe_trainer_run(trainer, 256, 1, NULL, &w.tokenizer, ERR));
    cllm__bpe_trainer_free(trainer);
    OK(cllm__prompts_compile(&w.prompts, w.tokenizer, NULL, ERR));
    *state = &w;
    return 0;
}

static int close_world(void **state) {
    world *w = *state;
    cllm__prompts_free(&w->prompts);
    cllm__tokenizer_close(w->tokenizer);
    cllm__dataset_close(w->dataset);
    cllm__remove_tree(w->folder);
    return 0;
}

static void build(const world *w, cllm__corpus *corpus, cllm__corpus_options options, cllm__pool *pool) {
    *corpus = (cllm__corpus){0};
    OK(cllm__corpus_build(corpus, w->dataset, w->tokenizer, &w->prompts, options, pool, NULL, ERR));
}

/* The document's text, with NUL. */
static void text_of(const world *w, const cllm__document *document, char *out, size_t size) {
    char *text;
    size_t length;
    OK(cllm__tokenizer_decode(w->tokenizer, document->tokens, document->count, &text, &length, ERR));
    assert_true(length < size);
    memcpy(out, text, length + 1);
    cllm__free(text);
}

static void wanted_review(const world *w, const cllm__document *document, char *out, size_t size) {
    review(out, size, atoi(cllm__dataset_user_id(w->dataset, (size_t)document->user) + 1),
           atoi(cllm__dataset_item_id(w->dataset, (size_t)document->item) + 1));
}

static void test_reviews_of_a_split(void **state) {
    const world *w = *state;
    size_t total = 0;
    for (int split = 0; split < CLLM__SPLITS; split++) {
        const cllm__interactions *pairs = cllm__dataset_interactions(w->dataset, (cllm__split)split);
        cllm__corpus_options options = cllm__corpus_defaults(1024);
        options.kinds = 1u << CLLM__TEXT_REVIEW;
        options.split = (cllm__split)split;
        cllm__corpus corpus;
        build(w, &corpus, options, NULL);
        total += corpus.count;
        size_t tokens = 0;
        for (size_t k = 0; k < corpus.count; k++) {
            cllm__document document = cllm__corpus_at(&corpus, k);
            char text[256], wanted[256];
            assert_int_equal(document.kind, CLLM__TEXT_REVIEW);
            text_of(w, &document, text, sizeof text);
            wanted_review(w, &document, wanted, sizeof wanted);
            assert_string_equal(text, wanted);
            bool found = false;
            for (size_t i = 0; i < cllm__row_count(pairs, (size_t)document.user); i++)
                found = found || cllm__row(pairs, (size_t)document.user)[i] == document.item;
            assert_true(found);
            tokens += document.count;
        }
        assert_int_equal(tokens, corpus.n_tokens);
        assert_int_equal(corpus.cut, 0);
        cllm__corpus_free(&corpus);
    }
    /* All but user 0's; a text of white space may count as one of a token. */
    assert_in_range(total, (USERS - 1) * ITEMS, (USERS - 1) * ITEMS + ITEMS / 2);
}

static void test_kinds(void **state) {
    const world *w = *state;
    cllm__corpus corpus;
    cllm__corpus_options options = cllm__corpus_defaults(1024);
    options.kinds = 1u << CLLM__TEXT_TITLE | 1u << CLLM__TEXT_BRAND;
    build(w, &corpus, options, NULL);
    size_t titles = 0, brands = 0;
    for (size_t k = 0; k < corpus.count; k++) {
        cllm__document document = cllm__corpus_at(&corpus, k);
        char text[64], wanted[64];
        assert_int_equal(document.user, -1);
        text_of(w, &document, text, sizeof text);
        snprintf(wanted, sizeof wanted, "title of %s", cllm__dataset_item_id(w->dataset, (size_t)document.item));
        if (document.kind == CLLM__TEXT_TITLE) assert_string_equal(text, wanted);
        else assert_string_equal(text, "brand");
        titles += document.kind == CLLM__TEXT_TITLE;
        brands += document.kind == CLLM__TEXT_BRAND;
    }
    assert_true(titles == ITEMS && brands == 3);
    cllm__corpus_free(&corpus);
    /* Titles belong to the training part. */
    options.split = CLLM__TEST;
    build(w, &corpus, options, NULL);
    assert_int_equal(corpus.count, 0);
    cllm__corpus_free(&corpus);
}

static void test_limits(void **state) {
    const world *w = *state;
    cllm__corpus corpus;
    cllm__corpus_options options = cllm__corpus_defaults(1024);
    options.max_text_tokens = 7;
    build(w, &corpus, options, NULL);
    size_t longest = 0;
    for (size_t k = 0; k < corpus.count; k++) longest = corpus.length[k] > longest ? corpus.length[k] : longest;
    assert_true(longest == 7 && corpus.cut > 0);
    cllm__corpus_free(&corpus);

    options.max_text_tokens = 0;
    options.context = w->prompts.review.length + 20;
    build(w, &corpus, options, NULL);
    for (size_t k = 0; k < corpus.count; k++) {
        size_t prompt = cllm__prompts_of_text(&w->prompts, (cllm__text_kind)corpus.kinds[k])->length;
        assert_true(prompt + corpus.length[k] <= options.context);
    }
    cllm__corpus_free(&corpus);

    options.leading_space = true;
    build(w, &corpus, options, NULL);
    cllm__document document = cllm__corpus_at(&corpus, 0);
    char text[256];
    text_of(w, &document, text, sizeof text);
    assert_int_equal(text[0], ' ');
    cllm__corpus_free(&corpus);

    cllm_error error;
    options.context = w->prompts.review.length;
    assert_int_equal(cllm__corpus_build(&corpus, w->dataset, w->tokenizer, &w->prompts, options, NULL, NULL, &error), CLLM_ERR_DATA);
    assert_non_null(strstr(error.message, "wrote the following review"));
    cllm__corpus_free(&corpus);
}

static void test_shuffled(void **state) {
    const world *w = *state;
    cllm__corpus plain, shuffled, again;
    cllm__corpus_options options = cllm__corpus_defaults(1024);
    build(w, &plain, options, NULL);
    options.shuffle_texts = true;
    options.shuffle_seed = 4;
    build(w, &shuffled, options, NULL);
    build(w, &again, options, NULL);
    assert_true(plain.count == shuffled.count && plain.n_tokens == shuffled.n_tokens);
    assert_memory_equal(plain.kinds, shuffled.kinds, plain.count);
    assert_memory_equal(plain.items, shuffled.items, plain.count * sizeof *plain.items);
    assert_memory_equal(plain.users, shuffled.users, plain.count * sizeof *plain.users);
    assert_memory_equal(shuffled.start, again.start, plain.count * sizeof *plain.start);
    /* Texts move within their kind; each is there once. */
    size_t moved = 0;
    for (size_t k = 0; k < plain.count; k++) {
        size_t times = 0;
        for (size_t m = 0; m < plain.count; m++)
            if (shuffled.start[m] == plain.start[k]) {
                times++;
                assert_true(shuffled.kinds[m] == plain.kinds[k] && shuffled.length[m] == plain.length[k]);
                moved += m != k;
            }
        assert_int_equal(times, 1);
    }
    assert_true(moved > plain.count / 2);
    cllm__corpus_free(&plain);
    cllm__corpus_free(&shuffled);
    cllm__corpus_free(&again);
}

static void test_pool(void **state) {
    const world *w = *state;
    cllm__pool *pool;
    cllm__corpus one, many;
    OK(cllm__pool_create(&pool, 3, ERR));
    build(w, &one, cllm__corpus_defaults(1024), NULL);
    build(w, &many, cllm__corpus_defaults(1024), pool);
    assert_true(one.count == many.count && one.n_tokens == many.n_tokens && one.skipped_empty == many.skipped_empty);
    assert_memory_equal(one.tokens, many.tokens, one.n_tokens * sizeof *one.tokens);
    assert_memory_equal(one.start, many.start, one.count * sizeof *one.start);
    cllm__corpus_free(&one);
    cllm__corpus_free(&many);
    cllm__pool_free(pool);
}

static bool stop(void *user) {
    (void)user;
    return true;
}

static void test_failures(void **state) {
    const world *w = *state;
    cllm_error error;
    cllm__corpus corpus = {0};
    const cllm_host host = {.cancelled = stop};
    assert_int_equal(cllm__corpus_build(&corpus, w->dataset, w->tokenizer, &w->prompts, cllm__corpus_defaults(1024), NULL, &host, &error),
                     CLLM_ERR_INTERRUPTED);
    cllm__corpus_free(&corpus);
    cllm_status status = CLLM_ERR_NOMEM;
    for (size_t n = 1; status != CLLM_OK; n++) {
        cllm__corpus_options options = cllm__corpus_defaults(1024);
        options.shuffle_texts = true;
        cllm__alloc_fail_at(n, false);
        status = cllm__corpus_build(&corpus, w->dataset, w->tokenizer, &w->prompts, options, NULL, NULL, &error);
        cllm__alloc_fail_at(0, false);
        assert_true(status == CLLM_OK || status == CLLM_ERR_NOMEM);
        cllm__corpus_free(&corpus);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reviews_of_a_split), cmocka_unit_test(test_kinds), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shuffled),           cmocka_unit_test(test_pool),  cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
