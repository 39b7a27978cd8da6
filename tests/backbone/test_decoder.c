/* One token after the other with kept keys and values: the bits of the packed forward pass. */
#include "models.h"

#include "backbone/decoder.h"

enum { TOKENS = 33 };

static void check(bool llama, cllm__dtype dtype, int threads) {
    model m;
    spec shape = {.layers = 3, .heads = 4, .width = 48, .inner = 80, .vocabulary = 30, .context = TOKENS, .prefix = "", .seed = 9,
                  .type = "llama", .kv_heads = 2, .head_width = 16};
    if (llama) model_llama(&m, shape);
    else model_gpt2(&m, shape);
    cllm__backbone *backbone = model_open(&m, "scratch_decoder", dtype, false);
    size_t C = cllm__backbone_info_of(backbone)->width, start[] = {0, TOKENS}, *all = all_rows(TOKENS);
    cllm__rng rng = cllm__rng_make(3, CLLM_RNG_TEST, 0, 0);
    cllm__real *x = random_numbers(&rng, TOKENS * C), *wanted = numbers(TOKENS * C), *h = numbers(C);
    cllm__pool *pool;
    cllm__pass *pass;
    cllm__decoder *decoder;
    MUST(cllm__pool_create(&pool, threads, &test_error));
    MUST(cllm__pass_create(&pass, backbone, pool, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){1, start}, x, all, TOKENS, (cllm__forward_options){0}, wanted, &test_error));
    MUST(cllm__decoder_create(&decoder, backbone, TOKENS, pool, &test_error));
    static const size_t STEPS[] = {7, 1, 1, 1, 5, 1, 16};
    size_t at = 0;
    for (size_t i = 0; i < CLLM_LEN(STEPS); i++) {
        MUST(cllm__decoder_extend(decoder, x + at * C, STEPS[i], h, &test_error));
        at += STEPS[i];
        assert_int_equal(cllm__decoder_length(decoder), at);
        for (size_t c = 0; c < C; c++)
            if (memcmp(&h[c], &wanted[(at - 1) * C + c], sizeof *h) != 0)
                fail_msg("token %zu, value %zu: %.9g, should be %.9g", at - 1, c, (double)h[c], (double)wanted[(at - 1) * C + c]);
    }
    assert_int_equal(cllm__decoder_extend(decoder, x, 3, h, &test_error), CLLM_ERR_USAGE); /* 33 hold 32 and no 3 more */
    assert_non_null(strstr(test_error.message, "room for 33"));
    MUST(cllm__decoder_extend(decoder, x + at * C, 1, h, &test_error));
    assert_memory_equal(h, wanted + (TOKENS - 1) * C, C * sizeof *h);
    /* Back to 9 tokens; two sequences that part there go their own ways. */
    cllm__decoder *other;
    MUST(cllm__decoder_create(&other, backbone, TOKENS, pool, &test_error));
    cllm__decoder_rewind(decoder, 9);
    cllm__decoder_copy(other, decoder);
    assert_int_equal(cllm__decoder_length(other), 9);
    MUST(cllm__decoder_extend(decoder, x, 2, h, &test_error));
    assert_true(memcmp(h, wanted + 10 * C, C * sizeof *h) != 0);
    MUST(cllm__decoder_extend(other, x + 9 * C, TOKENS - 9, h, &test_error));
    assert_memory_equal(h, wanted + (TOKENS - 1) * C, C * sizeof *h);
    cllm__decoder_rewind(decoder, 9);
    MUST(cllm__decoder_extend(decoder, x + 9 * C, 4, h, &test_error));
    assert_memory_equal(h, wanted + 12 * C, C * sizeof *h);
    cllm__decoder_free(other);
    cllm__decoder_free(decoder);
    assert_int_equal(cllm__decoder_create(&decoder, backbone, TOKENS + 1, pool, &test_error), CLLM_ERR_USAGE);
    cllm__pass_free(pass);
    cllm__pool_free(pool);
    cllm__backbone_close(backbone);
    void *blocks[] = {x, wanted, h, all};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
    cllm__remove_tree("scratch_decoder");
}

static void test_gpt2(void **state) {
    (void)state;
    check(false, CLLM__F32, 1);
    check(false, CLLM__BF16, 2);
}

static void test_llama(void **state) {
    (void)state;
    check(true, CLLM__F32, 2);
    check(true, CLLM__Q8_0, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpt2), cmocka_unit_test(test_llama)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
