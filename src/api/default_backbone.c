#include "api/default_backbone.h"

#include "backbone/backbone.h"
#include "base/host.h"
#include "base/io.h"
#include "text/bpe_train.h"

enum { LAYERS = 2, HEADS = 4, WIDTH = 128, PIECES = 2048, CONTEXT = 1024, MIN_FREQUENCY = 2 };

static cllm_status learn_vocabulary(cllm__tokenizer **tokenizer, const cllm__dataset *dataset, const cllm_host *host, cllm_error *err) {
    cllm__bpe_trainer *trainer;
    CLLM_TRY(cllm__bpe_trainer_create(&trainer, err));
    cllm_status status = CLLM_OK;
    for (size_t i = 0; i < cllm__dataset_texts(dataset) && status == CLLM_OK; i++) {
        cllm__text text = cllm__dataset_text(dataset, i);
        if (text.split == CLLM__TRAIN) status = cllm__bpe_trainer_feed(trainer, text.text, text.length, err);
    }
    if (status == CLLM_OK) status = cllm__bpe_trainer_run(trainer, PIECES, MIN_FREQUENCY, host, tokenizer, err);
    cllm__bpe_trainer_free(trainer);
    return status;
}

cllm_status cllm__default_backbone(const char *folder, const cllm__dataset *dataset, uint64_t seed, const cllm_host *host, cllm_error *err) {
    cllm__tokenizer *tokenizer;
    CLLM_TRY(learn_vocabulary(&tokenizer, dataset, host, err));
    size_t pieces = cllm__tokenizer_size(tokenizer);
    cllm__gpt2_shape shape = {.layers = LAYERS, .heads = HEADS, .width = WIDTH, .vocabulary = pieces, .context = CONTEXT, .lively = true};
    cllm_status status = cllm__gpt2_init(folder, shape, seed, err);
    if (status == CLLM_OK) status = cllm__tokenizer_save(tokenizer, folder, err);
    cllm__tokenizer_close(tokenizer);
    if (status == CLLM_OK) {
        cllm__log(host, CLLM_LOG_INFO,
                  "no --backbone: made one with random weights (%d layers x %d, %zu pieces learnt from the data's own texts, seed %llu)", LAYERS,
                  WIDTH, pieces, (unsigned long long)seed);
    }
    return status;
}
