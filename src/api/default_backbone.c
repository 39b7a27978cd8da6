#include "api/default_backbone.h"

#include <math.h>

#include "backbone/backbone.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "text/bpe_train.h"

enum { LAYERS = 2, HEADS = 4, WIDTH = 128, PIECES = 2048, CONTEXT = 1024, MIN_FREQUENCY = 2 };

/* More tokens than this don't make the words' frequencies any better. */
static const size_t COUNTED_TOKENS = 10000000;

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

/* Log-probabilities of the pieces in the training texts, each counted once more than it occurs. */
static cllm_status count_pieces(double *logits, const cllm__tokenizer *tokenizer, const cllm__dataset *dataset, cllm_error *err) {
    size_t pieces = cllm__tokenizer_size(tokenizer), total = pieces;
    cllm__tokens tokens = {0};
    cllm_status status = CLLM_OK;
    for (size_t v = 0; v < pieces; v++) logits[v] = 1;
    for (size_t i = 0; i < cllm__dataset_texts(dataset) && total < COUNTED_TOKENS && status == CLLM_OK; i++) {
        cllm__text text = cllm__dataset_text(dataset, i);
        if (text.split != CLLM__TRAIN) continue;
        tokens.count = 0;
        status = cllm__tokenizer_encode_main(tokenizer, text.text, text.length, false, SIZE_MAX, &tokens, err);
        for (size_t t = 0; t < tokens.count; t++) logits[tokens.ids[t]]++;
        total += tokens.count;
    }
    cllm__tokens_free(&tokens);
    for (size_t v = 0; v < pieces; v++) logits[v] = log(logits[v] / (double)total);
    return status;
}

cllm_status cllm__default_backbone(const char *folder, const cllm__dataset *dataset, uint64_t seed, const cllm_host *host, cllm_error *err) {
    cllm__tokenizer *tokenizer;
    CLLM_TRY(learn_vocabulary(&tokenizer, dataset, host, err));
    size_t pieces = cllm__tokenizer_size(tokenizer);
    double *logits = NULL;
    cllm_status status = CLLM_NEW(logits, pieces, err);
    if (status == CLLM_OK) status = count_pieces(logits, tokenizer, dataset, err);
    cllm__gpt2_shape shape = {.layers = LAYERS, .heads = HEADS, .width = WIDTH, .vocabulary = pieces, .context = CONTEXT, .lively = true,
                              .word_logits = logits};
    if (status == CLLM_OK) status = cllm__gpt2_init(folder, shape, seed, err);
    if (status == CLLM_OK) status = cllm__tokenizer_save(tokenizer, folder, err);
    cllm__free(logits);
    cllm__tokenizer_close(tokenizer);
    if (status == CLLM_OK) {
        cllm__log(host, CLLM_LOG_INFO,
                  "no --backbone: made one with random weights (%d layers x %d, %zu pieces learnt from the data's own texts, seed %llu)", LAYERS,
                  WIDTH, pieces, (unsigned long long)seed);
    }
    return status;
}
