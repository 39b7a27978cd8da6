/* Interactions in columns (CSV, TSV, PSV, "::", RecBole's .inter) and as sequences. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "data/reader_internal.h"

const char *cllm__list_header(const cllm__delimited *table, char *list, size_t size) {
    size_t count, used = 0;
    const cllm__field *header = cllm__delimited_header(table, &count);
    list[0] = '\0';
    for (size_t i = 0; i < count && used + 1 < size; i++) {
        char shown[CLLM__SHOWN];
        int n = snprintf(list + used, size - used, "%s%s", i == 0 ? "" : "', '",
                         cllm__show_value(shown, header[i].text, header[i].length));
        used += n < 0 ? 0 : (size_t)n;
    }
    return list;
}

/* The column by its name, or by its number (from 1) in a file without a header. */
static cllm_status find_named(cllm__row_reader *reader, cllm__column column, size_t width, size_t *found, cllm_error *err) {
    const char *wanted = reader->options.columns[column], *name = cllm__stream_name(reader->stream);
    size_t count;
    if (cllm__delimited_header(reader->table, &count) == NULL) {
        char *end;
        unsigned long number = strtoul(wanted, &end, 10);
        if (*end != '\0' || wanted[0] < '0' || wanted[0] > '9' || number < 1 || number > width) {
            return cllm__fail(err, CLLM_ERR_USAGE,
                              "%s:1: no header names a column '%s': give --header yes, or the column's number, 1 to "
                              "%zu",
                              name, wanted, width);
        }
        *found = number - 1;
        return CLLM_OK;
    }
    *found = cllm__delimited_column(reader->table, wanted);
    if (*found == SIZE_MAX) {
        char list[400];
        return cllm__fail(err, CLLM_ERR_USAGE, "%s:1: no column '%s' (--%s-col) among '%s'", name, wanted,
                          cllm__column_name(column), cllm__list_header(reader->table, list, sizeof list));
    }
    return CLLM_OK;
}

/* Without a header the columns are user, item, rating, time, or user, item, text where texts are wanted. */
static const cllm__column *columns_by_place(const cllm__row_reader *reader, size_t width) {
    static const cllm__column rows[] = {CLLM__COLUMN_USER, CLLM__COLUMN_ITEM, CLLM__COLUMN_RATING, CLLM__COLUMN_TIME};
    static const cllm__column texts[] = {CLLM__COLUMN_USER, CLLM__COLUMN_ITEM, CLLM__COLUMN_TEXT};
    if (reader->options.needs_text) return width == 3 ? texts : NULL;
    return width >= 2 && width <= 4 ? rows : NULL;
}

static cllm_status choose_columns(cllm__row_reader *reader, size_t width, cllm_error *err) {
    const char *name = cllm__stream_name(reader->stream), *separator = cllm__delimited_separator_name(reader->table);
    size_t count;
    bool has_header = cllm__delimited_header(reader->table, &count) != NULL, named = false;
    for (int c = 0; c < CLLM__ROW_COLUMNS; c++) {
        reader->columns[c] = SIZE_MAX;
        if (reader->options.columns[c] == NULL) continue;
        if (reader->options.side_file &&
            (!has_header || cllm__delimited_column(reader->table, reader->options.columns[c]) == SIZE_MAX))
            continue;
        CLLM_TRY(find_named(reader, (cllm__column)c, width, &reader->columns[c], err));
        named = true;
    }
    if (!has_header && !named) {
        const cllm__column *places = columns_by_place(reader, width);
        if (places == NULL) {
            return cllm__fail(err, CLLM_ERR_DATA,
                              "%s:1: %zu column%s with %s between them and no header: %s; give --header yes, "
                              "--sep, or --user-col and --item-col with their numbers",
                              name, width, width == 1 ? "" : "s", separator,
                              reader->options.needs_text ? "expected user, item, text"
                                                         : "expected user, item[, rating[, time]]");
        }
        for (size_t i = 0; i < width; i++) reader->columns[places[i]] = i;
    }
    for (int c = 0; c < CLLM__ROW_COLUMNS && has_header; c++) {
        for (const char *const *guess = cllm__column_names((cllm__column)c);
             *guess != NULL && reader->columns[c] == SIZE_MAX; guess++) {
            reader->columns[c] = cllm__delimited_column(reader->table, *guess);
        }
    }
    for (int c = CLLM__COLUMN_USER; c <= CLLM__COLUMN_ITEM; c++) {
        char list[400];
        if (reader->columns[c] != SIZE_MAX) continue;
        return cllm__fail(err, CLLM_ERR_DATA,
                          "%s:1: no column for the %s among '%s' (%s between them): name it with --%s-col, or give "
                          "--sep or --header no",
                          name, cllm__column_name((cllm__column)c), cllm__list_header(reader->table, list, sizeof list),
                          separator, cllm__column_name((cllm__column)c));
    }
    if (reader->options.needs_text && reader->columns[CLLM__COLUMN_TEXT] == SIZE_MAX) {
        return cllm__fail(err, CLLM_ERR_DATA, "%s:1: no column with the texts: name it with --text-col", name);
    }
    return CLLM_OK;
}

