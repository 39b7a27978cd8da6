/*
 * The elementwise, row and attention operations of the transformers, forward and backward to the inputs. There are no
 * gradients of weights here: the backbone is frozen.
 *
 * Plain C loops, compiled once per instruction set (baseline, AVX2, AVX-512) and chosen by CPU feature bits at first use;
 * CLLM4REC_ISA=baseline|avx2|avx512 can only lower the choice. The double build has the baseline alone. Sums of rows use 16
 * partial sums in a fixed tree. Sets may differ from each other in rounding; within one, results are bit-stable.
 *
 * NaN and Inf: a NaN or Inf in a row reaches what arithmetic takes it to in that row and nothing else; attention never lets a
 * later row reach an earlier one. gelu and silu of −inf are NaN (−inf·0), as in the formulas. Among softmax logits −inf has
 * probability 0, nothing but −inf gives lse = −inf, and NaN or +inf gives NaN. A dropped value is 0 even if it was NaN. e^x is
 * within 1.5 units in the last place, 0 below −104 and inf above 88.73; gelu and silu are built on it.
 *
 * T rows of tokens, C the width. Pointers don't alias unless a comment allows it. Operations over rows split them among the
 * pool's workers (NULL: caller alone); each row's bits depend on that row only.
 */
#ifndef CLLM_KERNELS_OPS_H
#define CLLM_KERNELS_OPS_H

#include <stdint.h>

#include "base/real.h"
#include "base/threads.h"

/* The instruction set in use: "baseline", "avx2", "avx512", or "reference" in the double build. */
const char *cllm__ops_isa(void);
/* Lowers the choice to "baseline", "avx2" or "avx512" (what the CPU lacks is lowered further). Before the first use of any
 * operation, else CLLM_ERR_USAGE; an unknown word is CLLM_ERR_USAGE as well. The variable CLLM4REC_ISA does the same at
 * first use, where an unknown word means "baseline": check it with cllm__ops_check_isa, which changes nothing. */
CLLM_CHECK cllm_status cllm__ops_set_isa(const char *name, cllm_error *err);
CLLM_CHECK cllm_status cllm__ops_check_isa(const char *name, cllm_error *err);

/* y = gain·(x − mean)/sqrt(var + eps) + bias by row. mean[T], rstd[T] are kept for the backward pass. */
void cllm__layernorm(cllm__pool *pool, cllm__real *y, cllm__real *mean, cllm__real *rstd, const cllm__real *x,
                     const cllm__real *gain, const cllm__real *bias, double eps, size_t T, size_t C);
/* dx += the gradient through it. */
void cllm__layernorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x, const cllm__real *mean,
                              const cllm__real *rstd, const cllm__real *gain, size_t T, size_t C);
/* y = gain·x/sqrt(mean(x²) + eps) by row (LLaMA). */
void cllm__rmsnorm(cllm__pool *pool, cllm__real *y, cllm__real *rstd, const cllm__real *x, const cllm__real *gain, double eps,
                   size_t T, size_t C);
void cllm__rmsnorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x, const cllm__real *rstd,
                            const cllm__real *gain, size_t T, size_t C);

/* GPT-2's GELU (tanh form) of `count` values. y may be x. */
void cllm__gelu(cllm__pool *pool, cllm__real *y, const cllm__real *x, size_t count);
/* dy becomes dx, given the forward input. */
void cllm__gelu_backward(cllm__pool *pool, cllm__real *dy, const cllm__real *x, size_t count);
/* y = silu(gate)·up (LLaMA). */
void cllm__swiglu(cllm__pool *pool, cllm__real *y, const cllm__real *gate, const cllm__real *up, size_t count);
void cllm__swiglu_backward(cllm__pool *pool, cllm__real *dgate, cllm__real *dup, const cllm__real *dy, const cllm__real *gate,
                           const cllm__real *up, size_t count);

/* y += x */
void cllm__add(cllm__pool *pool, cllm__real *y, const cllm__real *x, size_t count);

/* Causal attention within each of `sequences` ragged sequences; sequence s has the rows start[s] … start[s + 1] − 1.
 * qkv [T × (heads + 2·kv_heads)·d]: q of all heads, then k, then v; query head h uses kv head h / (heads / kv_heads).
 * out [T × heads·d]. lse [T × heads] (NULL where there is no backward pass) receives log-sum-exp of the scaled scores.
 * query_first[s] (NULL: start[s]) is the first row of a sequence whose output is needed, start[s + 1] if none is; rows before
 * it are not written, and their q is not read. */
typedef struct cllm__attention_shape {
    size_t heads, kv_heads, d;
    double scale; /* of the scores: 1/sqrt(d) */
} cllm__attention_shape;
CLLM_CHECK cllm_status cllm__attention(cllm__pool *pool, cllm__real *out, cllm__real *lse, const cllm__real *qkv,
                                       cllm__attention_shape shape, size_t sequences, const size_t *start,
                                       const size_t *query_first, cllm_error *err);
/* dqkv is overwritten for all rows, given dout for the rows from query_first on. */
CLLM_CHECK cllm_status cllm__attention_backward(cllm__pool *pool, cllm__real *dqkv, const cllm__real *dout, const cllm__real *out,
                                                const cllm__real *lse, const cllm__real *qkv, cllm__attention_shape shape,
                                                size_t sequences, const size_t *start, const size_t *query_first,
                                                cllm_error *err);

/* Softmax cross-entropy over rows of logits [R × V]: the streaming pieces that let a head work on columns a panel at a
 * time. State of a row: running maximum and sum of exp. */
typedef struct cllm__softmax_state {
    cllm__real maximum;
    double sum;
} cllm__softmax_state;
/* Takes in logits[0 … n) of one row. An untouched state is {-inf, 0}. */
void cllm__softmax_take(cllm__softmax_state *state, const cllm__real *logits, size_t n);
/* log Σ exp of all that was taken in. */
double cllm__softmax_lse(const cllm__softmax_state *state);
/* logits[j] = weight·exp(logits[j] − lse), the softmax part of the gradient. */
void cllm__softmax_gradient(cllm__real *logits, size_t n, double lse, cllm__real weight);

/* Dense Adam (Kingma & Ba 2015, without weight decay) on n values at step t ≥ 1. gradient may be NULL (all zero). */
typedef struct cllm__adam {
    double lr, beta1, beta2, eps;
} cllm__adam;
void cllm__adam_step(cllm__real *p, cllm__real *m, cllm__real *v, const cllm__real *gradient, size_t n, cllm__adam adam, uint64_t t);

double cllm__dot(const cllm__real *a, const cllm__real *b, size_t n);
/* y += alpha·x */
void cllm__axpy(cllm__real *y, cllm__real alpha, const cllm__real *x, size_t n);
/* Σ (a − b)² */
double cllm__distance2(const cllm__real *a, const cllm__real *b, size_t n);

/* Dropout: zeroes values with probability p and scales the rest by 1/(1 − p). The mask is a function of (key, index)
 * alone, so the backward pass applies the same call to the gradient. */
void cllm__dropout(cllm__pool *pool, cllm__real *x, size_t count, double p, uint64_t key);

/* bf16 ↔ f32, round to nearest even; NaN stays NaN. */
void cllm__to_bf16(uint16_t *y, const float *x, size_t count);
void cllm__from_bf16(float *y, const uint16_t *x, size_t count);
/* IEEE half → f32. */
void cllm__from_f16(float *y, const uint16_t *x, size_t count);

#endif
