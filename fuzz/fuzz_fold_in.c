#include "eval/fold_in.h"

#include "fuzz.h"

enum { LONGEST = 3 };

/* factors.safetensors of a run: whatever is opened can score any history. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cllm__fold_in model = {0};
    cllm_error err = {0};
    if (cllm__fold_in_load(&model, fuzz_file(data, size), &err) == CLLM_OK) {
        float *scores = malloc((model.n_items + 1) * sizeof *scores);
        double *scratch = malloc((cllm__fold_in_scratch(&model, LONGEST) + 1) * sizeof *scratch);
        FUZZ_CHECK(scores != NULL && scratch != NULL);
        int32_t history[LONGEST];
        size_t count = model.n_items < LONGEST ? model.n_items : LONGEST;
        for (size_t i = 0; i < count; i++) history[i] = (int32_t)i;
        for (size_t n = 0; n <= count; n++) cllm__fold_in_score(&model, history, n, scratch, scores);
        free(scores);
        free(scratch);
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    cllm__fold_in_free(&model);
    return 0;
}
