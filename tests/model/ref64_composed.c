/* Composed item tokens and the bag readout: gradients by free parts, vectors and user tokens against finite differences of the loss, in
 * double; and what a token and a readout are, by their formulas. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "model/composer.h"
#include "model/engine.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { USERS = 3, ITEMS = 5, FEATURES = 4, N = 67 /* words of the backbone */, OTHER_WIDTH = 7 };
#define U(i) (N + (i))
#define V(j) (N + USERS + (j))

/* Item 3 has no feature, feature 2 belongs to one item, one weight is 0. */
static const uint64_t starts[ITEMS + 1] = {0, 2, 5, 6, 6, 8};
static const int32_t indices[8] = {0, 1, 0, 1, 3, 2, 0, 3};
static const float weights[8] = {0.5F, -0.25F, 1, 0.75F, 0, 0.625F, -1.5F, 0.375F};
static const cllm__features features = {ITEMS, FEATURES, starts, indices, weights};

typedef struct world {
    cllm__backbone *backbone;
    cllm__engine *engine;
    cllm__batch batch;
    cllm__tables own, other;
    cllm__gradient gradient;
    cllm__composer composer;
} world;

static void open_world(world *w, bool bag, double sharpness, bool biases, double id_weight) {
    *w = (world){0};
    OK(cllm__backbone_open(&w->backbone, TEST_DATA "/golden/gpt2_f32", (cllm__backbone_options){.training = true}, ERR));
    OK(cllm__engine_create(&w->engine, w->backbone, CLLM__F32, NULL, ERR));
    size_t width = bag ? OTHER_WIDTH : cllm__backbone_info_of(w->backbone)->width;
    OK(cllm__tables_create(&w->own, USERS, ITEMS, width, ERR));
    OK(cllm__tables_create(&w->other, USERS, ITEMS, width, ERR));
    cllm__tables_init_normal(&w->own, 0.5, 1, CLLM__TABLES_COLLAB);
    cllm__tables_init_normal(&w->other, 0.5, 2, CLLM__TABLES_CONTENT);
    OK(cllm__gradient_create(&w->gradient, USERS, ITEMS, width, ERR));
    OK(cllm__composer_create(&w->composer, &features, width, id_weight, ERR));
    w->composer.whole = biases ? CLLM__BAG_BIASES : 0;
    cllm__composer_init_normal(&w->composer, 0.5, 3);
    if (bag) cllm__engine_set_bag(w->engine, &(cllm__bag){.scale = 1.5, .power = 0.5, .user_weight = 0.4, .sharpness = sharpness, .biases = biases}, width);
    cllm__batch_rules rules = {.space = {N, USERS, ITEMS}, .reg = CLLM__REG_MAP, .predict_first = true, .context = 20};
    static const int32_t first[] = {U(0), 17, V(1), V(4), V(3), 11, U(0), 31}, second[] = {U(1), 17, V(2)}, third[] = {U(2), 5};
    static const int32_t targets[] = {0, 3}, one[] = {2};
    cllm__batch_clear(&w->batch, CLLM__STAGE_REC);
    OK(cllm__batch_add_readout(&w->batch, &rules, first, 8, targets, 2, ERR));
    OK(cllm__batch_add_readout(&w->batch, &rules, second, 3, one, 1, ERR));
    OK(cllm__batch_add_readout(&w->batch, &rules, third, 2, one, 1, ERR));
}

static void close_world(world *w) {
    cllm__composer_free(&w->composer);
    cllm__batch_free(&w->batch);
    cllm__tables_free(&w->own);
    cllm__tables_free(&w->other);
    cllm__gradient_free(&w->gradient);
    cllm__engine_free(w->engine);
    cllm__backbone_close(w->backbone);
}

static const cllm__objective objective = {.reg = CLLM__REG_MAP, .lambda_c = 0.7};

static double total(world *w, cllm__gradient *gradient) {
    cllm__loss loss;
    cllm__composer_compose(&w->composer, w->own.items, NULL);
    OK(cllm__engine_step(w->engine, &w->batch, &w->own, &w->other, &objective, gradient, &loss, ERR));
    return loss.total;
}

static void check_values(world *w, double *values, const double *gradient, size_t n, const char *what) {
    const double step = 1e-3, shifts[4] = {-2, -1, 1, 2};
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double at = values[i], f[4];
        for (int k = 0; k < 4; k++) {
            values[i] = at + shifts[k] * step;
            f[k] = total(w, NULL);
        }
        values[i] = at;
        double expected = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step);
        difference += (gradient[i] - expected) * (gradient[i] - expected);
        norm += expected * expected;
    }
    assert_true(norm > 0);
    if (!(sqrt(difference) <= 1e-7 * sqrt(norm))) fail_msg("%s: off by %g of %g", what, sqrt(difference), sqrt(norm));
}

static void check_gradients(bool bag, double sharpness, bool biases, double id_weight) {
    world w;
    open_world(&w, bag, sharpness, biases, id_weight);
    size_t width = w.own.width;
    total(&w, &w.gradient);
    cllm__composer_backward(&w.composer, w.gradient.items, NULL);
    check_values(&w, w.own.users, w.gradient.users, USERS * width, "users");
    check_values(&w, w.composer.vectors, w.composer.gradient, FEATURES * width, "vectors");
    if (id_weight > 0) check_values(&w, w.composer.free_parts, w.gradient.items, ITEMS * width, "free parts");
    for (size_t i = 0; i < ITEMS * width && id_weight == 0; i++) assert_true(w.gradient.items[i] == 0);
    close_world(&w);
}

