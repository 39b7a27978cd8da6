/*
 * One sequence that grows: forward through a backbone with the keys and values of what came before kept, so that a new token
 * costs one row. The hidden states have the bits of cllm__pass_forward on the whole sequence.
 */
#ifndef CLLM_BACKBONE_DECODER_H
#define CLLM_BACKBONE_DECODER_H

#include "backbone/backbone.h"

/* Belongs to one thread at a time. */
typedef struct cllm__decoder cllm__decoder;

/* For at most `capacity` tokens, 1 … the backbone's context. Memory: about layers × capacity × 3·width numbers. */
CLLM_CHECK cllm_status cllm__decoder_create(cllm__decoder **out, const cllm__backbone *backbone, size_t capacity, cllm__pool *pool,
                                            cllm_error *err);
void cllm__decoder_free(cllm__decoder *decoder);
/* Tokens so far. */
size_t cllm__decoder_length(const cllm__decoder *decoder);
/* Forgets all but the first `length` tokens; no more than there are. */
void cllm__decoder_rewind(cllm__decoder *decoder, size_t length);
/* Makes `to` the same sequence as `from`, a decoder of the same backbone with at most its capacity. */
void cllm__decoder_copy(cllm__decoder *to, const cllm__decoder *from);
/* Appends `rows` ≥ 1 input embeddings x [rows × width]; h [width] receives the last row's hidden state, after the final norm.
 * CLLM_ERR_USAGE if they are more than there is room for; the sequence is then as it was. */
CLLM_CHECK cllm_status cllm__decoder_extend(cllm__decoder *decoder, const cllm__real *x, size_t rows, cllm__real *h, cllm_error *err);

#endif
