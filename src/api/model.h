/* A trained run, opened for use; and a session on it. The public types of cllm4rec.h, from inside. */
#ifndef CLLM_API_MODEL_H
#define CLLM_API_MODEL_H

#include "api/item_states.h"
#include "api/item_words.h"
#include "api/run.h"
#include "data/merge.h"
#include "eval/fusion.h"
#include "eval/topk.h"
#include "model/engine.h"

struct cllm_model {
    cllm__run run; /* manifest, data set, backbone */
    cllm__tables collab, content;
    cllm__item_weights linear; /* no items: the run has none */
    cllm__fold_in factors;     /* the same */
    cllm__transitions transitions; /* the same */
    cllm__merged fitted;       /* the rows that the run was fitted to, if a part looks into them */
    cllm__user_neighbours neighbours; /* none: the run has no such part */
    double part_weights[CLLM__FUSION_PARTS]; /* of these and of recency */
    float *recency;            /* [n_items] how much items are asked for, of late if it counts when; NULL: no part asks */
    bool of_late;              /* it counts when, and is a part */
    uint8_t *item_state; /* [n_items] cllm__item_state */
    uint8_t *hidden;     /* [n_items] nonzero: never recommended, since nothing is known of the item */
    cllm__merged history; /* all splits */
    cllm__ties ties;
};

struct cllm_session {
    const struct cllm_model *model;
    cllm__pool *pool;
    cllm__engine *engine;
    cllm__batch_rules rules;
    cllm__batch batch;
    float *scores;       /* [chunk × n_items] */
    size_t scores_capacity;
    uint8_t *closed;     /* [n_items] not a candidate of the request at hand */
    int32_t *ranked;     /* [n_items] */
    float *ranked_scores;
    uint64_t *scratch;
    int32_t *prompt;     /* a request's history */
    size_t prompt_capacity;
    /* For fitting tokens to texts; opened when first needed. */
    cllm__backbone *training_backbone;
    cllm__engine *training_engine;
    /* Of a run with composed tokens; read when first needed. */
    cllm__item_words words;
    cllm__item_states states;
};

/* `measured` takes the tables that validation chose even if the run was fitted once more on all rows. */
CLLM_CHECK cllm_status cllm__model_open(struct cllm_model **model, const char *run, const cllm_model_options *options, bool head,
                                        bool measured, cllm__pool *pool, cllm_error *err);

/* An engine that reads prompts as the run was trained to. Borrows model and pool. */
CLLM_CHECK cllm_status cllm__model_engine(cllm__engine **engine, const struct cllm_model *model, cllm__pool *pool, cllm_error *err);
/* How the items of a prompt stand: as the run was trained, or in order if a part asks for that. */
cllm__order cllm__model_prompt_order(const struct cllm_model *model);
/* The simple models whose scores are added to the run's. Borrows the model. */
cllm__fusion cllm__model_fusion(const struct cllm_model *model);
/* The model's backbone once more, with what the backward pass needs; the caller closes it. */
CLLM_CHECK cllm_status cllm__model_training_backbone(cllm__backbone **backbone, const struct cllm_model *model, cllm__pool *pool, cllm_error *err);

#endif
