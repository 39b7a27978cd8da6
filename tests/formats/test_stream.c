#include "formats/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <pthread.h>
#include <zlib.h>
#include <zstd.h>

#include "base/rng.h"
#include "format_test.h"
#include "formats/utf8.h"

static cllm_error err;

/* ---- Compressing, for the tests ---- */

static size_t squeeze(cllm__stream_kind kind, char *out, size_t room, const char *data, size_t size) {
    if (kind == CLLM_STREAM_GZIP) {
        z_stream z = {0};
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        z.next_in = (Bytef *)data, z.avail_in = (uInt)size, z.next_out = (Bytef *)out, z.avail_out = (uInt)room;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        size_t made = room - z.avail_out;
        deflateEnd(&z);
        return made;
    }
    if (kind == CLLM_STREAM_ZSTD) {
        size_t made = ZSTD_compress(out, room, data, size, 1);
        assert_false(ZSTD_isError(made));
        return made;
    }
    if (kind == CLLM_STREAM_XZ) {
        size_t made = 0;
        assert_int_equal(
            lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, (const uint8_t *)data, size, (uint8_t *)out, &made, room),
            LZMA_OK);
        return made;
    }
    memcpy(out, data, size);
    return size;
}

static cllm__stream *open_text(const char *text, size_t size, cllm__encoding encoding) {
    cllm__stream *s;
    assert_ok(cllm__stream_open(&s, put_file("text", text, size), encoding, &err));
    return s;
}

/* The next line is `expected`, NULL for the end. */
static void next_is(cllm__stream *s, const char *expected, uint64_t number) {
    char *line;
    size_t length;
    assert_ok(cllm__stream_line(s, &line, &length, &err));
    if (expected == NULL) {
        assert_null(line);
    } else {
        assert_non_null(line);
        assert_int_equal(length, strlen(expected));
        assert_string_equal(line, expected);
    }
    assert_int_equal(cllm__stream_line_number(s), number);
}

/* ---- Lines ---- */

static void test_lines(void **state) {
    (void)state;
    static const char text[] = "one\r\n\ntwo\nthree\r\r\nfour";
    cllm__stream *s = open_text(text, sizeof text - 1, CLLM_ENCODING_UTF8);
    assert_int_equal(cllm__stream_compression(s), CLLM_STREAM_PLAIN);
    assert_int_equal(cllm__stream_size(s), sizeof text - 1);
    next_is(s, "one", 1);
    next_is(s, "", 2);
    next_is(s, "two", 3);
    next_is(s, "three\r", 4);
    next_is(s, "four", 5);
    next_is(s, NULL, 5);
    next_is(s, NULL, 5);
    assert_int_equal(cllm__stream_position(s), sizeof text - 1);
    cllm__stream_close(s);

    s = open_text("", 0, CLLM_ENCODING_UTF8);
    next_is(s, NULL, 0);
    cllm__stream_close(s);
    s = open_text("\n", 1, CLLM_ENCODING_UTF8);
    next_is(s, "", 1);
    next_is(s, NULL, 1);
    cllm__stream_close(s);
    cllm__stream_close(NULL);
}

static void test_nul_in_line(void **state) {
    (void)state;
    cllm__stream *s = open_text("a\0b\nc", 5, CLLM_ENCODING_UTF8);
    char *line;
    size_t length;
    assert_ok(cllm__stream_line(s, &line, &length, &err));
    assert_int_equal(length, 3);
    assert_memory_equal(line, "a\0b", 4);
    next_is(s, "c", 2);
    cllm__stream_close(s);
}

