/* Lists that are generated item by item, against the same computed plainly: the whole sequence anew for each step. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "model/engine.h"
#include "model/rollout.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { USERS = 5, ITEMS = 30, STEPS = 8, PROMPT = 6 };

typedef struct world {
    cllm__backbone *backbone;
    cllm__engine *engine;
    cllm__batch_rules rules;
    cllm__tables tables;
    size_t words;
} world;

static void open_world(world *w, double deviation) {
    *w = (world){0};
    OK(cllm__backbone_open(&w->backbone, TEST_DATA "/golden/gpt2_bf16", (cllm__backbone_options){.dtype = CLLM__F32}, ERR));
    OK(cllm__engine_create(&w->engine, w->backbone, CLLM__F32, NULL, ERR));
    const cllm__backbone_info *info = cllm__backbone_info_of(w->backbone);
    w->words = info->words;
    w->rules = (cllm__batch_rules){.space = {(int32_t)info->vocabulary, USERS, ITEMS}, .context = info->context};
    OK(cllm__tables_create(&w->tables, USERS, ITEMS, info->width, ERR));
    cllm__tables_init_normal(&w->tables, deviation, 3, CLLM__TABLES_COLLAB);
}

static void close_world(world *w) {
    cllm__tables_free(&w->tables);
    cllm__engine_free(w->engine);
    cllm__backbone_close(w->backbone);
}

static int32_t item_token(const world *w, int32_t item) {
    return w->rules.space.vocab_rows + USERS + item;
}

static void make_prompt(const world *w, int32_t prompt[PROMPT], uint8_t closed[ITEMS]) {
    const int32_t items[] = {4, 21, 9};
    memset(closed, 0, ITEMS);
    prompt[0] = w->rules.space.vocab_rows + 2;
    prompt[1] = 7;
    for (size_t i = 0; i < 3; i++) {
        prompt[2 + i] = item_token(w, items[i]);
        closed[items[i]] = 1;
    }
    prompt[5] = 3;
}

/* Logarithms of probabilities after a sequence: [words +] items. */
static void plain_step(const world *w, const int32_t *tokens, size_t n, bool joint, double *log_p) {
    cllm__batch batch = {0};
    size_t width = w->tables.width, words = joint ? w->words : 0, count = words + ITEMS;
    cllm__real h[256];
    cllm__batch_clear(&batch, CLLM__STAGE_PROMPT);
    OK(cllm__batch_add_readout(&batch, &w->rules, tokens, n, NULL, 0, ERR));
    OK(cllm__engine_hidden(w->engine, &w->tables, &batch, h, ERR));
    double most = -INFINITY, sum = 0;
    cllm__real row[256];
    for (size_t i = 0; i < count; i++) {
        if (i < words) cllm__backbone_embed(w->backbone, (int32_t)i, row); /* the head is tied to the words */
        else memcpy(row, w->tables.items + (i - words) * width, width * sizeof *row);
        log_p[i] = 0;
        for (size_t k = 0; k < width; k++) log_p[i] += (double)row[k] * (double)h[k];
        if (log_p[i] > most) most = log_p[i];
    }
    for (size_t i = 0; i < count; i++) sum += exp(log_p[i] - most);
    for (size_t i = 0; i < count; i++) log_p[i] -= most + log(sum);
    cllm__batch_free(&batch);
}

static cllm__rollout *open_rollout(const world *w, cllm__rollout_options options) {
    cllm__rollout *r;
    OK(cllm__rollout_create(&r, w->backbone, &w->tables, CLLM__F32, options, NULL, ERR));
    return r;
}

