#include "formats/html.h"

#include "formats/utf8.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, size);
    bool valid = cllm__utf8_check(text, size) == size;
    size_t length = size;
    bool changed = cllm__html_clean(text, &length);
    FUZZ_CHECK(length <= size && changed == (length < size));
    FUZZ_CHECK(!valid || cllm__utf8_check(text, length) == length);
    FUZZ_CHECK(changed || memcmp(text, data, size) == 0);
    free(text);
    return 0;
}
