/*
 * The stages of preparing, in their order:
 *
 *   read    files → rows in a spool (24 bytes each), texts in another, names of users and items in memory
 *   group   rows into memory, by user in the order of the raw ids; duplicates resolved, texts of --texts attached
 *   filter  rating, item universe, k-core: rows are marked, not removed
 *   split   rows are marked
 *   write   the folder; the rows go back to a spool before the big arrays are made
 *
 * Memory: the names, 24 bytes a row, 8 bytes a user and an item for each of a few counters.
 */
#ifndef CLLM_DATA_PREPARE_INTERNAL_H
#define CLLM_DATA_PREPARE_INTERNAL_H

#include "base/host.h"
#include "base/names.h"
#include "data/dataset.h"
#include "data/prepare_spool.h"
#include "data/reader_fields.h"

/* ---- Rows ---- */

/* One interaction. `user` and `item` are numbers in order of appearance until the rows are grouped, then ranks of the raw
 * ids in byte order. Time and text offset have 48 bits, see the functions below. */
typedef struct cllm__prow {
    int32_t user, item;
    float rating; /* NaN: none */
    uint32_t time_low, where_low;
    uint16_t time_high, where_high;
} cllm__prow;
static_assert(sizeof(cllm__prow) == 24, "the memory bound counts on it");

typedef enum cllm__fate { CLLM__KEPT = 0, CLLM__LOW_RATING, CLLM__OUTSIDE_ITEMS, CLLM__OUTSIDE_CORE } cllm__fate;

#define CLLM__NO_TIME (-((int64_t)1 << 47))

static inline int64_t cllm__prow_time(const cllm__prow *row) {
    uint64_t bits = (uint64_t)row->time_high << 32 | row->time_low;
    return bits >> 47 ? (int64_t)bits - ((int64_t)1 << 48) : (int64_t)bits;
}
static inline void cllm__prow_set_time(cllm__prow *row, int64_t time) {
    row->time_low = (uint32_t)(uint64_t)time;
    row->time_high = (uint16_t)((uint64_t)time >> 32);
}
/* where: offset of the row's text in the spool (43 bits, so 8 TB), which also tells the order of the input; then split,
 * fate and whether the row is of --texts and no interaction. */
static inline uint64_t cllm__prow_where(const cllm__prow *row) {
    return (uint64_t)row->where_high << 32 | row->where_low;
}
static inline uint64_t cllm__prow_offset(const cllm__prow *row) {
    return cllm__prow_where(row) >> 5;
}
static inline cllm__split cllm__prow_split(const cllm__prow *row) {
    return (cllm__split)(row->where_low >> 3 & 3);
}
static inline cllm__fate cllm__prow_fate(const cllm__prow *row) {
    return (cllm__fate)(row->where_low >> 1 & 3);
}
static inline bool cllm__prow_only_text(const cllm__prow *row) {
    return row->where_low & 1;
}
static inline void cllm__prow_set_where(cllm__prow *row, uint64_t offset, cllm__split split, cllm__fate fate,
                                        bool only_text) {
    uint64_t where = offset << 5 | (uint64_t)split << 3 | (uint64_t)fate << 1 | (uint64_t)only_text;
    row->where_low = (uint32_t)where;
    row->where_high = (uint16_t)(where >> 32);
}
static inline void cllm__prow_set_split(cllm__prow *row, cllm__split split) {
    row->where_low = (row->where_low & ~(uint32_t)(3 << 3)) | (uint32_t)split << 3;
}
static inline void cllm__prow_set_fate(cllm__prow *row, cllm__fate fate) {
    row->where_low = (row->where_low & ~(uint32_t)(3 << 1)) | (uint32_t)fate << 1;
}

/* ---- State ---- */

typedef struct cllm__source {
    const char *role, *path; /* borrowed */
    char format[256];
    const char *compression;
    uint64_t rows, bytes, hash;
    bool hashed;
} cllm__source;

typedef struct cllm__preparing {
    const cllm_prepare_options *options;
    const cllm_host *host;
    char *folder; /* the temporary one */
    cllm__row_options row_options;

    cllm__names *users, *items;
    size_t fixed_items; /* the universe is items 0 … fixed_items − 1; SIZE_MAX: the items that have rows */
    cllm__spool *texts, *row_spool;
    uint64_t *item_fields, *user_fields; /* offset in texts + 1, 0 = none */
    size_t item_fields_capacity;
    char *clean;
    size_t clean_capacity;

    cllm__source *sources;
    size_t n_sources, sources_capacity;

    /* Rows, from group on. */
    cllm__prow *rows;
    size_t count;
    uint64_t *user_start;             /* [users + 1], by rank */
    int32_t *user_order, *item_order; /* rank → number of appearance */
    size_t n_users, n_items;          /* ranks, dropped ones included */

    /* Filled by write: rank → row in the data set, −1 for none. */
    int32_t *user_row, *item_row;
    size_t users_kept, items_kept;

    /* Counts. */
    uint64_t rows_read, bad[CLLM__BAD_ROWS], bad_total;
    uint64_t duplicates, overlaps, low, outside, core, short_users;
    uint64_t field_duplicates, fields_unused, texts_unused;
    uint64_t html_reviews, html_fields;
    uint64_t without_time, without_rating, with_time, with_rating;
    double began;
} cllm__preparing;

/* The stages; each leaves the state as it found it or better on failure, and the caller frees it. */
CLLM_CHECK cllm_status cllm__preparing_read(cllm__preparing *p, cllm_error *err);
CLLM_CHECK cllm_status cllm__preparing_group(cllm__preparing *p, cllm_error *err);
CLLM_CHECK cllm_status cllm__preparing_filter(cllm__preparing *p, cllm_error *err);
CLLM_CHECK cllm_status cllm__preparing_write(cllm__preparing *p, char **summary, cllm_error *err);

#endif