/* Greedy, in all four ways: every token is the plain computation's best one. */
static void test_greedy(void **state) {
    (void)state;
    for (int way = 0; way < 4; way++) {
        bool joint = way & 1, free = way & 2;
        world w;
        open_world(&w, joint ? 0.05 : 0.3); /* so that words and items come out, and items again */
        int32_t tokens[PROMPT + STEPS], items[STEPS], expected[STEPS];
        uint8_t closed[ITEMS], out[ITEMS];
        make_prompt(&w, tokens, closed);
        cllm__rollout *r = open_rollout(&w, (cllm__rollout_options){.steps = STEPS, .beams = 1, .joint = joint, .free = free, .prompt_tokens = PROMPT});
        cllm__rollout_tally tally = {0};
        size_t count, words = joint ? w.words : 0, n_expected = 0, n_words = 0, n_repeats = 0;
        double mass = 0, step_mass[STEPS] = {0};
        memcpy(out, closed, ITEMS);
        for (size_t t = 0; t < STEPS; t++) {
            static double log_p[4096];
            size_t best = SIZE_MAX;
            plain_step(&w, tokens, PROMPT + t, joint, log_p);
            for (size_t i = 0; i < words + ITEMS; i++) {
                if (i >= words && out[i - words] && !free) continue;
                if (best == SIZE_MAX || log_p[i] > log_p[best]) best = i;
            }
            for (size_t i = 0; i < words; i++) step_mass[t] += exp(log_p[i]);
            mass += step_mass[t];
            tokens[PROMPT + t] = best < words ? (int32_t)best : item_token(&w, (int32_t)(best - words));
            if (best < words) n_words++;
            else if (out[best - words]) n_repeats++;
            else expected[n_expected++] = (int32_t)(best - words);
            if (best >= words) out[best - words] = 1;
        }
        for (int again = 0; again < 2; again++) { /* nothing stays behind from a call */
            OK(cllm__rollout_run(r, tokens, PROMPT, closed, items, &count, &tally, ERR));
            assert_int_equal(count, n_expected);
            assert_memory_equal(items, expected, n_expected * sizeof *items);
        }
        assert_int_equal(tally.outputs, 2 * STEPS);
        assert_int_equal(tally.words, 2 * n_words);
        assert_int_equal(tally.repeats, 2 * n_repeats);
        assert_true(fabs(tally.word_mass - 2 * mass) < 1e-4);
        if (n_words > 0) { /* the first word that came out joins items: it is no output */
            size_t at = 0, n_join = 0;
            while (tokens[PROMPT + at] >= w.rules.space.vocab_rows) at++;
            const int32_t join[] = {1, tokens[PROMPT + at]};
            double of_join = 0;
            for (size_t t = 0; t < STEPS; t++) {
                if (tokens[PROMPT + t] != join[1]) continue;
                n_join++;
                of_join += step_mass[t];
            }
            cllm__rollout *joining = open_rollout(&w, (cllm__rollout_options){.steps = STEPS, .beams = 1, .joint = true, .free = free,
                                                                               .prompt_tokens = PROMPT, .join = join, .n_join = 2});
            cllm__rollout_tally others = {0};
            OK(cllm__rollout_run(joining, tokens, PROMPT, closed, items, &count, &others, ERR));
            assert_int_equal(count, n_expected);
            assert_int_equal(others.outputs, STEPS - n_join);
            assert_int_equal(others.words, n_words - n_join);
            assert_true(fabs(others.word_mass - (mass - of_join)) < 1e-4);
            cllm__rollout_free(joining);
        }
        if (!joint && !free) assert_int_equal(count, STEPS);
        if (joint && !free) assert_true(n_words > 0);
        if (!joint && free) assert_true(n_repeats > 0);
        cllm__rollout_free(r);
        close_world(&w);
    }
}

