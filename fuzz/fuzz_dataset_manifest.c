#include "data/dataset_manifest.h"

#include "base/alloc.h"
#include "fuzz.h"

/* What is accepted is printed, and the print is accepted and printed the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cllm_error err = {0};
    cllm__manifest manifest, again;
    char *text = fuzz_text(data, size), *first, *second;
    cllm_status status = cllm__manifest_parse(&manifest, text, size, "input", &err);
    free(text);
    if (status != CLLM_OK) {
        FUZZ_CHECK(err.message[0] != '\0' && err.status == status);
        return 0;
    }
    FUZZ_CHECK(manifest.users <= INT32_MAX && manifest.items <= INT32_MAX && manifest.texts < (uint64_t)1 << 62);
    FUZZ_CHECK(json_object_is_type(manifest.summary, json_type_object));
    FUZZ_CHECK(cllm__manifest_print(&manifest, &first, &err) == CLLM_OK);
    FUZZ_CHECK(strlen(first) > CLLM__MANIFEST_LIMIT ||
               cllm__manifest_parse(&again, first, strlen(first), "print", &err) == CLLM_OK);
    if (strlen(first) <= CLLM__MANIFEST_LIMIT) {
        FUZZ_CHECK(memcmp(again.files, manifest.files, sizeof manifest.files) == 0 && again.users == manifest.users);
        FUZZ_CHECK(cllm__manifest_print(&again, &second, &err) == CLLM_OK);
        FUZZ_CHECK(strcmp(first, second) == 0);
        cllm__free(second);
        cllm__manifest_free(&again);
    }
    cllm__free(first);
    cllm__manifest_free(&manifest);
    return 0;
}
