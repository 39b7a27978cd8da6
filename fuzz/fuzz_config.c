/* config.json: what is accepted keeps the promises that the loader and the passes rely on. */
#include "backbone/family.h"

#include "base/alloc.h"
#include "fuzz.h"

static void check(const cllm__architecture *a) {
    FUZZ_CHECK(a->layers >= 1 && a->layers <= CLLM__LAYERS_MAX);
    FUZZ_CHECK(a->width >= 1 && a->width <= CLLM__WIDTH_MAX);
    FUZZ_CHECK(a->inner >= 1 && a->inner <= CLLM__INNER_MAX);
    FUZZ_CHECK(a->context >= 1 && a->context <= CLLM__CONTEXT_MAX);
    FUZZ_CHECK(a->vocabulary >= 1 && a->vocabulary <= CLLM__VOCABULARY_MAX);
    FUZZ_CHECK(a->heads >= 1 && a->kv_heads >= 1 && a->heads % a->kv_heads == 0);
    FUZZ_CHECK(a->head_width >= 1 && a->heads * a->head_width <= CLLM__WIDTH_MAX);
    FUZZ_CHECK(a->norm_epsilon >= 0 && a->norm_epsilon <= 1);
    FUZZ_CHECK(a->rotary_width % 2 == 0 && a->rotary_width <= a->head_width && (a->rotary != NULL) == (a->rotary_width > 0));
    for (size_t i = 0; i < a->rotary_width / 2; i++) FUZZ_CHECK(a->rotary[i] >= 0 && a->rotary[i] <= 1e6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    cllm__config config;
    cllm_error err = {0};
    if (cllm__config_parse(&config, "config.json", text, size, &err) == CLLM_OK) {
        const cllm__family *family = NULL;
        cllm__architecture architecture;
        cllm_status status = cllm__family_describe(config, &family, &architecture, &err);
        if (status == CLLM_OK) {
            FUZZ_CHECK(family != NULL);
            check(&architecture);
            cllm__free(architecture.rotary);
        } else {
            FUZZ_CHECK(status == CLLM_ERR_DATA || status == CLLM_ERR_UNSUPPORTED);
            FUZZ_CHECK(strstr(err.message, "config.json") != NULL);
        }
        cllm__config_free(&config);
    } else {
        FUZZ_CHECK(strstr(err.message, "config.json") != NULL);
    }
    free(text);
    return 0;
}
