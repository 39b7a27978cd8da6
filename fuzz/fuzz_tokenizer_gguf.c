#include "base/alloc.h"
#include "fuzz.h"
#include "text/tokenizer.h"

/* Whatever is opened can encode, alone and inside a sequence, its ids are pieces, and pieces have bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] = "It's a 12 \xc3\xa9 \xff\xe2\x82 test\n  of item_3<|x|>";
    cllm__gguf *file;
    cllm__tokenizer *t;
    cllm__tokens ids = {0};
    char *back;
    size_t length;
    int32_t bos;
    if (cllm__gguf_open(&file, fuzz_file(data, size), NULL) != CLLM_OK) return 0;
    cllm_status status = cllm__tokenizer_from_gguf(&t, file, NULL);
    cllm__gguf_close(file); /* nothing may point into it */
    if (status != CLLM_OK) return 0;
    int32_t pieces = (int32_t)cllm__tokenizer_size(t);
    if (cllm__tokenizer_encode(t, text, sizeof text - 1, &ids, NULL) == CLLM_OK &&
        cllm__tokenizer_encode_inner(t, text, sizeof text - 1, &ids, NULL) == CLLM_OK) {
        for (size_t i = 0; i < ids.count; i++) FUZZ_CHECK(ids.ids[i] >= 0 && ids.ids[i] < pieces);
        FUZZ_CHECK(cllm__tokenizer_decode(t, ids.ids, ids.count, &back, &length, NULL) == CLLM_OK);
        cllm__free(back);
    }
    for (int32_t id = 0; id < pieces; id++) FUZZ_CHECK(cllm__tokenizer_piece(t, id, &length) != NULL);
    FUZZ_CHECK(cllm__tokenizer_bos(t) < pieces && cllm__tokenizer_missing_bytes(t) <= 256);
    if (cllm__tokenizer_choose_bos(t, CLLM_BOS_ON, &bos, NULL) == CLLM_OK) FUZZ_CHECK(bos >= 0 && bos < pieces);
    cllm__tokens_free(&ids);
    cllm__tokenizer_close(t);
    return 0;
}
