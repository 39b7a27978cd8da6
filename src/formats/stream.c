#include "formats/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "formats/decompress.h"
#include "formats/utf8.h"

enum { CHUNK = 1 << 16, MAGIC = 6, SKIP_LIMIT = 1 << 30 };

struct cllm__stream {
    char *path;
    const char *name;
    int fd;
    cllm__stream_kind kind;
    cllm__encoding encoding;
    cllm__decompressor *decompressor;
    cllm_error failure; /* the first that ended the stream; status OK while there is none */

    /* What came from the file and is not decoded yet. */
    unsigned char *in;
    size_t in_pos, in_end;
    bool in_ended;
    uint64_t position, size;

    /* One chunk on its way to UTF-8; only for Latin-1. */
    char *raw;

    /* The decoded text that is not consumed yet: text[pos … end). */
    char *text;
    size_t capacity, pos, end;
    bool ended;

    uint64_t line;
    size_t limit;
};

/* ---- Bytes from the file ---- */

/* The failure that ended the stream, which every later call returns too. */
static cllm_status broken(const cllm__stream *s, cllm_error *err) {
    if (err != NULL) *err = s->failure;
    return s->failure.status;
}

static cllm_status read_some(cllm__stream *s, void *to, size_t size, size_t *got) {
    for (;;) {
        int refused = cllm__io_ask(CLLM_IO_READ, s->path);
        ssize_t n = refused != 0 ? (errno = refused, -1) : read(s->fd, to, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cllm__fail_errno(&s->failure, "cannot read '%s'", s->name);
        s->position += (uint64_t)n;
        *got = (size_t)n;
        return CLLM_OK;
    }
}

static cllm_status refill(cllm__stream *s) {
    size_t got;
    CLLM_TRY(read_some(s, s->in, CHUNK, &got));
    s->in_pos = 0;
    s->in_end = got;
    s->in_ended = got == 0;
    return CLLM_OK;
}

/* Up to `size` decoded bytes, 0 only at the end. */
static cllm_status decode(cllm__stream *s, char *to, size_t size, size_t *got) {
    if (s->kind == CLLM_STREAM_PLAIN) {
        size_t waiting = s->in_end - s->in_pos;
        if (waiting == 0) return s->in_ended ? (*got = 0, CLLM_OK) : read_some(s, to, size, got);
        *got = waiting < size ? waiting : size;
        memcpy(to, s->in + s->in_pos, *got);
        s->in_pos += *got;
        return CLLM_OK;
    }
    cllm__decompress_step step;
    do {
        if (s->in_pos == s->in_end && !s->in_ended) CLLM_TRY(refill(s));
        step = (cllm__decompress_step){.in = s->in + s->in_pos,
                                       .in_size = s->in_end - s->in_pos,
                                       .in_last = s->in_ended,
                                       .out = (unsigned char *)to,
                                       .out_size = size};
        CLLM_TRY(cllm__decompressor_step(s->decompressor, &step, &s->failure));
        s->in_pos += step.used;
    } while (step.made == 0 && !step.ended);
    *got = step.made;
    return CLLM_OK;
}

/* Appends decoded bytes to the text, or sets `ended`. There is always room for a NUL behind the text. */
static cllm_status fill(cllm__stream *s) {
    if (s->capacity - s->end < CHUNK + 1 && s->pos > 0) {
        memmove(s->text, s->text + s->pos, s->end - s->pos);
        s->end -= s->pos;
        s->pos = 0;
    }
    CLLM_TRY(CLLM_GROW(s->text, s->capacity, s->end + CHUNK + 1, &s->failure));
    size_t got;
    if (s->encoding == CLLM_ENCODING_LATIN1) {
        CLLM_TRY(decode(s, s->raw, CHUNK / 2, &got));
        s->ended = got == 0;
        got = cllm__latin1_to_utf8(s->text + s->end, s->raw, got);
    } else {
        CLLM_TRY(decode(s, s->text + s->end, CHUNK, &got));
        s->ended = got == 0;
    }
    s->end += got;
    return CLLM_OK;
}

static cllm_status want(cllm__stream *s, size_t size) {
    while (s->end - s->pos < size && !s->ended) CLLM_TRY(fill(s));
    return CLLM_OK;
}

/* ---- Opening ---- */

static cllm_status open_file(cllm__stream *s, const char *path) {
    s->path = cllm__strdup(path);
    if (s->path == NULL) return cllm__fail_nomem(&s->failure);
    bool standard = strcmp(path, "-") == 0;
    s->name = standard ? "standard input" : s->path;
    int refused = cllm__io_ask(CLLM_IO_OPEN_READ, s->path);
    if (refused != 0) errno = refused;
    else s->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (s->fd < 0) return cllm__fail_errno(&s->failure, "cannot open '%s'", s->name);
    if (fstat(s->fd, &info) != 0) return cllm__fail_errno(&s->failure, "cannot look at '%s'", s->name);
    if (S_ISDIR(info.st_mode)) return cllm__fail(&s->failure, CLLM_ERR_DATA, "'%s' is a folder, not a file", s->name);
    if (S_ISREG(info.st_mode)) s->size = (uint64_t)info.st_size;
    return CLLM_OK;
}

/* Looks at the first bytes, which stay in the input. */
static cllm_status recognise(cllm__stream *s) {
    while (s->in_end < MAGIC && !s->in_ended) { /* a pipe may give a byte at a time */
        size_t got;
        CLLM_TRY(read_some(s, s->in + s->in_end, CHUNK - s->in_end, &got));
        s->in_end += got;
        s->in_ended = got == 0;
    }
    s->kind = cllm__decompress_recognise(s->in, s->in_end);
    if (s->kind == CLLM_STREAM_PLAIN) {
        if (s->in_end >= 4 && memcmp(s->in, "BZh", 3) == 0 && s->in[3] >= '1' && s->in[3] <= '9') {
            return cllm__fail(&s->failure, CLLM_ERR_UNSUPPORTED,
                              "'%s' is compressed with bzip2, which is not read: decompress it first (bunzip2)", s->name);
        }
        return CLLM_OK;
    }
    return cllm__decompressor_create(&s->decompressor, s->kind, s->name, &s->failure);
}

static cllm_status byte_order_mark(cllm__stream *s) {
    if (s->encoding == CLLM_ENCODING_BYTES) return CLLM_OK;
    CLLM_TRY(want(s, 6));
    const char *text = s->text + s->pos;
    size_t size = s->end - s->pos;
    if (s->encoding == CLLM_ENCODING_LATIN1) {
        if (size < 6 || memcmp(text, "\xC3\xAF\xC2\xBB\xC2\xBF", 6) != 0) return CLLM_OK;
        return cllm__fail(
            &s->failure, CLLM_ERR_DATA,
            "'%s' begins with the byte order mark of UTF-8, so it is not Latin-1: leave out --encoding latin1", s->name);
    }
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) s->pos += 3;
    if (size >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0)) {
        return cllm__fail(&s->failure, CLLM_ERR_UNSUPPORTED, "'%s' is UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)",
                          s->name);
    }
    return CLLM_OK;
}

