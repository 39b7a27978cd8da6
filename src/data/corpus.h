/*
 * The texts of a data set as token ids, tokenised once: the documents that the content model is trained on.
 *
 * Immutable once built, and shared by threads. Costs 4 bytes a token and 20 bytes a document.
 */
#ifndef CLLM_DATA_CORPUS_H
#define CLLM_DATA_CORPUS_H

#include "base/threads.h"
#include "data/dataset.h"
#include "text/prompt.h"
#include "text/tokenizer.h"

/* One document: the prompt follows from kind, user and item, the main text is in `tokens` (at least one). */
typedef struct cllm__document {
    cllm__text_kind kind;
    int32_t user, item;    /* −1 where the kind has none: a title has no user, a biography no item */
    const int32_t *tokens; /* word ids, borrowed from the corpus */
    size_t count;
} cllm__document;

typedef struct cllm__corpus_options {
    unsigned kinds;         /* a bit 1 << cllm__text_kind for each kind that is taken */
    cllm__split split;      /* reviews of pairs of this split; the other kinds belong to CLLM__TRAIN */
    bool all_splits;        /* reviews of all pairs: for a last fit, never for measuring */
    size_t max_text_tokens; /* the main text is cut here; 0 = only by the context */
    size_t context;         /* of the backbone: prompt and main text together fit in it */
    bool leading_space;     /* as if a space stood before the main text */
    bool shuffle_texts;     /* control experiment: main texts are dealt out anew among the documents of their kind */
    uint64_t shuffle_seed;
} cllm__corpus_options;

/* All kinds, training split, the paper's limits: 128 tokens, no leading space. */
cllm__corpus_options cllm__corpus_defaults(size_t context);

typedef struct cllm__corpus {
    size_t count;         /* documents, in the order of the data set's texts */
    uint8_t *kinds;       /* [count] cllm__text_kind */
    int32_t *users;       /* [count] */
    int32_t *items;       /* [count] */
    size_t *start;        /* [count]: where its main text begins in tokens */
    uint32_t *length;     /* [count] tokens of the main text, ≥ 1 */
    int32_t *tokens;      /* all main texts */
    size_t n_tokens;      /* of main texts */
    size_t skipped_empty; /* texts that gave no token */
    size_t cut;           /* texts longer than the limits */
} cllm__corpus;

/* Tokenises the texts that `options` choose. `corpus` is {0} before and freed by the caller in every case. CLLM_ERR_DATA for
 * a kind whose prompt leaves no room for a main text in the context; CLLM_ERR_INTERRUPTED when the host asked to stop. The
 * result does not depend on the pool (which may be NULL). */
CLLM_CHECK cllm_status cllm__corpus_build(cllm__corpus *corpus, const cllm__dataset *dataset, const cllm__tokenizer *tokenizer,
                                          const cllm__prompts *prompts, cllm__corpus_options options, cllm__pool *pool,
                                          const cllm_host *host, cllm_error *err);
void cllm__corpus_free(cllm__corpus *corpus);
cllm__document cllm__corpus_at(const cllm__corpus *corpus, size_t index);

/* The template of a kind of text. */
const cllm__prompt *cllm__prompts_of_text(const cllm__prompts *prompts, cllm__text_kind kind);

#endif
