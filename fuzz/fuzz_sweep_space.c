#include "api/sweep_space.h"

#include "base/alloc.h"
#include "fuzz.h"

/* A space that is accepted gives settings that training accepts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cllm_error err = {0};
    cllm__train_config config;
    cllm__space space = {0};
    FUZZ_CHECK(cllm__train_config_preset(&config, "paper", NULL) == CLLM_OK);
    if (cllm__space_read(&space, fuzz_file(data, size), &config, &err) == CLLM_OK) {
        for (size_t trial = 0; trial < 4; trial++) {
            struct json_object *settings = NULL;
            FUZZ_CHECK(cllm__space_draw(&space, 1, trial, 0, &settings, NULL) == CLLM_OK);
            for (size_t i = 0; i < json_object_array_length(settings); i++) {
                const char *setting = json_object_get_string(json_object_array_get_idx(settings, i));
                FUZZ_CHECK(setting != NULL && cllm__train_config_set(&config, setting, NULL) == CLLM_OK);
            }
            json_object_put(settings);
        }
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    cllm__space_free(&space);
    return 0;
}
