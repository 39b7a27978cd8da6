/* What must hold of the engine whatever the numbers are: invariants, threads, batching, allocation, errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "model/engine.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { USERS = 40, ITEMS = 30 };

typedef struct world {
    cllm__pool *pool;
    cllm__backbone *backbone;
    cllm__engine *engine;
    cllm__batch_rules rules;
    cllm__tables own, other;
    cllm__gradient gradient;
    size_t width;
} world;

static void random_tables(cllm__tables *tables, size_t width, uint64_t seed) {
    OK(cllm__tables_create(tables, USERS, ITEMS, width, ERR));
    cllm__tables_init_normal(tables, 0.3, seed, CLLM__TABLES_COLLAB);
}

static void open_world(world *w, int threads, cllm__dtype dtype) {
    *w = (world){0};
    OK(cllm__pool_create(&w->pool, threads, ERR));
    OK(cllm__backbone_open(&w->backbone, TEST_DATA "/golden/gpt2_bf16",
                           (cllm__backbone_options){.dtype = dtype, .training = true, .pool = w->pool}, ERR));
    OK(cllm__engine_create(&w->engine, w->backbone, dtype, w->pool, ERR));
    const cllm__backbone_info *info = cllm__backbone_info_of(w->backbone);
    w->width = info->width;
    w->rules = (cllm__batch_rules){.space = {(int32_t)info->vocabulary, USERS, ITEMS}, .reg = CLLM__REG_MAP, .predict_first = true, .context = info->context};
    random_tables(&w->own, w->width, 1);
    random_tables(&w->other, w->width, 2);
    OK(cllm__gradient_create(&w->gradient, USERS, ITEMS, w->width, ERR));
}

static void close_world(world *w) {
    cllm__tables_free(&w->own);
    cllm__tables_free(&w->other);
    cllm__gradient_free(&w->gradient);
    cllm__engine_free(w->engine);
    cllm__backbone_close(w->backbone);
    cllm__pool_free(w->pool);
}

static int32_t user_token(const world *w, size_t i) {
    return w->rules.space.vocab_rows + (int32_t)i;
}

static int32_t item_token(const world *w, size_t j) {
    return w->rules.space.vocab_rows + USERS + (int32_t)j;
}

/* Appends the sequence of example `e`: its contents are a function of stage and e alone. */
static void add_example(const world *w, cllm__batch *batch, uint64_t e) {
    cllm__rng rng = cllm__rng_make(7, CLLM_RNG_TEST, (uint32_t)batch->stage, e);
    int32_t prompt[64], main[64], targets[8];
    size_t n = 0, m = 1 + cllm__rng_below(&rng, 30), user = cllm__rng_below(&rng, USERS);
    prompt[n++] = user_token(w, user);
    prompt[n++] = (int32_t)cllm__rng_below(&rng, (uint64_t)w->rules.space.vocab_rows);
    prompt[n++] = 17;
    if (batch->stage == CLLM__STAGE_CONTENT) prompt[n++] = item_token(w, cllm__rng_below(&rng, ITEMS));
    for (size_t k = 0; k < m; k++)
        main[k] = batch->stage == CLLM__STAGE_CONTENT ? (int32_t)cllm__rng_below(&rng, (uint64_t)w->rules.space.vocab_rows)
                                                      : item_token(w, cllm__rng_below(&rng, ITEMS));
    if (batch->stage == CLLM__STAGE_COLLAB || batch->stage == CLLM__STAGE_CONTENT) {
        OK(cllm__batch_add_tokens(batch, &w->rules, prompt, n, main, m, ERR));
        return;
    }
    memcpy(prompt + n, main, m * sizeof *main);
    n += m;
    prompt[n++] = user_token(w, user);
    for (size_t k = 0; k < 4; k++) targets[k] = (int32_t)(5 * k + cllm__rng_below(&rng, 5));
    OK(cllm__batch_add_readout(batch, &w->rules, prompt, n, targets, batch->stage == CLLM__STAGE_REC ? 4 : 0, ERR));
}

