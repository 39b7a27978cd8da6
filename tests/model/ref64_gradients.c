/* The gradient of every user and item row against finite differences of the total loss, in double, for every stage and way of
 * putting the objective together; and that the comparison notices what it should. */
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
#include "model/heads.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { USERS = 4, ITEMS = 6, N = 67 /* words of the backbone */ };
#define U(i) (N + (i))
#define V(j) (N + USERS + (j))
#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct variant {
    const char *name;
    cllm__stage stage;
    cllm__reg reg;
    bool predict_first, target_all, cold;
    double dropout;
    bool joint; /* one softmax over items and words; words stand among the items */
} variant;

static const variant variants[] = {
    {"collab map", CLLM__STAGE_COLLAB, CLLM__REG_MAP, true, false, false, 0, false},
    {"collab map, first item not predicted", CLLM__STAGE_COLLAB, CLLM__REG_MAP, false, false, false, 0, false},
    {"collab code", CLLM__STAGE_COLLAB, CLLM__REG_CODE, false, false, false, 0, false},
    {"collab code, first item predicted", CLLM__STAGE_COLLAB, CLLM__REG_CODE, true, false, false, 0, false},
    {"collab map, dropout", CLLM__STAGE_COLLAB, CLLM__REG_MAP, true, false, false, 0.2, false},
    {"collab map, a cold item", CLLM__STAGE_COLLAB, CLLM__REG_MAP, true, false, true, 0, false},
    {"collab map, joint softmax", CLLM__STAGE_COLLAB, CLLM__REG_MAP, true, false, false, 0, true},
    {"collab map, joint softmax, first item not predicted, a cold item", CLLM__STAGE_COLLAB, CLLM__REG_MAP, false, false, true, 0, true},
    {"collab code, joint softmax, dropout", CLLM__STAGE_COLLAB, CLLM__REG_CODE, true, false, false, 0.2, true},
    {"content map", CLLM__STAGE_CONTENT, CLLM__REG_MAP, true, false, false, 0, false},
    {"content map, first word not predicted", CLLM__STAGE_CONTENT, CLLM__REG_MAP, false, false, false, 0, false},
    {"content code", CLLM__STAGE_CONTENT, CLLM__REG_CODE, false, false, false, 0, false},
    {"content code, first word predicted", CLLM__STAGE_CONTENT, CLLM__REG_CODE, true, false, false, 0, false},
    {"content map, dropout", CLLM__STAGE_CONTENT, CLLM__REG_MAP, true, false, false, 0.2, false},
    {"rec map, held-out target", CLLM__STAGE_REC, CLLM__REG_MAP, true, false, false, 0, false},
    {"rec map, whole target", CLLM__STAGE_REC, CLLM__REG_MAP, true, true, false, 0, false},
    {"rec code, held-out target", CLLM__STAGE_REC, CLLM__REG_CODE, false, false, false, 0, false},
    {"rec code, whole target", CLLM__STAGE_REC, CLLM__REG_CODE, false, true, false, 0, false},
    {"rec map, dropout", CLLM__STAGE_REC, CLLM__REG_MAP, true, false, false, 0.2, false},
    {"rec code, a cold item", CLLM__STAGE_REC, CLLM__REG_CODE, false, true, true, 0, false},
};

