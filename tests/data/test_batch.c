/* Batches: rows, targets and counted rows of every stage and convention; limits; orders and masks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "data/batch.h"
#include "text/bpe_train.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { N = 256, USERS = 5, ITEMS = 9 };
#define U(i) (N + (i))
#define V(j) (N + USERS + (j))

typedef struct world {
    cllm__tokenizer *tokenizer; /* of bytes */
    cllm__prompts prompts;
    cllm__batch batch;
    cllm__batch_rules rules;
} world;

static int open_world(void **state) {
    static world w;
    w = (world){.rules = {.space = {N, USERS, ITEMS}, .reg = CLLM__REG_MAP, .predict_first = true, .context = 200}};
    cllm__bpe_trainer *trainer;
    OK(cllm__bpe_trainer_create(&trainer, ERR));
    OK(cllm__bpe_trainer_run(trainer, N, 1, NULL, &w.tokenizer, ERR));
    cllm__bpe_trainer_free(trainer);
    OK(cllm__prompts_compile(&w.prompts, w.tokenizer, NULL, ERR));
    *state = &w;
    return 0;
}

static int close_world(void **state) {
    world *w = *state;
    cllm__batch_free(&w->batch);
    cllm__prompts_free(&w->prompts);
    cllm__tokenizer_close(w->tokenizer);
    return 0;
}

/* A list of tokens, put together from words (text), users and items. */
typedef struct expected {
    int32_t ids[300];
    size_t count;
} expected;

static void add_text(const world *w, expected *e, const char *text) {
    cllm__tokens tokens = {0};
    OK(cllm__tokenizer_encode(w->tokenizer, text, strlen(text), &tokens, ERR));
    memcpy(e->ids + e->count, tokens.ids, tokens.count * sizeof *tokens.ids);
    e->count += tokens.count;
    cllm__tokens_free(&tokens);
}

static void add_ids(expected *e, const int32_t *ids, size_t n) {
    memcpy(e->ids + e->count, ids, n * sizeof *ids);
    e->count += n;
}

static void add_id(expected *e, int32_t id) {
    e->ids[e->count++] = id;
}

static void check_rows(const cllm__batch *batch, size_t s, const int32_t *ids, size_t n) {
    assert_int_equal(batch->start[s + 1] - batch->start[s], n);
    assert_memory_equal(batch->tokens + batch->start[s], ids, n * sizeof *ids);
}

static void check_list(const int32_t *list, size_t n, const int32_t *wanted, size_t n_wanted) {
    assert_int_equal(n, n_wanted);
    if (n > 0) assert_memory_equal(list, wanted, n * sizeof *list);
}

#define CHECK_LIST(list, n, ...) \
    do { \
        const int32_t wanted_[] = {__VA_ARGS__}; \
        check_list(list, n, wanted_, COUNT(wanted_)); \
    } while (0)

/* ---- */

static void test_collab(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    static const int32_t items[] = {7, 2, 7, 0}, one[] = {4};
    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_collab(b, &w->rules, &w->prompts, 3, items, COUNT(items), ERR));
    OK(cllm__batch_add_collab(b, &w->rules, &w->prompts, 1, one, 1, ERR));
    expected e = {0};
    add_id(&e, U(3));
    add_text(w, &e, " has interacted with");
    size_t prompt = e.count;
    add_ids(&e, (const int32_t[]){V(7), V(2), V(7)}, 3); /* the last item has no row */
    check_rows(b, 0, e.ids, e.count);
    e.ids[0] = U(1);
    check_rows(b, 1, e.ids, prompt);
    assert_int_equal(b->n_out, 5);
    for (size_t k = 0; k < 4; k++) assert_int_equal(b->out_rows[k], prompt - 1 + k);
    assert_int_equal(b->out_rows[4], 2 * prompt + 3 - 1);
    CHECK_LIST(b->targets, b->n_out, 7, 2, 7, 0, 4);
    assert_int_equal(b->out_start[1], 4);
    assert_int_equal(b->out_start[2], 5);
    CHECK_LIST(b->reg_users, b->n_reg_users, 3, 1);
    CHECK_LIST(b->reg_items, b->n_reg_items, 7, 2, 7, 0, 4); /* each occurrence */

    cllm__batch_rules code = w->rules;
    code.reg = CLLM__REG_CODE;
    code.predict_first = false;
    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_collab(b, &code, &w->prompts, 3, items, COUNT(items), ERR));
    OK(cllm__batch_add_collab(b, &code, &w->prompts, 1, one, 1, ERR)); /* nothing to predict: no rows */
    assert_int_equal(b->start[2], b->start[1]);
    assert_int_equal(b->n_out, 3);
    for (size_t k = 0; k < 3; k++) assert_int_equal(b->out_rows[k], prompt + k);
    CHECK_LIST(b->targets, b->n_out, 2, 7, 0);
    CHECK_LIST(b->reg_users, b->n_reg_users, 3, 1);
    CHECK_LIST(b->reg_items, b->n_reg_items, 7, 2, 7, 0, 4);
}

