#include "formats/utf8.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *out = malloc(2 * size + 1);
    FUZZ_CHECK(out != NULL);
    size_t good = cllm__utf8_check(text, size);
    FUZZ_CHECK(good <= size);
    for (size_t i = 0; i < good;) { /* what is well-formed survives reading and writing */
        size_t length;
        char bytes[4];
        uint32_t c = cllm__utf8_get(text + i, &length);
        FUZZ_CHECK(cllm__utf8_put(bytes, c) == length && memcmp(bytes, text + i, length) == 0);
        i += length;
    }
    size_t n = cllm__latin1_to_utf8(out, text, size);
    FUZZ_CHECK(n >= size && n <= 2 * size && cllm__utf8_check(out, n) == n);
    free(text);
    free(out);
    return 0;
}
