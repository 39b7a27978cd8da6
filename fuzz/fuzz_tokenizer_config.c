#include "base/alloc.h"
#include "fuzz_folder.h"
#include "text/tokenizer_parts.h"

/* tokenizer_config.json beside a tokenizer's files: the token that begins a sequence is a piece afterwards, or there is none. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char vocab[] = "{\"a\": 0, \"b\": 1, \"ab\": 2, \"<s>\": 3}", merges[] = "#version: 0.2\na b\n";
    fuzz_put("tokenizer_config.json", data, size);
    for (int decides = 0; decides < 2; decides++) {
        cllm__tokenizer *t;
        cllm_error err = {0};
        int32_t bos;
        FUZZ_CHECK(cllm__tokenizer_from_vocab(&t, vocab, sizeof vocab - 1, merges, sizeof merges - 1, "V", "M", &err) == CLLM_OK);
        int32_t pieces = (int32_t)cllm__tokenizer_size(t);
        if (cllm__tokenizer_read_config(t, fuzz_folder(), decides == 1, &err) == CLLM_OK) {
            FUZZ_CHECK(t->parts.bos == CLLM_NO_PIECE || (t->parts.bos >= 0 && t->parts.bos < pieces));
            FUZZ_CHECK(!t->parts.add_bos || (decides == 1 && t->parts.bos != CLLM_NO_PIECE));
            if (cllm__tokenizer_choose_bos(t, CLLM_BOS_ON, &bos, NULL) == CLLM_OK) FUZZ_CHECK(bos >= 0 && bos < pieces);
        } else {
            FUZZ_CHECK(strstr(err.message, "tokenizer_config.json") != NULL);
            FUZZ_CHECK(t->parts.bos == CLLM_NO_PIECE && !t->parts.add_bos);
        }
        cllm__tokenizer_close(t);
    }
    return 0;
}