static cllm_status begin(cllm__stream *s, const char *path) {
    CLLM_TRY(open_file(s, path));
    s->in = cllm__alloc(CHUNK, 1);
    s->raw = s->encoding == CLLM_ENCODING_LATIN1 ? cllm__alloc(CHUNK / 2, 1) : NULL;
    if (s->in == NULL || (s->raw == NULL && s->encoding == CLLM_ENCODING_LATIN1)) return cllm__fail_nomem(&s->failure);
    CLLM_TRY(recognise(s));
    return byte_order_mark(s);
}

cllm_status cllm__stream_open(cllm__stream **out, const char *path, cllm__encoding encoding, cllm_error *err) {
    cllm__stream *s;
    CLLM_TRY(CLLM_NEW(s, 1, err));
    s->fd = -1;
    s->encoding = encoding;
    s->limit = CLLM_STREAM_LINE_LIMIT;
    cllm_status status = begin(s, path);
    if (status != CLLM_OK) {
        status = broken(s, err);
        cllm__stream_close(s);
        return status;
    }
    *out = s;
    return CLLM_OK;
}

void cllm__stream_close(cllm__stream *s) {
    if (s == NULL) return;
    if (s->fd >= 0 && s->fd != STDIN_FILENO) close(s->fd);
    cllm__decompressor_free(s->decompressor);
    cllm__free(s->path);
    cllm__free(s->in);
    cllm__free(s->raw);
    cllm__free(s->text);
    cllm__free(s);
}

/* ---- Questions ---- */

const char *cllm__stream_name(const cllm__stream *s) {
    return s->name;
}

cllm__stream_kind cllm__stream_compression(const cllm__stream *s) {
    return s->kind;
}

const char *cllm__stream_kind_name(cllm__stream_kind kind) {
    static const char *const names[] = {"plain", "gzip", "zstd", "xz"};
    return names[kind];
}

