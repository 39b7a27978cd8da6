#include "train/config.h"

#include "fuzz.h"

/* Lines of NAME=VALUE: what is accepted reads back as a setting of the same value; what is refused says why and changes nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *rest = NULL;
    cllm__train_config config;
    FUZZ_CHECK(cllm__train_config_preset(&config, "paper", NULL) == CLLM_OK);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        cllm_error err = {0};
        cllm__train_config before = config;
        char name[256], value[256], again[256], setting[520];
        if (cllm__train_config_set(&config, line, &err) != CLLM_OK) {
            FUZZ_CHECK(err.message[0] != '\0' && memcmp(&before, &config, sizeof config) == 0);
            continue;
        }
        FUZZ_CHECK(strncmp(line, "seed=", 5) != 0 || strchr(line, '-') == NULL); /* which strtoull would take for a large number */
        size_t length = strcspn(line, "=");
        if (length >= sizeof name) continue;
        memcpy(name, line, length);
        name[length] = '\0';
        cllm__train_config_get(&config, name, value, sizeof value);
        snprintf(setting, sizeof setting, "%s=%s", name, value);
        FUZZ_CHECK(cllm__train_config_set(&config, setting, &err) == CLLM_OK);
        cllm__train_config_get(&config, name, again, sizeof again);
        FUZZ_CHECK(strcmp(value, again) == 0);
    }
    free(text);
    return 0;
}
