/* How many word embeddings a model has, without opening it: what opening it says. */
#include "golden.h"

#include "backbone/checkpoint.h"

static size_t rows_of(const char *path) {
    size_t rows = 99;
    MUST(cllm__checkpoint_rows(path, &rows, &test_error));
    return rows;
}

static void test_models(void **state) {
    (void)state;
    static const char *const MODELS[] = {"gpt2_f32", "llama_tied", "qwen2", "mistral", "gguf_llama.gguf", "gguf_gpt2.gguf",
                                         "gguf_qwen2-00001-of-00002.gguf"};
    for (size_t i = 0; i < CLLM_LEN(MODELS); i++) {
        char path[512];
        cllm__backbone *backbone;
        snprintf(path, sizeof path, TEST_DATA "/golden/%s", MODELS[i]);
        MUST(cllm__backbone_open(&backbone, path, (cllm__backbone_options){.dtype = CLLM__F32}, &test_error));
        assert_int_equal(rows_of(path), cllm__backbone_info_of(backbone)->vocabulary);
        cllm__backbone_close(backbone);
    }
}

static void test_none(void **state) {
    (void)state;
    static const char FOLDER[] = "scratch_rows";
    assert_int_equal(rows_of(TEST_DATA "/golden/tokenizer_llama2.gguf"), 0);
    assert_int_equal(rows_of(TEST_DATA "/golden/tokenizer_llama2.json"), 0);
    cllm__remove_tree(FOLDER);
    MUST(cllm__make_folders(FOLDER, &test_error));
    assert_int_equal(rows_of(FOLDER), 0);
    write_text(FOLDER, "config.json", "{}");
    assert_int_equal(rows_of(FOLDER), 0);
    static const char *const WRONG[] = {"{\"vocab_size\": 0}", "{\"vocab_size\": \"7\"}", "{\"vocab_size\": 2147483648}", "["};
    for (size_t i = 0; i < CLLM_LEN(WRONG); i++) {
        size_t rows;
        write_text(FOLDER, "config.json", WRONG[i]);
        assert_int_equal(cllm__checkpoint_rows(FOLDER, &rows, &test_error), CLLM_ERR_DATA);
        assert_non_null(strstr(test_error.message, "scratch_rows/config.json"));
    }
    cllm__remove_tree(FOLDER);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
