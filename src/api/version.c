#include <cllm4rec/cllm4rec.h>

#include "base/alloc.h"

const char *cllm_version(void) {
    return CLLM_VERSION;
}

void cllm_text_free(char *text) {
    cllm__free(text);
}
