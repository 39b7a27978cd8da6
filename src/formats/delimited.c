#include "formats/delimited.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

enum { SEPARATOR_MAX = 15, SAMPLE_BYTES = 1 << 16, SAMPLE_RECORDS = 50 };

struct cllm__delimited {
    cllm__stream *stream;
    char separator[SEPARATOR_MAX + 1], separator_name[SEPARATOR_MAX + 16];
    size_t separator_length;
    char quote; /* '\0': none */
    bool ragged;

    /* The record at hand. `text` is the stream's line, or `joined` when the record spans lines. */
    cllm__field *fields;
    size_t count, capacity;
    char *joined;
    size_t joined_capacity;
    uint64_t line;
    bool pending; /* read already, to find out whether it is a header, but not handed out */

    size_t expected; /* fields of a record, 0 while unknown */
    uint64_t expected_line;

    cllm__field *header;
    size_t header_count;
    char *header_text;
};

cllm__delimited_options cllm__delimited_defaults(void) {
    return (cllm__delimited_options){.quote = CLLM_QUOTE_BY_FORMAT, .header = CLLM_HEADER_AUTO};
}

bool cllm__quote_parse(const char *text, int *quote) {
    bool none = strcmp(text, "none") == 0;
    if (!none && (text[0] == '\0' || text[1] != '\0')) return false;
    *quote = none ? CLLM_QUOTE_NONE : (unsigned char)text[0];
    return true;
}

bool cllm__header_mode_parse(const char *name, cllm__header_mode *mode) {
    static const char *const names[] = {"auto", "yes", "no"};
    for (size_t i = 0; i < CLLM_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (cllm__header_mode)i;
            return true;
        }
    }
    return false;
}

static char default_quote(const char *separator) {
    return strcmp(separator, ",") == 0 || strcmp(separator, ";") == 0 ? '"' : '\0';
}

/* ---- Splitting ---- */

/* Where the separator stands next in s[0 … n), or NULL. */
static const char *find_separator(const char *separator, size_t length, const char *s, size_t n) {
    const char *end = s + n;
    while (s < end && (s = memchr(s, separator[0], (size_t)(end - s))) != NULL) {
        if (length == 1 || ((size_t)(end - s) >= length && memcmp(s, separator, length) == 0)) return s;
        s++;
    }
    return NULL;
}

static cllm_status add_field(cllm__delimited *r, char *text, size_t length, cllm_error *err) {
    CLLM_TRY(CLLM_GROW(r->fields, r->capacity, r->count + 1, err));
    text[length] = '\0';
    r->fields[r->count++] = (cllm__field){text, length};
    return CLLM_OK;
}

static cllm_status split_plain(cllm__delimited *r, char *text, size_t length, cllm_error *err) {
    char *end = text + length;
    for (;;) {
        const char *next = find_separator(r->separator, r->separator_length, text, (size_t)(end - text));
        size_t size = (size_t)((next != NULL ? next : end) - text);
        CLLM_TRY(add_field(r, text, size, err));
        if (next == NULL) return CLLM_OK;
        text += size + r->separator_length;
    }
}

/* Offset of the quote that closes the field which text[at] is inside of, or `length` if none does. */
static size_t closing_quote(const char *text, size_t at, size_t length, char quote) {
    while (at < length) {
        const char *next = memchr(text + at, quote, length - at);
        if (next == NULL) break;
        at = (size_t)(next - text);
        if (at + 1 == length || text[at + 1] != quote) return at;
        at += 2;
    }
    return length;
}

/* Whether a quoted field is still open at the end of the text: the record then goes on in the next line. Begins at *at,
 * which is inside a quoted field or at a field's beginning, and which becomes `length` when the answer is yes. */
static bool is_open(const cllm__delimited *r, const char *text, size_t length, size_t *at, bool inside) {
    size_t i = *at;
    for (;;) {
        if (inside || (i < length && text[i] == r->quote)) {
            i = closing_quote(text, inside ? i : i + 1, length, r->quote);
            if (i == length) {
                *at = length;
                return true;
            }
            inside = false;
        }
        const char *next = find_separator(r->separator, r->separator_length, text + i, length - i);
        if (next == NULL) return false;
        i = (size_t)(next - text) + r->separator_length;
    }
}