/* Items and words in one softmax: the words that join two items are targets, too. */
static void test_joined(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    cllm__prompts prompts;
    cllm__batch_rules rules = w->rules;
    static const int32_t items[] = {7, 2, 0};
    OK(cllm__prompts_compile(&prompts, w->tokenizer, NULL, ERR));
    OK(cllm__prompts_shape(&prompts, w->tokenizer, (cllm__prompt_shape){.join = "&"}, ERR));
    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    cllm_error err = {0};
    assert_int_equal(cllm__batch_add_collab(b, &rules, &prompts, 3, items, COUNT(items), &err), CLLM_ERR_DATA);
    assert_non_null(strstr(err.message, "place 1 of a main text is not an item"));
    rules.joint = true;
    OK(cllm__batch_add_collab(b, &rules, &prompts, 3, items, COUNT(items), ERR));
    expected e = {0}, joining = {0};
    add_text(w, &joining, "&");
    assert_int_equal(joining.count, 1);
    add_id(&e, U(3));
    add_text(w, &e, " has interacted with");
    add_ids(&e, (const int32_t[]){V(7), joining.ids[0], V(2), joining.ids[0]}, 4);
    check_rows(b, 0, e.ids, e.count);
    CHECK_LIST(b->targets, b->n_out, 7, ITEMS + joining.ids[0], 2, ITEMS + joining.ids[0], 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 7, 2, 0);
    assert_int_equal(b->n_joining, 2);
    assert_true(b->joint);
    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    assert_false(b->joint);
    /* Of a history that is too long the last items stay, joined. */
    size_t prompt = e.count - 4;
    rules.context = prompt + 4;
    OK(cllm__batch_add_collab(b, &rules, &prompts, 3, items, COUNT(items), ERR));
    CHECK_LIST(b->targets, b->n_out, 2, ITEMS + joining.ids[0], 0);
    assert_int_equal(b->dropped_items, 1);
    cllm__prompts_free(&prompts);
}

static void test_content(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    static const int32_t words[] = {5, 6, 7};
    const cllm__document review = {CLLM__TEXT_REVIEW, 2, 8, words, 3}, title = {CLLM__TEXT_TITLE, -1, 0, words, 1},
                         biography = {CLLM__TEXT_BIOGRAPHY, 4, -1, words + 1, 2};
    for (int first = 0; first < 2; first++)
        for (int reg = 0; reg < 2; reg++) {
            cllm__batch_rules rules = w->rules;
            rules.predict_first = first;
            rules.reg = (cllm__reg)reg;
            cllm__batch_clear(b, CLLM__STAGE_CONTENT);
            OK(cllm__batch_add_document(b, &rules, &w->prompts, &review, ERR));
            OK(cllm__batch_add_document(b, &rules, &w->prompts, &title, ERR));
            OK(cllm__batch_add_document(b, &rules, &w->prompts, &biography, ERR));
            expected e = {0};
            add_id(&e, U(2));
            add_text(w, &e, " wrote the following review for ");
            e.count--; /* pieces between tokens are stripped on their right */
            add_id(&e, V(8));
            add_text(w, &e, ":");
            size_t prompt = e.count;
            add_ids(&e, words, 2);
            check_rows(b, 0, e.ids, e.count);
            assert_int_equal(b->out_rows[0], prompt - (size_t)first);
            if (first) CHECK_LIST(b->targets, b->n_out, 5, 6, 7, 5, 6, 7);
            else CHECK_LIST(b->targets, b->n_out, 6, 7, 7);
            assert_int_equal(b->start[2] - b->start[1], first ? strlen("The title of") + 1 + strlen(" is:") : 0);
            CHECK_LIST(b->reg_users, b->n_reg_users, 2, 4);
            CHECK_LIST(b->reg_items, b->n_reg_items, 8, 0);
        }
}

