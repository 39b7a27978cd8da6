/* Interactions as a scipy CSR matrix: users are the rows, items the columns. */
#include <stdio.h>
#include <string.h>

#include "data/reader_internal.h"

/* How columns become item ids: by their number where that is an id of the item file, else by their place in it. */
static cllm_status choose_naming(cllm__row_reader *reader, cllm_error *err) {
    const cllm__names *items = reader->options.items;
    const cllm__csr *matrix = &reader->matrix;
    if (items == NULL) return CLLM_OK;
    bool all_known = true;
    for (int64_t i = 0; i < matrix->indptr[matrix->rows] && all_known; i++) {
        size_t index;
        int n = snprintf(reader->item_number, sizeof reader->item_number, "%ld", (long)matrix->indices[i]);
        all_known = cllm__names_find(items, reader->item_number, (size_t)n, &index);
    }
    if (all_known) return CLLM_OK;
    if (matrix->columns != cllm__names_count(items)) {
        return cllm__fail(err, CLLM_ERR_MISMATCH,
                          "'%s' has %zu columns, and --items names %zu items, none of them '%s': give an item file "
                          "with one line a column, or with the columns' numbers as ids",
                          reader->path, matrix->columns, cllm__names_count(items), reader->item_number);
    }
    reader->by_position = true;
    return CLLM_OK;
}

cllm_status cllm__row_npz_open(cllm__row_reader *reader, cllm_error *err) {
    if (strcmp(reader->path, "-") == 0) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "an .npz file cannot be read from standard input: give its path");
    }
    cllm__stream_close(reader->stream);
    reader->stream = NULL;
    CLLM_TRY(cllm__csr_read(reader->path, &reader->matrix, err));
    CLLM_TRY(choose_naming(reader, err));
    const cllm__csr *matrix = &reader->matrix;
    /* A matrix of ones says that something happened; other values are ratings. */
    for (int64_t i = 0; i < matrix->indptr[matrix->rows] && !reader->valued; i++) reader->valued = matrix->data[i] != 1.0f;
    snprintf(reader->described, sizeof reader->described, "scipy CSR matrix, %zu × %zu, %s%s", matrix->rows,
             matrix->columns, reader->valued ? "with ratings" : "ones",
             reader->by_position ? ", columns are lines of the item file" : "");
    return CLLM_OK;
}

cllm_status cllm__row_npz_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm_error *err) {
    (void)err;
    const cllm__csr *matrix = &reader->matrix;
    while (reader->matrix_row < matrix->rows && reader->matrix_at == matrix->indptr[reader->matrix_row + 1])
        reader->matrix_row++;
    if (reader->matrix_row == matrix->rows) {
        *end = true;
        return CLLM_OK;
    }
    int32_t column = matrix->indices[reader->matrix_at];
    row->user = reader->user_number;
    row->user_length = (size_t)snprintf(reader->user_number, sizeof reader->user_number, "%zu", reader->matrix_row);
    if (reader->by_position) {
        row->item = cllm__names_get(reader->options.items, (size_t)column);
        row->item_length = strlen(row->item);
    } else {
        row->item = reader->item_number;
        row->item_length = (size_t)snprintf(reader->item_number, sizeof reader->item_number, "%ld", (long)column);
    }
    row->has_rating = reader->valued;
    row->rating = (double)matrix->data[reader->matrix_at++];
    return CLLM_OK;
}
