#include "api/item_words.h"

#include "fuzz.h"

/* words.safetensors of a run: what is opened makes tokens. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] = "a lamp, a LAMP and the kettle";
    cllm__item_words words = {0};
    cllm_error err = {0};
    if (cllm__item_words_load(&words, fuzz_file(data, size), &err) == CLLM_OK) {
        cllm__real *token = malloc((words.width + 1) * sizeof *token);
        FUZZ_CHECK(token != NULL);
        cllm_status status = cllm__item_words_token(&words, text, sizeof text - 1, token, &err);
        FUZZ_CHECK(status == CLLM_OK || status == CLLM_ERR_NOT_FOUND);
        free(token);
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    cllm__item_words_free(&words);
    return 0;
}
