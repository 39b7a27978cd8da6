/*
 * A data set made from another one by keeping some items and some users out of its training rows: for measuring what a model does
 * with those that it never met (cold start).
 *
 * Users, items and their numbers stay, and so do the items' own texts. Of the rows,
 *
 *     train, valid   those of items and users that are not withheld
 *     test           every other row of train and valid, and all of test: each row of a withheld item or user is there
 *
 * A review follows its row, so that nothing is learnt from one that is test now. Who is withheld can be read off: they have no
 * training row.
 */
#ifndef CLLM_DATA_WITHHOLD_H
#define CLLM_DATA_WITHHOLD_H

#include "data/dataset.h"
#include "data/merge.h"

typedef struct cllm__withhold {
    double items;    /* the share of the items with training rows that is withheld, in [0, 1]; any share above 0: at least one */
    double users;    /* of the users with training rows; no more than half of those that have `least` rows */
    size_t least;    /* rows in train, valid and (if it is kept) test with items that are not withheld: what a withheld user has */
    bool keep_test;  /* false: the test rows are left out (with their reviews), to be kept for a last measurement */
    uint64_t seed;
} cllm__withhold;

/* Writes the data set to `folder`, atomically; CLLM_ERR_EXISTS unless `force`. The same data and options give the same bytes.
 * CLLM_ERR_USAGE for shares outside [0, 1]; CLLM_ERR_DATA where no user has enough rows, or nothing is left to train on. */
CLLM_CHECK cllm_status cllm__withhold_write(const cllm__dataset *dataset, cllm__withhold options, const char *folder, bool force,
                                            cllm_error *err);

/* A part of a matrix: the rows for which keep() is true, in their order. `place` is the row's place among the matrix's rows; `part` is
 * {0} before and freed by the caller in every case (times and ratings are not kept). */
typedef bool cllm__row_filter(const void *context, size_t user, int32_t item, size_t place);
CLLM_CHECK cllm_status cllm__select_rows(cllm__merged *part, const cllm__interactions *matrix, cllm__row_filter *keep, const void *context,
                                         cllm_error *err);

#endif