static void gradients_are_those_of_the_loss(void **state) {
    (void)state;
    check_gradients(true, 0, false, 0.3);
    check_gradients(true, 0, false, 0);
    check_gradients(true, 0.7, false, 0.3);
    check_gradients(true, 3, false, 0);
    check_gradients(true, 0.7, true, 0.3);
    check_gradients(true, 3, true, 0);
    check_gradients(false, 0, false, 0.3);
    check_gradients(false, 0, false, 0);
}

static void a_token_is_its_parts(void **state) {
    (void)state;
    world w;
    open_world(&w, true, 0, false, 0.3);
    size_t width = w.own.width;
    double token[OTHER_WIDTH];
    cllm__composer_compose(&w.composer, w.own.items, NULL);
    for (size_t j = 0; j < ITEMS; j++) {
        cllm__composer_token(&w.composer, indices + starts[j], weights + starts[j], starts[j + 1] - starts[j], token);
        for (size_t c = 0; c < width; c++) {
            double text = 0;
            for (uint64_t e = starts[j]; e < starts[j + 1]; e++) text += (double)weights[e] * w.composer.vectors[(size_t)indices[e] * width + c];
            assert_true(fabs(token[c] - text) < 1e-12);
            assert_true(fabs(w.own.items[j * width + c] - 0.3 * w.composer.free_parts[j * width + c] - text) < 1e-12);
        }
    }
    close_world(&w);
}

static void a_bag_is_the_sum_of_its_tokens(void **state) {
    (void)state;
    world w;
    open_world(&w, true, 0, false, 0.3);
    size_t width = w.own.width;
    double h[3 * OTHER_WIDTH];
    OK(cllm__engine_hidden(w.engine, &w.own, &w.batch, h, ERR));
    for (size_t c = 0; c < width; c++) {
        const double *users = w.own.users + c, *items = w.own.items + c;
        double first = items[1 * width] + items[4 * width] + items[3 * width] + 0.4 * 2 * users[0]; /* its user stands there twice */
        double second = items[2 * width] + 0.4 * users[1 * width], third = 0.4 * users[2 * width];
        assert_true(fabs(h[c] - 1.5 * first / sqrt(3)) < 1e-12);
        assert_true(fabs(h[width + c] - 1.5 * second) < 1e-12);
        assert_true(fabs(h[2 * width + c] - 1.5 * third) < 1e-12);
    }
    close_world(&w);
}

/* s_i = z_i0 + ln Σ_j exp(z_j1 + β·Σ_c (z_j + u·z_user)_c·z_ic) / β, straight from the formula; without biases, all columns are c and
 * z_i0 and z_j1 are 0. */
static void voices_are_pooled_softly(void **state) {
    (void)state;
    world w;
    static const int histories[3][3] = {{1, 4, 3}, {2}, {0}}, lengths[3] = {3, 1, 0};
    float scores[3 * ITEMS];
    for (int biases = 0; biases < 2; biases++)
        for (double sharpness = 0.5; sharpness < 600; sharpness *= 1000) { /* the second is nearly the maximum; plain exponentials would overflow */
            open_world(&w, true, sharpness, biases != 0, 0.3);
            const double *items = w.own.items;
            size_t width = w.own.width;
            for (size_t i = 0; i < USERS * width; i++) w.own.users[i] *= 20;
            OK(cllm__engine_score(w.engine, &w.own, &w.batch, scores, ERR));
            for (int s = 0; s < 3; s++) {
                double expected[ITEMS], largest = -INFINITY, total = 0;
                int n = lengths[s] > 0 ? lengths[s] : 1;
                for (size_t i = 0; i < ITEMS; i++) {
                    double votes[3], most = -INFINITY, sum = 0;
                    for (int j = 0; j < n; j++) {
                        const double *item = lengths[s] > 0 ? items + (size_t)histories[s][j] * width : NULL;
                        votes[j] = biases && item != NULL ? item[1] / sharpness : 0;
                        for (size_t c = biases ? 2 : 0; c < width; c++)
                            votes[j] += (0.4 * w.own.users[(size_t)s * width + c] + (item != NULL ? item[c] : 0)) * items[i * width + c];
                        most = fmax(most, votes[j]);
                    }
                    for (int j = 0; j < n; j++) sum += exp(sharpness * (votes[j] - most));
                    expected[i] = (biases ? items[i * width] : 0) + most + log(sum) / sharpness;
                    largest = fmax(largest, expected[i]);
                }
                for (int i = 0; i < ITEMS; i++) total += exp(expected[i] - largest);
                for (int i = 0; i < ITEMS; i++) {
                    if (!(fabs(scores[s * ITEMS + i] - (expected[i] - largest - log(total))) < 1e-5))
                        fail_msg("sequence %d, item %d: %g, not %g", s, i, (double)scores[s * ITEMS + i], expected[i] - largest - log(total));
                }
            }
            close_world(&w);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_loss),
        cmocka_unit_test(a_token_is_its_parts),
        cmocka_unit_test(a_bag_is_the_sum_of_its_tokens),
        cmocka_unit_test(voices_are_pooled_softly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
