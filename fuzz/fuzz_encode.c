#include "base/alloc.h"
#include "fuzz.h"
#include "text/bpe_train.h"
#include "text/prompt.h"

/* A tokenizer with every byte and some merges, trained once. */
static const cllm__tokenizer *tokenizer(void) {
    static cllm__tokenizer *t;
    static const char corpus[] =
        "the user and the item are the same, isn't it? 12 12 1212  the\n\nend   of user_1 item_1 user_12 ---- .... ";
    cllm__bpe_trainer *trainer;
    if (t != NULL) return t;
    FUZZ_CHECK(cllm__bpe_trainer_create(&trainer, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__bpe_trainer_feed(trainer, corpus, sizeof corpus - 1, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__bpe_trainer_run(trainer, 320, 0, NULL, &t, NULL) == CLLM_OK);
    cllm__bpe_trainer_free(trainer);
    return t;
}

/* decode(encode(x)) = x; a limit takes the first ids; templates of any kind make ids that there are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const cllm__tokenizer *t = tokenizer();
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