/* Splits a record in which no quoted field is open, taking quotes away in place. */
static cllm_status split_quoted(cllm__delimited *r, char *text, size_t length, cllm_error *err) {
    char *end = text + length;
    for (;;) {
        char *field = text;
        size_t size;
        if (text < end && *text == r->quote) {
            size_t close = closing_quote(text, 1, (size_t)(end - text), r->quote);
            size = 0;
            for (size_t i = 1; i < close; i++) {
                if (text[i] == r->quote) i++; /* doubled */
                field[size++] = text[i];
            }
            text += close + 1;
            if (text < end && find_separator(r->separator, r->separator_length, text, (size_t)(end - text)) != text) {
                return cllm__fail(err, CLLM_ERR_DATA,
                                  "%s:%llu: field %zu goes on behind its closing quote: double the quotes (%c%c) "
                                  "inside a quoted field",
                                  cllm__stream_name(r->stream), (unsigned long long)r->line, r->count + 1, r->quote,
                                  r->quote);
            }
        } else {
            const char *next = find_separator(r->separator, r->separator_length, text, (size_t)(end - text));
            size = (size_t)((next != NULL ? next : end) - text);
            text += size;
        }
        bool last = text >= end;
        CLLM_TRY(add_field(r, field, size, err));
        if (last) return CLLM_OK;
        text += r->separator_length;
    }
}

/* ---- Choosing the separator ---- */

/* Counts the fields of the record at text[*at] as split_quoted would, and moves *at behind the record. */
static size_t count_fields(const char *separator, const char *text, size_t length, size_t *at) {
    size_t i = *at, step = strlen(separator), count = 1;
    char quote = default_quote(separator);
    while (i < length) {
        if (quote != '\0' && text[i] == quote) {
            i = closing_quote(text, i + 1, length, quote);
            if (i == length) break;
        }
        while (i < length && text[i] != '\n' && !(length - i >= step && memcmp(text + i, separator, step) == 0)) i++;
        if (i == length || text[i] == '\n') break;
        i += step;
        count++;
    }
    *at = i < length ? i + 1 : length;
    return count;
}

/* Whether each record has the same two to four fields between single blanks, as plain columns of ids and numbers have. */
static bool blanks_fit(const char *text, size_t length) {
    size_t at = 0, records = 0, fields = 0;
    while (at < length && records < SAMPLE_RECORDS) {
        if (text[at] == '\n' || (text[at] == '\r' && at + 1 < length && text[at + 1] == '\n')) {
            at += text[at] == '\r' ? 2 : 1;
            continue;
        }
        size_t count = count_fields(" ", text, length, &at);
        if (at == length && length >= SAMPLE_BYTES && records > 0) break;
        if (records++ == 0) fields = count;
        if (count != fields) return false;
    }
    return fields >= 2 && fields <= 4;
}

static cllm_status choose_separator(cllm__delimited *r, cllm_error *err) {
    static const char *const candidates[] = {"\t", "::", ";", ",", "|"};
    const char *text;
    size_t length;
    CLLM_TRY(cllm__stream_peek(r->stream, SAMPLE_BYTES, &text, &length, err));
    size_t best = 0, best_fields = 0;
    double best_score = 0;
    for (size_t c = 0; c < CLLM_LEN(candidates); c++) {
        size_t at = 0, records = 0, agreeing = 0, fields = 0;
        while (at < length && records < SAMPLE_RECORDS) {
            if (text[at] == '\n' || (text[at] == '\r' && at + 1 < length && text[at + 1] == '\n')) { /* an empty line */
                at += text[at] == '\r' ? 2 : 1;
                continue;
            }
            size_t count = count_fields(candidates[c], text, length, &at);
            if (at == length && length >= SAMPLE_BYTES && records > 0) break; /* probably cut off by the sample's end */
            if (records == 0) fields = count;
            agreeing += count == fields;
            records++;
        }
        if (fields < 2) continue;
        double score = (double)agreeing / (double)records;
        /* Tabs and :: hardly stand in texts, so they win a tie; of the others the one that makes more fields, and a
         * semicolon before the comma, which may be a decimal one. */
        if (score > best_score || (score == best_score && best > 1 && fields > best_fields)) {
            best = c;
            best_score = score;
            best_fields = fields;
        }
    }
    /* Blanks stand in texts, so they count only where nothing else separates anything. */
    strcpy(r->separator, best_fields < 2 && blanks_fit(text, length) ? " " : candidates[best]);
    return CLLM_OK;
}

