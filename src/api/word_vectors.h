/* Where the vectors of the words that item tokens are composed of may begin: at what the backbone's embeddings say of the words. */
#ifndef CLLM_API_WORD_VECTORS_H
#define CLLM_API_WORD_VECTORS_H

#include "backbone/backbone.h"
#include "base/names.h"
#include "text/tokenizer.h"

/* *vectors [words × width], freed with cllm__free: for each word the mean embedding of the pieces of " word", less the mean over all
 * words, the whole scaled to root mean square `deviation`. The first `skipped` columns are zero; where the others are fewer than the
 * backbone is wide, they are the principal components of these means. width 0: the backbone's. No columns, and more than the backbone has,
 * are CLLM_ERR_USAGE. */
CLLM_CHECK cllm_status cllm__word_vectors_create(float **vectors, const cllm__names *words, const cllm__tokenizer *tokenizer,
                                                 const cllm__backbone *backbone, size_t width, size_t skipped, double deviation,
                                                 cllm_error *err);

#endif
