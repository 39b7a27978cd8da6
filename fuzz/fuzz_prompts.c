#include <json-c/json.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "small_tokenizer.h"
#include "text/prompt.h"

/* A file of templates: what is accepted is told, and what is told is accepted and told the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    struct json_object *object = json_tokener_parse(text), *told, *again;
    cllm_error err = {0};
    cllm__prompts prompts;
    free(text);
    if (cllm__prompts_compile(&prompts, small_tokenizer(), object, &err) == CLLM_OK) {
        FUZZ_CHECK(cllm__prompts_to_json(&prompts, &told, NULL) == CLLM_OK);
        cllm__prompts_free(&prompts);
        FUZZ_CHECK(cllm__prompts_compile(&prompts, small_tokenizer(), told, NULL) == CLLM_OK);
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
