#include "api/fusion_weights.h"

#include <math.h>

#include "base/alloc.h"
#include "fuzz_folder.h"

/* run.json: what is accepted has settings that are written and read back the same, and weights of parts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const cllm__run_options options = {.parts = CLLM__RUN_MANIFEST};
    cllm__run run = {0};
    cllm_error err = {0};
    fuzz_put("run.json", data, size);
    if (cllm__run_open(&run, fuzz_folder(), &options, &err) == CLLM_OK) {
        cllm__train_config again;
        struct json_object *settings = cllm__config_to_json(&run.config), *preset = json_object_new_string(run.config.preset), *second;
        FUZZ_CHECK(cllm__config_from_json(&again, preset, settings, &err) == CLLM_OK);
        second = cllm__config_to_json(&again);
        FUZZ_CHECK(json_object_equal(settings, second));
        double weights[CLLM__FUSION_PARTS];
        if (cllm__fusion_weights_read(weights, &run, &err) == CLLM_OK) {
            for (int k = 0; k < CLLM__FUSION_PARTS; k++) FUZZ_CHECK(weights[k] >= 0 && isfinite(weights[k]));
        } else {
            FUZZ_CHECK(strstr(err.message, "run.json") != NULL);
        }
        json_object_put(settings);
        json_object_put(second);
        json_object_put(preset);
    } else {
        FUZZ_CHECK(strstr(err.message, "run.json") != NULL);
    }
    cllm__run_free(&run);
    return 0;
}
