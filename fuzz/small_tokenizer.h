/* A tokenizer with every byte and some merges, trained once. */
#ifndef CLLM_FUZZ_SMALL_TOKENIZER_H
#define CLLM_FUZZ_SMALL_TOKENIZER_H

#include "fuzz.h"
#include "text/bpe_train.h"

static inline const cllm__tokenizer *small_tokenizer(void) {
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

#endif
