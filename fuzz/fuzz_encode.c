#include "base/alloc.h"
#include "fuzz.h"
#include "small_tokenizer.h"
#include "text/prompt.h"

/* decode(encode(x)) = x; a limit takes the first ids; templates of any kind make ids that there are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const cllm__tokenizer *t = small_tokenizer();
    const cllm__id_space space = {(int32_t)cllm__tokenizer_size(t), 3, 4};
    char *text = fuzz_text(data, size), *back;
    cllm__tokens ids = {0}, few = {0};
    cllm__prompt prompt;
    size_t length;
    FUZZ_CHECK(cllm__tokenizer_encode(t, text, size, &ids, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__tokenizer_decode(t, ids.ids, ids.count, &back, &length, NULL) == CLLM_OK);
    FUZZ_CHECK(length == size && memcmp(back, text, size) == 0);
    cllm__free(back);
    FUZZ_CHECK(cllm__tokenizer_encode_main(t, text, size, false, 5, &few, NULL) == CLLM_OK);
    FUZZ_CHECK(few.count == (ids.count < 5 ? ids.count : 5));
    FUZZ_CHECK(few.count == 0 || memcmp(few.ids, ids.ids, few.count * sizeof *ids.ids) == 0);
    ids.count = 0;
    FUZZ_CHECK(cllm__prompt_encode_concrete(t, &space, text, size, &ids, NULL) == CLLM_OK);
    for (size_t i = 0; i < ids.count; i++) FUZZ_CHECK(ids.ids[i] >= 0 && ids.ids[i] < space.vocab_rows + 7);
    if (cllm__prompt_compile(&prompt, t, text, NULL) == CLLM_OK) {
        const int32_t items[] = {3, 0, 2};
        const cllm__prompt_fill fill = {.user = 2, .item = 1, .items = items, .n_items = 3, .max_tokens = prompt.length};
        ids.count = 0;
        FUZZ_CHECK(cllm__prompt_render(&prompt, &space, &fill, &ids, &length, NULL) == CLLM_OK);
        FUZZ_CHECK(ids.count <= prompt.length);
        cllm__prompt_free(&prompt);
    }
    cllm__tokens_free(&ids);
    cllm__tokens_free(&few);
    free(text);
    return 0;
}
