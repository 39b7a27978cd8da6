#include "eval/tfidf.h"

static bool get_text(const void *context, size_t index, int32_t *item, const char **text, size_t *length) {
    cllm__text read = cllm__dataset_text(context, index);
    if (read.item < 0 || read.kind == CLLM__TEXT_BIOGRAPHY) return false;
    if (read.kind == CLLM__TEXT_REVIEW && read.split != CLLM__TRAIN) return false;
    *item = read.item;
    *text = read.text;
    *length = read.length;
    return true;
}

cllm__item_texts cllm__item_texts_of(const cllm__dataset *dataset) {
    return (cllm__item_texts){.context = dataset, .count = cllm__dataset_texts(dataset), .get = get_text};
}