static void fill(const world *w, cllm__batch *batch, cllm__stage stage, uint64_t first, size_t count) {
    cllm__batch_clear(batch, stage);
    for (size_t e = 0; e < count; e++) add_example(w, batch, first + e);
}

static const cllm__stage trained[] = {CLLM__STAGE_COLLAB, CLLM__STAGE_CONTENT, CLLM__STAGE_REC};

static cllm__loss step(world *w, const cllm__batch *batch, cllm__objective objective) {
    cllm__loss loss;
    OK(cllm__engine_step(w->engine, batch, &w->own, &w->other, &objective, &w->gradient, &loss, ERR));
    return loss;
}

static const cllm__objective map_objective = {.reg = CLLM__REG_MAP, .lambda_c = 0.5, .lambda_l = 0.25};

static double distance(const cllm__real *a, const cllm__real *b, size_t n) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += pow((double)a[i] - (double)b[i], 2);
        norm += pow((double)b[i], 2);
    }
    return sqrt(difference / norm);
}

/* ---- */

static void test_equal_tables(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    open_world(&w, 1, CLLM__F32);
    cllm__tables_copy(&w.other, &w.own);
    for (size_t i = 0; i < 3; i++)
        for (int reg = 0; reg < 2; reg++) {
            w.rules.reg = (cllm__reg)reg;
            fill(&w, &batch, trained[i], 0, 6);
            cllm__objective objective = {.reg = w.rules.reg, .lambda_c = 3};
            cllm__loss loss = step(&w, &batch, objective);
            assert_true(loss.regulariser == 0 && loss.likelihood > 0 && loss.total == loss.likelihood);
        }
    cllm__batch_free(&batch);
    close_world(&w);
}

static void test_lambda_zero(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    open_world(&w, 1, CLLM__F32);
    cllm__real *kept = cllm__alloc(ITEMS * w.width, sizeof *kept);
    for (size_t i = 0; i < 3; i++) {
        cllm__objective objective = {.reg = CLLM__REG_MAP};
        cllm__loss with, without;
        fill(&w, &batch, trained[i], 0, 6);
        with = step(&w, &batch, objective);
        memcpy(kept, w.gradient.items, ITEMS * w.width * sizeof *kept);
        OK(cllm__engine_step(w.engine, &batch, &w.own, NULL, &objective, &w.gradient, &without, ERR));
        assert_true(with.total == without.total && with.regulariser == 0 && with.prior == 0);
        assert_memory_equal(kept, w.gradient.items, ITEMS * w.width * sizeof *kept);
    }
    /* The prior belongs to the collab stage of the paper's convention alone. */
    for (size_t i = 0; i < 3; i++)
        for (int reg = 0; reg < 2; reg++) {
            w.rules.reg = (cllm__reg)reg;
            fill(&w, &batch, trained[i], 0, 3);
            cllm__loss loss = step(&w, &batch, (cllm__objective){.reg = w.rules.reg, .lambda_l = 2});
            assert_true((loss.prior > 0) == (trained[i] == CLLM__STAGE_COLLAB && reg == CLLM__REG_MAP));
        }
    cllm__free(kept);
    cllm__batch_free(&batch);
    close_world(&w);
}

static void test_backbone_untouched(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    open_world(&w, 2, CLLM__F32);
    uint64_t before = cllm__backbone_memory_hash(w.backbone), tables = cllm__tables_hash(&w.own), other = cllm__tables_hash(&w.other);
    for (size_t i = 0; i < 3; i++) {
        fill(&w, &batch, trained[i], 0, 8);
        step(&w, &batch, map_objective);
    }
    assert_true(cllm__backbone_memory_hash(w.backbone) == before);
    assert_true(cllm__tables_hash(&w.own) == tables && cllm__tables_hash(&w.other) == other);
    cllm__batch_free(&batch);
    close_world(&w);
}

