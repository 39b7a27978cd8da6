/* The state after an inner layer: the bits of a model that has no more layers than that. */
#include "models.h"

enum { LAYERS = 3, ROWS = 13 };

static spec shape_of(void) {
    return (spec){.layers = LAYERS, .heads = 4, .width = 48, .inner = 80, .vocabulary = 30, .context = 40, .prefix = "", .seed = 4,
                  .type = "llama", .kv_heads = 2, .head_width = 16};
}

/* The same model without the layers from `layers` on. */
static cllm__backbone *open_cut(bool llama, size_t layers, const char *folder) {
    model m, cut;
    spec shape = shape_of();
    if (llama) model_llama(&m, shape);
    else model_gpt2(&m, shape);
    shape.layers = layers;
    if (llama) model_llama(&cut, shape);
    else model_gpt2(&cut, shape);
    model_free(&cut); /* its configuration is wanted, the weights are the large one's */
    memcpy(m.config, cut.config, sizeof m.config);
    size_t n = 0;
    for (size_t i = 0; i < m.n; i++) {
        size_t layer;
        if (sscanf(m.tensors[i].name, llama ? "layers.%zu." : "h.%zu.", &layer) == 1 && layer >= layers) {
            cllm__free((char *)m.tensors[i].name);
            cllm__free((void *)m.tensors[i].data);
        } else {
            m.tensors[n++] = m.tensors[i];
        }
    }
    m.n = n;
    return model_open(&m, folder, CLLM__F32, true);
}

typedef struct result {
    cllm__real *h, *dx;
} result;

/* Two sequences; states of some rows and gradients of their sum of squares. */
static result compute(const cllm__backbone *backbone, size_t layers) {
    static const size_t START[] = {0, 5, ROWS}, OUT[] = {1, 4, 7, 12};
    size_t width = cllm__backbone_info_of(backbone)->width;
    cllm__rng rng = cllm__rng_make(8, CLLM_RNG_TEST, 0, 0);
    cllm__real *x = random_numbers(&rng, ROWS * width);
    result r = {numbers(CLLM_LEN(OUT) * width), numbers(ROWS * width)};
    cllm__pass *pass;
    cllm__forward_options options = {.keep = true, .layers = layers};
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){2, START}, x, OUT, CLLM_LEN(OUT), options, r.h, &test_error));
    MUST(cllm__pass_backward(pass, r.h, r.dx, &test_error));
    options.keep = false;
    cllm__real *again = numbers(CLLM_LEN(OUT) * width);
    MUST(cllm__pass_forward(pass, (cllm__ragged){2, START}, x, OUT, CLLM_LEN(OUT), options, again, &test_error));
    assert_memory_equal(again, r.h, CLLM_LEN(OUT) * width * sizeof *again);
    cllm__free(again);
    cllm__pass_free(pass);
    cllm__free(x);
    return r;
}

static void check(bool llama) {
    cllm__backbone *whole = open_cut(llama, LAYERS, "scratch_depth");
    size_t width = cllm__backbone_info_of(whole)->width;
    result all = compute(whole, 0);
    for (size_t layers = 1; layers <= LAYERS; layers++) {
        cllm__backbone *cut = open_cut(llama, layers, "scratch_depth_cut");
        assert_int_equal(cllm__backbone_info_of(cut)->layers, layers);
        result wanted = compute(cut, 0), got = compute(whole, layers);
        assert_memory_equal(got.h, wanted.h, 4 * width * sizeof *got.h);
        assert_memory_equal(got.dx, wanted.dx, ROWS * width * sizeof *got.dx);
        assert_true((memcmp(got.h, all.h, 4 * width * sizeof *got.h) == 0) == (layers == LAYERS));
        /* So is one that is opened with its first layers only, which has another hash and takes less memory. */
        cllm__backbone *opened;
        MUST(cllm__backbone_open(&opened, "scratch_depth", (cllm__backbone_options){.training = true, .layers = layers}, &test_error));
        const cllm__backbone_info *a = cllm__backbone_info_of(opened), *b = cllm__backbone_info_of(whole);
        result first = compute(opened, 0);
        assert_memory_equal(first.h, wanted.h, 4 * width * sizeof *first.h);
        assert_memory_equal(first.dx, wanted.dx, ROWS * width * sizeof *first.dx);
        assert_int_equal(a->layers, layers);
        assert_true((a->hash == b->hash) == (layers == LAYERS) && (a->resident_bytes == b->resident_bytes) == (layers == LAYERS));
        cllm__backbone_close(opened);
        cllm__real *blocks[] = {wanted.h, wanted.dx, got.h, got.dx, first.h, first.dx};
        for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
        cllm__backbone_close(cut);
    }
    cllm__pass *pass;
    cllm__real *x = numbers(width), *h = numbers(width);
    size_t start[] = {0, 1}, row = 0;
    MUST(cllm__pass_create(&pass, whole, NULL, &test_error));
    assert_int_equal(cllm__pass_forward(pass, (cllm__ragged){1, start}, x, &row, 1, (cllm__forward_options){.layers = LAYERS + 1}, h, &test_error),
                     CLLM_ERR_USAGE);
    assert_non_null(strstr(test_error.message, "layer 4 is asked for; the backbone has 3"));
    cllm__pass_free(pass);
    cllm__backbone *none = NULL;
    assert_int_equal(cllm__backbone_open(&none, "scratch_depth", (cllm__backbone_options){.layers = LAYERS + 1}, &test_error), CLLM_ERR_USAGE);
    assert_non_null(strstr(test_error.message, "the first 4 layers: 'scratch_depth' has 3"));
    cllm__real *blocks[] = {all.h, all.dx, x, h};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
    cllm__backbone_close(whole);
    cllm__remove_tree("scratch_depth");
    cllm__remove_tree("scratch_depth_cut");
}

static void test_gpt2(void **state) {
    (void)state;
    check(false);
}

static void test_llama(void **state) {
    (void)state;
    check(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpt2), cmocka_unit_test(test_llama)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