/* User 3 and, in collab and rec, item 5 are in no batch. */
static void make_batch(cllm__batch *batch, const variant *v) {
    cllm__batch_rules rules = {.space = {N, USERS, ITEMS}, .reg = v->reg, .predict_first = v->predict_first, .joint = v->joint, .context = 20};
    cllm__batch_clear(batch, v->stage);
    static const int32_t prompt[] = {U(0), 17, 33, 5}, other_prompt[] = {U(1), 17, 33, 5}, third_prompt[] = {U(2), 17, 33, 5};
    if (v->stage == CLLM__STAGE_COLLAB) {
        /* An item may come twice; a user may have one item; a user may come twice in a batch. */
        static const int32_t many[] = {V(2), V(0), V(2), V(4), V(1)}, one[] = {V(3)}, two[] = {V(1), V(0)};
        static const int32_t joined[] = {V(2), 29, V(0), 29, V(4)};
        OK(cllm__batch_add_tokens(batch, &rules, prompt, COUNT(prompt), many, COUNT(many), ERR));
        OK(cllm__batch_add_tokens(batch, &rules, other_prompt, COUNT(other_prompt), one, COUNT(one), ERR));
        OK(cllm__batch_add_tokens(batch, &rules, third_prompt, COUNT(third_prompt), two, COUNT(two), ERR));
        OK(cllm__batch_add_tokens(batch, &rules, prompt, COUNT(prompt), two, COUNT(two), ERR));
        if (v->joint) OK(cllm__batch_add_tokens(batch, &rules, other_prompt, COUNT(other_prompt), joined, COUNT(joined), ERR));
    } else if (v->stage == CLLM__STAGE_CONTENT) {
        /* A prompt that names its user and item twice, one with an item alone, one with a user alone, a text of one word. */
        static const int32_t review[] = {U(0), 9, V(3), 61, U(0), V(3), 12}, title[] = {40, V(2), 8}, biography[] = {40, U(1), 8};
        static const int32_t text[] = {3, 66, 3, 0, 21}, word[] = {44};
        OK(cllm__batch_add_tokens(batch, &rules, review, COUNT(review), text, COUNT(text), ERR));
        OK(cllm__batch_add_tokens(batch, &rules, title, COUNT(title), text + 2, 3, ERR));
        OK(cllm__batch_add_tokens(batch, &rules, biography, COUNT(biography), word, COUNT(word), ERR));
        OK(cllm__batch_add_tokens(batch, &rules, title, COUNT(title), text, 2, ERR));
    } else {
        static const int32_t first[] = {U(0), 17, V(1), V(4), V(1), 11, U(0), 31}, second[] = {U(1), 17, 11, U(1), 31};
        static const int32_t hold[] = {0, 3}, all[] = {0, 1, 3, 4}, single[] = {2};
        OK(cllm__batch_add_readout(batch, &rules, first, COUNT(first), v->target_all ? all : hold, v->target_all ? 4 : 2, ERR));
        OK(cllm__batch_add_readout(batch, &rules, second, COUNT(second), single, COUNT(single), ERR));
    }
}

typedef struct world {
    cllm__backbone *backbone;
    cllm__engine *engine;
    cllm__batch batch;
    cllm__tables own, other;
    cllm__gradient gradient;
    size_t width, values; /* of both tables */
} world;

static void random_tables(cllm__tables *tables, size_t width, uint64_t seed) {
    OK(cllm__tables_create(tables, USERS, ITEMS, width, ERR));
    cllm__tables_init_normal(tables, 0.5, seed, CLLM__TABLES_COLLAB);
}

static void open_world(world *w) {
    *w = (world){0};
    OK(cllm__backbone_open(&w->backbone, TEST_DATA "/golden/gpt2_f32", (cllm__backbone_options){.training = true}, ERR));
    assert_int_equal(cllm__backbone_info_of(w->backbone)->vocabulary, N);
    OK(cllm__engine_create(&w->engine, w->backbone, CLLM__F32, NULL, ERR));
    w->width = cllm__backbone_info_of(w->backbone)->width;
    w->values = (USERS + ITEMS) * w->width;
    random_tables(&w->own, w->width, 1);
    random_tables(&w->other, w->width, 2);
    OK(cllm__gradient_create(&w->gradient, USERS, ITEMS, w->width, ERR));
}

static void close_world(world *w) {
    cllm__batch_free(&w->batch);
    cllm__tables_free(&w->own);
    cllm__tables_free(&w->other);
    cllm__gradient_free(&w->gradient);
    cllm__engine_free(w->engine);
    cllm__backbone_close(w->backbone);
}

static const uint8_t cold_items[ITEMS] = {[5] = 1};

static cllm__objective objective_of(const variant *v) {
    return (cllm__objective){.reg = v->reg, .lambda_c = 0.7, .lambda_l = 0.3, .dropout = v->dropout, .dropout_key = 99,
                             .cold_items = v->cold ? cold_items : NULL};
}

static double *value_at(world *w, size_t i) {
    size_t users = USERS * w->width;
    return i < users ? &w->own.users[i] : &w->own.items[i - users];
}

static double total(world *w, const cllm__objective *objective) {
    cllm__loss loss;
    OK(cllm__engine_step(w->engine, &w->batch, &w->own, &w->other, objective, NULL, &loss, ERR));
    return loss.total;
}

