/*
 * Dense Adam over a table of rows of which each step touches few.
 *
 * The paper's optimiser moves every row at every step: a row without a gradient still moves by its momentum. Here such rows
 * wait, and replay the steps that they missed, one by one, before anybody reads them. The result is the dense optimiser's,
 * to the bit; only the traffic through memory is saved. (Skipping idle rows for good would be another optimiser.)
 */
#ifndef CLLM_TRAIN_ADAM_TABLE_H
#define CLLM_TRAIN_ADAM_TABLE_H

#include <stdint.h>

#include "base/threads.h"
#include "kernels/ops.h"

typedef struct cllm__adam_table {
    cllm__real *values;       /* [rows × width], borrowed */
    cllm__real *first;        /* moments, owned */
    cllm__real *second;
    uint64_t *row_step;       /* [rows] the last step that the row has made; CLLM__ADAM_NEVER while its moments are zero */
    size_t rows, width;
    uint64_t step;            /* steps made so far */
    cllm__adam adam;          /* may change only when no row waits: after _flush */
} cllm__adam_table;

enum { CLLM__ADAM_NEVER = 0 }; /* steps count from 1 */

CLLM_CHECK cllm_status cllm__adam_table_create(cllm__adam_table *table, cllm__real *values, size_t rows, size_t width,
                                               cllm__adam adam, cllm_error *err);
void cllm__adam_table_free(cllm__adam_table *table);
/* A fresh optimiser: zero moments, step 0. */
void cllm__adam_table_reset(cllm__adam_table *table, cllm__adam adam);
/* Brings these rows (distinct) up to the present step. To be called before they are read. */
void cllm__adam_table_catch_up(cllm__adam_table *table, const int32_t *rows, size_t count, cllm__pool *pool);
/* One step. rows (distinct, up to date) have the gradient rows gradient[row × width …]; all others have none. */
void cllm__adam_table_step(cllm__adam_table *table, const int32_t *rows, size_t count, const cllm__real *gradient, cllm__pool *pool);
/* One step in which every row has a gradient. */
void cllm__adam_table_step_dense(cllm__adam_table *table, const cllm__real *gradient, cllm__pool *pool);
/* Brings every row up to date. */
void cllm__adam_table_flush(cllm__adam_table *table, cllm__pool *pool);

#endif
