/*
 * The operations of one instruction set, each on one thread. ops.c splits rows among workers and chooses a table;
 * ops_loops.inc is the source that every table is compiled from.
 */
#ifndef CLLM_KERNELS_OPS_TABLE_H
#define CLLM_KERNELS_OPS_TABLE_H

#include "kernels/ops.h"

/* One sequence and one key/value head, with all query heads that share it. Pointers are at the sequence's first row. */
typedef struct cllm__attention_job {
    const cllm__real *q, *k, *v; /* q: the group's first query head; rows are `ld` apart */
    size_t ld;
    size_t T, d, group;
    size_t first; /* first row whose output is needed */
    double scale;
    cllm__real *out, *lse; /* the group's first query head; rows are ld_out and ld_lse apart; lse may be NULL */
    size_t ld_out, ld_lse;
    const cllm__real *dout;   /* backward only; laid out like out */
    cllm__real *dq, *dk, *dv; /* backward only; laid out like q, k, v */
} cllm__attention_job;

typedef struct cllm__ops_table {
    const char *name;
    void (*layernorm)(cllm__real *y, cllm__real *mean, cllm__real *rstd, const cllm__real *x, const cllm__real *gain,
                      const cllm__real *bias, double eps, size_t T, size_t C);
    void (*layernorm_backward)(cllm__real *dx, const cllm__real *dy, const cllm__real *x, const cllm__real *mean,
                               const cllm__real *rstd, const cllm__real *gain, size_t T, size_t C);
    void (*rmsnorm)(cllm__real *y, cllm__real *rstd, const cllm__real *x, const cllm__real *gain, double eps, size_t T, size_t C);
    void (*rmsnorm_backward)(cllm__real *dx, const cllm__real *dy, const cllm__real *x, const cllm__real *rstd,
                             const cllm__real *gain, size_t T, size_t C);
    void (*gelu)(cllm__real *y, const cllm__real *x, size_t n);
    void (*gelu_backward)(cllm__real *dy, const cllm__real *x, size_t n);
    void (*swiglu)(cllm__real *y, const cllm__real *gate, const cllm__real *up, size_t n);
    void (*swiglu_backward)(cllm__real *dgate, cllm__real *dup, const cllm__real *dy, const cllm__real *gate, const cllm__real *up,
                            size_t n);
    void (*add)(cllm__real *y, const cllm__real *x, size_t n);
    /* Numbers of scratch that a job needs. */
    size_t (*attention_scratch)(size_t T, size_t d);
    void (*attention)(const cllm__attention_job *job, cllm__real *scratch);
    size_t (*attention_backward_scratch)(size_t T, size_t d);
    void (*attention_backward)(const cllm__attention_job *job, cllm__real *scratch);
    void (*softmax_take)(cllm__softmax_state *state, const cllm__real *logits, size_t n);
    void (*softmax_gradient)(cllm__real *logits, size_t n, double lse, cllm__real weight);
    void (*adam_step)(cllm__real *p, cllm__real *m, cllm__real *v, const cllm__real *gradient, size_t n, cllm__adam adam,
                      uint64_t t);
    double (*dot)(const cllm__real *a, const cllm__real *b, size_t n);
    void (*axpy)(cllm__real *y, cllm__real alpha, const cllm__real *x, size_t n);
    double (*distance2)(const cllm__real *a, const cllm__real *b, size_t n);
    /* Values first … first + n − 1 of the whole; `first` is a multiple of 4. */
    void (*dropout)(cllm__real *x, size_t first, size_t n, double p, uint64_t key);
    void (*to_bf16)(uint16_t *y, const float *x, size_t n);
    void (*from_bf16)(float *y, const uint16_t *x, size_t n);
    void (*from_f16)(float *y, const uint16_t *x, size_t n);
    /* Blocks of 32 numbers, each times its scale (blocks8.h). */
    void (*from_blocks8)(cllm__real *y, const int8_t *values, const float *scales, size_t blocks);
    /* Values rounded to bf16. */
    void (*round_bf16)(cllm__real *y, const cllm__real *x, size_t n);

    /* For gemm.c. The layout of a panel is the table's own, on AVX-512 and in bf16 that of gemm_onednn.h. Packs one panel of the matrix whose element (p, j) is
     * from[p·row + j·column], where row or column is 1; `n` ≤ 64 of its columns exist. */
    void (*pack_panel)(cllm__real *to, const cllm__real *from, size_t row, size_t column, size_t k, size_t k_padded, size_t n);
    void (*pack_panel_bf16)(uint16_t *to, const cllm__real *from, size_t row, size_t column, size_t k, size_t k_padded, size_t n);
    /* y[rows × n] = x[rows × k]·panels (+ bias) (+ y). An element is the sum of its sums over blocks of k, each in the order of k. */
    void (*panel_product)(cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t rows, size_t k, size_t block,
                          const cllm__real *panels, size_t k_padded, size_t n, const cllm__real *bias, bool add);
    /* y[rows × n] = s (+ bias) (+ y), in this order. */
    void (*store_rows)(cllm__real *y, size_t ld_y, const cllm__real *s, size_t ld_s, size_t rows, size_t n, const cllm__real *bias,
                       bool add);
    /* to[c·ld_to + r] = from[r·ld + c]. */
    void (*transpose)(cllm__real *to, size_t ld_to, const cllm__real *from, size_t ld, size_t rows, size_t columns);

    /* For peak.c: a burst of multiply-adds in registers, returning their number of operations; the sum of n values read. */
    double (*fma_burst)(size_t rounds);
    double (*read_burst)(const cllm__real *x, size_t n);
} cllm__ops_table;

extern const cllm__ops_table cllm__ops_baseline;
#if !defined(CLLM_REF64) && defined(__x86_64__)
#define CLLM__OPS_X86 1
extern const cllm__ops_table cllm__ops_avx2, cllm__ops_avx512;
#endif

/* The table in use, and any table by name (NULL if this CPU cannot run it); tests look at every one. */
const cllm__ops_table *cllm__ops(void);
const cllm__ops_table *cllm__ops_table_for(const char *name);

#endif