/* A large batch, which goes through the backbone in several groups, against the sum of its sequences alone. */
static void check_packed(world *w, cllm__stage stage, size_t count) {
    cllm__batch batch = {0};
    size_t users = USERS * w->width, items = ITEMS * w->width;
    cllm__real *sum = cllm__zalloc(users + items, sizeof *sum), *packed = cllm__alloc(users + items, sizeof *packed);
    fill(w, &batch, stage, 0, count);
    cllm__loss all = step(w, &batch, map_objective), parts = {0};
    memcpy(packed, w->gradient.users, users * sizeof *packed);
    memcpy(packed + users, w->gradient.items, items * sizeof *packed);
    for (size_t e = 0; e < count; e++) {
        fill(w, &batch, stage, e, 1);
        cllm__loss one = step(w, &batch, map_objective);
        parts.total += one.total;
        parts.nll_sum += one.nll_sum;
        parts.predictions += one.predictions;
        parts.targets += one.targets;
        for (size_t i = 0; i < users; i++) sum[i] += w->gradient.users[i];
        for (size_t i = 0; i < items; i++) sum[users + i] += w->gradient.items[i];
    }
    assert_true(all.predictions == parts.predictions && all.targets == parts.targets);
    assert_true(fabs(all.total - parts.total) <= 1e-9 * parts.total);
    assert_true(fabs(all.nll_sum - parts.nll_sum) <= 1e-9 * parts.nll_sum);
    assert_true(distance(packed, sum, users) < 1e-5 && distance(packed + users, sum + users, items) < 1e-5);
    cllm__free(sum);
    cllm__free(packed);
    cllm__batch_free(&batch);
}

static void test_packed(void **state) {
    (void)state;
    world w;
    open_world(&w, 2, CLLM__F32);
    for (size_t i = 0; i < 3; i++) check_packed(&w, trained[i], 250);
    close_world(&w);
}

static void test_scores_alone(void **state) {
    (void)state;
    world w;
    enum { COUNT = 300 };
    cllm__batch batch = {0};
    open_world(&w, 2, CLLM__F32);
    float *scores = cllm__alloc(COUNT * ITEMS, sizeof *scores), one[ITEMS];
    fill(&w, &batch, CLLM__STAGE_PROMPT, 0, COUNT);
    cllm__real *hidden = cllm__alloc(COUNT * w.width, sizeof *hidden), *single = cllm__alloc(w.width, sizeof *single);
    OK(cllm__engine_score(w.engine, &w.own, &batch, scores, ERR));
    OK(cllm__engine_hidden(w.engine, &w.own, &batch, hidden, ERR));
    for (size_t e = 0; e < COUNT; e += 7) {
        fill(&w, &batch, CLLM__STAGE_PROMPT, e, 1);
        OK(cllm__engine_score(w.engine, &w.own, &batch, one, ERR));
        OK(cllm__engine_hidden(w.engine, &w.own, &batch, single, ERR));
        assert_memory_equal(one, scores + e * ITEMS, sizeof one);
        assert_memory_equal(single, hidden + e * w.width, w.width * sizeof *single);
        double sum = 0;
        for (size_t j = 0; j < ITEMS; j++) {
            double logit = 0, first = 0;
            for (size_t c = 0; c < w.width; c++) {
                logit += (double)single[c] * (double)w.own.items[j * w.width + c];
                first += (double)single[c] * (double)w.own.items[c];
            }
            assert_true(fabs((double)(one[j] - one[0]) - (logit - first)) < 1e-4);
            sum += exp((double)one[j]);
        }
        assert_true(fabs(sum - 1) < 1e-5);
    }
    cllm__free(scores);
    cllm__free(hidden);
    cllm__free(single);
    cllm__batch_free(&batch);
    close_world(&w);
}

