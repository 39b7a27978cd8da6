#include "api/run.h"

#include "fuzz_folder.h"

/* log.jsonl: an array of the objects that tell of an epoch. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_object *epochs;
    cllm_error err = {0};
    fuzz_put("log.jsonl", data, size);
    if (cllm__run_epochs(fuzz_folder(), &epochs, &err) == CLLM_OK) {
        for (size_t i = 0; i < json_object_array_length(epochs); i++) {
            FUZZ_CHECK(strcmp(cllm__json_shown(json_object_array_get_idx(epochs, i), "event"), "epoch") == 0);
        }
        json_object_put(epochs);
    } else {
        FUZZ_CHECK(strstr(err.message, "log.jsonl: line ") != NULL);
    }
    return 0;
}
