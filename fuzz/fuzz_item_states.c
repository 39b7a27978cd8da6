#include "api/item_states.h"

#include <math.h>

#include "fuzz.h"

/* states.safetensors of a run: whatever is opened has a direction at least and finite numbers, and makes a token of any state. */
enum { FROM = 3 };

static bool are_finite(const float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(numbers[i])) return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const float state[FROM] = {4, 9, 1};
    cllm__item_states states = {0};
    cllm_error err = {0};
    if (cllm__item_states_load(&states, FROM, fuzz_file(data, size), &err) == CLLM_OK) {
        const cllm__pca *pca = &states.pca;
        float weights[FROM];
        FUZZ_CHECK(pca->width == FROM && pca->dims >= 1 && pca->dims <= FROM && are_finite(pca->mean, FROM) && are_finite(pca->axes, pca->dims * FROM));
        cllm__item_states_weigh(&states, state, weights);
        if (states.vectors != NULL) {
            cllm__real *token = calloc(states.width + 1, sizeof *token);
            FUZZ_CHECK(token != NULL && are_finite(states.vectors, pca->dims * states.width));
            FUZZ_CHECK(cllm__item_states_add(&states, state, token, &err) == CLLM_OK);
            free(token);
        }
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    cllm__item_states_free(&states);
    return 0;
}