/* Items packed once and for all: the same bits. */
static void test_packed_items(void **state) {
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        world w;
        cllm__batch batch = {0};
        cllm__weight *packed, *other;
        cllm_error error;
        float plain[9 * ITEMS], again[9 * ITEMS];
        open_world(&w, 2, (cllm__dtype)dtype);
        fill(&w, &batch, CLLM__STAGE_PROMPT, 0, 9);
        OK(cllm__engine_score(w.engine, &w.own, &batch, plain, ERR));
        OK(cllm__weight_pack(&packed, w.own.items, w.width, ITEMS, true, (cllm__dtype)dtype, NULL, ERR));
        OK(cllm__weight_pack(&other, w.own.items, w.width, ITEMS - 1, true, (cllm__dtype)dtype, NULL, ERR));
        cllm__engine_set_packed_items(w.engine, packed);
        OK(cllm__engine_score(w.engine, &w.own, &batch, again, ERR));
        assert_memory_equal(plain, again, sizeof plain);
        cllm__engine_set_packed_items(w.engine, other);
        assert_int_equal(cllm__engine_score(w.engine, &w.own, &batch, again, &error), CLLM_ERR_MISMATCH);
        cllm__weight_free(packed);
        cllm__weight_free(other);
        cllm__batch_free(&batch);
        close_world(&w);
    }
}

static void test_text_likelihood(void **state) {
    (void)state;
    world w;
    enum { COUNT = 300 };
    cllm__batch batch = {0};
    double nll[COUNT], sum = 0, alone;
    size_t counts[COUNT], words = 0, one;
    open_world(&w, 2, CLLM__F32);
    fill(&w, &batch, CLLM__STAGE_CONTENT, 0, COUNT);
    cllm__loss loss = step(&w, &batch, map_objective);
    OK(cllm__engine_text_nll(w.engine, &w.own, &batch, nll, counts, ERR));
    for (size_t s = 0; s < COUNT; s++) {
        sum += nll[s];
        words += counts[s];
    }
    assert_true(fabs(sum - loss.likelihood) < 1e-9 * sum && words == loss.predictions);
    fill(&w, &batch, CLLM__STAGE_CONTENT, 123, 1);
    OK(cllm__engine_text_nll(w.engine, &w.own, &batch, &alone, &one, ERR));
    assert_true(alone == nll[123] && one == counts[123]);
    /* A step without a gradient gives the same loss. */
    cllm__loss again;
    fill(&w, &batch, CLLM__STAGE_CONTENT, 0, COUNT);
    OK(cllm__engine_step(w.engine, &batch, &w.own, &w.other, &map_objective, NULL, &again, ERR));
    assert_true(again.total == loss.total);
    cllm__batch_free(&batch);
    close_world(&w);
}

/* Items renumbered, tables with them: scores and gradients move with them. */
static void test_permuted_items(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0}, moved = {0};
    open_world(&w, 1, CLLM__F32);
    cllm__tables original = {0};
    random_tables(&original, w.width, 1);
    int32_t to[ITEMS];
    cllm__rng rng = cllm__rng_make(3, CLLM_RNG_TEST, 0, 0);
    for (int32_t j = 0; j < ITEMS; j++) to[j] = j;
    cllm__rng_shuffle_i32(&rng, to, ITEMS);
    float scores[20 * ITEMS], permuted[20 * ITEMS];
    fill(&w, &batch, CLLM__STAGE_PROMPT, 0, 20);
    OK(cllm__engine_score(w.engine, &w.own, &batch, scores, ERR));
    cllm__batch_clear(&moved, CLLM__STAGE_PROMPT);
    for (size_t s = 0; s < batch.sequences; s++) {
        int32_t ids[64];
        size_t n = batch.start[s + 1] - batch.start[s];
        for (size_t t = 0; t < n; t++) {
            ids[t] = batch.tokens[batch.start[s] + t];
            if (ids[t] >= item_token(&w, 0)) ids[t] = item_token(&w, (size_t)to[ids[t] - item_token(&w, 0)]);
        }
        OK(cllm__batch_add_readout(&moved, &w.rules, ids, n, NULL, 0, ERR));
    }
    for (size_t j = 0; j < ITEMS; j++)
        memcpy(w.own.items + (size_t)to[j] * w.width, original.items + j * w.width, w.width * sizeof *w.own.items);
    OK(cllm__engine_score(w.engine, &w.own, &moved, permuted, ERR));
    for (size_t s = 0; s < 20; s++)
        for (size_t j = 0; j < ITEMS; j++) assert_true(fabsf(permuted[s * ITEMS + (size_t)to[j]] - scores[s * ITEMS + j]) < 1e-5f);
    cllm__tables_free(&original);
    cllm__batch_free(&batch);
    cllm__batch_free(&moved);
    close_world(&w);
}

