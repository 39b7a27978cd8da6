/* The parts of the row reader: one file for each family of formats. */
#ifndef CLLM_DATA_READER_INTERNAL_H
#define CLLM_DATA_READER_INTERNAL_H

#include <json-c/json.h>

#include "data/reader_rows.h"
#include "formats/npz.h"
#include "formats/record.h"

enum { CLLM__ROW_COLUMNS = 5 }; /* user, item, rating, time, text */

struct cllm__row_reader {
    cllm__row_options options;
    cllm__row_format format;
    char *path;
    cllm__stream *stream; /* NULL for npz */
    bool failed;
    char described[256], place[512];

    cllm__record_parser *parser; /* JSON */
    struct json_object *object;
    const char *keys[CLLM__ROW_COLUMNS]; /* as found in the rows so far */
    char *text;
    size_t text_capacity;

    cllm__delimited *table;
    size_t columns[CLLM__ROW_COLUMNS]; /* SIZE_MAX: none */

    char *token; /* sequence: what is left of the line, NULL: none */
    const char *user;
    size_t user_length;

    cllm__csr matrix;
    size_t matrix_row;
    int64_t matrix_at;
    bool by_position, valued;
    char user_number[24], item_number[24];
};

/* Fails with CLLM_ERR_DATA, the reason in *bad. The message says what is wrong and, behind a colon, what to do. */
CLLM_CHECK cllm_status cllm__row_refuse(cllm__row_reader *reader, cllm__bad_row reason, cllm__bad_row *bad, cllm_error *err,
                                        const char *format, ...) CLLM_PRINTF(5, 6);
/* At most 60 bytes of a value, for messages: cut between characters, control characters as '?'. */
enum { CLLM__SHOWN = 72 };
const char *cllm__show_value(char shown[CLLM__SHOWN], const char *text, size_t length);

/* Makes the options those of a side file, whose stream is open. */
CLLM_CHECK cllm_status cllm__row_side_options(cllm__row_reader *reader, cllm_error *err);
/* Checks the bytes of a raw id. */
CLLM_CHECK cllm_status cllm__row_check_id(cllm__row_reader *reader, const char *id, size_t length, cllm__column column,
                                          cllm__bad_row *bad, cllm_error *err);
/* Frees what the reader holds, not the reader. */
void cllm__row_reader_clear(cllm__row_reader *reader);
/* "a', 'b', 'c" of a table's header, as much as fits. */
const char *cllm__list_header(const cllm__delimited *table, char *list, size_t size);
/* The next JSON line that isn't blank, as reader->object. */
CLLM_CHECK cllm_status cllm__row_json_object(cllm__row_reader *reader, bool *end, cllm__bad_row *bad, cllm_error *err);
/* The id under a key of reader->object. */
CLLM_CHECK cllm_status cllm__row_json_id(cllm__row_reader *reader, cllm__column column, const char **id, size_t *length,
                                         cllm__bad_row *bad, cllm_error *err);

/* From a field's text; empty is none. */
CLLM_CHECK cllm_status cllm__row_set_rating(cllm__row_reader *reader, cllm__row_in *row, const char *text, size_t length,
                                            cllm__bad_row *bad, cllm_error *err);
CLLM_CHECK cllm_status cllm__row_set_time(cllm__row_reader *reader, cllm__row_in *row, const char *text, size_t length,
                                          cllm__bad_row *bad, cllm_error *err);

CLLM_CHECK cllm_status cllm__row_json_open(cllm__row_reader *reader, cllm_error *err);
CLLM_CHECK cllm_status cllm__row_json_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                           cllm_error *err);
CLLM_CHECK cllm_status cllm__row_delimited_open(cllm__row_reader *reader, cllm_error *err);
CLLM_CHECK cllm_status cllm__row_delimited_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                                cllm_error *err);
/* Whether the text looks like "user item item …" lines rather than columns. */
bool cllm__looks_like_sequences(const char *text, size_t length, bool whole);
CLLM_CHECK cllm_status cllm__row_sequence_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                               cllm_error *err);
CLLM_CHECK cllm_status cllm__row_npz_open(cllm__row_reader *reader, cllm_error *err);
CLLM_CHECK cllm_status cllm__row_npz_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm_error *err);

/* The value of the first of the names that the object has, `cached` remembering it; `wanted` (may be NULL) is the only one
 * looked for. NULL for none and for JSON's null. */
struct json_object *cllm__json_value(struct json_object *object, cllm__column column, const char *wanted,
                                     const char **cached);

/* What CLLM__FORMAT_AUTO takes the stream for; files that nobody can read here (Parquet, pickle, HDF5, a JSON array, an
 * empty file) are refused with what to do about them. */
CLLM_CHECK cllm_status cllm__recognise(cllm__stream *stream, const cllm__delimited_options *delimited,
                                       cllm__row_format *format, cllm_error *err);

#endif
