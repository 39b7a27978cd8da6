/*
 * What the frozen language model makes of each item's texts: its hidden states, averaged over the texts' tokens. Features
 * of items that need no training, computed once for a data set and a backbone and kept on disk.
 */
#ifndef CLLM_MODEL_TEXT_STATES_H
#define CLLM_MODEL_TEXT_STATES_H

#include "backbone/backbone.h"
#include "data/dataset.h"
#include "text/tokenizer.h"

typedef struct cllm__text_states_options {
    size_t layers;     /* the state after the first so many layers and the final norm; 0: after all */
    size_t max_tokens; /* each text is cut here; 0: 128 */
    size_t reviews;    /* of each item at most so many reviews of training pairs besides its own texts; 0: none */
    int32_t bos;       /* before each sequence, without a part in the mean; −1: none */
    bool no_cache;     /* neither read nor write a file */
} cllm__text_states_options;
/* All layers, 128 tokens, no reviews, no token before them. */
cllm__text_states_options cllm__text_states_defaults(void);

typedef struct cllm__text_states_info {
    uint64_t key;         /* of weights, layer, number type, processor's instruction set and token ids: names the states */
    size_t texts, tokens; /* sequences, and their tokens that count */
    size_t without;       /* items without any text */
    bool cached;          /* read from a file */
} cllm__text_states_info;

/* *states [n_items × width of the backbone], freed with cllm__free: for each item the mean of the last states over all
 * tokens of its texts; zeros for an item without text. Title, brand, categories and description are one sequence, with a
 * line's end between them (so that a brand is read with its title before it); each review is one. Sequences that are longer
 * than the backbone's context are cut. Sums are taken in double, in the order of the tokens: the result depends neither on
 * threads nor on the batches that sequences are computed in.
 *
 * The states are kept in text-states-KEY.safetensors in the folder that CLLM4REC_CACHE names; without it in the data set's
 * folder `cache`, or where that cannot be written in $XDG_CACHE_HOME/cllm4rec ($HOME/.cache/cllm4rec). A file is used if it
 * has the key, the shape and the checksum that it should have: the bits are those that would be computed. One that is
 * damaged is computed again, with a warning; one that cannot be written costs a warning and the time.
 *
 * `info` and `pool` may be NULL, and `host`, which gets progress ("text states", in tokens) and is asked to stop: then
 * CLLM_ERR_INTERRUPTED. CLLM_ERR_USAGE for more layers than there are; CLLM_ERR_MISMATCH if the tokenizer has more pieces
 * than the backbone embeddings. */
CLLM_CHECK cllm_status cllm__text_states(float **states, const cllm__backbone *backbone, const cllm__tokenizer *tokenizer,
                                         const cllm__dataset *dataset, cllm__text_states_options options,
                                         cllm__text_states_info *info, cllm__pool *pool, const cllm_host *host,
                                         cllm_error *err);

/* state [width of the backbone]: what an item has whose only text, a title say, is this one; `layers`, `max_tokens` and `bos` of the
 * options count. Nothing is kept. CLLM_ERR_USAGE for a text that gives no token. */
CLLM_CHECK cllm_status cllm__text_state(float *state, const cllm__backbone *backbone, const cllm__tokenizer *tokenizer,
                                        const char *text, size_t length, cllm__text_states_options options, cllm__pool *pool,
                                        cllm_error *err);

#endif