/* Five-point differences: the error is of fourth order. */
static void differences(world *w, const cllm__objective *objective, double *out) {
    const double step = 1e-3;
    for (size_t i = 0; i < w->values; i++) {
        double *value = value_at(w, i), at = *value, f[4];
        const double shifts[4] = {-2, -1, 1, 2};
        for (int k = 0; k < 4; k++) {
            *value = at + shifts[k] * step;
            f[k] = total(w, objective);
        }
        *value = at;
        out[i] = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step);
    }
}

/* The gradient of the batch under `objective`, both tables one behind the other. */
static void gradient_of(world *w, const cllm__objective *objective, double *out) {
    cllm__loss loss;
    OK(cllm__engine_step(w->engine, &w->batch, &w->own, &w->other, objective, &w->gradient, &loss, ERR));
    memcpy(out, w->gradient.users, USERS * w->width * sizeof *out);
    memcpy(out + USERS * w->width, w->gradient.items, ITEMS * w->width * sizeof *out);
}

/* The row that is too far away, or −1. */
static int mismatch(const world *w, const double *gradient, const double *expected) {
    for (int r = 0; r < USERS + ITEMS; r++) {
        double difference = 0, norm = 0;
        for (size_t c = 0; c < w->width; c++) {
            double e = expected[r * w->width + c], g = gradient[r * w->width + c];
            difference += (g - e) * (g - e);
            norm += e * e;
        }
        if (!(sqrt(difference) <= 1e-6 * sqrt(norm) + 1e-10)) return r;
    }
    return -1;
}

static void expect_red(const world *w, const double *gradient, const double *expected, const variant *v, const char *mutation) {
    if (mismatch(w, gradient, expected) < 0) fail_msg("%s: the test doesn't notice: %s", v->name, mutation);
}

static void check_mutations(world *w, const variant *v, const double *expected) {
    cllm__objective objective = objective_of(v);
    double *gradient = cllm__alloc(w->values, sizeof *gradient);
    gradient_of(w, &objective, gradient);
    for (size_t c = 0; c < w->width; c++) gradient[c] = -gradient[c];
    expect_red(w, gradient, expected, v, "the sign of a user row");
    gradient_of(w, &objective, gradient);
    for (size_t c = 0; c < w->width; c++) gradient[(USERS + 2) * w->width + c] *= -1;
    expect_red(w, gradient, expected, v, "the sign of an item row");

    cllm__objective without = objective;
    without.lambda_c = 0;
    gradient_of(w, &without, gradient);
    expect_red(w, gradient, expected, v, "no coupling");
    without = objective;
    without.reg = v->reg == CLLM__REG_MAP ? CLLM__REG_CODE : CLLM__REG_MAP;
    gradient_of(w, &without, gradient);
    expect_red(w, gradient, expected, v, "the other convention");
    if (v->stage == CLLM__STAGE_COLLAB && v->reg == CLLM__REG_MAP) {
        without = objective;
        without.lambda_l = 0;
        gradient_of(w, &without, gradient);
        expect_red(w, gradient, expected, v, "no prior");
    }
    if (v->stage != CLLM__STAGE_CONTENT && !v->cold) {
        gradient_of(w, &objective, gradient);
        memset(gradient + (USERS + 5) * w->width, 0, w->width * sizeof *gradient);
        expect_red(w, gradient, expected, v, "no head gradient for an item outside of the batch");
    }
    if (v->dropout > 0) {
        without = objective;
        without.dropout_key++;
        gradient_of(w, &without, gradient);
        expect_red(w, gradient, expected, v, "other dropout masks");
    }
    cllm__free(gradient);
}

static void check_variant(world *w, const variant *v) {
    cllm__objective objective = objective_of(v);
    double *expected = cllm__alloc(w->values, sizeof *expected), *gradient = cllm__alloc(w->values, sizeof *gradient);
    make_batch(&w->batch, v);
    differences(w, &objective, expected);
    gradient_of(w, &objective, gradient);
    int row = mismatch(w, gradient, expected);
    if (row >= 0) fail_msg("%s: %s %d", v->name, row < USERS ? "user" : "item", row < USERS ? row : row - USERS);
    /* Nothing touches user 3, nor a cold item. */
    for (size_t c = 0; c < w->width; c++) {
        assert_true(gradient[3 * w->width + c] == 0);
        if (v->cold) assert_true(gradient[(USERS + 5) * w->width + c] == 0);
    }
    check_mutations(w, v, expected);
    cllm__free(expected);
    cllm__free(gradient);
}

