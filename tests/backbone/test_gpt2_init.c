/* The random GPT-2: deterministic, opens, has the distribution it promises, and is written whole or not at all. */
#include <errno.h>

#include "base/hash.h"
#include "models.h"

static const char FOLDER[] = "scratch_init";
static const cllm__gpt2_shape SHAPE = {.layers = 3, .heads = 4, .width = 48, .vocabulary = 300, .context = 40};

static uint64_t init_hash(uint64_t seed) {
    cllm__remove_tree(FOLDER);
    MUST(cllm__gpt2_init(FOLDER, SHAPE, seed, &test_error));
    uint64_t hash;
    char path[100];
    snprintf(path, sizeof path, "%s/model.safetensors", FOLDER);
    MUST(cllm__hash_file(path, &hash, &test_error));
    return hash;
}

static void test_deterministic(void **state) {
    (void)state;
    uint64_t one = init_hash(1);
    assert_true(init_hash(2) != one);
    assert_true(init_hash(1) == one);
    assert_true(init_hash(1 + ((uint64_t)1 << 40)) != one);
}

static void test_opens(void **state) {
    (void)state;
    init_hash(1);
    cllm__backbone *backbone;
    MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){.training = true}, &test_error));
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    assert_int_equal(info->layers, SHAPE.layers);
    assert_int_equal(info->heads, SHAPE.heads);
    assert_int_equal(info->width, SHAPE.width);
    assert_int_equal(info->inner, 4 * SHAPE.width);
    assert_int_equal(info->vocabulary, SHAPE.vocabulary);
    assert_int_equal(info->context, SHAPE.context);
    size_t start[] = {0, 40}, last = 39;
    cllm__real *x = numbers(40 * 48), *h = numbers(48), *dx = numbers(40 * 48), size = 0;
    for (int32_t t = 0; t < 40; t++) cllm__backbone_embed(backbone, t * 7, x + t * 48);
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){1, start}, x, &last, 1, (cllm__forward_options){.keep = true}, h, &test_error));
    MUST(cllm__pass_backward(pass, h, dx, &test_error));
    for (size_t i = 0; i < 48; i++) size += h[i] * h[i];
    assert_true(fabs(size / 48 - 1) < 0.05); /* the final norm has gain 1 and bias 0 (and an epsilon) */
    for (size_t i = 0; i < 40 * 48; i++) assert_true(isfinite(dx[i]));
    cllm__pass_free(pass);
    cllm__backbone_close(backbone);
    cllm__free(x);
    cllm__free(h);
    cllm__free(dx);
}

static void test_distribution(void **state) {
    (void)state;
    init_hash(1);
    char path[100];
    snprintf(path, sizeof path, "%s/model.safetensors", FOLDER);
    cllm__safetensors *file;
    MUST(cllm__safetensors_open(&file, path, &test_error));
    assert_int_equal(cllm__safetensors_count(file), 4 + 12 * SHAPE.layers);
    for (size_t i = 0; i < cllm__safetensors_count(file); i++) {
        const cllm__tensor *t = cllm__safetensors_at(file, i);
        size_t n = cllm__tensor_count(t);
        float *values = cllm__alloc(n, sizeof *values);
        MUST(cllm__tensor_to_f32(t, values, &test_error));
        double sum = 0, squares = 0;
        for (size_t j = 0; j < n; j++) sum += values[j], squares += (double)values[j] * values[j];
        double mean = sum / (double)n, sd = sqrt(squares / (double)n - mean * mean);
        double wanted = t->rank == 1 ? 0 : strstr(t->name, "c_proj") != NULL ? 0.02 / sqrt(6) : 0.02;
        double wanted_mean = t->rank == 1 && strstr(t->name, "ln_") != NULL && strstr(t->name, "weight") != NULL ? 1 : 0;
        assert_true(fabs(mean - wanted_mean) <= 5 * wanted / sqrt((double)n));
        assert_true(fabs(sd - wanted) <= 5 * wanted / sqrt(2 * (double)n));
        cllm__free(values);
    }
    cllm__safetensors_close(file);
}

