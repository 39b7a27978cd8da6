#include "data/reader_rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "data/reader_internal.h"

const char *cllm__bad_row_name(cllm__bad_row reason) {
    static const char *const names[CLLM__BAD_ROWS] = {"line", "user", "item", "rating", "time", "text"};
    return names[reason];
}

const char *cllm__show_value(char shown[CLLM__SHOWN], const char *text, size_t length) {
    size_t n = length <= 60 ? length : 60;
    if (n < length) {
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    }
    for (size_t i = 0; i < n; i++) shown[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    strcpy(shown + n, n < length ? "…" : "");
    return shown;
}

cllm_status cllm__row_refuse(cllm__row_reader *reader, cllm__bad_row reason, cllm__bad_row *bad, cllm_error *err,
                             const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    *bad = reason;
    return cllm__fail(err, CLLM_ERR_DATA, "%s: %s, or tolerate such rows with --max-bad-rows",
                      cllm__row_reader_place(reader), message);
}

cllm_status cllm__row_set_rating(cllm__row_reader *reader, cllm__row_in *row, const char *text, size_t length,
                                 cllm__bad_row *bad, cllm_error *err) {
    if (length == 0) return CLLM_OK;
    char shown[CLLM__SHOWN];
    if (!cllm__parse_number(text, length, &row->rating) || row->rating > 1e30 || row->rating < -1e30) {
        return cllm__row_refuse(reader, CLLM__BAD_RATING, bad, err,
                                "the rating '%s' is not a finite number: correct the row, name "
                                "another column with --rating-col",
                                cllm__show_value(shown, text, length));
    }
    row->has_rating = true;
    return CLLM_OK;
}

cllm_status cllm__row_set_time(cllm__row_reader *reader, cllm__row_in *row, const char *text, size_t length,
                               cllm__bad_row *bad, cllm_error *err) {
    if (length == 0) return CLLM_OK;
    char shown[CLLM__SHOWN];
    if (!cllm__parse_time(text, length, &row->time)) {
        return cllm__row_refuse(reader, CLLM__BAD_TIME, bad, err,
                                "the time '%s' is neither a number of seconds since 1970 nor a date "
                                "such as 2018-06-17 09:30:00: correct the row, name another column with --time-col",
                                cllm__show_value(shown, text, length));
    }
    row->has_time = true;
    return CLLM_OK;
}

/* ---- Recognising ---- */

static bool is_recbole(const char *text, size_t length) {
    const char *end = memchr(text, '\n', length);
    size_t n = end == NULL ? length : (size_t)(end - text);
    static const char *const types[] = {":token", ":float"};
    for (size_t t = 0; t < CLLM_LEN(types); t++) {
        size_t size = strlen(types[t]);
        for (size_t i = 1; i + size <= n; i++) {
            if (memcmp(text + i, types[t], size) == 0) return true;
        }
    }
    return false;
}

cllm_status cllm__recognise(cllm__stream *stream, const cllm__delimited_options *delimited, cllm__row_format *format,
                            cllm_error *err) {
    enum { SAMPLE = 1 << 16 };
    const char *text, *name = cllm__stream_name(stream);
    size_t length;
    CLLM_TRY(cllm__stream_peek(stream, SAMPLE, &text, &length, err));
    bool whole = length < SAMPLE;
    size_t first = 0;
    while (first < length && (text[first] == ' ' || text[first] == '\t' || text[first] == '\r' || text[first] == '\n'))
        first++;
    if (first == length && whole) return cllm__fail(err, CLLM_ERR_DATA, "'%s' is empty: give a file with rows", name);
    static const struct {
        const char *magic, *what, *fix;
    } foreign[] = {
        {"PAR1", "a Parquet file", "convert it: duckdb -c \"copy 'in.parquet' to 'out.csv'\""},
        {"\x89HDF", "an HDF5 file", "write it as CSV or .npz"},
        {"\x80\x02", "a Python pickle", "pickles can run code and are not read: write it as TSV or .npz"},
        {"\x80\x03", "a Python pickle", "pickles can run code and are not read: write it as TSV or .npz"},
        {"\x80\x04", "a Python pickle", "pickles can run code and are not read: write it as TSV or .npz"},
        {"\x80\x05", "a Python pickle", "pickles can run code and are not read: write it as TSV or .npz"},
        {"BZh", "a bzip2 file", "unpack it: bunzip2 -k FILE, or bzcat FILE | … -"},
    };
    for (size_t i = 0; i < CLLM_LEN(foreign); i++) {
        size_t size = strlen(foreign[i].magic);
        if (length >= size && memcmp(text, foreign[i].magic, size) == 0) {
            return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "'%s' is %s: %s", name, foreign[i].what, foreign[i].fix);
        }
    }
    if (length >= 4 && text[0] == 'P' && text[1] == 'K' && (text[2] == 3 || text[2] == 5)) {
        *format = CLLM__FORMAT_NPZ;
        return CLLM_OK;
    }
    text += first;
    length -= first;
    if (length > 0 && text[0] == '{') {
        *format = CLLM__FORMAT_AMAZON;
        return CLLM_OK;
    }
    if (length > 0 && text[0] == '[') {
        size_t next = 1;
        while (next < length && strchr(" \t\r\n", text[next]) != NULL && text[next] != '\0') next++;
        if (next < length && text[next] == '{') {
            return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                              "'%s' is one JSON array: write one object a line: jq -c '.[]' FILE", name);
        }
    }
    if (is_recbole(text, length)) *format = CLLM__FORMAT_RECBOLE;
    else if (delimited->separator == NULL && delimited->header != CLLM_HEADER_YES &&
             cllm__looks_like_sequences(text, length, whole)) {
        *format = CLLM__FORMAT_SEQUENCE;
    } else {
        *format = CLLM__FORMAT_DELIMITED;
    }
    return CLLM_OK;
}