/* What a prompt names twice counts once for the paper and twice for the authors' program. */
static void test_counts_of_repeats(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    static const int32_t prompt[] = {U(1), V(3), 9, U(1), V(3), U(0)}, words[] = {1, 2}, items[] = {V(3), V(2)}, targets[] = {2, 3, 5};
    cllm__batch_rules code = w->rules;
    code.reg = CLLM__REG_CODE;
    cllm__batch_clear(b, CLLM__STAGE_CONTENT);
    OK(cllm__batch_add_tokens(b, &w->rules, prompt, COUNT(prompt), words, 2, ERR));
    OK(cllm__batch_add_tokens(b, &w->rules, prompt, COUNT(prompt), words, 2, ERR)); /* again: counted by sequence */
    CHECK_LIST(b->reg_users, b->n_reg_users, 1, 0, 1, 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 3, 3);
    cllm__batch_clear(b, CLLM__STAGE_CONTENT);
    OK(cllm__batch_add_tokens(b, &code, prompt, COUNT(prompt), words, 2, ERR));
    CHECK_LIST(b->reg_users, b->n_reg_users, 1, 1, 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 3, 3);

    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_tokens(b, &w->rules, prompt, COUNT(prompt), items, 2, ERR));
    CHECK_LIST(b->reg_users, b->n_reg_users, 1, 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 3, 3, 3, 2);
    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_tokens(b, &code, prompt, COUNT(prompt), items, 2, ERR));
    CHECK_LIST(b->reg_users, b->n_reg_users, 1, 1, 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 3, 3, 3, 2);

    cllm__batch_clear(b, CLLM__STAGE_REC);
    OK(cllm__batch_add_readout(b, &w->rules, prompt, COUNT(prompt), targets, 3, ERR));
    CHECK_LIST(b->reg_users, b->n_reg_users, 1, 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 3, 2, 5);
    cllm__batch_clear(b, CLLM__STAGE_REC);
    OK(cllm__batch_add_readout(b, &code, prompt, COUNT(prompt), targets, 3, ERR));
    CHECK_LIST(b->reg_users, b->n_reg_users, 1, 1, 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 3, 3);
}

static void rec_prompt(const world *w, expected *e, int32_t user, const int32_t *items, size_t n) {
    e->count = 0;
    if (user >= 0) add_id(e, U(user));
    add_text(w, e, " has interacted with");
    for (size_t i = 0; i < n; i++) add_id(e, V(items[i]));
    add_text(w, e, ",");
    if (user >= 0) {
        add_text(w, e, " ");
        e->count--;
        add_id(e, U(user));
    }
    add_text(w, e, " will interact with");
}

static void test_rec(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    static const int32_t items[] = {6, 1, 3}, targets[] = {0, 3, 8}, only[] = {2};
    cllm__batch_clear(b, CLLM__STAGE_REC);
    OK(cllm__batch_add_rec(b, &w->rules, &w->prompts, 4, items, 3, targets, 3, ERR));
    OK(cllm__batch_add_rec(b, &w->rules, &w->prompts, 0, NULL, 0, only, 1, ERR)); /* n_train = 1: nothing is left for the prompt */
    expected e;
    rec_prompt(w, &e, 4, items, 3);
    check_rows(b, 0, e.ids, e.count);
    assert_int_equal(b->out_rows[0], e.count - 1);
    assert_int_equal(b->out_rows[1], b->start[2] - 1);
    rec_prompt(w, &e, 0, NULL, 0);
    assert_int_equal(b->start[2] - b->start[1], e.count);
    CHECK_LIST(b->target_items, b->target_start[2], 0, 3, 8, 2);
    assert_int_equal(b->target_start[1], 3);
    CHECK_LIST(b->reg_users, b->n_reg_users, 4, 0);
    CHECK_LIST(b->reg_items, b->n_reg_items, 6, 1, 3, 0, 8, 2);

    cllm__batch_rules code = w->rules;
    code.reg = CLLM__REG_CODE;
    cllm__batch_clear(b, CLLM__STAGE_REC);
    OK(cllm__batch_add_rec(b, &code, &w->prompts, 4, items, 3, targets, 3, ERR));
    CHECK_LIST(b->reg_users, b->n_reg_users, 4, 4);
    CHECK_LIST(b->reg_items, b->n_reg_items, 6, 1, 3);
}

