/*
 * The trainable token tables: one row of `width` values for each user and each item. A model has two sets, collaborative
 * (z^l) and content (z^c); there is no other trainable parameter (paper.md 2.1).
 */
#ifndef CLLM_MODEL_TABLES_H
#define CLLM_MODEL_TABLES_H

#include <stdint.h>

#include "base/real.h"
#include "base/status.h"
#include "backbone/backbone.h"
#include "data/corpus.h"

typedef struct cllm__tables {
    size_t n_users, n_items, width;
    cllm__real *users; /* [n_users × width] */
    cllm__real *items; /* [n_items × width] */
} cllm__tables;

/* Which set, for the key of its random numbers. */
typedef enum cllm__table_set { CLLM__TABLES_COLLAB = 0, CLLM__TABLES_CONTENT = 1 } cllm__table_set;

/* Zeroed tables. `tables` is {0} before; freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__tables_create(cllm__tables *tables, size_t n_users, size_t n_items, size_t width, cllm_error *err);
void cllm__tables_free(cllm__tables *tables);
/* Same shape required. */
void cllm__tables_copy(cllm__tables *to, const cllm__tables *from);
bool cllm__tables_same_shape(const cllm__tables *a, const cllm__tables *b);
/* XXH3 over both tables' bytes. */
uint64_t cllm__tables_hash(const cllm__tables *tables);

/* The row of a user or item token, whose ids begin behind the words'; NULL for a word. */
static inline cllm__real *cllm__tables_row(const cllm__tables *tables, size_t vocabulary, int32_t token) {
    if ((size_t)token < vocabulary) return NULL;
    size_t row = (size_t)token - vocabulary;
    return row < tables->n_users ? tables->users + row * tables->width : tables->items + (row - tables->n_users) * tables->width;
}

/* N(0, deviation²); a row depends on (seed, set, row) alone, so a larger data set keeps its first rows. The paper: 0.02. */
void cllm__tables_init_normal(cllm__tables *tables, double deviation, uint64_t seed, cllm__table_set set);

/* [n × width] values of N(0, deviation²); a row depends on (seed, table, row) alone. Tables 0 to 3 are those above, 4 and 5 a
 * composer's. */
void cllm__init_rows(cllm__real *rows, size_t n, size_t width, double deviation, uint64_t seed, uint32_t table);

/* "text-mean": on top of init_normal, a row that has documents in `corpus` receives the mean word embedding of their main
 * texts, less the mean over all such rows of its table, the whole scaled to root mean square `deviation`; the normal part
 * stays in it at a tenth. Rows without documents are left as they are. */
CLLM_CHECK cllm_status cllm__tables_init_text_mean(cllm__tables *tables, double deviation, const cllm__corpus *corpus,
                                                   const cllm__backbone *backbone, cllm_error *err);

#endif