static void test_threads(void **state) {
    (void)state;
    world w[3];
    const int threads[3] = {1, 2, 3};
    cllm__batch batch = {0};
    for (int t = 0; t < 3; t++) open_world(&w[t], threads[t], CLLM__F32);
    for (size_t i = 0; i < 3; i++) {
        cllm__loss losses[3];
        fill(&w[0], &batch, trained[i], 0, 300);
        cllm__objective objective = map_objective;
        objective.dropout = 0.1;
        objective.dropout_key = 5;
        for (int t = 0; t < 3; t++) {
            losses[t] = step(&w[t], &batch, objective);
            assert_memory_equal(&losses[t], &losses[0], sizeof losses[0]);
            assert_memory_equal(w[t].gradient.users, w[0].gradient.users, USERS * w[0].width * sizeof *w[0].gradient.users);
            assert_memory_equal(w[t].gradient.items, w[0].gradient.items, ITEMS * w[0].width * sizeof *w[0].gradient.items);
            assert_true(w[t].gradient.n_touched_users == w[0].gradient.n_touched_users);
        }
    }
    cllm__batch_free(&batch);
    for (int t = 0; t < 3; t++) close_world(&w[t]);
}

static void test_touched_rows(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    open_world(&w, 1, CLLM__F32);
    /* After a step with an item head, the rows of a text are clean but for its own. */
    fill(&w, &batch, CLLM__STAGE_COLLAB, 0, 5);
    step(&w, &batch, map_objective);
    assert_true(w.gradient.items_dense);
    fill(&w, &batch, CLLM__STAGE_CONTENT, 0, 5);
    step(&w, &batch, map_objective);
    assert_false(w.gradient.items_dense);
    for (int table = 0; table < 2; table++) {
        const int32_t *touched = table == 0 ? w.gradient.touched_users : w.gradient.touched_items;
        size_t n = table == 0 ? w.gradient.n_touched_users : w.gradient.n_touched_items, k = 0;
        const cllm__real *rows = table == 0 ? w.gradient.users : w.gradient.items;
        assert_true(n > 0 && n <= 5);
        for (size_t r = 0; r < (table == 0 ? USERS : ITEMS); r++) {
            bool zero = true;
            for (size_t c = 0; c < w.width; c++) zero = zero && rows[r * w.width + c] == 0;
            bool listed = k < n && touched[k] == (int32_t)r;
            k += listed;
            assert_true(zero != listed);
        }
        assert_true(k == n); /* ascending, without repeats */
    }
    /* A step on nothing leaves nothing. */
    cllm__batch_clear(&batch, CLLM__STAGE_COLLAB);
    cllm__loss loss = step(&w, &batch, map_objective);
    assert_true(loss.total == 0 && loss.predictions == 0);
    assert_true(w.gradient.n_touched_users == 0 && w.gradient.n_touched_items == 0 && !w.gradient.items_dense);
    for (size_t i = 0; i < ITEMS * w.width; i++) assert_true(w.gradient.items[i] == 0);
    cllm__batch_free(&batch);
    close_world(&w);
}

