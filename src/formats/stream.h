/*
 * Bytes and lines from a file or standard input, plain or compressed (gzip, zstd, xz: recognised by content; several
 * members in a row are one text). Memory is bounded by the longest line. A stream belongs to one thread.
 *
 * Two kinds of failure. A bad line (too long, not in the stream's encoding) is skipped: the call fails with CLLM_ERR_DATA
 * and the next one goes on with the line after it, so that callers can tolerate and count; cllm__stream_failed() is false.
 * A broken stream (I/O error, corrupt or truncated compression) makes every later call fail with the same error;
 * cllm__stream_failed() is true.
 */
#ifndef CLLM_FORMATS_STREAM_H
#define CLLM_FORMATS_STREAM_H

#include <stdint.h>

#include "base/status.h"

typedef enum cllm__stream_kind { CLLM_STREAM_PLAIN, CLLM_STREAM_GZIP, CLLM_STREAM_ZSTD, CLLM_STREAM_XZ } cllm__stream_kind;

typedef enum cllm__encoding {
    CLLM_ENCODING_UTF8,   /* lines are checked; a byte order mark is dropped; UTF-16 is refused */
    CLLM_ENCODING_LATIN1, /* everything comes out as UTF-8; a text with the byte order mark of UTF-8 is refused */
    CLLM_ENCODING_BYTES   /* as it is, not checked */
} cllm__encoding;

typedef struct cllm__stream cllm__stream;

enum { CLLM_STREAM_LINE_LIMIT = 64 << 20 };

/* `path` may be "-" for standard input. Reads enough to recognise the compression. */
CLLM_CHECK cllm_status cllm__stream_open(cllm__stream **out, const char *path, cllm__encoding encoding, cllm_error *err);
void cllm__stream_close(cllm__stream *stream); /* accepts NULL */

/* The path, or "standard input": what messages say. */
const char *cllm__stream_name(const cllm__stream *stream);
cllm__stream_kind cllm__stream_compression(const cllm__stream *stream);
/* "plain", "gzip", "zstd", "xz" */
const char *cllm__stream_kind_name(cllm__stream_kind kind);
/* Parses "utf-8", "utf8", "latin1", "latin-1", "iso-8859-1" (in any case); false for another. */
bool cllm__encoding_parse(const char *name, cllm__encoding *encoding);

/* Longest line in bytes, without its end; CLLM_STREAM_LINE_LIMIT unless set. */
void cllm__stream_set_line_limit(cllm__stream *stream, size_t limit);
size_t cllm__stream_line_limit(const cllm__stream *stream);

/* A view of the first bytes that are not consumed yet, decoded: at least `want` of them, fewer only when the text ends.
 * Valid until the next call on the stream. Not checked against the encoding. */
CLLM_CHECK cllm_status cllm__stream_peek(cllm__stream *stream, size_t want, const char **data, size_t *size,
                                         cllm_error *err);

/* Copies up to `size` bytes (decoded, not checked); *got < size only when the text ends. */
CLLM_CHECK cllm_status cllm__stream_read(cllm__stream *stream, void *data, size_t size, size_t *got, cllm_error *err);

/* The next line without its "\n" or "\r\n", followed by a NUL; *line = NULL after the last. The bytes may be written to
 * and are valid until the next call on the stream. A line may contain NUL bytes. */
CLLM_CHECK cllm_status cllm__stream_line(cllm__stream *stream, char **line, size_t *length, cllm_error *err);
/* Number of the line that _line returned, or failed on, last; the first is 1. */
uint64_t cllm__stream_line_number(const cllm__stream *stream);

/* True once the stream cannot go on (see above). */
bool cllm__stream_failed(const cllm__stream *stream);

/* For progress: bytes taken from the file so far (compressed), and its size, 0 where it isn't known (a pipe). */
uint64_t cllm__stream_position(const cllm__stream *stream);
uint64_t cllm__stream_size(const cllm__stream *stream);

#endif
