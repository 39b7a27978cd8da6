/* The step benchmark's shapes are those of bench/shapes.json, and its figures are what they say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <json.h>

#include "api/pass_bench.h"
#include "api/step_bench.h"
#include "base/io.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

static struct json_object *member(struct json_object *object, const char *name) {
    struct json_object *found = NULL;
    if (!json_object_object_get_ex(object, name, &found)) fail_msg("shapes.json has no %s", name);
    return found;
}

static size_t number(struct json_object *object, const char *name) {
    return (size_t)json_object_get_int64(member(object, name));
}

static void check_numbers(const uint16_t *numbers, size_t count, struct json_object *array) {
    assert_int_equal(json_object_array_length(array), count);
    for (size_t i = 0; i < count; i++) assert_int_equal(json_object_get_int64(json_object_array_get_idx(array, i)), numbers[i]);
}

static void check_shapes(const cllm__bench_shapes *s, struct json_object *all) {
    struct json_object *model = member(all, s->name), *steps = member(model, "steps"), *rec = member(steps, "rec");
    assert_true(s->backbone.layers == number(model, "layers") && s->backbone.width == number(model, "d") &&
                s->backbone.heads == number(model, "heads") && s->backbone.vocabulary == number(model, "vocab") &&
                s->backbone.context == number(model, "context"));
    assert_true(s->n_users == number(model, "users") && s->n_items == number(model, "items"));
    check_numbers(s->collab.lengths, s->collab.count, member(member(steps, "collab"), "main"));
    check_numbers(s->content.lengths, s->content.count, member(member(steps, "content"), "main"));
    check_numbers(s->ragged.lengths, s->ragged.count, member(member(steps, "ragged"), "main"));
    check_numbers(s->rec.lengths, s->rec.count, member(rec, "lengths"));
    check_numbers(s->rec.targets, s->rec.count, member(rec, "targets"));
    check_numbers(s->users.lengths, s->users.count, member(member(steps, "users"), "lengths"));
    check_numbers(s->one.lengths, s->one.count, member(member(steps, "one"), "lengths"));
    assert_true(s->top == number(member(steps, "users"), "top"));
    assert_int_equal(number(member(steps, "collab"), "prompt"), 4);
    assert_int_equal(number(member(steps, "content"), "prompt"), 8);
}

static void test_shapes(void **state) {
    (void)state;
    struct json_object *all = json_object_from_file(TEST_DATA "/../bench/shapes.json");
    assert_non_null(all);
    check_shapes(&cllm__bench_gpt2, all);
    check_shapes(&cllm__bench_mini, all);
    json_object_put(all);
}

static void test_figures(void **state) {
    (void)state;
    cllm__pool *pool;
    cllm__backbone *backbone;
    cllm__step_time times[CLLM__BENCH_STEPS];
    const cllm__bench_peaks peaks = {1e9, 1e9};
    OK(cllm__pool_create(&pool, 2, ERR));
    OK(cllm__gpt2_init("bench-mini", cllm__bench_mini.backbone, 1, ERR));
    OK(cllm__backbone_open(&backbone, "bench-mini", (cllm__backbone_options){.training = true, .pool = pool}, ERR));
    OK(cllm__bench_steps(times, backbone, CLLM__F32, pool, &cllm__bench_mini, NULL, &peaks, 1, NULL, ERR));
    static const char *const names[CLLM__BENCH_STEPS] = {"collab", "content", "ragged", "rec", "users", "one"};
    static const size_t tokens[CLLM__BENCH_STEPS] = {240, 960, 960, 320, 4096, 16};
    for (int i = 0; i < CLLM__BENCH_STEPS; i++) {
        const cllm__step_time *t = &times[i];
        assert_string_equal(t->name, names[i]);
        assert_int_equal(t->tokens, tokens[i]);
        assert_int_equal(t->allocations, 0);
        assert_true(t->seconds >= t->best && t->best > 0 && t->optimiser_seconds <= t->seconds);
        assert_true(fabs(t->share - t->floor / t->seconds) < 1e-12);
        assert_true(t->exact_flops <= t->flops && t->exact_flops > 0.5 * t->flops);
    }
    /* By hand, for 2 layers of width 128: 12·d² weights a layer. */
    double weights = 2.0 * 12 * 128 * 128, pairs = 0, predictions = 160;
    for (size_t r = 0; r < cllm__bench_mini.collab.count; r++) pairs += pow(4 + cllm__bench_mini.collab.lengths[r], 2);
    double expected = 4 * weights * 240 + 6.0 * 2 * 128 * pairs + 6 * predictions * 128 * 400;
    assert_true(fabs(times[0].flops - expected) < 1e-9 * expected);
    /* One prompt of 16 tokens: streaming the weights takes longer than computing with them. */
    assert_true(fabs(times[5].floor - fmax(times[5].flops / 1e9, weights * 4 / 1e9)) < 1e-12);
    cllm_error error;
    assert_int_equal(cllm__bench_steps(times, backbone, CLLM__F32, pool, &cllm__bench_gpt2, NULL, &peaks, 1, NULL, &error), CLLM_ERR_MISMATCH);
    cllm__backbone_close(backbone);
    cllm__pool_free(pool);
    cllm__remove_tree("bench-mini");
}

