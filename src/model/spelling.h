/*
 * Item numbers spelled in pieces of the vocabulary, as features of the items (model/features.h): the pieces of "12" for item 12, each
 * with its place, so that items 12 and 123 may share one and 12 and 21 are not the same. What a token composed of them stands for:
 * an item that is written out in text instead of having a token of its own.
 */
#ifndef CLLM_MODEL_SPELLING_H
#define CLLM_MODEL_SPELLING_H

#include "model/features.h"
#include "text/tokenizer.h"

typedef struct cllm__spelling {
    cllm__features features; /* feature k is a pair of place and piece, in ascending order; weights are 1/√(pieces of the item), so
                             * that tokens begin with the deviation of their vectors */
    double mean_pieces;      /* of an item */
    uint64_t *start;         /* owned; the features' */
    int32_t *ids;
    float *weights;
} cllm__spelling;

/* `spelling` is {0} before and freed by the caller in every case. Two items that are spelled alike, as by a tokenizer that has no
 * digits, are CLLM_ERR_DATA. */
CLLM_CHECK cllm_status cllm__spelling_create(cllm__spelling *spelling, const cllm__tokenizer *tokenizer, size_t n_items, cllm_error *err);
void cllm__spelling_free(cllm__spelling *spelling);

#endif