static void describe(cllm__row_reader *reader) {
    size_t count, used = 0;
    char *text = reader->described;
    size_t size = sizeof reader->described;
    const cllm__field *header = cllm__delimited_header(reader->table, &count);
    used += (size_t)snprintf(text, size, "%s%s between fields%s", reader->format == CLLM__FORMAT_RECBOLE ? "RecBole, " : "",
                             cllm__delimited_separator_name(reader->table), header == NULL ? ", no header" : "");
    for (int c = 0; c < CLLM__ROW_COLUMNS && used < size; c++) {
        if (reader->columns[c] == SIZE_MAX) continue;
        const char *name = cllm__column_name((cllm__column)c), *begin = used > 0 && strchr(text, '=') == NULL ? ": " : ", ";
        char shown[CLLM__SHOWN];
        if (header != NULL) {
            const cllm__field *field = &header[reader->columns[c]];
            used += (size_t)snprintf(text + used, size - used, "%s%s = %s", begin, name,
                                     cllm__show_value(shown, field->text, field->length));
        } else {
            used += (size_t)snprintf(text + used, size - used, "%s%s = column %zu", begin, name, reader->columns[c] + 1);
        }
    }
}

cllm_status cllm__row_delimited_open(cllm__row_reader *reader, cllm_error *err) {
    const char *names[CLLM__COLUMN_NAMES_MAX + CLLM__ROW_COLUMNS];
    cllm__delimited_options options = reader->options.delimited;
    options.names = names;
    options.n_names = cllm__column_all_names(names);
    for (int c = 0; c < CLLM__ROW_COLUMNS; c++) {
        if (reader->options.columns[c] != NULL) names[options.n_names++] = reader->options.columns[c];
    }
    if (reader->format == CLLM__FORMAT_RECBOLE) {
        if (options.separator == NULL) options.separator = "\t";
        options.header = CLLM_HEADER_YES;
    }
    CLLM_TRY(cllm__delimited_open(&reader->table, reader->stream, &options, err));
    size_t width;
    if (cllm__delimited_header(reader->table, &width) == NULL) {
        /* The first record tells the number of columns; it is kept for the first _next. */
        width = 0;
    }
    for (int c = 0; c < CLLM__ROW_COLUMNS; c++) reader->columns[c] = SIZE_MAX;
    if (width > 0) {
        CLLM_TRY(choose_columns(reader, width, err));
        describe(reader);
    }
    return CLLM_OK;
}

cllm_status cllm__row_delimited_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                     cllm_error *err) {
    cllm__field *fields;
    size_t count;
    CLLM_TRY(cllm__delimited_next(reader->table, &fields, &count, err));
    if (fields == NULL) {
        *end = true;
        return CLLM_OK;
    }
    if (reader->columns[CLLM__COLUMN_USER] == SIZE_MAX) {
        cllm_status status = choose_columns(reader, count, err);
        if (status != CLLM_OK) {
            reader->failed = true;
            return status;
        }
        describe(reader);
    }
    const size_t *column = reader->columns;
    row->user = fields[column[CLLM__COLUMN_USER]].text;
    row->user_length = fields[column[CLLM__COLUMN_USER]].length;
    row->item = fields[column[CLLM__COLUMN_ITEM]].text;
    row->item_length = fields[column[CLLM__COLUMN_ITEM]].length;
    if (column[CLLM__COLUMN_RATING] != SIZE_MAX) {
        const cllm__field *field = &fields[column[CLLM__COLUMN_RATING]];
        CLLM_TRY(cllm__row_set_rating(reader, row, field->text, field->length, bad, err));
    }
    if (column[CLLM__COLUMN_TIME] != SIZE_MAX) {
        const cllm__field *field = &fields[column[CLLM__COLUMN_TIME]];
        CLLM_TRY(cllm__row_set_time(reader, row, field->text, field->length, bad, err));
    }
    if (column[CLLM__COLUMN_TEXT] != SIZE_MAX) {
        row->text = fields[column[CLLM__COLUMN_TEXT]].text;
        row->text_length = fields[column[CLLM__COLUMN_TEXT]].length;
    }
    return CLLM_OK;
}

