#include <json-c/json.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "text/bpe_train.h"
#include "text/prompt.h"

static const cllm__tokenizer *tokenizer(void) {
    static cllm__tokenizer *t;
    static const char corpus[] = "the user has interacted with the item, and the title of the item is the title  12 12 12";
    cllm__bpe_trainer *trainer;
    if (t != NULL) return t;
    FUZZ_CHECK(cllm__bpe_trainer_create(&trainer, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__bpe_trainer_feed(trainer, corpus, sizeof corpus - 1, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__bpe_trainer_run(trainer, 300, 0, NULL, &t, NULL) == CLLM_OK);
    cllm__bpe_trainer_free(trainer);
    return t;
}

/* A file of templates: what is accepted is told, and what is told is accepted and told the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    struct json_object *object = json_tokener_parse(text), *told, *again;
    cllm_error err = {0};
    cllm__prompts prompts;
    free(text);
    if (cllm__prompts_compile(&prompts, tokenizer(), object, &err) == CLLM_OK) {
        FUZZ_CHECK(cllm__prompts_to_json(&prompts, &told, NULL) == CLLM_OK);
        cllm__prompts_free(&prompts);
        FUZZ_CHECK(cllm__prompts_compile(&prompts, tokenizer(), told, NULL) == CLLM_OK);
        FUZZ_CHECK(cllm__prompts_to_json(&prompts, &again, NULL) == CLLM_OK);
        FUZZ_CHECK(json_object_equal(told, again));
        json_object_put(told);
        json_object_put(again);
        cllm__prompts_free(&prompts);
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    json_object_put(object);
    return 0;
}
