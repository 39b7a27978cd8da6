#include "eval/item_weights.h"

#include "fuzz.h"

/* linear.safetensors of a run: every row that is opened can be scored. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cllm__item_weights linear = {0};
    cllm_error err = {0};
    if (cllm__item_weights_load(&linear, fuzz_file(data, size), &err) == CLLM_OK) {
        float *scores = malloc((linear.n_items + 1) * sizeof *scores);
        FUZZ_CHECK(scores != NULL);
        for (size_t i = 0; i < linear.n_items; i++) {
            int32_t item = (int32_t)i;
            cllm__item_weights_score(&linear, &item, 1, scores);
        }
        free(scores);
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    cllm__item_weights_free(&linear);
    return 0;
}
