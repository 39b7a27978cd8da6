#include "formats/delimited.h"

#include <errno.h>

#include "format_test.h"

static cllm_error err;
static cllm__stream *stream;
static cllm__delimited *reader;

static void begin(const char *text, cllm__delimited_options options) {
    assert_ok(cllm__stream_open(&stream, put_text("rows", text), CLLM_ENCODING_UTF8, &err));
    assert_ok(cllm__delimited_open(&reader, stream, &options, &err));
}

static void end(void) {
    cllm__field *fields;
    size_t count;
    assert_ok(cllm__delimited_next(reader, &fields, &count, &err));
    assert_null(fields);
    assert_int_equal(count, 0);
    cllm__delimited_free(reader);
    cllm__stream_close(stream);
}

/* The next record begins on that line and has these fields (ended by NULL). */
static void row(uint64_t line, ...) {
    cllm__field *fields;
    size_t count, i = 0;
    assert_ok(cllm__delimited_next(reader, &fields, &count, &err));
    assert_non_null(fields);
    assert_int_equal(cllm__delimited_line_number(reader), line);
    va_list args;
    va_start(args, line);
    for (const char *expected; (expected = va_arg(args, const char *)) != NULL; i++) {
        assert_true(i < count);
        assert_string_equal(fields[i].text, expected);
        assert_int_equal(fields[i].length, strlen(expected));
    }
    va_end(args);
    assert_int_equal(count, i);
}

static void bad_row(const char *message) {
    cllm__field *fields = NULL;
    size_t count = 77;
    assert_fails(cllm__delimited_next(reader, &fields, &count, &err), CLLM_ERR_DATA, message);
    assert_null(fields);
    assert_int_equal(count, 77);
    assert_false(cllm__stream_failed(stream));
}

static void header_is(const char *first, ...) {
    size_t count, i = 0;
    const cllm__field *header = cllm__delimited_header(reader, &count);
    va_list args;
    va_start(args, first);
    for (const char *expected = first; expected != NULL; expected = va_arg(args, const char *), i++) {
        assert_true(i < count);
        assert_string_equal(header[i].text, expected);
        assert_int_equal(header[i].length, strlen(expected));
    }
    va_end(args);
    assert_int_equal(count, i);
    assert_int_equal(header == NULL, first == NULL);
}

static cllm__delimited_options with(const char *separator, int quote, cllm__header_mode header) {
    cllm__delimited_options options = cllm__delimited_defaults();
    options.separator = separator;
    options.quote = quote;
    options.header = header;
    return options;
}

