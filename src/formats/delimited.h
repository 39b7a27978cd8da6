/*
 * Records of separated fields (CSV, TSV, PSV, "::") on a stream.
 *
 * Quoting: with a comma or semicolon as separator, RFC 4180 with '"' (fields may hold separators, doubled quotes and line
 * ends; a CRLF inside becomes LF; a quote inside an unquoted field is an ordinary character); with another separator none
 * unless asked for. Empty lines are skipped. All records have the same number of fields unless `ragged` is set.
 *
 * A bad record (wrong number of fields, bad quoting, a NUL byte, bad encoding, too long) fails with CLLM_ERR_DATA and a
 * message with file and line; the next call goes on with the line behind the one that was at fault. cllm__stream_failed()
 * of the stream tells whether there can be a next call.
 */
#ifndef CLLM_FORMATS_DELIMITED_H
#define CLLM_FORMATS_DELIMITED_H

#include "formats/stream.h"

typedef struct cllm__field {
    char *text; /* followed by a NUL; contains none */
    size_t length;
} cllm__field;

typedef enum cllm__header_mode { CLLM_HEADER_AUTO, CLLM_HEADER_YES, CLLM_HEADER_NO } cllm__header_mode;

enum { CLLM_QUOTE_BY_FORMAT = -1, CLLM_QUOTE_NONE = 0 }; /* or the character */

typedef struct cllm__delimited_options {
    const char *separator; /* "\t", ",", ";", "|", "::", " ", …; NULL: chosen by content among tab :: ; , | */
    int quote;             /* CLLM_QUOTE_BY_FORMAT, CLLM_QUOTE_NONE or an ASCII character */
    cllm__header_mode header;
    /* With CLLM_HEADER_AUTO the first record is a header if it begins with '#' or if one of its fields is one of these
     * names (without regard to case; a RecBole type as in "user_id:token" does not count). */
    const char *const *names;
    size_t n_names;
    bool ragged; /* records may differ in their number of fields */
} cllm__delimited_options;

/* Everything by content or by default. */
cllm__delimited_options cllm__delimited_defaults(void);

typedef struct cllm__delimited cllm__delimited;

/* Borrows the stream, which must outlive the reader, and reads the header if there is one. The options are copied. */
CLLM_CHECK cllm_status cllm__delimited_open(cllm__delimited **out, cllm__stream *stream,
                                            const cllm__delimited_options *options, cllm_error *err);
void cllm__delimited_free(cllm__delimited *reader); /* accepts NULL */

const char *cllm__delimited_separator(const cllm__delimited *reader);
/* For people: "a tab", "a comma", "'::'". */
const char *cllm__delimited_separator_name(const cllm__delimited *reader);

/* The header's fields (a leading '#' and the blanks behind it dropped), valid for the reader's life; NULL without one. */
const cllm__field *cllm__delimited_header(const cllm__delimited *reader, size_t *count);
/* The column called exactly `name`, or failing that the only one that is so without regard to case and RecBole type;
 * SIZE_MAX if there is none. */
size_t cllm__delimited_column(const cllm__delimited *reader, const char *name);

/* The next record; *fields = NULL after the last. Fields are valid until the next call. */
CLLM_CHECK cllm_status cllm__delimited_next(cllm__delimited *reader, cllm__field **fields, size_t *count, cllm_error *err);
/* Line on which the record that _next returned, or failed on, begins. */
uint64_t cllm__delimited_line_number(const cllm__delimited *reader);

/* One character, or "none"; false for another. */
bool cllm__quote_parse(const char *text, int *quote);
/* "auto", "yes", "no"; false for another. */
bool cllm__header_mode_parse(const char *name, cllm__header_mode *mode);

#endif
