#include "base/alloc.h"
#include "fuzz.h"
#include "text/tokenizer.h"

/* Whatever is opened can encode, and its ids are pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] = "It's a 12 \xc3\xa9 \xff\xe2\x82 test\n  of item_3<|x|>";
    char *json = fuzz_text(data, size), *back;
    cllm__tokenizer *t;
    cllm__tokens ids = {0};
    size_t length;
    if (cllm__tokenizer_from_json(&t, json, size, "input", NULL) == CLLM_OK) {
        if (cllm__tokenizer_encode(t, text, sizeof text - 1, &ids, NULL) == CLLM_OK) {
            FUZZ_CHECK(cllm__tokenizer_decode(t, ids.ids, ids.count, &back, &length, NULL) == CLLM_OK);
            cllm__free(back);
        }
        FUZZ_CHECK(cllm__tokenizer_bos(t) < (int32_t)cllm__tokenizer_size(t));
        cllm__tokens_free(&ids);
        cllm__tokenizer_close(t);
    }
    free(json);
    return 0;
}
