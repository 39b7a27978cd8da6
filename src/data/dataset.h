/*
 * A prepared data set, opened for reading. Immutable; shared by threads. docs/FORMATS.md describes the folder.
 *
 * Users and items are rows 0, 1, …; items were renumbered by a seeded permutation, so an index carries no information.
 */
#ifndef CLLM_DATA_DATASET_H
#define CLLM_DATA_DATASET_H

#include <stdint.h>

#include "base/status.h"

typedef enum cllm__split { CLLM__TRAIN = 0, CLLM__VALID = 1, CLLM__TEST = 2 } cllm__split;
enum { CLLM__SPLITS = 3 };

/* Interactions of one split, by user. Within a user the items stand in time order, rows without a time first, ties in the
 * order of the input, or with --split loo in one that was drawn. No user has an item twice, also not in two splits. */
typedef struct cllm__interactions {
    size_t n_users, n_items, count;
    const uint64_t *start; /* [n_users + 1] */
    const int32_t *items;  /* [count] */
    const int64_t *times;  /* [count] seconds since 1970, INT64_MIN where a row has none; NULL where no row has one */
    const float *ratings;  /* [count], NaN where a row has none; NULL where no row has one */
} cllm__interactions;

static inline size_t cllm__row_count(const cllm__interactions *matrix, size_t user) {
    return (size_t)(matrix->start[user + 1] - matrix->start[user]);
}
static inline const int32_t *cllm__row(const cllm__interactions *matrix, size_t user) {
    return matrix->items + matrix->start[user];
}

typedef enum cllm__text_kind {
    CLLM__TEXT_REVIEW = 0, /* by user, of item */
    CLLM__TEXT_TITLE,      /* of item, and so on */
    CLLM__TEXT_BRAND,
    CLLM__TEXT_CATEGORIES,
    CLLM__TEXT_DESCRIPTION,
    CLLM__TEXT_BIOGRAPHY /* of user */
} cllm__text_kind;
enum { CLLM__TEXT_KINDS = 6 };

typedef struct cllm__text {
    cllm__text_kind kind;
    cllm__split split;  /* a review belongs to its pair's split; training must use CLLM__TRAIN only. Others: CLLM__TRAIN */
    int32_t user, item; /* −1 where there is none */
    const char *text;   /* UTF-8, not NUL-terminated, mapped from the file */
    size_t length;
} cllm__text;

typedef struct cllm__dataset cllm__dataset;

/* Checks the manifest, every checksum (unless `trust`), every index. */
CLLM_CHECK cllm_status cllm__dataset_open(cllm__dataset **out, const char *folder, bool trust, cllm_error *err);
void cllm__dataset_close(cllm__dataset *dataset);

size_t cllm__dataset_users(const cllm__dataset *dataset);
size_t cllm__dataset_items(const cllm__dataset *dataset);
const char *cllm__dataset_path(const cllm__dataset *dataset);
/* Over the manifest, which holds the checksum of every file: names the data. */
uint64_t cllm__dataset_hash(const cllm__dataset *dataset);
const cllm__interactions *cllm__dataset_interactions(const cllm__dataset *dataset, cllm__split split);

size_t cllm__dataset_texts(const cllm__dataset *dataset);
cllm__text cllm__dataset_text(const cllm__dataset *dataset, size_t index);
/* An item's own text of one kind ("" if it has none), e.g. its title; borrowed, NUL-terminated. */
const char *cllm__dataset_item_field(const cllm__dataset *dataset, size_t item, cllm__text_kind kind);

/* Raw ids, as the input had them. */
const char *cllm__dataset_user_id(const cllm__dataset *dataset, size_t user);
const char *cllm__dataset_item_id(const cllm__dataset *dataset, size_t item);
bool cllm__dataset_find_user(const cllm__dataset *dataset, const char *id, size_t *user);
bool cllm__dataset_find_item(const cllm__dataset *dataset, const char *id, size_t *item);

/* What filters dropped, for "seen is seen": calls back for every dropped row of this raw user id; `item` is the raw id;
 * `liked` says that the rating filter would have kept it (the row fell to the k-core). */
typedef void cllm__dropped_visitor(void *context, const char *item, bool liked);
CLLM_CHECK cllm_status cllm__dataset_dropped(const cllm__dataset *dataset, const char *user_id,
                                             cllm__dropped_visitor *visit, void *context, cllm_error *err);

/* How the rows were divided: "ratio", "loo", "time" or "files"; "" of a data set that was derived from another one. */
const char *cllm__dataset_split_rule(const cllm__dataset *dataset);

/* The manifest's summary as JSON text (caller frees with cllm_text_free). */
CLLM_CHECK cllm_status cllm__dataset_summary(const cllm__dataset *dataset, char **json, cllm_error *err);

#endif
