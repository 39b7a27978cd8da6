/* The k-core of the interactions: the largest set of rows in which every user and every item has at least k of them. */
#ifndef CLLM_DATA_KCORE_H
#define CLLM_DATA_KCORE_H

#include "data/prepare_internal.h"

/* Marks the kept rows that fall outside with CLLM__OUTSIDE_CORE. `start` [n_users + 1] groups the rows by user. The result
 * is unique, so the order of removal does not matter. Needs 8 bytes a user and an item; 8 a row more where a few dozen
 * passes over the rows do not settle it. */
CLLM_CHECK cllm_status cllm__kcore(cllm__prow *rows, const uint64_t *start, size_t n_users, size_t n_items, int k,
                                   const cllm_host *host, cllm_error *err);

#endif