static void test_encodings(void **state) {
    (void)state;
    cllm__stream *s = open_text("\xEF\xBB\xBFx\n\xEF\xBB\xBF", 8, CLLM_ENCODING_UTF8);
    next_is(s, "x", 1);
    next_is(s, "\xEF\xBB\xBF", 2); /* only at the beginning */
    cllm__stream_close(s);

    s = open_text("ok\ncaf\xE9!\nok", 11, CLLM_ENCODING_UTF8);
    char *line = NULL;
    size_t length;
    next_is(s, "ok", 1);
    assert_fails(cllm__stream_line(s, &line, &length, &err), CLLM_ERR_DATA, ":2: byte 4 of the line, 0xe9, is not UTF-8");
    assert_non_null(strstr(err.message, "--encoding latin1"));
    assert_non_null(strstr(err.message, scratch));
    assert_null(line);
    assert_false(cllm__stream_failed(s));
    next_is(s, "ok", 3);
    cllm__stream_close(s);

    s = open_text("caf\xE9\r\n\xA0\xFF", 8, CLLM_ENCODING_LATIN1);
    next_is(s, "café", 1);
    next_is(s, "\xC2\xA0\xC3\xBF", 2);
    next_is(s, NULL, 2);
    cllm__stream_close(s);

    s = open_text("\xFF\xFE\n\xEF\xBB\xBF", 6, CLLM_ENCODING_BYTES);
    next_is(s, "\xFF\xFE", 1);
    next_is(s, "\xEF\xBB\xBF", 2);
    cllm__stream_close(s);

    assert_fails(cllm__stream_open(&s, put_text("text", "\xEF\xBB\xBFx"), CLLM_ENCODING_LATIN1, &err), CLLM_ERR_DATA,
                 "it is not Latin-1");
    assert_fails(cllm__stream_open(&s, put_file("text", "\xFF\xFEx\0", 4), CLLM_ENCODING_UTF8, &err), CLLM_ERR_UNSUPPORTED,
                 "UTF-16");
    assert_fails(cllm__stream_open(&s, put_file("text", "\xFE\xFF\0x", 4), CLLM_ENCODING_UTF8, &err), CLLM_ERR_UNSUPPORTED,
                 "iconv");

    cllm__encoding encoding;
    assert_true(cllm__encoding_parse("Latin1", &encoding) && encoding == CLLM_ENCODING_LATIN1);
    assert_true(cllm__encoding_parse("ISO-8859-1", &encoding) && encoding == CLLM_ENCODING_LATIN1);
    assert_true(cllm__encoding_parse("utf-8", &encoding) && encoding == CLLM_ENCODING_UTF8);
    assert_false(cllm__encoding_parse("utf-16", &encoding));
}

static void test_line_limit(void **state) {
    (void)state;
    /* 5 bytes fit, also with CRLF; 6 do not, wherever the line ends. */
    cllm__stream *s = open_text("12345\n12345\r\n123456\n1\n123456", 28, CLLM_ENCODING_UTF8);
    char *line;
    size_t length;
    assert_int_equal(cllm__stream_line_limit(s), CLLM_STREAM_LINE_LIMIT);
    cllm__stream_set_line_limit(s, 5);
    next_is(s, "12345", 1);
    next_is(s, "12345", 2);
    assert_fails(cllm__stream_line(s, &line, &length, &err), CLLM_ERR_DATA, ":3: the line is longer than 5 bytes");
    next_is(s, "1", 4);
    assert_fails(cllm__stream_line(s, &line, &length, &err), CLLM_ERR_DATA, ":5: ");
    assert_false(cllm__stream_failed(s));
    next_is(s, NULL, 5);
    cllm__stream_close(s);

    /* Longer than any buffer: memory stays bounded by the limit. */
    size_t size = 3 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    text[size - 3] = '\n';
    s = open_text(text, size, CLLM_ENCODING_UTF8);
    cllm__stream_set_line_limit(s, 1000);
    assert_fails(cllm__stream_line(s, &line, &length, &err), CLLM_ERR_DATA, ":1: the line is longer than 1000 bytes");
    next_is(s, "xx", 2);
    cllm__stream_close(s);
    s = open_text(text, size, CLLM_ENCODING_UTF8);
    assert_ok(cllm__stream_line(s, &line, &length, &err));
    assert_int_equal(length, size - 3);
    cllm__stream_close(s);
    free(text);
}