static void test_prompt(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    static const int32_t items[] = {6, 1, 3};
    cllm__batch_clear(b, CLLM__STAGE_PROMPT);
    OK(cllm__batch_add_prompt(b, &w->rules, &w->prompts, 2, items, 3, ERR));
    OK(cllm__batch_add_prompt(b, &w->rules, &w->prompts, -1, items, 3, ERR)); /* a visitor */
    OK(cllm__batch_add_prompt(b, &w->rules, &w->prompts, 2, NULL, 0, ERR));
    expected e;
    rec_prompt(w, &e, 2, items, 3);
    check_rows(b, 0, e.ids, e.count);
    for (size_t t = b->start[1]; t < b->start[2]; t++) assert_true(b->tokens[t] < N || b->tokens[t] >= V(0));
    assert_int_equal(b->n_out, 3);
    assert_int_equal(b->n_reg_users + b->n_reg_items + b->target_start[3], 0);
}

/* A history that is longer than the context loses its front, never the words after it. */
static void test_long_histories(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    int32_t items[100];
    for (size_t i = 0; i < COUNT(items); i++) items[i] = (int32_t)(i % ITEMS);
    static const int32_t target[] = {1};
    cllm__batch_rules rules = w->rules;
    rules.context = 60;
    cllm__batch_clear(b, CLLM__STAGE_REC);
    OK(cllm__batch_add_rec(b, &rules, &w->prompts, 1, items, COUNT(items), target, 1, ERR));
    size_t room = b->start[1];
    assert_int_equal(room, 60);
    size_t kept = COUNT(items) - b->dropped_items;
    expected e;
    rec_prompt(w, &e, 1, items + b->dropped_items, kept);
    check_rows(b, 0, e.ids, e.count);

    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_collab(b, &rules, &w->prompts, 1, items, COUNT(items), ERR));
    size_t prompt = 1 + strlen(" has interacted with");
    assert_int_equal(b->start[1], 59);
    assert_int_equal(b->dropped_items, COUNT(items) - (60 - prompt));
    assert_int_equal(b->targets[0], items[b->dropped_items]);
    assert_int_equal(b->targets[b->n_out - 1], items[COUNT(items) - 1]);
    assert_int_equal(b->n_reg_items, 60 - prompt);

    int32_t words[100] = {0};
    const cllm__document text = {CLLM__TEXT_REVIEW, 0, 0, words, COUNT(words)};
    cllm__batch_clear(b, CLLM__STAGE_CONTENT);
    OK(cllm__batch_add_document(b, &rules, &w->prompts, &text, ERR));
    assert_int_equal(b->start[1], 59);
}

