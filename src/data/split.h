/* Splitting the kept rows into train, valid and test. */
#ifndef CLLM_DATA_SPLIT_H
#define CLLM_DATA_SPLIT_H

#include "data/prepare_internal.h"

/* Sets the split of every kept row. The rows are grouped by user and in time order within each; a user's rows that are not
 * kept do not count. Per user with n rows:
 *
 *   ratio  max(1, ⌊n/10⌋) rows are test and as many valid, at random: keyed by seed and raw user id and drawn from the
 *          items in the order of their raw ids, so the order of the input does not matter; n < 3: all train
 *   loo    the last row is test, the one before it valid; rows of the same time stand in an order that is drawn likewise, rows
 *          without a time in that of the input; n < 3: all train
 *   time   for all users together: test is what happened at T or later, valid what happened at V or later and before T; T is
 *          the earliest moment from which at most ⌊n/10⌋ rows are left, V likewise among the rows before T (a single moment
 *          that holds more than that is taken whole)
 *   files  as the rows are
 *
 * p->short_users counts the users with n < 3 (ratio, loo). */
CLLM_CHECK cllm_status cllm__split_rows(cllm__preparing *p, cllm_error *err);

#endif
