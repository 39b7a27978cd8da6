/* The usual names of columns and keys, and the values that stand under them. */
#ifndef CLLM_DATA_READER_COLUMNS_H
#define CLLM_DATA_READER_COLUMNS_H

#include <stdint.h>

#include "base/status.h"

/* What a column may hold. The first five are of interactions, the others of item and user files. */
typedef enum cllm__column {
    CLLM__COLUMN_USER,
    CLLM__COLUMN_ITEM,
    CLLM__COLUMN_RATING,
    CLLM__COLUMN_TIME,
    CLLM__COLUMN_TEXT,
    CLLM__COLUMN_TITLE,
    CLLM__COLUMN_BRAND,
    CLLM__COLUMN_CATEGORIES,
    CLLM__COLUMN_DESCRIPTION,
    CLLM__COLUMN_BIOGRAPHY
} cllm__column;
enum { CLLM__COLUMNS = 10 };

/* "user", "item", …, for messages. */
const char *cllm__column_name(cllm__column column);
/* The usual names of a column, best first, ended by NULL. */
const char *const *cllm__column_names(cllm__column column);
/* The usual names of all columns, for recognising a header; returns how many were written to `names`. */
enum { CLLM__COLUMN_NAMES_MAX = 80 };
size_t cllm__column_all_names(const char *names[CLLM__COLUMN_NAMES_MAX]);

/* Whole text is one finite number. */
bool cllm__parse_number(const char *text, size_t length, double *value);
/* Seconds since 1970 from a number of seconds, milli-, micro- or nanoseconds (told by its size: 1e11 and more cannot be
 * seconds), or from "YYYY-MM-DD" with an optional "[T ]HH:MM:SS[.fff][Z]" (UTC). False for anything else, negative numbers
 * of more than 2^45 included. */
bool cllm__parse_time(const char *text, size_t length, int64_t *seconds);
bool cllm__time_from_number(double value, int64_t *seconds);

#endif