/* ---- Opening ---- */

cllm_status cllm__row_side_options(cllm__row_reader *reader, cllm_error *err) {
    enum { SAMPLE = 1 << 16 };
    cllm__delimited_options *options = &reader->options.delimited;
    const char *text, *separator = options->separator;
    size_t length;
    reader->format = CLLM__FORMAT_AUTO;
    options->header = CLLM_HEADER_AUTO;
    if (separator == NULL) return CLLM_OK;
    CLLM_TRY(cllm__stream_peek(reader->stream, SAMPLE, &text, &length, err));
    const char *end = memchr(text, '\n', length);
    size_t line = end == NULL ? length : (size_t)(end - text), size = strlen(separator);
    for (size_t i = 0; i + size <= line; i++) {
        if (memcmp(text + i, separator, size) == 0) return CLLM_OK;
    }
    options->separator = NULL;
    options->quote = CLLM_QUOTE_BY_FORMAT;
    return CLLM_OK;
}

static cllm_status open_reader(cllm__row_reader *reader, cllm_error *err) {
    CLLM_TRY(cllm__stream_open(&reader->stream, reader->path, reader->options.encoding, err));
    if (reader->options.side_file) CLLM_TRY(cllm__row_side_options(reader, err));
    if (reader->format == CLLM__FORMAT_AUTO) {
        CLLM_TRY(cllm__recognise(reader->stream, &reader->options.delimited, &reader->format, err));
    }
    switch (reader->format) {
    case CLLM__FORMAT_AMAZON: return cllm__row_json_open(reader, err);
    case CLLM__FORMAT_NPZ: return cllm__row_npz_open(reader, err);
    case CLLM__FORMAT_SEQUENCE:
        snprintf(reader->described, sizeof reader->described, "sequences: a user, then the items in time order");
        return CLLM_OK;
    default: return cllm__row_delimited_open(reader, err);
    }
}

cllm_status cllm__row_reader_open(cllm__row_reader **out, const char *path, const cllm__row_options *options,
                                  cllm_error *err) {
    cllm__row_reader *reader;
    CLLM_TRY(CLLM_NEW(reader, 1, err));
    reader->options = *options;
    reader->format = options->format;
    reader->path = cllm__strdup(path);
    cllm_status status = reader->path == NULL ? cllm__fail_nomem(err) : open_reader(reader, err);
    if (status != CLLM_OK) {
        cllm__row_reader_close(reader);
        return status;
    }
    *out = reader;
    return CLLM_OK;
}

void cllm__row_reader_clear(cllm__row_reader *reader) {
    json_object_put(reader->object);
    cllm__record_parser_free(reader->parser);
    cllm__delimited_free(reader->table);
    cllm__stream_close(reader->stream);
    cllm__csr_free(&reader->matrix);
    cllm__free(reader->text);
    cllm__free(reader->path);
}

void cllm__row_reader_close(cllm__row_reader *reader) {
    if (reader == NULL) return;
    cllm__row_reader_clear(reader);
    cllm__free(reader);
}

