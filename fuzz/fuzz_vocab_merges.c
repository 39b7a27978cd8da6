#include "base/alloc.h"
#include "fuzz.h"
#include "text/tokenizer.h"

/* The input is vocab.json, a line "----", merges.txt. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] = "aab ab\xff 12", line[] = "\n----\n";
    char *input = fuzz_text(data, size), *back;
    const char *cut = strstr(input, line), *merges = cut == NULL ? input + size : cut + strlen(line);
    size_t vocab_size = cut == NULL ? size : (size_t)(cut - input), length;
    cllm__tokenizer *t;
    cllm__tokens ids = {0};
    cllm_error err = {0};
    if (cllm__tokenizer_from_vocab(&t, input, vocab_size, merges, (size_t)(input + size - merges), "V", "M", &err) ==
        CLLM_OK) {
        FUZZ_CHECK(cllm__tokenizer_encode(t, text, sizeof text - 1, &ids, NULL) == CLLM_OK);
        FUZZ_CHECK(cllm__tokenizer_decode(t, ids.ids, ids.count, &back, &length, NULL) == CLLM_OK);
        FUZZ_CHECK(length <= sizeof text - 1);
        cllm__free(back);
        cllm__tokens_free(&ids);
        cllm__tokenizer_close(t);
    } else {
        FUZZ_CHECK(err.message[0] == 'V' || err.message[0] == 'M');
    }
    free(input);
    return 0;
}