static void test_errors(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    cllm_error error;
    static const int32_t items[] = {0, ITEMS}, good[] = {1}, words[] = {1}, prompt[] = {U(0)}, bad_prompt[] = {U(0), V(ITEMS)}, negative[] = {-3};
    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_collab(b, &w->rules, &w->prompts, 0, good, 1, ERR));
    size_t rows = cllm__batch_rows(b), reg = b->n_reg_items;
    assert_int_equal(cllm__batch_add_collab(b, &w->rules, &w->prompts, 0, items, 2, &error), CLLM_ERR_DATA);
    assert_non_null(strstr(error.message, "item 9"));
    assert_int_equal(cllm__batch_add_collab(b, &w->rules, &w->prompts, USERS, good, 1, &error), CLLM_ERR_DATA);
    assert_int_equal(cllm__batch_add_collab(b, &w->rules, &w->prompts, 0, good, 0, &error), CLLM_ERR_DATA);
    assert_int_equal(cllm__batch_add_tokens(b, &w->rules, prompt, 1, words, 1, &error), CLLM_ERR_DATA); /* a word in a list of items */
    assert_int_equal(cllm__batch_add_tokens(b, &w->rules, prompt, 0, words, 1, &error), CLLM_ERR_DATA);
    assert_non_null(strstr(error.message, "empty"));
    assert_int_equal(cllm__batch_add_tokens(b, &w->rules, bad_prompt, 2, (const int32_t[]){V(0)}, 1, &error), CLLM_ERR_DATA);
    assert_int_equal(cllm__batch_add_tokens(b, &w->rules, negative, 1, (const int32_t[]){V(0)}, 1, &error), CLLM_ERR_DATA);
    cllm__batch_rules small = w->rules;
    small.context = 21;
    assert_int_equal(cllm__batch_add_collab(b, &small, &w->prompts, 0, good, 1, &error), CLLM_ERR_DATA);
    assert_non_null(strstr(error.message, "context of 21"));
    assert_true(cllm__batch_rows(b) == rows && b->sequences == 1 && b->n_reg_items == reg && b->n_out == 1);

    cllm__batch_clear(b, CLLM__STAGE_CONTENT);
    assert_int_equal(cllm__batch_add_tokens(b, &w->rules, prompt, 1, (const int32_t[]){V(0)}, 1, &error), CLLM_ERR_DATA); /* an item in a text */
    cllm__batch_clear(b, CLLM__STAGE_REC);
    assert_int_equal(cllm__batch_add_rec(b, &w->rules, &w->prompts, 0, good, 1, NULL, 0, &error), CLLM_ERR_DATA);
    assert_int_equal(cllm__batch_add_rec(b, &w->rules, &w->prompts, 0, good, 1, items, 2, &error), CLLM_ERR_DATA);
    assert_int_equal(cllm__batch_add_rec(b, &w->rules, &w->prompts, 0, items, 2, good, 1, &error), CLLM_ERR_DATA);
    assert_true(cllm__batch_rows(b) == 0 && b->sequences == 0);

    for (size_t n = 1; n < 12; n++) {
        cllm__batch fresh = {0};
        cllm__batch_clear(&fresh, CLLM__STAGE_REC);
        cllm__alloc_fail_at(n, true);
        cllm_status status = cllm__batch_add_rec(&fresh, &w->rules, &w->prompts, 0, good, 1, good, 1, &error);
        cllm__alloc_fail_at(0, false);
        assert_true(status == CLLM_ERR_NOMEM || (status == CLLM_OK && n > 9));
        if (status != CLLM_OK) OK(cllm__batch_add_rec(&fresh, &w->rules, &w->prompts, 0, good, 1, good, 1, ERR));
        assert_int_equal(fresh.sequences, 1);
        cllm__batch_free(&fresh);
    }
}

static void test_no_allocation(void **state) {
    world *w = *state;
    cllm__batch *b = &w->batch;
    static const int32_t items[] = {6, 1, 3}, targets[] = {0, 3, 8};
    size_t before = 0;
    for (int round = 0; round < 3; round++) {
        if (round == 1) before = cllm__alloc_count();
        cllm__batch_clear(b, CLLM__STAGE_REC);
        for (int k = 0; k < 40; k++) OK(cllm__batch_add_rec(b, &w->rules, &w->prompts, 4, items, 3, targets, 3, ERR));
    }
    assert_int_equal(cllm__alloc_count(), before);
}

/* ---- Spelled histories ---- */

/* Items 3, 0 and 7 as " 3, 0, 7": words in the rows, items in the targets, each where its first piece would follow; and counted by the
 * regulariser as if they had their tokens. */