/* A user with one item whose first item is not predicted: no row predicts, the regulariser still counts. */
static void test_nothing_to_predict(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    open_world(&w, 1, CLLM__F32);
    w.rules.reg = CLLM__REG_CODE;
    w.rules.predict_first = false;
    const int32_t prompt[] = {user_token(&w, 3), 17, 5}, main[] = {item_token(&w, 2)};
    cllm__batch_clear(&batch, CLLM__STAGE_COLLAB);
    OK(cllm__batch_add_tokens(&batch, &w.rules, prompt, 3, main, 1, ERR));
    cllm__loss loss = step(&w, &batch, (cllm__objective){.reg = CLLM__REG_CODE, .lambda_c = 1});
    assert_true(loss.likelihood == 0 && loss.predictions == 0 && loss.regulariser > 0);
    assert_true(!w.gradient.items_dense && w.gradient.n_touched_items == 1 && w.gradient.touched_items[0] == 2);
    assert_true(w.gradient.n_touched_users == 1 && w.gradient.touched_users[0] == 3);
    for (size_t c = 0; c < w.width; c++) {
        double expected = 2 * ((double)w.own.users[3 * w.width + c] - (double)w.other.users[3 * w.width + c]);
        assert_true(fabs((double)w.gradient.users[3 * w.width + c] - expected) < 1e-6);
    }
    cllm__batch_free(&batch);
    close_world(&w);
}

static void test_no_allocation(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0}, prompts = {0};
    float *scores = cllm__alloc(200 * ITEMS, sizeof *scores);
    double nll[200];
    size_t counts[200];
    open_world(&w, 2, CLLM__F32);
    size_t before = 0;
    for (int round = 0; round < 6; round++) {
        if (round == 3) before = cllm__alloc_count();
        for (size_t i = 0; i < 3; i++) {
            fill(&w, &batch, trained[i], 0, 200 - 60 * (size_t)(round % 3));
            step(&w, &batch, map_objective);
            if (trained[i] == CLLM__STAGE_CONTENT) OK(cllm__engine_text_nll(w.engine, &w.own, &batch, nll, counts, ERR));
        }
        fill(&w, &prompts, CLLM__STAGE_PROMPT, 0, 200);
        OK(cllm__engine_score(w.engine, &w.own, &prompts, scores, ERR));
    }
    assert_int_equal(cllm__alloc_count(), before);
    cllm__free(scores);
    cllm__batch_free(&batch);
    cllm__batch_free(&prompts);
    close_world(&w);
}

static void test_bf16(void **state) {
    (void)state;
    world w, half;
    cllm__batch batch = {0};
    open_world(&w, 1, CLLM__F32);
    open_world(&half, 1, CLLM__BF16);
    for (size_t i = 0; i < 3; i++) {
        fill(&w, &batch, trained[i], 0, 50);
        cllm__loss full = step(&w, &batch, map_objective), rounded = step(&half, &batch, map_objective);
        assert_true(fabs(rounded.likelihood - full.likelihood) < 2e-2 * full.likelihood);
        assert_true(rounded.likelihood != full.likelihood);
        assert_true(distance(half.gradient.users, w.gradient.users, USERS * w.width) < 5e-2);
        assert_true(distance(half.gradient.items, w.gradient.items, ITEMS * w.width) < 5e-2);
    }
    cllm__batch_free(&batch);
    close_world(&w);
    close_world(&half);
}

static void test_cold_items(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    uint8_t cold[ITEMS] = {0};
    open_world(&w, 1, CLLM__F32);
    fill(&w, &batch, CLLM__STAGE_REC, 0, 4);
    cllm__objective objective = map_objective;
    double before = step(&w, &batch, objective).likelihood;
    cold[29] = 1; /* never a target here */
    objective.cold_items = cold;
    objective.lambda_c = 0;
    double after = step(&w, &batch, objective).likelihood;
    assert_true(after < before);
    cold[batch.target_items[5]] = 1;
    cllm_error error;
    cllm__loss loss;
    assert_int_equal(cllm__engine_step(w.engine, &batch, &w.own, NULL, &objective, &w.gradient, &loss, &error), CLLM_ERR_DATA);
    assert_non_null(strstr(error.message, "cold"));
    cllm__batch_free(&batch);
    close_world(&w);
}