/* 3 MB of lines of all lengths, in every compression and encoding, against a plain split. */
static void test_many_lines(void **state) {
    (void)state;
    enum { SIZE = 3 << 20 };
    char *text = malloc(SIZE), *packed = malloc(2 * SIZE), *utf8 = malloc(2 * SIZE);
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    size_t next = 0;
    for (size_t i = 0; i < SIZE; i++) {
        bool end = i == next;
        if (end) next = i + 1 + (size_t)cllm__rng_below(&rng, cllm__rng_below(&rng, 100) == 0 ? 300000 : 200);
        text[i] = end ? '\n' : i % 7 == 0 ? (char)(0xA0 + i % 90) : (char)('a' + i % 26);
    }
    for (int kind = CLLM_STREAM_PLAIN; kind <= CLLM_STREAM_XZ; kind++) {
        size_t size = squeeze((cllm__stream_kind)kind, packed, 2 * SIZE, text, SIZE);
        for (int encoding = CLLM_ENCODING_LATIN1; encoding <= CLLM_ENCODING_BYTES; encoding++) {
            cllm__stream *s = open_text(packed, size, (cllm__encoding)encoding);
            assert_int_equal(cllm__stream_compression(s), kind);
            size_t at = 0;
            uint64_t lines = 0;
            for (;;) {
                char *line;
                size_t length;
                assert_ok(cllm__stream_line(s, &line, &length, &err));
                if (line == NULL) break;
                const char *end = memchr(text + at, '\n', SIZE - at), *expected = text + at;
                size_t n = (size_t)((end != NULL ? end : text + SIZE) - expected);
                at += n + 1;
                if (encoding == CLLM_ENCODING_LATIN1) {
                    n = cllm__latin1_to_utf8(utf8, expected, n);
                    expected = utf8;
                }
                assert_int_equal(length, n);
                assert_memory_equal(line, expected, n);
                assert_int_equal(line[n], 0);
                assert_int_equal(cllm__stream_line_number(s), ++lines);
            }
            assert_true(at >= SIZE && lines > 1000);
            cllm__stream_close(s);
        }
    }
    free(text);
    free(packed);
    free(utf8);
}

/* ---- Bytes ---- */

static void test_peek_and_read(void **state) {
    (void)state;
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE), *copy = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)('a' + i * 31 % 26);
    text[9] = '\n';
    cllm__stream *s = open_text(text, SIZE, CLLM_ENCODING_UTF8);
    const char *data;
    size_t size;
    assert_ok(cllm__stream_peek(s, 5, &data, &size, &err));
    assert_true(size >= 5);
    assert_memory_equal(data, text, size);
    assert_ok(cllm__stream_peek(s, 900000, &data, &size, &err));
    assert_true(size >= 900000);
    assert_memory_equal(data, text, size);
    char *line;
    assert_ok(cllm__stream_line(s, &line, &size, &err));
    assert_int_equal(size, 9);
    assert_ok(cllm__stream_peek(s, 2 * SIZE, &data, &size, &err));
    assert_int_equal(size, SIZE - 10);
    assert_memory_equal(data, text + 10, size);
    assert_ok(cllm__stream_read(s, copy, 7, &size, &err));
    assert_int_equal(size, 7);
    assert_memory_equal(copy, text + 10, 7);
    assert_ok(cllm__stream_read(s, copy, SIZE, &size, &err));
    assert_int_equal(size, SIZE - 17);
    assert_memory_equal(copy, text + 17, size);
    assert_ok(cllm__stream_read(s, copy, SIZE, &size, &err));
    assert_int_equal(size, 0);
    cllm__stream_close(s);
    free(text);
    free(copy);
}

static void *write_slowly(void *user) {
    int fd = *(int *)user;
    static const char text[] = "one\ntwo\nthree";
    for (size_t i = 0; i < sizeof text - 1; i++) assert_int_equal(write(fd, text + i, 1), 1);
    close(fd);
    return NULL;
}

static void test_standard_input(void **state) {
    (void)state;
    int saved = dup(STDIN_FILENO), ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_slowly, &ends[1]), 0);
    cllm__stream *s;
    assert_ok(cllm__stream_open(&s, "-", CLLM_ENCODING_UTF8, &err));
    assert_string_equal(cllm__stream_name(s), "standard input");
    assert_int_equal(cllm__stream_size(s), 0);
    next_is(s, "one", 1);
    next_is(s, "two", 2);
    next_is(s, "three", 3);
    next_is(s, NULL, 3);
    cllm__stream_close(s);
    pthread_join(writer, NULL);
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* not ours to close */
    dup2(saved, STDIN_FILENO);
    close(saved);
}