static void test_gradients(void **state) {
    (void)state;
    world w;
    open_world(&w);
    for (size_t i = 0; i < COUNT(variants); i++) check_variant(&w, &variants[i]);
    close_world(&w);
}

/* −log p of every target by hand, over the items and the words of a model whose head is its word embedding. */
static void test_joint_softmax(void **state) {
    (void)state;
    world w;
    open_world(&w);
    const variant joint = {.name = "joint", .stage = CLLM__STAGE_COLLAB, .reg = CLLM__REG_MAP, .predict_first = true, .joint = true};
    const cllm__objective objective = {.reg = CLLM__REG_MAP};
    make_batch(&w.batch, &joint);
    double *h = cllm__alloc(w.batch.n_out * w.width, sizeof *h), *word = cllm__alloc(w.width, sizeof *word), expected = 0;
    size_t joining = 0;
    OK(cllm__engine_hidden(w.engine, &w.own, &w.batch, h, ERR));
    for (size_t r = 0; r < w.batch.n_out; r++) {
        double logits[ITEMS + N], sum = 0;
        for (int k = 0; k < ITEMS + N; k++) {
            const double *row = &w.own.items[(size_t)(k < ITEMS ? k : 0) * w.width];
            if (k >= ITEMS) {
                cllm__backbone_embed(w.backbone, k - ITEMS, word);
                row = word;
            }
            logits[k] = 0;
            for (size_t c = 0; c < w.width; c++) logits[k] += row[c] * h[r * w.width + c];
            sum += exp(logits[k]);
        }
        expected += log(sum) - logits[w.batch.targets[r]];
        joining += w.batch.targets[r] >= ITEMS;
    }
    cllm__loss loss;
    OK(cllm__engine_step(w.engine, &w.batch, &w.own, NULL, &objective, NULL, &loss, ERR));
    assert_true(fabs(loss.nll_sum - expected) < 1e-9 * expected);
    assert_int_equal(joining, 2);
    assert_int_equal(loss.predictions, w.batch.n_out);
    assert_int_equal(loss.targets, w.batch.n_out - 2);
    /* The items alone: their mass is all there is. */
    cllm__loss items;
    const variant plain = {.name = "items", .stage = CLLM__STAGE_COLLAB, .reg = CLLM__REG_MAP, .predict_first = true};
    make_batch(&w.batch, &plain);
    OK(cllm__engine_step(w.engine, &w.batch, &w.own, NULL, &objective, NULL, &items, ERR));
    w.batch.joint = true;
    OK(cllm__engine_step(w.engine, &w.batch, &w.own, NULL, &objective, NULL, &loss, ERR));
    assert_true(loss.nll_sum > items.nll_sum + 0.1);
    /* What a word loses by the items in its softmax: −ln(1 − their mass). */
    cllm__heads heads = {0};
    int32_t v = 29, class = ITEMS + v;
    double alone, together, mass[2] = {0};
    OK(cllm__word_head(&heads, h, 1, w.width, w.backbone, &v, 1, &alone, NULL, ERR));
    OK(cllm__item_head(&heads, h, 1, w.width, w.own.items, ITEMS, NULL, w.backbone, (cllm__head_targets){.targets = &class}, 1, &together, NULL, NULL,
                       false, ERR));
    for (int k = 0; k < ITEMS + N; k++) {
        double logit = 0;
        if (k >= ITEMS) cllm__backbone_embed(w.backbone, k - ITEMS, word);
        for (size_t c = 0; c < w.width; c++) logit += (k < ITEMS ? w.own.items[(size_t)k * w.width + c] : word[c]) * h[c];
        mass[k < ITEMS] += exp(logit);
    }
    assert_true(fabs(together - alone + log(1 - mass[1] / (mass[0] + mass[1]))) < 1e-9);
    assert_true(together > alone + 1e-3);
    cllm__heads_free(&heads);
    cllm__free(h);
    cllm__free(word);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients), cmocka_unit_test(test_joint_softmax)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
