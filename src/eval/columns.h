/* The training matrix by item: who had it. The counterpart of cllm__interactions, for similarities between items. */
#ifndef CLLM_EVAL_COLUMNS_H
#define CLLM_EVAL_COLUMNS_H

#include "data/dataset.h"

typedef struct cllm__columns {
    uint64_t *start; /* [n_items + 1] */
    int32_t *users;  /* ascending within an item */
} cllm__columns;

CLLM_CHECK cllm_status cllm__columns_create(cllm__columns *columns, const cllm__interactions *rows, cllm_error *err);
void cllm__columns_free(cllm__columns *columns);

#endif
