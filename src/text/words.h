/*
 * Merging one word's bytes into pieces, with the memory that it needs: short words by looking for the best pair again and
 * again, long ones by a heap (O(n log n)), frequent ones from a cache.
 */
#ifndef CLLM_TEXT_WORDS_H
#define CLLM_TEXT_WORDS_H

#include "text/bpe.h"
#include "text/tokenizer.h"

typedef struct cllm__word_rules {
    bool ignore_merges; /* a word that is a piece is that piece, whatever the merges say */
    bool fuse_unknown;  /* neighbouring unknown bytes become one token */
    int32_t unknown;    /* for bytes without a piece; CLLM_NO_PIECE leaves them out */
} cllm__word_rules;

typedef struct cllm__words cllm__words; /* belongs to one thread */

CLLM_CHECK cllm_status cllm__words_create(cllm__words **out, const cllm__bpe *bpe, cllm__word_rules rules, cllm_error *err);
void cllm__words_free(cllm__words *words);
/* Appends the pieces of word[0 … length), length > 0. Memory for a very long word is given back afterwards. */
CLLM_CHECK cllm_status cllm__words_encode(cllm__words *words, const char *word, size_t length, cllm__tokens *append_to,
                                          cllm_error *err);

#endif