static void test_csv(void **state) {
    (void)state;
    /* The cases of RFC 4180, section 2. */
    begin("a,b,c\r\n\"aaa\",\"b \"\"bb\"\"\",\"\"\n\n\"x, y\",\"line one\r\nline two\n\nline four\",\n,,\n\"\"\"\",\" q "
          "\",z \"in\" z\nlast,row,\"\"",
          with(",", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    row(1, "a", "b", "c", NULL);
    row(2, "aaa", "b \"bb\"", "", NULL);
    row(4, "x, y", "line one\nline two\n\nline four", "", NULL);
    row(8, "", "", "", NULL);
    row(9, "\"", " q ", "z \"in\" z", NULL);
    row(10, "last", "row", "", NULL);
    end();
}

static void test_csv_errors(void **state) {
    (void)state;
    begin("a,b\n\"x\"y,1\n\"ok\",2\n1,2,3\nsolo\n3,4\n\"open,5\n6,7\n", with(",", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    row(1, "a", "b", NULL);
    bad_row("rows:2: field 1 goes on behind its closing quote");
    row(3, "ok", "2", NULL);
    bad_row("rows:4: 3 fields where line 1 has 2, with a comma between them");
    bad_row("rows:5: 1 field where line 1 has 2");
    row(6, "3", "4", NULL);
    bad_row("rows:7: a quoted field of this record is never closed");
    end();
}

static void test_bad_line_inside_quotes(void **state) {
    (void)state;
    begin("x,y\na,\"b\nc\xFF\nd,e\n", with(",", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    row(1, "x", "y", NULL);
    bad_row("rows:2: in the quoted field that begins here");
    assert_non_null(strstr(err.message, "rows:3: byte 2 of the line"));
    row(4, "d", "e", NULL);
    end();
}

static void test_record_limit(void **state) {
    (void)state;
    begin("a,\"1234\n1234\n1234\"\nb,c\n", with(",", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    cllm__stream_set_line_limit(stream, 10);
    bad_row("rows:1: the record is longer than 10 bytes: is a closing \" missing?");
    cllm__field *fields;
    size_t count;
    assert_ok(cllm__delimited_next(reader, &fields, &count, &err)); /* goes on with the line behind the fault */
    assert_int_equal(cllm__delimited_line_number(reader), 3);
    cllm__delimited_free(reader);
    cllm__stream_close(stream);
}

static void test_tsv(void **state) {
    (void)state;
    begin("1\t\"lone quote\t\n\"2\t'x\ty, z\r\n", with("\t", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    row(1, "1", "\"lone quote", "", NULL);
    row(2, "\"2", "'x", "y, z", NULL);
    end();
    begin("1\t\"two\tthree\n\"\n", with("\t", '"', CLLM_HEADER_NO));
    row(1, "1", "two\tthree\n", NULL);
    end();
    begin("1,\"2,3\n", with(",", CLLM_QUOTE_NONE, CLLM_HEADER_NO));
    row(1, "1", "\"2", "3", NULL);
    end();
    begin("1\t'it''s'\n", with("\t", '\'', CLLM_HEADER_NO));
    row(1, "1", "it's", NULL);
    end();
}

static void test_long_separators(void **state) {
    (void)state;
    begin("1::Toy: a story::x\n2::a:b:::c\n", with("::", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    row(1, "1", "Toy: a story", "x", NULL);
    row(2, "2", "a:b", ":c", NULL);
    end();
    begin("\"a::b\"::\"c\nd\"\n", with("::", '"', CLLM_HEADER_NO));
    row(1, "a::b", "c\nd", NULL);
    end();
    begin("7 1 5 9\n8 2\n",
          (cllm__delimited_options){.separator = " ", .header = CLLM_HEADER_NO, .quote = CLLM_QUOTE_NONE, .ragged = true});
    assert_string_equal(cllm__delimited_separator_name(reader), "a blank");
    row(1, "7", "1", "5", "9", NULL);
    row(2, "8", "2", NULL);
    end();
}

static void test_chosen_separators(void **state) {
    (void)state;
    static const struct {
        const char *text, *separator, *name;
    } cases[] = {
        {"a\tb, c, d\ne\tf\n", "\t", "a tab"},
        {"1::2::3\n4::5::6\n", "::", "'::'"},
        {"1,two,x|y\n3,four,z\n", ",", "a comma"},
        {"a;3,5\nb;4,5\n", ";", "a semicolon"},
        {"x;1;2,5\ny;2;3,5\n", ";", "a semicolon"},
        {"a|b|c\nd|e|f\n", "|", "a vertical bar"},
        {"id,text\n1,\"a\tb\nc; d\"\n2,\"e\"\n", ",", "a comma"},
        {"user,item\n1,2\n3,4,5\n6,7\n", ",", "a comma"},
        {"one\ntwo\n", "\t", "a tab"},
        {"", "\t", "a tab"},
        {"\r\n\na,b\r\n\r\nc,d", ",", "a comma"},
    };
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        assert_ok(cllm__stream_open(&stream, put_text("rows", cases[i].text), CLLM_ENCODING_UTF8, &err));
        cllm__delimited_options options = with(NULL, CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO);
        assert_ok(cllm__delimited_open(&reader, stream, &options, &err));
        if (strcmp(cllm__delimited_separator(reader), cases[i].separator) != 0) {
            fail_msg("case %zu: chose '%s'", i, cllm__delimited_separator(reader));
        }
        assert_string_equal(cllm__delimited_separator_name(reader), cases[i].name);
        cllm__delimited_free(reader);
        cllm__stream_close(stream);
    }
    /* A sample that ends inside a record. */
    size_t size = 0, room = 1 << 20;
    char *text = malloc(room);
    while (size < room - 100) size += (size_t)sprintf(text + size, "%zu,\"some text; more | text\",x\n", size);
    begin(text, with(NULL, CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    assert_string_equal(cllm__delimited_separator(reader), ",");
    row(1, "0", "some text; more | text", "x", NULL);
    cllm__delimited_free(reader);
    cllm__stream_close(stream);
    free(text);
}

static void test_headers(void **state) {
    (void)state;
    static const char *const names[] = {"user_id", "item"};
    cllm__delimited_options options = cllm__delimited_defaults();
    options.names = names;
    options.n_names = 2;

    begin("#  item\tasin\tTitle\n0\tB0\tx\n", options);
    header_is("item", "asin", "Title", NULL);
    assert_int_equal(cllm__delimited_column(reader, "title"), 2);
    assert_int_equal(cllm__delimited_column(reader, "item"), 0);
    assert_int_equal(cllm__delimited_column(reader, "brand"), SIZE_MAX);
    row(2, "0", "B0", "x", NULL);
    end();

    begin("\xEF\xBB\xBFUSER_ID:token,rating:float,note:token_seq\n1,2,3\n", options); /* RecBole's types do not count */
    header_is("USER_ID:token", "rating:float", "note:token_seq", NULL);
    assert_int_equal(cllm__delimited_column(reader, "user_id"), 0);
    assert_int_equal(cllm__delimited_column(reader, "rating"), 1);
    assert_int_equal(cllm__delimited_column(reader, "rating:float"), 1);
    assert_int_equal(cllm__delimited_column(reader, "note"), 2);
    row(2, "1", "2", "3", NULL);
    end();

    begin("Item,item,ITEM,x\n", options); /* the exact name goes before the similar ones */
    assert_int_equal(cllm__delimited_column(reader, "item"), 1);
    assert_int_equal(cllm__delimited_column(reader, "iTEM"), SIZE_MAX);
    end();

    begin("1,2\n3,4\n", options); /* no header: the first record is not lost */
    header_is(NULL);
    assert_int_equal(cllm__delimited_column(reader, "item"), SIZE_MAX);
    row(1, "1", "2", NULL);
    row(2, "3", "4", NULL);
    end();

    options.header = CLLM_HEADER_YES;
    begin("\n1,2\n3,4\n5\n", options);
    header_is("1", "2", NULL);
    row(3, "3", "4", NULL);
    bad_row("rows:4: 1 field where line 2 has 2");
    end();

    options.header = CLLM_HEADER_NO;
    begin("#user_id,item\n", options);
    header_is(NULL);
    row(1, "#user_id", "item", NULL);
    end();

    options.header = CLLM_HEADER_AUTO;
    begin("", options);
    header_is(NULL);
    end();
    begin("\"user_id\",\"a \"\"b\"\"\nc\"\n1,2\n", options); /* a quoted one, over two lines */
    header_is("user_id", "a \"b\"\nc", NULL);
    row(3, "1", "2", NULL);
    end();

    cllm__header_mode mode;
    assert_true(cllm__header_mode_parse("auto", &mode) && mode == CLLM_HEADER_AUTO);
    assert_true(cllm__header_mode_parse("yes", &mode) && mode == CLLM_HEADER_YES);
    assert_true(cllm__header_mode_parse("no", &mode) && mode == CLLM_HEADER_NO);
    assert_false(cllm__header_mode_parse("maybe", &mode));
}

static void test_bad_bytes(void **state) {
    (void)state;
    const char *path = put_file("rows", "a,b\nc,\0d\ne\xFF,f\ng,h", 17);
    cllm__delimited_options options = with(",", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO);
    assert_ok(cllm__stream_open(&stream, path, CLLM_ENCODING_UTF8, &err));
    assert_ok(cllm__delimited_open(&reader, stream, &options, &err));
    row(1, "a", "b", NULL);
    bad_row("rows:2: the record holds a NUL byte");
    bad_row("rows:3: byte 2 of the line, 0xff, is not UTF-8");
    assert_int_equal(cllm__delimited_line_number(reader), 3);
    row(4, "g", "h", NULL);
    end();
}

static void test_many_lines_in_a_field(void **state) {
    (void)state;
    /* 2 MB of lines in one field: quadratic work would take minutes. */
    enum { SIZE = 2 << 20 };
    char *text = malloc(SIZE + 16);
    text[0] = 'a', text[1] = ',', text[2] = '"';
    for (size_t i = 3; i < SIZE; i++) text[i] = i % 2 != 0 ? '\n' : 'x';
    strcpy(text + SIZE, "\"\n1,2\n");
    begin(text, with(",", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO));
    cllm__field *fields;
    size_t count;
    assert_ok(cllm__delimited_next(reader, &fields, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(fields[1].length, SIZE - 3);
    assert_memory_equal(fields[1].text, text + 3, SIZE - 3);
    row((SIZE - 3 + 1) / 2 + 2, "1", "2", NULL);
    end();
    free(text);
}

static void test_usage(void **state) {
    (void)state;
    assert_ok(cllm__stream_open(&stream, put_text("rows", "a,b\n"), CLLM_ENCODING_UTF8, &err));
    cllm__delimited_options options = with("", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO);
    assert_fails(cllm__delimited_open(&reader, stream, &options, &err), CLLM_ERR_USAGE, "a separator has 1 to 15 bytes");
    options.separator = "a separator that is too long";
    assert_fails(cllm__delimited_open(&reader, stream, &options, &err), CLLM_ERR_USAGE, "a separator has 1 to 15 bytes");
    options.separator = "\n";
    assert_fails(cllm__delimited_open(&reader, stream, &options, &err), CLLM_ERR_USAGE, "no line end");
    options = with(",", 200, CLLM_HEADER_NO);
    assert_fails(cllm__delimited_open(&reader, stream, &options, &err), CLLM_ERR_USAGE, "printable ASCII");
    options = with(",", '\n', CLLM_HEADER_NO);
    assert_fails(cllm__delimited_open(&reader, stream, &options, &err), CLLM_ERR_USAGE, "printable ASCII");
    options = with("::", ':', CLLM_HEADER_NO);
    assert_fails(cllm__delimited_open(&reader, stream, &options, &err), CLLM_ERR_USAGE, "begins with the quote");
    cllm__stream_close(stream);
    cllm__delimited_free(NULL);
    int quote;
    assert_true(cllm__quote_parse("none", &quote) && quote == CLLM_QUOTE_NONE);
    assert_true(cllm__quote_parse("\"", &quote) && quote == '"');
    assert_false(cllm__quote_parse("", &quote) || cllm__quote_parse("\"\"", &quote));
}

static void test_injected_failures(void **state) {
    (void)state;
    put_text("rows", "user,item\n1,\"a\nb\"\n");
    injection fault = {CLLM_IO_READ, 1, EIO};
    cllm__delimited_options options = with(",", CLLM_QUOTE_BY_FORMAT, CLLM_HEADER_NO);
    cllm__io_set_hook(inject, &fault);
    /* The first read feeds the stream, the second finds the end, or fails here. */
    cllm_status status = cllm__stream_open(&stream, scratch_path("rows"), CLLM_ENCODING_UTF8, &err);
    assert_int_equal(status, CLLM_OK);
    assert_ok(cllm__delimited_open(&reader, stream, &options, &err));
    row(1, "user", "item", NULL);
    row(2, "1", "a\nb", NULL);
    cllm__field *fields;
    size_t count;
    assert_fails(cllm__delimited_next(reader, &fields, &count, &err), CLLM_ERR_IO, "cannot read");
    assert_true(cllm__stream_failed(stream));
    assert_fails(cllm__delimited_next(reader, &fields, &count, &err), CLLM_ERR_IO, "cannot read");
    cllm__io_set_hook(NULL, NULL);
    cllm__delimited_free(reader);
    cllm__stream_close(stream);
}

static cllm_status read_rows(cllm_error *e) {
    cllm__stream *s;
    cllm__delimited *r;
    static const char *const names[] = {"h1"};
    cllm__delimited_options options = cllm__delimited_defaults();
    options.names = names;
    options.n_names = 1;
    CLLM_TRY(cllm__stream_open(&s, scratch_path("rows"), CLLM_ENCODING_UTF8, e));
    cllm_status status = cllm__delimited_open(&r, s, &options, e);
    if (status == CLLM_OK) {
        cllm__field *fields;
        size_t count;
        do {
            status = cllm__delimited_next(r, &fields, &count, e);
        } while (status == CLLM_OK && fields != NULL);
        cllm__delimited_free(r);
    }
    cllm__stream_close(s);
    return status;
}

static void test_allocation_failures(void **state) {
    (void)state;
    put_text("rows", "h1,h2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18\n\"a\nb\",2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,"
                     "\"a\nlonger\nfield\"\n");
    sweep_allocations(read_rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_csv_errors),
        cmocka_unit_test(test_bad_line_inside_quotes),
        cmocka_unit_test(test_record_limit),
        cmocka_unit_test(test_tsv),
        cmocka_unit_test(test_long_separators),
        cmocka_unit_test(test_chosen_separators),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_many_lines_in_a_field),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_injected_failures),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