/* ---- Compression ---- */

static void test_members(void **state) {
    (void)state;
    char packed[1024];
    for (int kind = CLLM_STREAM_GZIP; kind <= CLLM_STREAM_XZ; kind++) {
        size_t size = squeeze((cllm__stream_kind)kind, packed, sizeof packed, "one\ntw", 6);
        size += squeeze((cllm__stream_kind)kind, packed + size, sizeof packed - size, "", 0);
        size += squeeze((cllm__stream_kind)kind, packed + size, sizeof packed - size, "o\nthree", 7);
        if (kind != CLLM_STREAM_ZSTD) {
            memset(packed + size, 0, 8); /* padding is legal behind gzip and xz */
            size += 8;
        }
        cllm__stream *s = open_text(packed, size, CLLM_ENCODING_UTF8);
        assert_string_equal(cllm__stream_kind_name(cllm__stream_compression(s)), kind == CLLM_STREAM_GZIP   ? "gzip"
                                                                                 : kind == CLLM_STREAM_ZSTD ? "zstd"
                                                                                                            : "xz");
        next_is(s, "one", 1);
        next_is(s, "two", 2);
        next_is(s, "three", 3);
        next_is(s, NULL, 3);
        cllm__stream_close(s);
    }
    assert_string_equal(cllm__stream_kind_name(CLLM_STREAM_PLAIN), "plain");
}

/* Reads to the end; the status of the first failure. */
static cllm_status drain(const char *path, cllm__stream **stream) {
    cllm_status status = cllm__stream_open(stream, path, CLLM_ENCODING_BYTES, &err);
    if (status != CLLM_OK) {
        *stream = NULL;
        return status;
    }
    char *line;
    size_t length;
    do {
        status = cllm__stream_line(*stream, &line, &length, &err);
    } while (status == CLLM_OK && line != NULL);
    return status;
}

static void test_truncated(void **state) {
    (void)state;
    char packed[4096], text[2000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * i % 251 % 100 + 20);
    for (int kind = CLLM_STREAM_GZIP; kind <= CLLM_STREAM_XZ; kind++) {
        size_t size = squeeze((cllm__stream_kind)kind, packed, sizeof packed, text, sizeof text);
        for (size_t n = 6; n < size; n++) {
            cllm__stream *s;
            const char *path = put_file("cut", packed, n);
            assert_fails(drain(path, &s), CLLM_ERR_DATA, "is truncated");
            assert_non_null(strstr(err.message, "/cut'"));
            if (s != NULL) {
                char *line;
                size_t length;
                assert_true(cllm__stream_failed(s)); /* and stays so, with the same message */
                assert_fails(cllm__stream_line(s, &line, &length, &err), CLLM_ERR_DATA, "is truncated");
                assert_fails(cllm__stream_read(s, packed, 1, &length, &err), CLLM_ERR_DATA, "is truncated");
                const char *data;
                assert_fails(cllm__stream_peek(s, 1, &data, &length, &err), CLLM_ERR_DATA, "is truncated");
            }
            cllm__stream_close(s);
        }
    }
}

static void test_corrupt(void **state) {
    (void)state;
    char packed[4096], text[2000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * i % 251 % 100 + 20);
    for (int kind = CLLM_STREAM_GZIP; kind <= CLLM_STREAM_XZ; kind++) {
        size_t size = squeeze((cllm__stream_kind)kind, packed, sizeof packed, text, sizeof text);
        cllm__stream *s;
        packed[size / 2] ^= 0x55; /* gzip and xz have check sums; zstd's one-shot frame notices by itself or not */
        cllm_status status = drain(put_file("bad", packed, size), &s);
        if (kind != CLLM_STREAM_ZSTD) {
            assert_int_equal(status, CLLM_ERR_DATA);
            assert_non_null(strstr(err.message, "is damaged"));
        }
        cllm__stream_close(s);
        packed[size / 2] ^= 0x55;
        memcpy(packed + size, "garbage, garbage", 16);
        assert_fails(drain(put_file("bad", packed, size + 16), &s), CLLM_ERR_DATA, "is damaged");
        cllm__stream_close(s);
    }
    cllm__stream *s;
    assert_fails(cllm__stream_open(&s, put_text("x.bz2", "BZh91AY&SY"), CLLM_ENCODING_UTF8, &err), CLLM_ERR_UNSUPPORTED,
                 "bunzip2");
}

