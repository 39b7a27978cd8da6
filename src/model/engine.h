/*
 * The mathematics of CLLM4Rec on a frozen backbone (paper.md 2 and 3): losses and gradients of a batch, scores of prompts.
 *
 * An engine owns the buffers of one computation: it belongs to one thread at a time (and uses its pool's workers inside).
 * Buffers grow when a larger group of sequences than before comes, and products are set up when one of a new height comes;
 * a step whose like has been before allocates nothing.
 *
 * Results do not depend on the number of threads. What is read out of a sequence (hidden state, scores, its text's
 * likelihood) does not depend on the other sequences of its batch, bit for bit, unless dropout is on.
 *
 * Memory: a batch goes through the backbone in groups of whole sequences of about CLLM__GROUP_ROWS rows, so that a layer's
 * activations stay in the cache; logits are held for blocks of rows only (see model/heads.h).
 */
#ifndef CLLM_MODEL_ENGINE_H
#define CLLM_MODEL_ENGINE_H

#include "backbone/backbone.h"
#include "data/batch.h"
#include "model/bag.h"
#include "model/gradient.h"
#include "model/tables.h"

enum { CLLM__GROUP_ROWS = 512 };

typedef struct cllm__engine cllm__engine;

/* `backbone` and `pool` (may be NULL) are borrowed. Training needs a backbone opened for it. `dtype` is that of the products
 * with the item table; pass what the backbone was opened with. */
CLLM_CHECK cllm_status cllm__engine_create(cllm__engine **out, const cllm__backbone *backbone, cllm__dtype dtype,
                                           cllm__pool *pool, cllm_error *err);
void cllm__engine_free(cllm__engine *engine);
const cllm__backbone *cllm__engine_backbone(const cllm__engine *engine);

/* How prompts of the stages rec and prompt are read: by the backbone (NULL, as an engine begins), or as a bag of tokens, whose tables
 * have `width`, which need not be the backbone's. */
void cllm__engine_set_bag(cllm__engine *engine, const cllm__bag *bag, size_t width);

typedef struct cllm__objective {
    cllm__reg reg;   /* the convention that the batch was built with */
    double lambda_c; /* coupling; λ_V under CLLM__REG_CODE */
    double lambda_l; /* prior; collab stage under CLLM__REG_MAP only, 0 counts for nothing else */
    double dropout;  /* in the backbone, 0 = none */
    uint64_t dropout_key;      /* of this step: a function of seed, stage, epoch and number of the batch */
    const uint8_t *cold_items; /* [n_items] nonzero: kept out of the item softmax (no probability, no gradient); or NULL */
} cllm__objective;

typedef struct cllm__loss {
    double likelihood;  /* as optimised: Σ −log p (map), or its mean over predictions (code; 0 for none) */
    double nll_sum;     /* Σ −log p, natural logarithm */
    size_t predictions; /* predicted tokens; in rec, users */
    size_t targets;     /* predicted tokens, without the words that join items; in rec, target items */
    double regulariser; /* coupling, weight included */
    double prior;       /* weight included */
    double total;       /* likelihood + regulariser + prior: what the gradient is of */
} cllm__loss;

/* One step's loss and gradient for a batch of stage collab, content or rec, at the tables `own`; `other` is the other set,
 * held constant (NULL only if lambda_c = 0). `gradient` is overwritten; NULL computes the loss alone. CLLM_ERR_DATA if a
 * target is a cold item; CLLM_ERR_DATA, naming the part, if a loss is not finite. */
CLLM_CHECK cllm_status cllm__engine_step(cllm__engine *engine, const cllm__batch *batch, const cllm__tables *own,
                                         const cllm__tables *other, const cllm__objective *objective, cllm__gradient *gradient,
                                         cllm__loss *loss, cllm_error *err);

/* Items as cllm__engine_score multiplies by them: weight_pack of the table [n_items × width], transposed, in the engine's dtype.
 * For tables that don't change: without it each call packs them anew, which takes longer than a single prompt's product. Scores
 * have the same bits. Borrowed until it is replaced; NULL: none. May be shared by engines. */
void cllm__engine_set_packed_items(cllm__engine *engine, const cllm__weight *packed);
/* scores [sequences × n_items] of prompts (stage prompt or rec): natural log of the softmax over all items at the last row. */
CLLM_CHECK cllm_status cllm__engine_score(cllm__engine *engine, const cllm__tables *tables, const cllm__batch *batch,
                                          float *scores, cllm_error *err);

/* Content likelihood: nll[s] = Σ −log p over the predicted tokens of sequence s, counts[s] their number. No gradient; works on
 * a backbone that was not opened for training. */
CLLM_CHECK cllm_status cllm__engine_text_nll(cllm__engine *engine, const cllm__tables *tables, const cllm__batch *batch,
                                             double *nll, size_t *counts, cllm_error *err);

/* hidden [n_out × width]: last hidden states of the rows that are read, of any stage. */
CLLM_CHECK cllm_status cllm__engine_hidden(cllm__engine *engine, const cllm__tables *tables, const cllm__batch *batch,
                                           cllm__real *hidden, cllm_error *err);

/* FLOPs of the real work of a step on this batch (gradient: with the backward pass; else forward and heads only), for floors:
 * no weight gradients, the last layer and the heads at predicting rows only. */
double cllm__engine_flops(const cllm__engine *engine, const cllm__batch *batch, size_t n_items, bool gradient);

#endif