static void name_separator(cllm__delimited *r) {
    static const char *const known[][2] = {
        {"\t", "a tab"}, {",", "a comma"}, {";", "a semicolon"}, {"|", "a vertical bar"}, {" ", "a blank"}};
    snprintf(r->separator_name, sizeof r->separator_name, "'%s'", r->separator);
    for (size_t i = 0; i < CLLM_LEN(known); i++) {
        if (strcmp(r->separator, known[i][0]) == 0) strcpy(r->separator_name, known[i][1]);
    }
}

/* ---- Records ---- */

/* Joins lines until no quoted field is open. */
static cllm_status join_lines(cllm__delimited *r, char **text, size_t *length, cllm_error *err) {
    size_t at = 0;
    if (!is_open(r, *text, *length, &at, false)) return CLLM_OK;
    size_t used = *length;
    CLLM_TRY(CLLM_GROW(r->joined, r->joined_capacity, used + 1, err));
    memcpy(r->joined, *text, used);
    do {
        char *line;
        size_t size;
        cllm_status status = cllm__stream_line(r->stream, &line, &size, err);
        if (status != CLLM_OK) {
            if (!cllm__stream_failed(r->stream)) {
                cllm__error_prefix(err, "%s:%llu: in the quoted field that begins here", cllm__stream_name(r->stream),
                                   (unsigned long long)r->line);
            }
            return status;
        }
        if (line == NULL) {
            return cllm__fail(err, CLLM_ERR_DATA,
                              "%s:%llu: a quoted field of this record is never closed: add the missing %c, or read "
                              "the file with --quote none",
                              cllm__stream_name(r->stream), (unsigned long long)r->line, r->quote);
        }
        if (used + 1 + size > cllm__stream_line_limit(r->stream)) {
            return cllm__fail(err, CLLM_ERR_DATA, "%s:%llu: the record is longer than %zu bytes: is a closing %c missing?",
                              cllm__stream_name(r->stream), (unsigned long long)r->line, cllm__stream_line_limit(r->stream),
                              r->quote);
        }
        CLLM_TRY(CLLM_GROW(r->joined, r->joined_capacity, used + size + 2, err));
        r->joined[used++] = '\n';
        memcpy(r->joined + used, line, size);
        used += size;
    } while (is_open(r, r->joined, used, &at, true));
    *text = r->joined;
    *length = used;
    return CLLM_OK;
}

/* Reads a record into r->fields; r->count = 0 at the end. */
static cllm_status read_record(cllm__delimited *r, cllm_error *err) {
    char *text;
    size_t length;
    r->count = 0;
    do {
        cllm_status status = cllm__stream_line(r->stream, &text, &length, err);
        r->line = cllm__stream_line_number(r->stream);
        CLLM_TRY(status);
        if (text == NULL) return CLLM_OK;
    } while (length == 0);
    bool quoted = r->quote != '\0' && memchr(text, r->quote, length) != NULL;
    if (quoted) CLLM_TRY(join_lines(r, &text, &length, err));
    if (memchr(text, '\0', length) != NULL) {
        return cllm__fail(err, CLLM_ERR_DATA, "%s:%llu: the record holds a NUL byte: is this a text file?",
                          cllm__stream_name(r->stream), (unsigned long long)r->line);
    }
    CLLM_TRY(quoted ? split_quoted(r, text, length, err) : split_plain(r, text, length, err));
    if (r->ragged) return CLLM_OK;
    if (r->expected == 0) {
        r->expected = r->count;
        r->expected_line = r->line;
    } else if (r->count != r->expected) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "%s:%llu: %zu field%s where line %llu has %zu, with %s between them: look for a missing or "
                          "an additional separator",
                          cllm__stream_name(r->stream), (unsigned long long)r->line, r->count, r->count == 1 ? "" : "s",
                          (unsigned long long)r->expected_line, r->expected, r->separator_name);
    }
    return CLLM_OK;
}

/* ---- Header ---- */

/* Length of a column's name without its RecBole type. */
static size_t bare_length(const char *name, size_t length) {
    static const char *const types[] = {":token", ":token_seq", ":float", ":float_seq"};
    for (size_t i = 0; i < CLLM_LEN(types); i++) {
        size_t size = strlen(types[i]);
        if (length > size && memcmp(name + length - size, types[i], size) == 0) return length - size;
    }
    return length;
}

static bool same_name(const cllm__field *field, const char *name) {
    size_t length = bare_length(field->text, field->length), wanted = bare_length(name, strlen(name));
    return length == wanted && strncasecmp(field->text, name, length) == 0;
}

