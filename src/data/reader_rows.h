/*
 * Interactions from a file of any known format, row by row. The format is recognised by content; docs/FORMATS.md lists what
 * is taken.
 */
#ifndef CLLM_DATA_READER_ROWS_H
#define CLLM_DATA_READER_ROWS_H

#include <stdint.h>

#include "base/names.h"
#include "base/status.h"
#include "data/reader_columns.h"
#include "formats/delimited.h"
#include "formats/stream.h"

typedef enum cllm__row_format {
    CLLM__FORMAT_AUTO,
    CLLM__FORMAT_AMAZON, /* JSON lines or Python literals of any keys */
    CLLM__FORMAT_DELIMITED,
    CLLM__FORMAT_RECBOLE, /* delimited with "name:type" headers */
    CLLM__FORMAT_NPZ,
    CLLM__FORMAT_SEQUENCE /* user, then items in time order */
} cllm__row_format;

/* Why a row was refused. */
typedef enum cllm__bad_row {
    CLLM__BAD_LINE, /* unreadable: encoding, quoting, number of fields, JSON */
    CLLM__BAD_USER,
    CLLM__BAD_ITEM,
    CLLM__BAD_RATING,
    CLLM__BAD_TIME,
    CLLM__BAD_TEXT
} cllm__bad_row;
enum { CLLM__BAD_ROWS = 6 };
const char *cllm__bad_row_name(cllm__bad_row reason);

/* Longest raw id in bytes. */
enum { CLLM__ID_LIMIT = 1024 };

typedef struct cllm__row_options {
    cllm__row_format format;
    cllm__encoding encoding;
    cllm__delimited_options delimited;  /* separator, quote, header */
    const char *columns[CLLM__COLUMNS]; /* NULL: the usual names */
    bool needs_rating, needs_text;
    /* The options were given for another file: format and header are by content, the separator counts only where the first
     * line has it, and columns that are not there go back to the usual names. (Always so for items and users.) */
    bool side_file;
    /* npz: the universe that columns are numbered in, or NULL. */
    const cllm__names *items;
} cllm__row_options;

typedef struct cllm__row_in {
    const char *user, *item; /* 1 … CLLM__ID_LIMIT bytes without NUL */
    size_t user_length, item_length;
    bool has_rating, has_time;
    double rating;
    int64_t time;
    char *text; /* may be written to; may hold NUL bytes */
    size_t text_length;
} cllm__row_in;

typedef struct cllm__row_reader cllm__row_reader;

/* `path` may be "-". Strings in the options are borrowed for the reader's life. */
CLLM_CHECK cllm_status cllm__row_reader_open(cllm__row_reader **out, const char *path, const cllm__row_options *options,
                                             cllm_error *err);
void cllm__row_reader_close(cllm__row_reader *reader); /* accepts NULL */

/* For people: "Amazon 2014 JSON lines", "a tab between fields, header", … */
const char *cllm__row_reader_format(const cllm__row_reader *reader);
const char *cllm__row_reader_compression(const cllm__row_reader *reader);
/* The width of an npz matrix, SIZE_MAX for other formats. */
size_t cllm__row_reader_width(const cllm__row_reader *reader);

/* The next row, valid until the next call; *end is true after the last. A malformed row fails with CLLM_ERR_DATA, with
 * the reason in *bad and file, line, value and fix in the message; the next call goes on behind it unless
 * cllm__row_reader_failed(). */
CLLM_CHECK cllm_status cllm__row_reader_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                             cllm_error *err);
bool cllm__row_reader_failed(const cllm__row_reader *reader);

/* "file.csv, line 12" or "matrix.npz, row 3": where the last row stood, valid until the next call. */
const char *cllm__row_reader_place(cllm__row_reader *reader);
/* Bytes of the file consumed and in all, for progress; 0 where they aren't known. */
double cllm__row_reader_position(const cllm__row_reader *reader);
double cllm__row_reader_size(const cllm__row_reader *reader);

#endif
