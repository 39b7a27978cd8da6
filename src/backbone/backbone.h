/*
 * The frozen language model: from input embeddings to last hidden states, and from their gradients back to the inputs.
 *
 * A family (GPT-2, LLaMA) is one file that fills in a cllm__family (family.h); nothing above this layer knows a family by
 * name. A backbone is immutable after it was opened and shared by threads; a pass owns the buffers of one forward
 * and backward computation and belongs to one thread at a time.
 */
#ifndef CLLM_BACKBONE_BACKBONE_H
#define CLLM_BACKBONE_BACKBONE_H

#include <stdint.h>

#include "base/real.h"
#include "kernels/gemm.h"

typedef struct cllm__backbone cllm__backbone;

typedef struct cllm__backbone_options {
    cllm__dtype dtype; /* of frozen weights in products */
    bool training;     /* also pack what the backward pass needs */
    size_t words;      /* the tokenizer's pieces, where there are more embeddings than that: the head has these only; 0: all */
    bool headless;     /* leave out the vocabulary head: recommending needs none, and it is the largest matrix */
    bool bare;         /* for who reads word embeddings alone: everything is checked, but no matrix is held, and a pass is refused */
    bool look;         /* the same, but resident_bytes are those that there would be: for the information alone */
    size_t layers;     /* only the first so many, with the final norm behind them; 0: all. More than there are is CLLM_ERR_USAGE */
    cllm__pool *pool;  /* for packing; may be NULL */
} cllm__backbone_options;

typedef struct cllm__backbone_info {
    const char *family; /* "gpt2" */
    size_t layers, heads, kv_heads, head_width, width, inner;
    size_t mlp_matrices; /* 2, or 3 with a gate */
    size_t vocabulary; /* rows of the word embedding: user and item ids begin here */
    size_t words;      /* columns of the vocabulary head */
    size_t context;    /* longest sequence */
    size_t window;     /* the sliding window that makes it so: up to its length it changes nothing; 0: no window does */
    uint64_t parameters; /* a tied head counts once */
    cllm__dtype dtype;   /* as it was opened */
    uint64_t hash;       /* of the weight files' bytes and of what the configuration says: names the frozen weights */
    uint64_t file_bytes; /* of the weight files */
    uint64_t resident_bytes; /* of the weights held in memory; the word embeddings stay in the mapped file */
} cllm__backbone_info;

/* `path`: a Hugging Face folder: config.json and model.safetensors, or model.safetensors.index.json with its files; or a GGUF
 * file (the first, if there are several), known by its first bytes. Every tensor's type, shape and values (finite) are checked
 * and named in errors: CLLM_ERR_NOT_FOUND for what is missing, CLLM_ERR_MISMATCH for a wrong shape or type, CLLM_ERR_DATA for bad
 * values, CLLM_ERR_UNSUPPORTED for what a model asks for and we don't have. The files must not change while the backbone is open:
 * word embeddings are read from them. */
CLLM_CHECK cllm_status cllm__backbone_open(cllm__backbone **out, const char *path, cllm__backbone_options options, cllm_error *err);
void cllm__backbone_close(cllm__backbone *backbone);
const cllm__backbone_info *cllm__backbone_info_of(const cllm__backbone *backbone);
/* XXH3 over the frozen weights as they are held in memory: unchanged by training. */
uint64_t cllm__backbone_memory_hash(const cllm__backbone *backbone);

/* The embedding of a vocabulary token, width values; 0 ≤ token < vocabulary. */
void cllm__backbone_embed(const cllm__backbone *backbone, int32_t token, cllm__real *row);
/* The vocabulary head for h·W: [width × words], NULL if headless or bare; its transpose for the gradient, NULL unless training. */
const cllm__weight *cllm__backbone_head(const cllm__backbone *backbone);
const cllm__weight *cllm__backbone_head_transposed(const cllm__backbone *backbone);

/* Sequences packed one behind the other, no padding: sequence s has the rows start[s] … start[s + 1] − 1, at positions 0, 1, …
 * start has sequences + 1 entries, start[0] = 0. A sequence that is empty or longer than the context is CLLM_ERR_USAGE. */
typedef struct cllm__ragged {
    size_t sequences;
    const size_t *start;
} cllm__ragged;

typedef struct cllm__pass cllm__pass;
CLLM_CHECK cllm_status cllm__pass_create(cllm__pass **out, const cllm__backbone *backbone, cllm__pool *pool, cllm_error *err);
void cllm__pass_free(cllm__pass *pass);

typedef struct cllm__forward_options {
    bool keep;      /* keep what _backward needs; the backbone must be open for training */
    double dropout; /* in [0, 1), of three sites: the embeddings, and what attention and MLP add to the residual stream.
                     * Attention probabilities have no dropout here. Masks are a function of (key, layer, site, row). */
    uint64_t key;   /* of the dropout masks: a function of seed, stage, epoch and batch */
    size_t layers;  /* only the first so many layers, with the final norm behind them; 0: all */
} cllm__forward_options;

/* x [rows × width]: input embeddings without positions. h [n_out × width] receives the last hidden states (after the final
 * norm) of the rows out_rows[0 … n_out), ascending; in the last layer other rows cost their keys and values only. h's bits
 * depend on the row's own sequence alone, not on what else is in the batch or asked for, on `keep`, or on threads.
 * Buffers grow only when a larger batch than before comes. `x` and what `ragged` points to are not needed afterwards. */
CLLM_CHECK cllm_status cllm__pass_forward(cllm__pass *pass, cllm__ragged ragged, const cllm__real *x, const size_t *out_rows,
                                          size_t n_out, cllm__forward_options options, cllm__real *h, cllm_error *err);
/* dx [rows × width] = gradient with respect to x, from dh [n_out × width]. Needs a _forward with `keep` before it, and may
 * be called again with another dh. */
CLLM_CHECK cllm_status cllm__pass_backward(cllm__pass *pass, const cllm__real *dh, cllm__real *dx, cllm_error *err);

/* FLOPs of the products of one forward over these sequences (dense layers and attention, head excluded), for floors. n_out
 * rows go through the last layer; its attention is counted as if they were spread evenly. A backward pass to the inputs
 * costs the same once more, and attention's share twice. */
double cllm__backbone_flops(const cllm__backbone_info *info, cllm__ragged ragged, size_t n_out);

/* Writes a GPT-2 of any size with seeded random weights as a Hugging Face folder, without a tokenizer. The weights are those of
 * GPT-2's own initialisation, N(0, 0.02²) with residual projections scaled by 1/sqrt(2·layers): right before training them, but
 * frozen they pass next to nothing from one token to another. `lively` weights are meant to stay frozen: matrices N(0, 1/inputs),
 * words N(0, 0.1²), so that what a prompt's tokens say reaches the last state and the vocabulary head.
 * `word_logits` [vocabulary], if any, become the head's bias: the last dimension of the last state is a constant and each word's
 * embedding holds its logit there, so that a model that has learnt nothing yet predicts their softmax. */
typedef struct cllm__gpt2_shape {
    size_t layers, heads, width, vocabulary, context;
    bool lively;
    const double *word_logits; /* borrowed; NULL: no bias */
} cllm__gpt2_shape;
CLLM_CHECK cllm_status cllm__gpt2_init(const char *folder, cllm__gpt2_shape shape, uint64_t seed, cllm_error *err);

#endif
