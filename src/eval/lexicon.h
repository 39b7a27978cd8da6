/*
 * Words of texts and how much each tells: ln(N / N_w) for a word that stands in the texts of N_w of N items. A word is a run of
 * letters, marks and digits (Unicode), in lower case; other characters stand between words.
 */
#ifndef CLLM_EVAL_LEXICON_H
#define CLLM_EVAL_LEXICON_H

#include <stdint.h>

#include "base/names.h"

/* Words longer than this are no words, but data that lost its way. */
enum { CLLM__WORD_BYTES = 64 };

/* Calls `take` for each word of a text, in order, until it fails. */
typedef cllm_status cllm__take_word(void *context, const char *word, size_t length, cllm_error *err);
CLLM_CHECK cllm_status cllm__each_word(const char *text, size_t length, cllm__take_word *take, void *context, cllm_error *err);

typedef struct cllm__lexicon {
    cllm__names *words; /* by number */
    float *idf;         /* [words]: ln(N / N_w) */
} cllm__lexicon;
void cllm__lexicon_free(cllm__lexicon *lexicon);

/* A text's words as weights of length 1, as tfidf.h has them for an item with this text: numbers, ascending, and weights, one a
 * distinct word that the lexicon has. The caller frees both; *count may be 0. */
CLLM_CHECK cllm_status cllm__lexicon_weigh(const cllm__lexicon *lexicon, const char *text, size_t length, int32_t **words, float **weights,
                                           size_t *count, cllm_error *err);

/* (1 + ln n)·ln(N / N_w) for a word that stands n times. */
float cllm__word_weight(uint64_t times, double idf);
/* Scales a row to length 1, unless it is empty or all zeros. */
void cllm__to_unit_length(float *values, size_t count);

#endif