static void test_errors(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    cllm_error error;
    cllm__loss loss = {.total = 123};
    cllm__tables small = {0}, narrow = {0};
    open_world(&w, 1, CLLM__F32);
    OK(cllm__tables_create(&small, USERS, ITEMS - 1, w.width, ERR));
    OK(cllm__tables_create(&narrow, USERS, ITEMS, w.width - 1, ERR));
    fill(&w, &batch, CLLM__STAGE_COLLAB, 0, 20);
    assert_int_equal(cllm__engine_step(w.engine, &batch, &w.own, NULL, &map_objective, &w.gradient, &loss, &error), CLLM_ERR_MISMATCH);
    assert_int_equal(cllm__engine_step(w.engine, &batch, &w.own, &small, &map_objective, &w.gradient, &loss, &error), CLLM_ERR_MISMATCH);
    assert_int_equal(cllm__engine_step(w.engine, &batch, &narrow, &narrow, &map_objective, &w.gradient, &loss, &error), CLLM_ERR_MISMATCH);
    assert_non_null(strstr(error.message, "width 47"));
    /* Tables that have gone to infinity are an error, not a silent NaN. */
    w.own.users[(size_t)(batch.tokens[0] - user_token(&w, 0)) * w.width] = (cllm__real)INFINITY;
    assert_int_equal(cllm__engine_step(w.engine, &batch, &w.own, &w.other, &map_objective, &w.gradient, &loss, &error), CLLM_ERR_DATA);
    assert_non_null(strstr(error.message, "not finite"));
    assert_true(loss.total == 123);
    cllm__tables_free(&small);
    cllm__tables_free(&narrow);
    cllm__batch_free(&batch);
    close_world(&w);
}

/* Wherever memory runs short: an error, no leak, and the same engine works afterwards. */
static void test_short_of_memory(void **state) {
    (void)state;
    world w;
    cllm__batch batch = {0};
    cllm_error error;
    cllm__loss loss, reference;
    open_world(&w, 1, CLLM__F32);
    fill(&w, &batch, CLLM__STAGE_COLLAB, 0, 20);
    reference = step(&w, &batch, map_objective);
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        cllm__engine *engine = NULL;
        cllm__alloc_fail_at(n, false);
        cllm_status status = cllm__engine_create(&engine, w.backbone, CLLM__F32, NULL, &error);
        if (status == CLLM_OK) status = cllm__engine_step(engine, &batch, &w.own, &w.other, &map_objective, &w.gradient, &loss, &error);
        cllm__alloc_fail_at(0, false);
        failed = status != CLLM_OK;
        if (failed) assert_int_equal(status, CLLM_ERR_NOMEM);
        if (failed && engine != NULL) OK(cllm__engine_step(engine, &batch, &w.own, &w.other, &map_objective, &w.gradient, &loss, ERR));
        if (engine != NULL) assert_true(loss.total == reference.total);
        cllm__engine_free(engine);
    }
    cllm__batch_free(&batch);
    close_world(&w);
}