static void test_spelled(void **state) {
    world *w = *state;
    cllm__prompts prompts = {0};
    static const int32_t items[] = {3, 0, 7}, target[] = {5};
    OK(cllm__prompts_compile(&prompts, w->tokenizer, NULL, ERR));
    OK(cllm__prompts_shape(&prompts, w->tokenizer, (cllm__prompt_shape){.spelled = ITEMS}, ERR));
    expected e = {0};
    add_id(&e, U(1));
    add_text(w, &e, " has interacted with");
    size_t n_prompt = e.count;
    add_text(w, &e, " 3,");
    size_t second = e.count;
    add_text(w, &e, " 0,");
    size_t third = e.count;
    cllm__batch *b = &w->batch;
    cllm__batch_clear(b, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_collab(b, &w->rules, &prompts, 1, items, 3, ERR));
    check_rows(b, 0, e.ids, e.count);
    assert_int_equal(b->n_out, 3);
    for (size_t k = 0; k < 3; k++) assert_int_equal(b->targets[k], items[k]);
    assert_true(b->out_rows[0] == n_prompt - 1 && b->out_rows[1] == second - 1 && b->out_rows[2] == third - 1);
    check_list(b->reg_items, b->n_reg_items, items, 3);
    assert_int_equal(b->n_reg_users, 1);

    /* Without the first prediction one target less; a context that is too short keeps the last items; one for none is an error. */
    cllm__batch_rules rules = w->rules;
    rules.predict_first = false;
    OK(cllm__batch_add_collab(b, &rules, &prompts, 1, items, 3, ERR));
    assert_true(b->n_out == 5 && b->targets[3] == 0 && b->targets[4] == 7);
    rules = w->rules;
    rules.context = third;
    OK(cllm__batch_add_collab(b, &rules, &prompts, 1, items, 3, ERR));
    assert_true(b->n_out == 7 && b->targets[5] == 0 && b->targets[6] == 7 && b->dropped_items == 1);
    rules.context = n_prompt + 1;
    cllm_error err = {0};
    assert_int_equal(cllm__batch_add_collab(b, &rules, &prompts, 1, items, 3, &err), CLLM_ERR_DATA);
    assert_int_equal(b->n_out, 7);

    /* In a recommendation the history is words as well; the target is an item, and both are counted. */
    static const int32_t counted[] = {5, 3, 0, 7}, wrong[] = {3, ITEMS};
    expected r = {0};
    add_id(&r, U(1));
    add_text(w, &r, " has interacted with 3, 0, 7,");
    add_id(&r, U(1));
    add_text(w, &r, " will interact with");
    cllm__batch_clear(b, CLLM__STAGE_REC);
    OK(cllm__batch_add_rec(b, &w->rules, &prompts, 1, items, 3, target, 1, ERR));
    check_rows(b, 0, r.ids, r.count);
    check_list(b->reg_items, b->n_reg_items, counted, 4);
    err = (cllm_error){0};
    assert_int_equal(cllm__batch_add_rec(b, &w->rules, &prompts, 1, wrong, 2, target, 1, &err), CLLM_ERR_DATA);
    cllm__prompts_free(&prompts);
}

/* ---- Orders and masks ---- */

static int compare(const void *a, const void *b) {
    return *(const int32_t *)a - *(const int32_t *)b;
}

static void check_same_set(const int32_t *a, const int32_t *b, size_t n) {
    int32_t x[64], y[64];
    memcpy(x, a, n * sizeof *a);
    memcpy(y, b, n * sizeof *b);
    qsort(x, n, sizeof *x, compare);
    qsort(y, n, sizeof *y, compare);
    assert_memory_equal(x, y, n * sizeof *x);
}

