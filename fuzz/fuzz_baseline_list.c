#include "eval/baseline_set.h"

#include "fuzz.h"

/* A list of baselines: each at most once, and none that the list does not name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *list = fuzz_text(data, size);
    cllm__baseline_choice choice;
    cllm_error err = {0};
    if (cllm__baseline_choose(&choice, list, &err) != CLLM_OK) {
        FUZZ_CHECK(err.status == CLLM_ERR_USAGE && err.message[0] != '\0');
    } else {
        bool seen[CLLM__BASE_KINDS] = {false};
        FUZZ_CHECK(choice.count <= CLLM__BASE_KINDS);
        for (size_t i = 0; i < choice.count; i++) {
            FUZZ_CHECK(choice.kinds[i] < CLLM__BASE_KINDS && !seen[choice.kinds[i]]);
            FUZZ_CHECK(!choice.by_name || strstr(list, cllm__baseline_name(choice.kinds[i])) != NULL);
            seen[choice.kinds[i]] = true;
        }
    }
    free(list);
    return 0;
}