static void test_tables(void **state) {
    (void)state;
    cllm__tables a = {0}, b = {0}, larger = {0};
    OK(cllm__tables_create(&a, 50, 60, 32, ERR));
    OK(cllm__tables_create(&b, 50, 60, 32, ERR));
    OK(cllm__tables_create(&larger, 50, 90, 32, ERR));
    cllm__tables_init_normal(&a, 0.02, 9, CLLM__TABLES_COLLAB);
    cllm__tables_init_normal(&b, 0.02, 9, CLLM__TABLES_CONTENT);
    cllm__tables_init_normal(&larger, 0.02, 9, CLLM__TABLES_COLLAB);
    assert_memory_equal(a.items, larger.items, 60 * 32 * sizeof *a.items);
    assert_memory_not_equal(a.items, b.items, 60 * 32 * sizeof *a.items);
    assert_memory_not_equal(a.users, a.items, 50 * 32 * sizeof *a.items);
    assert_true(cllm__tables_hash(&a) != cllm__tables_hash(&b));
    assert_false(cllm__tables_same_shape(&a, &larger));
    double mean = 0, square = 0;
    for (size_t i = 0; i < 60 * 32; i++) {
        mean += (double)a.items[i] / (60 * 32);
        square += pow((double)a.items[i], 2) / (60 * 32);
    }
    assert_true(fabs(mean) < 2e-3 && fabs(sqrt(square) - 0.02) < 1.5e-3);
    cllm__tables_copy(&b, &a);
    assert_true(cllm__tables_hash(&a) == cllm__tables_hash(&b));
    cllm__tables_free(&a);
    cllm__tables_free(&b);
    cllm__tables_free(&larger);
}

static void test_text_mean(void **state) {
    (void)state;
    world w;
    open_world(&w, 1, CLLM__F32);
    /* Items 0 and 1 share a text, item 2 has another, user 5 wrote about item 2. */
    uint8_t kinds[] = {CLLM__TEXT_TITLE, CLLM__TEXT_TITLE, CLLM__TEXT_REVIEW};
    int32_t users[] = {-1, -1, 5}, items[] = {0, 1, 2}, tokens[] = {3, 4, 5, 77, 78};
    size_t start[] = {0, 0, 3};
    uint32_t length[] = {3, 3, 2};
    cllm__corpus corpus = {.count = 3, .kinds = kinds, .users = users, .items = items, .start = start, .length = length, .tokens = tokens, .n_tokens = 5};
    cllm__tables_init_normal(&w.own, 0.02, 9, CLLM__TABLES_CONTENT);
    cllm__real *before = cllm__alloc(ITEMS * w.width, sizeof *before), *user = cllm__alloc(w.width, sizeof *user);
    memcpy(before, w.own.items, ITEMS * w.width * sizeof *before);
    memcpy(user, w.own.users + 5 * w.width, w.width * sizeof *user);
    OK(cllm__tables_init_text_mean(&w.own, 0.02, &corpus, w.backbone, ERR));
    double square = 0, same = 0, other = 0;
    for (size_t c = 0; c < w.width; c++) {
        double part[3];
        for (size_t j = 0; j < 3; j++) {
            part[j] = (double)w.own.items[j * w.width + c] - 0.1 * (double)before[j * w.width + c];
            square += part[j] * part[j] / (double)(3 * w.width);
        }
        same += fabs(part[0] - part[1]);
        other += fabs(part[0] - part[2]);
    }
    assert_true(fabs(sqrt(square) - 0.02) < 1e-4 && same < 1e-6 && other > 0.1);
    assert_memory_equal(before + 3 * w.width, w.own.items + 3 * w.width, (ITEMS - 3) * w.width * sizeof *before);
    assert_memory_equal(user, w.own.users + 5 * w.width, w.width * sizeof *user); /* one row alone has nothing to differ from */
    cllm__free(before);
    cllm__free(user);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_tables),       cmocka_unit_test(test_lambda_zero),    cmocka_unit_test(test_backbone_untouched),
        cmocka_unit_test(test_packed),             cmocka_unit_test(test_scores_alone),   cmocka_unit_test(test_text_likelihood),
        cmocka_unit_test(test_permuted_items),     cmocka_unit_test(test_threads),        cmocka_unit_test(test_touched_rows),
        cmocka_unit_test(test_nothing_to_predict), cmocka_unit_test(test_no_allocation),  cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_cold_items),         cmocka_unit_test(test_errors),         cmocka_unit_test(test_short_of_memory),
        cmocka_unit_test(test_tables),             cmocka_unit_test(test_text_mean),      cmocka_unit_test(test_packed_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