static bool names_columns(const cllm__delimited *r, const cllm__delimited_options *options) {
    for (size_t i = 0; i < r->count; i++) {
        for (size_t k = 0; k < options->n_names; k++) {
            if (same_name(&r->fields[i], options->names[k])) return true;
        }
    }
    return false;
}

static cllm_status keep_header(cllm__delimited *r, bool hash, cllm_error *err) {
    if (hash) {
        cllm__field *first = &r->fields[0];
        size_t drop = 1;
        while (drop < first->length && (first->text[drop] == ' ' || first->text[drop] == '\t')) drop++;
        *first = (cllm__field){first->text + drop, first->length - drop};
    }
    size_t bytes = 0;
    for (size_t i = 0; i < r->count; i++) bytes += r->fields[i].length + 1;
    CLLM_TRY(CLLM_NEW(r->header, r->count, err));
    CLLM_TRY(CLLM_NEW(r->header_text, bytes, err));
    char *to = r->header_text;
    for (size_t i = 0; i < r->count; i++) {
        memcpy(to, r->fields[i].text, r->fields[i].length + 1);
        r->header[i] = (cllm__field){to, r->fields[i].length};
        to += r->fields[i].length + 1;
    }
    r->header_count = r->count;
    return CLLM_OK;
}

static cllm_status begin(cllm__delimited *r, const cllm__delimited_options *options, cllm_error *err) {
    if (options->separator == NULL) CLLM_TRY(choose_separator(r, err));
    else strcpy(r->separator, options->separator);
    r->separator_length = strlen(r->separator);
    r->quote = options->quote == CLLM_QUOTE_BY_FORMAT ? default_quote(r->separator) : (char)options->quote;
    if (r->quote == r->separator[0]) {
        return cllm__fail(err, CLLM_ERR_USAGE, "the separator '%s' begins with the quote %c: give another one",
                          r->separator, r->quote);
    }
    r->ragged = options->ragged;
    name_separator(r);
    if (options->header == CLLM_HEADER_NO) return CLLM_OK;
    CLLM_TRY(read_record(r, err));
    if (r->count == 0) return CLLM_OK;
    bool hash = r->fields[0].text[0] == '#';
    if (options->header == CLLM_HEADER_YES || hash || names_columns(r, options)) return keep_header(r, hash, err);
    r->pending = true;
    return CLLM_OK;
}

cllm_status cllm__delimited_open(cllm__delimited **out, cllm__stream *stream, const cllm__delimited_options *options,
                                 cllm_error *err) {
    const char *separator = options->separator;
    if (separator != NULL &&
        (separator[0] == '\0' || strlen(separator) > SEPARATOR_MAX || strpbrk(separator, "\r\n") != NULL)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "a separator has 1 to %d bytes and no line end", (int)SEPARATOR_MAX);
    }
    if (options->quote > 126 || (options->quote > 0 && options->quote < 33)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "the quote must be a printable ASCII character");
    }
    cllm__delimited *r;
    CLLM_TRY(CLLM_NEW(r, 1, err));
    r->stream = stream;
    cllm_status status = begin(r, options, err);
    if (status != CLLM_OK) {
        cllm__delimited_free(r);
        return status;
    }
    *out = r;
    return CLLM_OK;
}

void cllm__delimited_free(cllm__delimited *r) {
    if (r == NULL) return;
    cllm__free(r->fields);
    cllm__free(r->joined);
    cllm__free(r->header);
    cllm__free(r->header_text);
    cllm__free(r);
}

const char *cllm__delimited_separator(const cllm__delimited *r) {
    return r->separator;
}

const char *cllm__delimited_separator_name(const cllm__delimited *r) {
    return r->separator_name;
}

const cllm__field *cllm__delimited_header(const cllm__delimited *r, size_t *count) {
    *count = r->header_count;
    return r->header;
}

size_t cllm__delimited_column(const cllm__delimited *r, const char *name) {
    size_t found = SIZE_MAX, similar = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        if (strcmp(r->header[i].text, name) == 0) return i;
        if (same_name(&r->header[i], name)) {
            found = i;
            similar++;
        }
    }
    return similar == 1 ? found : SIZE_MAX;
}

cllm_status cllm__delimited_next(cllm__delimited *r, cllm__field **fields, size_t *count, cllm_error *err) {
    if (r->pending) {
        r->pending = false;
    } else {
        CLLM_TRY(read_record(r, err));
    }
    *fields = r->count == 0 ? NULL : r->fields;
    *count = r->count;
    return CLLM_OK;
}

uint64_t cllm__delimited_line_number(const cllm__delimited *r) {
    return r->line;
}
