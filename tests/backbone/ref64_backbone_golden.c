/* Hidden states, logits and input gradients against transformers', in double precision. */
#include "golden.h"

static void test_golden(void **state) {
    (void)state;
    const bounds bound = {1e-10, 1e-10, 1e-9, 1 - 1e-12};
    static const char *const MODELS[] = {"gpt2_f32", "gpt2_f16", "gpt2_bf16", "llama_tied", "llama_bias", "qwen2", "mistral"};
    for (size_t i = 0; i < CLLM_LEN(MODELS); i++) check_golden(MODELS[i], "", CLLM__F32, bound);
    for (size_t i = 0; i < CLLM_LEN(GGUF_MODELS); i++) check_golden(GGUF_MODELS[i][0], GGUF_MODELS[i][1], CLLM__F32, bound);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