static void test_orders(void **state) {
    (void)state;
    static const int32_t items[] = {30, 4, 17, 2, 99, 51, 8, 64};
    enum { M = COUNT(items) };
    int32_t a[M], b[M], c[M];
    cllm__collab_order(a, items, M, CLLM__ORDER_ASCENDING, 1, 0, 5);
    for (size_t i = 1; i < M; i++) assert_true(a[i] > a[i - 1]);
    cllm__collab_order(a, items, M, CLLM__ORDER_RANDOM, 1, 0, 5);
    cllm__collab_order(b, items, M, CLLM__ORDER_RANDOM, 1, 0, 5);
    assert_memory_equal(a, b, sizeof a);
    check_same_set(a, items, M);
    /* Another epoch, user or seed: another order. */
    cllm__collab_order(b, items, M, CLLM__ORDER_RANDOM, 1, 1, 5);
    assert_memory_not_equal(a, b, sizeof a);
    cllm__collab_order(b, items, M, CLLM__ORDER_RANDOM, 1, 0, 6);
    assert_memory_not_equal(a, b, sizeof a);
    cllm__collab_order(b, items, M, CLLM__ORDER_RANDOM, 2, 0, 5);
    assert_memory_not_equal(a, b, sizeof a);
    memcpy(c, items, sizeof c);
    cllm__collab_order(c, c, M, CLLM__ORDER_RANDOM, 1, 0, 5); /* in place */
    assert_memory_equal(a, c, sizeof a);
    cllm__prompt_order(b, items, M, CLLM__ORDER_RANDOM, 1, 5);
    cllm__prompt_order(c, items, M, CLLM__ORDER_RANDOM, 1, 5);
    assert_memory_equal(b, c, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    check_same_set(b, items, M);
    cllm__prompt_order(b, items, M, CLLM__ORDER_ASCENDING, 1, 5);
    for (size_t i = 1; i < M; i++) assert_true(b[i] > b[i - 1]);
    /* Time: as the history has it. */
    cllm__collab_order(a, items, M, CLLM__ORDER_TIME, 1, 0, 5);
    assert_memory_equal(a, items, sizeof a);
    cllm__prompt_order(b, items, M, CLLM__ORDER_TIME, 1, 5);
    assert_memory_equal(b, items, sizeof b);
}

static void test_masks(void **state) {
    (void)state;
    int32_t items[40], prompt[40], target[40], both[80];
    for (int32_t i = 0; i < 40; i++) items[i] = 100 - 2 * i;
    const cllm__mask_rules hold = {0.2, 0.2, false, CLLM__ORDER_RANDOM}, all = {0.2, 0.2, true, CLLM__ORDER_RANDOM},
                           everything = {1, 1, false, CLLM__ORDER_RANDOM}, range = {0.1, 0.6, false, CLLM__ORDER_RANDOM},
                           aged = {0.2, 0.2, false, CLLM__ORDER_TIME}, ascending = {0.2, 0.2, false, CLLM__ORDER_ASCENDING};
    for (size_t n = 1; n <= 40; n++) {
        size_t p, t, m = n / 5 > 0 ? n / 5 : 1;
        cllm__rec_mask(prompt, &p, target, &t, items, n, hold, 1, 2, 3);
        assert_true(t == m && p == n - m);
        memcpy(both, prompt, p * sizeof *both);
        memcpy(both + p, target, t * sizeof *both);
        check_same_set(both, items, n);
        for (size_t i = 1; i < t; i++) assert_true(target[i] > target[i - 1]);

        size_t p2, t2;
        int32_t prompt2[40], target2[40];
        cllm__rec_mask(prompt2, &p2, target2, &t2, items, n, all, 1, 2, 3);
        assert_true(t2 == n && p2 == p);
        assert_memory_equal(prompt, prompt2, p * sizeof *prompt);
        check_same_set(target2, items, n);

        /* The same items are masked in any order; here the history's numbers fall with time. */
        cllm__rec_mask(prompt2, &p2, target2, &t2, items, n, aged, 1, 2, 3);
        assert_true(t2 == t && p2 == p);
        assert_memory_equal(target, target2, t * sizeof *target);
        check_same_set(prompt, prompt2, p);
        for (size_t i = 1; i < p; i++) assert_true(prompt2[i] < prompt2[i - 1]);
        cllm__rec_mask(prompt2, &p2, target2, &t2, items, n, ascending, 1, 2, 3);
        assert_memory_equal(target, target2, t * sizeof *target);
        for (size_t i = 1; i < p; i++) assert_true(prompt2[i] > prompt2[i - 1]);

        cllm__rec_mask(prompt, &p, target, &t, items, n, everything, 1, 2, 3);
        assert_true(n == 1 ? p == 0 && t == 1 : p == 1 && t == n - 1);
    }
    /* The share varies over its range, with the epoch. */
    size_t least = 40, most = 0;
    for (uint32_t epoch = 0; epoch < 300; epoch++) {
        size_t p, t;
        cllm__rec_mask(prompt, &p, target, &t, items, 40, range, 1, epoch, 3);
        if (t < least) least = t;
        if (t > most) most = t;
    }
    assert_true(least == 4 && most == 23);
    /* Every item is masked as often as the others, within chance. */
    size_t hits[40] = {0};
    for (uint32_t epoch = 0; epoch < 4000; epoch++) {
        size_t p, t;
        cllm__rec_mask(prompt, &p, target, &t, items, 40, hold, 1, epoch, 3);
        for (size_t i = 0; i < t; i++) hits[(100 - target[i]) / 2]++;
    }
    for (size_t i = 0; i < 40; i++) assert_true(hits[i] > 650 && hits[i] < 950);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_collab), cmocka_unit_test(test_content),        cmocka_unit_test(test_counts_of_repeats),
        cmocka_unit_test(test_rec),    cmocka_unit_test(test_prompt),         cmocka_unit_test(test_long_histories),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_no_allocation),  cmocka_unit_test(test_spelled),
        cmocka_unit_test(test_orders), cmocka_unit_test(test_masks),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
