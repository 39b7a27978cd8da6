#include "data/prepare.h"

void cllm_prepare_options_init(cllm_prepare_options *options) {
    *options = (cllm_prepare_options){0};
}

cllm_status cllm_prepare(const cllm_prepare_options *options, char **summary_json, cllm_error *err) {
    return cllm__prepare(options, summary_json, err);
}
