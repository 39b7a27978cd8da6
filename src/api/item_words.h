/*
 * What the items' words became in training with composed tokens: the token of an item that is known by its text alone, at once and
 * without training, z = Σ_k T_k·v_k (model/composer.h). A file of the run; docs/FORMATS.md.
 */
#ifndef CLLM_API_ITEM_WORDS_H
#define CLLM_API_ITEM_WORDS_H

#include "eval/lexicon.h"
#include "base/real.h"

typedef struct cllm__item_words {
    cllm__lexicon lexicon;
    size_t width;
    float *vectors; /* [words × width] */
} cllm__item_words;

void cllm__item_words_free(cllm__item_words *words);
/* Writes atomically; `vectors` [words × width] is the composer's. */
CLLM_CHECK cllm_status cllm__item_words_save(const cllm__lexicon *lexicon, const cllm__real *vectors, size_t width, const char *path,
                                             cllm_error *err);
/* `words` is {0} before and freed by the caller in every case; what is read is checked. */
CLLM_CHECK cllm_status cllm__item_words_load(cllm__item_words *words, const char *path, cllm_error *err);
/* token [width]. CLLM_ERR_NOT_FOUND if training saw none of the text's words in two items or more. */
CLLM_CHECK cllm_status cllm__item_words_token(const cllm__item_words *words, const char *text, size_t length, cllm__real *token, cllm_error *err);

#endif