/* The backbone alone: its arithmetic by hand, and the lengths that the peer runs. */
static void test_pass(void **state) {
    (void)state;
    cllm__pool *pool;
    cllm__backbone *backbone;
    const cllm__bench_peaks peaks = {1e9, 1e9};
    static const cllm__dtype dtypes[] = {CLLM__F32, CLLM__BF16, CLLM__Q8_0};
    const double weights = 2.0 * 12 * 128 * 128, attention = 4.0 * 2 * 128 * 40 * (50 * 51 / 2);
    OK(cllm__pool_create(&pool, 2, ERR));
    OK(cllm__gpt2_init("bench-pass", cllm__bench_mini.backbone, 1, ERR));
    for (size_t i = 0; i < 2 * CLLM_LEN(dtypes); i++) {
        bool backward = i % 2 == 1;
        cllm__pass_time time;
        OK(cllm__backbone_open(&backbone, "bench-pass", (cllm__backbone_options){.dtype = dtypes[i / 2], .training = true, .headless = true}, ERR));
        OK(cllm__bench_pass(&time, backbone, backward, pool, &peaks, 1, NULL, ERR));
        double expected = backward ? 2 * (2 * weights * 2000 + attention) + attention : 2 * weights * 2000 + attention;
        assert_true(fabs(time.flops - expected) < 1e-9 * expected);
        assert_true(fabs(time.timed.floor - expected / 1e9) < 1e-12 && time.timed.seconds >= time.timed.best && time.timed.best > 0);
        assert_true(time.tokens == 2000 && time.sequences == 40 && time.timed.allocations == 0 && time.timed.repetitions == 1);
        cllm__backbone_close(backbone);
    }
    struct json_object *all = json_object_from_file(TEST_DATA "/../bench/shapes.json");
    struct json_object *steps = member(member(all, "smollm2"), "steps");
    static const char *const names[] = {"forward", "backward"};
    for (size_t i = 0; i < CLLM_LEN(names); i++)
        assert_true(number(member(steps, names[i]), "sequences") == CLLM__PASS_SEQUENCES && number(member(steps, names[i]), "length") == CLLM__PASS_LENGTH);
    json_object_put(all);
    cllm__remove_tree("bench-pass");
    cllm__gpt2_shape narrow = {.layers = 1, .heads = 1, .width = 8, .vocabulary = 8, .context = 49};
    cllm__pass_time time;
    cllm_error error;
    OK(cllm__gpt2_init("bench-pass", narrow, 1, ERR));
    OK(cllm__backbone_open(&backbone, "bench-pass", (cllm__backbone_options){.headless = true}, ERR));
    assert_int_equal(cllm__bench_pass(&time, backbone, false, pool, &peaks, 1, NULL, &error), CLLM_ERR_MISMATCH);
    assert_non_null(strstr(error.message, "50 tokens"));
    cllm__backbone_close(backbone);
    cllm__pool_free(pool);
    cllm__remove_tree("bench-pass");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_figures), cmocka_unit_test(test_pass)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
