/* Hidden states, logits and input gradients against transformers', in single precision and with bf16 products. */
#include "golden.h"

static const bounds F32 = {1e-5, 1e-5, 1e-4, 1 - 1e-10}, BF16 = {2e-2, 2e-2, 5e-2, .9995};

static const char *const MODELS[] = {"gpt2_f32", "gpt2_f16", "gpt2_bf16", "llama_tied", "llama_bias", "qwen2", "mistral"};

static void test_f32(void **state) {
    (void)state;
    for (size_t i = 0; i < CLLM_LEN(MODELS); i++) check_golden(MODELS[i], "", CLLM__F32, F32);
    for (size_t i = 0; i < CLLM_LEN(GGUF_MODELS); i++) check_golden(GGUF_MODELS[i][0], GGUF_MODELS[i][1], CLLM__F32, F32);
}

static void test_bf16(void **state) {
    (void)state;
    for (size_t i = 0; i < CLLM_LEN(MODELS); i++) check_golden(MODELS[i], "", CLLM__BF16, BF16);
    for (size_t i = 0; i < CLLM_LEN(GGUF_MODELS); i++) check_golden(GGUF_MODELS[i][0], GGUF_MODELS[i][1], CLLM__BF16, BF16);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