/* ---- Sequences ---- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Blank-separated lines are columns ("user item rating") where all have the same two to four tokens and some user comes
 * back, else sequences, in which each user has one line. */
bool cllm__looks_like_sequences(const char *text, size_t length, bool whole) {
    enum { LINES = 200 };
    const char *first[LINES];
    size_t first_length[LINES], lines = 0, tokens = 0, end = 0;
    bool equal = true, blanks = false;
    for (size_t at = 0; at < length && lines < LINES; at = end + 1) {
        const char *line = text + at, *stop = memchr(line, '\n', length - at);
        if (stop == NULL && !whole && lines > 0) break;
        end = stop == NULL ? length : (size_t)(stop - text);
        size_t n = end - at, count = 0;
        if (memchr(line, '\t', n) || memchr(line, ',', n) || memchr(line, ';', n) || memchr(line, '|', n)) return false;
        for (size_t i = 0; i < n;) {
            while (i < n && is_blank(line[i])) i++;
            if (i == n) break;
            size_t begin = i;
            while (i < n && !is_blank(line[i])) i++;
            for (size_t k = begin; k + 1 < i; k++) {
                if (line[k] == ':' && line[k + 1] == ':') return false;
            }
            if (count++ == 0) {
                first[lines] = line + begin;
                first_length[lines] = i - begin;
            }
        }
        if (count == 0) continue;
        blanks = blanks || count > 1;
        if (lines == 0) tokens = count;
        equal = equal && count == tokens;
        lines++;
    }
    if (!blanks) return false;
    if (!equal || tokens < 2 || tokens > 4) return true;
    for (size_t i = 0; i < lines; i++) {
        for (size_t k = 0; k < i; k++) {
            if (first_length[i] == first_length[k] && memcmp(first[i], first[k], first_length[i]) == 0) return false;
        }
    }
    return true;
}

/* The next token at *at, ended by a NUL in place; NULL at the line's end. */
static char *next_token(char **at) {
    char *token = *at;
    while (is_blank(*token)) token++;
    if (*token == '\0') return NULL;
    char *stop = token;
    while (*stop != '\0' && !is_blank(*stop)) stop++;
    *at = *stop == '\0' ? stop : stop + 1;
    *stop = '\0';
    return token;
}

cllm_status cllm__row_sequence_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                    cllm_error *err) {
    char *item = reader->token == NULL ? NULL : next_token(&reader->token);
    while (item == NULL) {
        char *line, *user;
        size_t length;
        reader->token = NULL;
        CLLM_TRY(cllm__stream_line(reader->stream, &line, &length, err));
        if (line == NULL) {
            *end = true;
            return CLLM_OK;
        }
        if (memchr(line, '\0', length) != NULL) {
            return cllm__row_refuse(reader, CLLM__BAD_LINE, bad, err,
                                    "the line holds a NUL byte: give a text file, correct the line");
        }
        user = next_token(&line);
        if (user == NULL) continue;
        reader->token = line;
        reader->user = user;
        reader->user_length = strlen(user);
        item = next_token(&reader->token);
        if (item == NULL) {
            char shown[CLLM__SHOWN];
            reader->token = NULL;
            return cllm__row_refuse(reader, CLLM__BAD_ITEM, bad, err,
                                    "the user '%s' has no items: give lines of a user and the items in "
                                    "time order, another --format",
                                    cllm__show_value(shown, user, reader->user_length));
        }
    }
    row->user = reader->user;
    row->user_length = reader->user_length;
    row->item = item;
    row->item_length = strlen(item);
    return CLLM_OK;
}
