#include "train/checkpoint.h"

#include "base/alloc.h"
#include "fuzz.h"

/* model.safetensors of a run: the tables that are opened are read to their last number, which is finite. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cllm__tables sets[2] = {{0}, {0}};
    uint8_t *state = NULL;
    cllm_error err = {0};
    if (cllm__model_load(&sets[0], &sets[1], &state, fuzz_file(data, size), &err) == CLLM_OK) {
        cllm__real sum = 0;
        for (size_t s = 0; s < 2; s++) {
            FUZZ_CHECK(sets[s].n_users == sets[0].n_users && sets[s].n_items == sets[0].n_items && sets[s].width == sets[0].width);
            for (size_t i = 0; i < sets[s].n_users * sets[s].width; i++) sum += sets[s].users[i] * 0;
            for (size_t i = 0; i < sets[s].n_items * sets[s].width; i++) sum += sets[s].items[i] * 0;
        }
        FUZZ_CHECK(sum == 0);
        for (size_t i = 0; i < sets[0].n_items; i++) FUZZ_CHECK(state[i] <= CLLM__ITEM_UNKNOWN);
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    cllm__free(state);
    cllm__tables_free(&sets[0]);
    cllm__tables_free(&sets[1]);
    return 0;
}
