#include "eval/baseline_set.h"

#include "fuzz_folder.h"

/* What is taken from a cache is written to a cache that holds the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/again.json", fuzz_folder());
    const cllm__baselines_options first = {.cache = fuzz_file(data, size), .data_hash = 1}, second = {.cache = path, .data_hash = 1};
    cllm__baseline_values values, usual, again;
    cllm__baseline_defaults(&values);
    cllm__baseline_defaults(&usual);
    cllm__baseline_defaults(&again);
    cllm__baseline_read_cache(&values, &first);
    cllm__baseline_write_cache(&values, &second);
    cllm__baseline_read_cache(&again, &second);
    bool any = false;
    for (int k = 0; k < CLLM__BASE_KINDS; k++) {
        FUZZ_CHECK(values.known[k] == again.known[k]);
        FUZZ_CHECK(!values.known[k] || cllm__baseline_is_tuned((cllm__baseline_kind)k));
        any = any || values.known[k];
    }
    for (int p = 0; p < CLLM__BASE_PARAMETERS; p++) {
        FUZZ_CHECK(values.value[p] == again.value[p]); /* so none is NaN */
        FUZZ_CHECK(any || values.value[p] == usual.value[p]);
    }
    return 0;
}