/* As many beams as items: two steps find the best of all pairs. Greedy's pair is no better. */
static void test_beams(void **state) {
    (void)state;
    world w;
    open_world(&w, 0.3);
    int32_t tokens[PROMPT + 2], items[2], best[2] = {-1, -1};
    uint8_t closed[ITEMS];
    double most = -INFINITY, first[ITEMS], second[ITEMS];
    make_prompt(&w, tokens, closed);
    plain_step(&w, tokens, PROMPT, false, first);
    for (int32_t a = 0; a < ITEMS; a++) {
        if (closed[a]) continue;
        tokens[PROMPT] = item_token(&w, a);
        plain_step(&w, tokens, PROMPT + 1, false, second);
        for (int32_t b = 0; b < ITEMS; b++) {
            if (closed[b] || b == a || first[a] + second[b] <= most) continue;
            most = first[a] + second[b];
            best[0] = a;
            best[1] = b;
        }
    }
    static const size_t beams[] = {ITEMS, 4, 1};
    double reached[3];
    for (size_t i = 0; i < 3; i++) {
        size_t count;
        cllm__rollout_tally tally = {0};
        cllm__rollout *r = open_rollout(&w, (cllm__rollout_options){.steps = 2, .beams = beams[i], .prompt_tokens = PROMPT});
        OK(cllm__rollout_run(r, tokens, PROMPT, closed, items, &count, &tally, ERR));
        assert_int_equal(count, 2);
        if (i == 0) assert_memory_equal(items, best, sizeof best);
        tokens[PROMPT] = item_token(&w, items[0]);
        plain_step(&w, tokens, PROMPT + 1, false, second);
        reached[i] = first[items[0]] + second[items[1]];
        cllm__rollout_free(r);
    }
    assert_true(reached[0] >= reached[1] - 1e-6 && reached[1] >= reached[2] - 1e-6);
    close_world(&w);
}

/* Fewer items than steps: the list ends. */
static void test_few_left(void **state) {
    (void)state;
    world w;
    open_world(&w, 0.3);
    int32_t prompt[PROMPT], items[STEPS];
    uint8_t closed[ITEMS];
    size_t count = 99;
    cllm__rollout_tally tally = {0};
    make_prompt(&w, prompt, closed);
    memset(closed, 1, ITEMS);
    closed[6] = closed[13] = 0;
    for (size_t beams = 1; beams <= 3; beams += 2) {
        cllm__rollout *r = open_rollout(&w, (cllm__rollout_options){.steps = STEPS, .beams = beams, .prompt_tokens = PROMPT});
        OK(cllm__rollout_run(r, prompt, PROMPT, closed, items, &count, &tally, ERR));
        assert_int_equal(count, 2);
        assert_int_equal(items[0] + items[1], 19);
        memset(closed, 1, ITEMS);
        OK(cllm__rollout_run(r, prompt, PROMPT, closed, items, &count, &tally, ERR));
        assert_int_equal(count, 0);
        closed[6] = closed[13] = 0;
        cllm__rollout_free(r);
    }
    close_world(&w);
}

static void test_errors(void **state) {
    (void)state;
    world w;
    cllm_error err = {0};
    cllm__rollout *r = NULL;
    open_world(&w, 0.3);
    size_t context = w.rules.context;
    assert_int_equal(cllm__rollout_create(&r, w.backbone, &w.tables, CLLM__F32, (cllm__rollout_options){.steps = 2, .beams = 1, .prompt_tokens = context}, NULL, &err),
                     CLLM_ERR_USAGE);
    r = open_rollout(&w, (cllm__rollout_options){.steps = 2, .beams = 2, .prompt_tokens = 4});
    int32_t prompt[PROMPT], items[2];
    uint8_t closed[ITEMS];
    size_t count;
    cllm__rollout_tally tally = {0};
    make_prompt(&w, prompt, closed);
    assert_int_equal(cllm__rollout_run(r, prompt, 5, closed, items, &count, &tally, &err), CLLM_ERR_USAGE);
    assert_non_null(strstr(err.message, "a prompt of 5 tokens where there is room for 1 to 4"));
    cllm__rollout_free(r);
    bool done = false;
    for (size_t n = 1; !done; n++) { /* every allocation fails once */
        cllm__alloc_fail_at(n, false);
        r = NULL;
        done = cllm__rollout_create(&r, w.backbone, &w.tables, CLLM__F32, (cllm__rollout_options){.steps = 2, .beams = 2, .prompt_tokens = 4}, NULL, &err) == CLLM_OK;
        cllm__alloc_fail_at(0, false);
        if (!done) assert_int_equal(err.status, CLLM_ERR_NOMEM);
        cllm__rollout_free(r);
        assert_true(done || n < 500);
    }
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_greedy), cmocka_unit_test(test_beams), cmocka_unit_test(test_few_left),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
