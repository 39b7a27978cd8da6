#include "eval/baseline_set.h"

#include "fuzz.h"

/* Lines of NAME.PARAMETER=VALUE: what is refused says why and changes nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *rest = NULL;
    cllm__baseline_values values;
    cllm__baseline_defaults(&values);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        cllm_error err = {0};
        cllm__baseline_values before = values;
        const char *const settings[] = {line};
        const char *point = strchr(line, '.');
        if (cllm__baseline_settings(&values, settings, 1, &err) != CLLM_OK) {
            FUZZ_CHECK(err.status == CLLM_ERR_USAGE && err.message[0] != '\0');
            FUZZ_CHECK(memcmp(before.value, values.value, sizeof values.value) == 0 &&
                       memcmp(before.known, values.known, sizeof values.known) == 0);
            continue;
        }
        FUZZ_CHECK(point != NULL);
        cllm__baseline_kind kind = cllm__baseline_find(line, (size_t)(point - line));
        FUZZ_CHECK(kind < CLLM__BASE_KINDS && values.known[kind]);
    }
    for (int p = 0; p < CLLM__BASE_PARAMETERS; p++) FUZZ_CHECK(values.value[p] >= 0 && values.value[p] <= 1e12);
    free(text);
    return 0;
}