bool cllm__encoding_parse(const char *name, cllm__encoding *encoding) {
    static const struct {
        const char *name;
        cllm__encoding encoding;
    } known[] = {
        {"utf-8", CLLM_ENCODING_UTF8},     {"utf8", CLLM_ENCODING_UTF8},         {"latin1", CLLM_ENCODING_LATIN1},
        {"latin-1", CLLM_ENCODING_LATIN1}, {"iso-8859-1", CLLM_ENCODING_LATIN1},
    };
    for (size_t i = 0; i < CLLM_LEN(known); i++) {
        if (strcasecmp(name, known[i].name) == 0) {
            *encoding = known[i].encoding;
            return true;
        }
    }
    return false;
}

void cllm__stream_set_line_limit(cllm__stream *s, size_t limit) {
    s->limit = limit;
}

size_t cllm__stream_line_limit(const cllm__stream *s) {
    return s->limit;
}

uint64_t cllm__stream_line_number(const cllm__stream *s) {
    return s->line;
}

bool cllm__stream_failed(const cllm__stream *s) {
    return s->failure.status != CLLM_OK;
}

uint64_t cllm__stream_position(const cllm__stream *s) {
    return s->position;
}

uint64_t cllm__stream_size(const cllm__stream *s) {
    return s->size;
}

/* ---- Reading ---- */

cllm_status cllm__stream_peek(cllm__stream *s, size_t size, const char **data, size_t *got, cllm_error *err) {
    if (cllm__stream_failed(s) || want(s, size) != CLLM_OK) return broken(s, err);
    *data = s->text + s->pos;
    *got = s->end - s->pos;
    return CLLM_OK;
}

cllm_status cllm__stream_read(cllm__stream *s, void *data, size_t size, size_t *got, cllm_error *err) {
    size_t done = 0;
    while (done < size) {
        if (cllm__stream_failed(s) || want(s, 1) != CLLM_OK) return broken(s, err);
        size_t n = s->end - s->pos;
        if (n == 0) break;
        if (n > size - done) n = size - done;
        memcpy((char *)data + done, s->text + s->pos, n);
        s->pos += n;
        done += n;
    }
    *got = done;
    return CLLM_OK;
}

static cllm_status too_long(const cllm__stream *s, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_DATA,
                      "%s:%llu: the line is longer than %zu bytes: is this a text file, one record a line?", s->name,
                      (unsigned long long)s->line, s->limit);
}

/* Consumes the rest of a line that is too long; of one that does not seem to end (a device, say) the file ends with it. */
static cllm_status skip_line(cllm__stream *s, cllm_error *err) {
    for (uint64_t skipped = 0;;) {
        const char *end = memchr(s->text + s->pos, '\n', s->end - s->pos);
        skipped += s->end - s->pos;
        if (end == NULL && skipped > SKIP_LIMIT) {
            cllm_status status = too_long(s, &s->failure);
            (void)status;
            return broken(s, err);
        }
        s->pos = end != NULL ? (size_t)(end - s->text) + 1 : s->end;
        if (end != NULL || s->ended) break;
        if (fill(s) != CLLM_OK) return broken(s, err);
    }
    return too_long(s, err);
}

cllm_status cllm__stream_line(cllm__stream *s, char **line, size_t *length, cllm_error *err) {
    if (cllm__stream_failed(s)) return broken(s, err);
    size_t seen = 0;
    const char *newline;
    for (;;) {
        newline = s->end == s->pos ? NULL : memchr(s->text + s->pos + seen, '\n', s->end - s->pos - seen);
        if (newline != NULL || s->ended) break;
        seen = s->end - s->pos;
        if (seen > s->limit + 1) { /* + 1: it may be the '\r' */
            s->line++;
            return skip_line(s, err);
        }
        if (fill(s) != CLLM_OK) {
            s->line++;
            return broken(s, err);
        }
    }
    if (newline == NULL && s->pos == s->end) {
        *line = NULL;
        *length = 0;
        return CLLM_OK;
    }
    s->line++;
    char *text = s->text + s->pos;
    size_t size = newline != NULL ? (size_t)(newline - text) : s->end - s->pos;
    s->pos += size + (newline != NULL);
    if (size > 0 && text[size - 1] == '\r') size--;
    text[size] = '\0';
    if (size > s->limit) return too_long(s, err);
    if (s->encoding == CLLM_ENCODING_UTF8) {
        size_t bad = cllm__utf8_check(text, size);
        if (bad < size) {
            return cllm__fail(err, CLLM_ERR_DATA,
                              "%s:%llu: byte %zu of the line, 0x%02x, is not UTF-8: give --encoding latin1 if the "
                              "file is Latin-1, or convert it with iconv",
                              s->name, (unsigned long long)s->line, bad + 1, (unsigned char)text[bad]);
        }
    }
    *line = text;
    *length = size;
    return CLLM_OK;
}
