/*
 * Items as bags of weighted words: (1 + ln n_iw)·ln(N / N_w) for a word w that stands n_iw times in the texts of item i and
 * in the texts of N_w of the N items, each item's vector scaled to length 1.
 */
#ifndef CLLM_EVAL_TFIDF_H
#define CLLM_EVAL_TFIDF_H

#include <stdint.h>

#include "data/dataset.h"
#include "eval/lexicon.h"
#include "model/features.h"

/* Texts of items, in any order; an item may have several or none. get() returns false for a text that is not to be used. */
typedef struct cllm__item_texts {
    const void *context;
    size_t count;
    bool (*get)(const void *context, size_t index, int32_t *item, const char **text, size_t *length);
} cllm__item_texts;
/* A data set's titles, brands, categories, descriptions and the reviews of training pairs. Borrows the data set. */
cllm__item_texts cllm__item_texts_of(const cllm__dataset *dataset);

typedef struct cllm__tfidf {
    size_t n_items, n_words;
    uint64_t *start; /* [n_items + 1] */
    int32_t *words;  /* ascending within an item */
    float *values;
    cllm__lexicon lexicon; /* of the words; none if the rest was made by hand */
} cllm__tfidf;

/* Streams through the texts; memory is about 40 bytes a distinct pair of item and word. An item without words has an empty
 * row. */
CLLM_CHECK cllm_status cllm__tfidf_create(cllm__tfidf *out, size_t n_items, const cllm__item_texts *texts,
                                          const cllm_host *host, cllm_error *err);
/* Leaves out the words of fewer than `least` items and scales what is left of each row to length 1 again; the words that stay are
 * numbered anew, in their order. */
CLLM_CHECK cllm_status cllm__tfidf_thin(cllm__tfidf *tfidf, size_t least, cllm_error *err);
void cllm__tfidf_free(cllm__tfidf *tfidf);
/* The same as features of the items; borrows the arrays. */
static inline cllm__features cllm__tfidf_features(const cllm__tfidf *tfidf) {
    return (cllm__features){tfidf->n_items, tfidf->n_words, tfidf->start, tfidf->words, tfidf->values};
}

#endif
