#include "eval/metrics.h"

#include "fuzz.h"

/* A sum of metrics such as recall@20+ndcg@10: what is accepted is the sum of its labels. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), label[CLLM__METRIC_NAME];
    cllm__monitor monitor;
    cllm_error err = {0};
    if (cllm__monitor_parse(text, &monitor, &err) == CLLM_OK) {
        FUZZ_CHECK(monitor.count >= 1 && monitor.count <= CLLM__MONITOR_MAX);
        for (size_t i = 0; i < monitor.count; i++) {
            cllm__metric metric;
            size_t k;
            FUZZ_CHECK(monitor.k[i] >= 1);
            cllm__metric_label(monitor.metric[i], monitor.k[i], label);
            FUZZ_CHECK(cllm__metric_parse(label, &metric, &k, NULL) == CLLM_OK && metric == monitor.metric[i] && k == monitor.k[i]);
        }
    } else {
        FUZZ_CHECK(err.status == CLLM_ERR_USAGE && err.message[0] != '\0');
    }
    free(text);
    return 0;
}