/* Whatever the prompt, the last state gives each word its logit besides what its other dimensions say. */
static void test_word_logits(void **state) {
    (void)state;
    double logits[300], mean = 0;
    for (int v = 0; v < 300; v++) mean += (logits[v] = -log(1 + v)) / 300;
    cllm__gpt2_shape shape = SHAPE;
    shape.word_logits = logits;
    cllm__remove_tree(FOLDER);
    MUST(cllm__gpt2_init(FOLDER, shape, 1, &test_error));
    cllm__backbone *backbone;
    MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){0}, &test_error));
    size_t start[] = {0, 2}, last = 1;
    cllm__real x[2 * 48], h[48], word[48];
    cllm__backbone_embed(backbone, 7, x);
    cllm__backbone_embed(backbone, 9, x + 48);
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){1, start}, x, &last, 1, (cllm__forward_options){0}, h, &test_error));
    for (int32_t v = 0; v < 300; v++) {
        cllm__backbone_embed(backbone, v, word);
        assert_true(fabs(h[47] * word[47] - (logits[v] - mean)) < 1e-5);
    }
    assert_true(fabs(h[3]) > 1e-3);
    cllm__pass_free(pass);
    cllm__backbone_close(backbone);
}

static void expect(cllm__gpt2_shape shape, cllm_status wanted, const char *words) {
    cllm_error err = {0};
    assert_int_equal(cllm__gpt2_init(FOLDER, shape, 1, &err), wanted);
    if (strstr(err.message, words) == NULL) fail_msg("'%s' does not say '%s'", err.message, words);
}

static int refuse_writes(void *user, cllm__io_op op, const char *path) {
    (void)path;
    return op == *(cllm__io_op *)user ? ENOSPC : 0;
}

static void test_refusals(void **state) {
    (void)state;
    cllm__gpt2_shape shape = SHAPE;
    init_hash(1);
    expect(SHAPE, CLLM_ERR_EXISTS, FOLDER);
    cllm__remove_tree(FOLDER);
    shape.heads = 5;
    expect(shape, CLLM_ERR_USAGE, "48 is not divisible by 5 heads");
    shape.heads = 0;
    expect(shape, CLLM_ERR_USAGE, "heads 0");
    shape.heads = 96;
    expect(shape, CLLM_ERR_USAGE, "heads 96");
    shape = SHAPE;
    shape.layers = 0;
    expect(shape, CLLM_ERR_USAGE, "layers 0");
    shape = SHAPE;
    shape.width = (size_t)1 << 30;
    expect(shape, CLLM_ERR_USAGE, "width 1073741824");
    shape = SHAPE;
    shape.vocabulary = SIZE_MAX;
    expect(shape, CLLM_ERR_USAGE, "vocabulary");
    shape = SHAPE;
    shape.context = 0;
    expect(shape, CLLM_ERR_USAGE, "context 0");
    assert_false(cllm__path_exists(FOLDER));

    /* A full disk leaves nothing. */
    cllm__io_op ops[] = {CLLM_IO_MKDIR, CLLM_IO_CREATE, CLLM_IO_WRITE, CLLM_IO_FSYNC, CLLM_IO_RENAME};
    for (size_t i = 0; i < CLLM_LEN(ops); i++) {
        cllm__io_set_hook(refuse_writes, &ops[i]);
        expect(SHAPE, CLLM_ERR_IO, "No space left");
        cllm__io_set_hook(NULL, NULL);
        assert_false(cllm__path_exists(FOLDER));
    }
    size_t n = 1;
    for (bool reached = true; reached; n++) {
        cllm__alloc_fail_at(n, false);
        size_t count = cllm__alloc_count();
        cllm_status status = cllm__gpt2_init(FOLDER, SHAPE, 1, NULL);
        reached = cllm__alloc_count() - count >= n;
        cllm__alloc_fail_at(0, false);
        assert_int_equal(status, reached ? CLLM_ERR_NOMEM : CLLM_OK);
        if (cllm__path_exists(FOLDER)) { /* whole, if only the last flush of the folder above failed */
            cllm__backbone *backbone;
            MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){0}, &test_error));
            cllm__backbone_close(backbone);
            cllm__remove_tree(FOLDER);
        } else {
            assert_true(reached);
        }
    }
    assert_true(n > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_opens),
        cmocka_unit_test(test_distribution), cmocka_unit_test(test_word_logits),
        cmocka_unit_test(test_refusals),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cllm__remove_tree(FOLDER);
    return failed;
}
