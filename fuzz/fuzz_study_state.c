#include "api/json.h"

#include "fuzz_folder.h"

/* sweep.json and ablation.json, from which a sweep and a study go on: refused, or stopped before anything is trained. */
static bool at_once(void *user) {
    (void)user;
    return true;
}

static void check(cllm_status status, char **json, const cllm_error *err) {
    if (status == CLLM_OK) {
        cllm_text_free(*json);
        *json = NULL;
    } else FUZZ_CHECK(err->message[0] != '\0' && (status != CLLM_ERR_INTERRUPTED || strstr(err->message, "--resume -o") != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const cllm_host host = {.cancelled = at_once};
    const cllm_sweep_options sweep = {.output = fuzz_folder(), .resume = true, .threads = 1, .host = host};
    const cllm_ablate_options study = {.output = fuzz_folder(), .resume = true, .threads = 1, .host = host};
    char *json = NULL;
    cllm_error err = {0};
    fuzz_put("sweep.json", data, size);
    check(cllm_sweep(&sweep, &json, &err), &json, &err);
    fuzz_put("ablation.json", data, size);
    err = (cllm_error){0};
    check(cllm_ablate(&study, &json, &err), &json, &err);
    return 0;
}