static void test_xz_memory(void **state) {
    (void)state;
    lzma_options_lzma options;
    assert_false(lzma_lzma_preset(&options, 0));
    options.dict_size = UINT32_C(1) << 30;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    uint8_t packed[256] = {0};
    size_t size = 0;
    assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, (const uint8_t *)"text\n", 5, packed, &size,
                                               sizeof packed),
                     LZMA_OK);
    cllm__stream *s;
    assert_fails(drain(put_file("huge.xz", packed, size), &s), CLLM_ERR_UNSUPPORTED, "MiB to be decompressed");
    cllm__stream_close(s);
}

/* ---- Failures ---- */

static void test_open_failures(void **state) {
    (void)state;
    cllm__stream *s = NULL;
    assert_fails(cllm__stream_open(&s, scratch_path("missing"), CLLM_ENCODING_UTF8, &err), CLLM_ERR_NOT_FOUND,
                 "missing': No such file");
    assert_fails(cllm__stream_open(&s, scratch, CLLM_ENCODING_UTF8, &err), CLLM_ERR_DATA, "is a folder");
    assert_null(s);
}

static void test_injected_failures(void **state) {
    (void)state;
    enum { SIZE = 2 << 20 };
    char *text = malloc(SIZE), *packed = malloc(2 * SIZE);
    for (size_t i = 0; i < SIZE; i++) text[i] = i % 50 == 0 ? '\n' : (char)('a' + i * i % 1009 % 26);
    for (int kind = CLLM_STREAM_PLAIN; kind <= CLLM_STREAM_XZ; kind++) {
        size_t size = squeeze((cllm__stream_kind)kind, packed, 2 * SIZE, text, SIZE);
        const char *path = put_file("io", packed, size);
        cllm__stream *s;
        injection fault = {CLLM_IO_OPEN_READ, 0, EACCES};
        cllm__io_set_hook(inject, &fault);
        assert_fails(drain(path, &s), CLLM_ERR_IO, "cannot open");
        cllm_status status;
        int n = 0;
        do { /* each read fails once; an interrupted one is repeated */
            fault = (injection){CLLM_IO_READ, n, EIO};
            status = drain(path, &s);
            if (status != CLLM_OK) {
                assert_int_equal(status, CLLM_ERR_IO);
                assert_non_null(strstr(err.message, "cannot read"));
                assert_non_null(strstr(err.message, "/io'"));
                assert_true(s == NULL || cllm__stream_failed(s));
            }
            cllm__stream_close(s);
            n++;
        } while (status != CLLM_OK && n < 1000);
        assert_true(n > 2 && n < 1000);
        cllm__io_set_hook(NULL, NULL);
    }
    free(text);
    free(packed);
}

static cllm__stream_kind sweep_kind;

static cllm_status read_all(cllm_error *e) {
    cllm__stream *s;
    CLLM_TRY(cllm__stream_open(&s, scratch_path("sweep"), CLLM_ENCODING_LATIN1, e));
    char *line;
    size_t length;
    cllm_status status;
    do {
        status = cllm__stream_line(s, &line, &length, e);
    } while (status == CLLM_OK && line != NULL);
    cllm__stream_close(s);
    return status;
}

static void test_allocation_failures(void **state) {
    (void)state;
    enum { SIZE = 2 << 20 };
    char *text = malloc(SIZE), *packed = malloc(2 * SIZE);
    memset(text, 'x', SIZE); /* one long line, so that the buffer grows */
    for (int kind = CLLM_STREAM_PLAIN; kind <= CLLM_STREAM_XZ; kind++) {
        sweep_kind = (cllm__stream_kind)kind;
        put_file("sweep", packed, squeeze(sweep_kind, packed, 2 * SIZE, text, SIZE));
        sweep_allocations(read_all);
    }
    free(text);
    free(packed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_nul_in_line),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_line_limit),
        cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_peek_and_read),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_xz_memory),
        cmocka_unit_test(test_open_failures),
        cmocka_unit_test(test_injected_failures),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
