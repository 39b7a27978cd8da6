/*
 * The trained model as a scorer: a user's history becomes the recommendation prompt, the last hidden state is read out over all
 * items. Belongs to one thread at a time.
 */
#ifndef CLLM_API_MODEL_SCORER_H
#define CLLM_API_MODEL_SCORER_H

#include "api/model.h"
#include "eval/fusion.h"
#include "eval/scorer.h"
#include "model/engine.h"

typedef struct cllm__model_scorer {
    cllm__engine *engine;
    const cllm__tables *tables;
    const cllm__prompts *prompts;
    const cllm__interactions *history; /* what stands in the prompt */
    const uint8_t *hidden_items;       /* [n_items] nonzero: never recommended (−inf); may be NULL */
    bool visitors;                     /* no prompt has a user token */
    const int32_t *token_of;           /* [n_users] whose token stands for a user in his prompt; NULL: his own */
    cllm__fusion fusion;               /* whose scores are added */
    cllm__pool *pool;                  /* for that; may be NULL */
    cllm__batch_rules rules;
    cllm__order order_of_items;        /* of a prompt's items */
    uint64_t seed;                     /* of a random one */
    cllm__batch batch;
    int32_t *order;
    size_t order_capacity;
} cllm__model_scorer;

/* Borrows engine, tables, prompts, history and hidden_items. */
void cllm__model_scorer_init(cllm__model_scorer *scorer, cllm__engine *engine, const cllm__tables *tables, const cllm__prompts *prompts,
                             const cllm__interactions *history, const uint8_t *hidden_items, uint64_t seed);
/* The scorer of a trained run as `eval` ranks with it: its tables, and the simple models beside them. `engine`: cllm__model_engine(). */
void cllm__model_scorer_of(cllm__model_scorer *scorer, const struct cllm_model *model, cllm__engine *engine, const cllm__interactions *history,
                           uint64_t seed, cllm__pool *pool);
void cllm__model_scorer_free(cllm__model_scorer *scorer);
cllm__scorer cllm__model_scorer_interface(cllm__model_scorer *scorer);

/* Users to score at once: enough rows for the products to be fast. */
enum { CLLM__SCORE_BATCH = 256 };

#endif