const char *cllm__row_reader_format(const cllm__row_reader *reader) {
    return reader->described;
}

const char *cllm__row_reader_compression(const cllm__row_reader *reader) {
    return cllm__stream_kind_name(reader->stream == NULL ? CLLM_STREAM_PLAIN : cllm__stream_compression(reader->stream));
}

size_t cllm__row_reader_width(const cllm__row_reader *reader) {
    return reader->format == CLLM__FORMAT_NPZ ? reader->matrix.columns : SIZE_MAX;
}

/* ---- Reading ---- */

cllm_status cllm__row_check_id(cllm__row_reader *reader, const char *id, size_t length, cllm__column column,
                               cllm__bad_row *bad, cllm_error *err) {
    cllm__bad_row reason = column == CLLM__COLUMN_USER ? CLLM__BAD_USER : CLLM__BAD_ITEM;
    const char *name = cllm__column_name(column);
    char shown[CLLM__SHOWN];
    if (length == 0) return cllm__row_refuse(reader, reason, bad, err, "the %s is empty: correct the row", name);
    if (memchr(id, '\0', length) != NULL) {
        return cllm__row_refuse(reader, reason, bad, err, "the %s '%s' holds a NUL: correct the row", name,
                                cllm__show_value(shown, id, length));
    }
    if (length > CLLM__ID_LIMIT) {
        return cllm__row_refuse(reader, reason, bad, err,
                                "the %s '%s' has %zu bytes, more than the %d that an id may have: name "
                                "another column with --%s-col",
                                name, cllm__show_value(shown, id, length), length, CLLM__ID_LIMIT, name);
    }
    return CLLM_OK;
}

static cllm_status read_row(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad, cllm_error *err) {
    switch (reader->format) {
    case CLLM__FORMAT_AMAZON: return cllm__row_json_next(reader, row, end, bad, err);
    case CLLM__FORMAT_NPZ: return cllm__row_npz_next(reader, row, end, err);
    case CLLM__FORMAT_SEQUENCE: return cllm__row_sequence_next(reader, row, end, bad, err);
    default: return cllm__row_delimited_next(reader, row, end, bad, err);
    }
}

cllm_status cllm__row_reader_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                  cllm_error *err) {
    cllm__row_in found = {0};
    *bad = CLLM__BAD_LINE;
    *end = false;
    cllm_status status = read_row(reader, &found, end, bad, err);
    if (status == CLLM_OK && !*end)
        status = cllm__row_check_id(reader, found.user, found.user_length, CLLM__COLUMN_USER, bad, err);
    if (status == CLLM_OK && !*end)
        status = cllm__row_check_id(reader, found.item, found.item_length, CLLM__COLUMN_ITEM, bad, err);
    if (status == CLLM_OK && !*end && reader->options.needs_rating && !found.has_rating) {
        status = cllm__row_refuse(reader, CLLM__BAD_RATING, bad, err,
                                  "the row has no rating, which --min-rating needs: correct it, name "
                                  "the column with --rating-col, leave --min-rating out");
    }
    if (status != CLLM_OK) {
        if (status != CLLM_ERR_DATA || (reader->stream != NULL && cllm__stream_failed(reader->stream)))
            reader->failed = true;
        return status;
    }
    if (!*end) *row = found;
    return CLLM_OK;
}

bool cllm__row_reader_failed(const cllm__row_reader *reader) {
    return reader->failed;
}

const char *cllm__row_reader_place(cllm__row_reader *reader) {
    unsigned long long line = 0;
    if (reader->format == CLLM__FORMAT_NPZ) line = reader->matrix_row;
    else if (reader->table != NULL) line = cllm__delimited_line_number(reader->table);
    else line = cllm__stream_line_number(reader->stream);
    const char *name = reader->stream == NULL ? reader->path : cllm__stream_name(reader->stream);
    snprintf(reader->place, sizeof reader->place, reader->format == CLLM__FORMAT_NPZ ? "%.480s, row %llu" : "%.480s:%llu",
             name, line);
    return reader->place;
}

double cllm__row_reader_position(const cllm__row_reader *reader) {
    return reader->stream == NULL ? 0 : (double)cllm__stream_position(reader->stream);
}

double cllm__row_reader_size(const cllm__row_reader *reader) {
    return reader->stream == NULL ? 0 : (double)cllm__stream_size(reader->stream);
}
