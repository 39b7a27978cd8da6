/* Every format of interactions, items and users, by small samples, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "data/reader_fields.h"
#include "data/reader_internal.h"
#include "formats/npz.h"

#define SAMPLES TEST_DATA "/data/samples/"

static char g_file[] = "test-readers-XXXXXX";

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(g_file);
    if (fd >= 0) close(fd);
    return fd < 0;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(g_file);
}

static const char *put(const char *text, size_t length) {
    cllm_error err;
    assert_int_equal(cllm__write_file(g_file, text, length, &err), CLLM_OK);
    return g_file;
}

static cllm__row_options plain(void) {
    return (cllm__row_options){.delimited = cllm__delimited_defaults()};
}

/* "user|item|rating|time|text" of each row, a line each; a refused row is "!reason". */
static const char *rows_of(const char *path, const cllm__row_options *options) {
    static char all[8192];
    size_t used = 0;
    cllm__row_reader *reader;
    cllm_error err = {0};
    all[0] = '\0';
    if (cllm__row_reader_open(&reader, path, options, &err) != CLLM_OK) {
        snprintf(all, sizeof all, "cannot open: %s", err.message);
        return all;
    }
    for (;;) {
        cllm__row_in row;
        bool end;
        cllm__bad_row bad;
        cllm_status status = cllm__row_reader_next(reader, &row, &end, &bad, &err);
        if (status != CLLM_OK && cllm__row_reader_failed(reader)) {
            used += (size_t)snprintf(all + used, sizeof all - used, "failed: %s\n", err.message);
            break;
        }
        if (status != CLLM_OK) {
            assert_int_equal(status, CLLM_ERR_DATA);
            used += (size_t)snprintf(all + used, sizeof all - used, "!%s\n", cllm__bad_row_name(bad));
            continue;
        }
        if (end) break;
        char rating[32] = "", time[32] = "";
        if (row.has_rating) snprintf(rating, sizeof rating, "%g", row.rating);
        if (row.has_time) snprintf(time, sizeof time, "%lld", (long long)row.time);
        used += (size_t)snprintf(all + used, sizeof all - used, "%.*s|%.*s|%s|%s|%.*s\n", (int)row.user_length, row.user,
                                 (int)row.item_length, row.item, rating, time, (int)row.text_length,
                                 row.text_length > 0 ? row.text : "");
    }
    cllm__row_reader_close(reader);
    return all;
}

static void test_samples(void **state) {
    (void)state;
    static const struct {
        const char *file, *rows, *described;
    } cases[] = {
        {"amazon2014.json",
         "U1|P1|5|1393545600|Sturdy lamp &amp; a warm light.\nU2|P1|1|1363392000|Broke<br />in a week.\nReturned it.\n"
         "U1|P2|4|1377648000|\n",
         "Amazon 2014 JSON lines: user = reviewerID, item = asin"},
        {"amazon2018.json", "U1|P1|5|1529193600|A fine scarf.\nU1|P2|4|1529280000|\n",
         "Amazon 2018 JSON lines: user = reviewerID, item = asin"},
        {"amazon2023.jsonl", "U1|P1|5|1588687728|Smells of pine \xF0\x9F\x8C\xB2\nU2|P1|2|1588687728|Meh\n",
         "Amazon 2023 JSON lines: user = user_id, item = parent_asin"},
        {"yelp.json", "U1|B1|4|1457481662|Good soup\nU2|B1|2|1457568000|Cold soup\n",
         "Yelp JSON lines: user = user_id, item = business_id"},
        {"python.txt", "U1|0007|3|1400000000|It's fine\n", "Amazon 2014 Python literals: user = reviewerID, item = asin"},
        {"named.csv", "U1|P1|5|1000|A \"good\" one,\nreally\nU2|P1|||plain\n",
         "a comma between fields: user = userId, item = itemId, rating = stars, time = timestamp, text = text"},
        {"named.tsv", "U1|P1|5||said \"yes\nU1|P2|4.5||\n",
         "a tab between fields: user = user_id, item = item_id, rating = rating, text = review"},
        {"pipe.psv", "U1|P1||10|\nU2|P2||20|\n", "a vertical bar between fields: user = user, item = item, time = time"},
        {"semicolon.txt", "u1|i1|||\nu1|i2|||\nu2|i1|||\n",
         "a semicolon between fields, no header: user = column 1, item = column 2"},
        {"four.tsv", "196|242|3|881250949|\n186|302|3|891717742|\n",
         "a tab between fields, no header: user = column 1, item = column 2, rating = column 3, time = column 4"},
        {"shop.inter", "U1|P1|4|100|nice thing\nU2|P2|3|200|\n",
         "RecBole, a tab between fields: user = user_id:token, item = item_id:token, rating = rating:float, time = "
         "timestamp:float, text = "
         "review:token_seq"},
        {"sequences.txt", "U1|P1|||\nU1|P2|||\nU1|P3|||\nU1|P2|||\nU2|P4|||\n",
         "sequences: a user, then the items in time order"},
    };
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        char path[512];
        snprintf(path, sizeof path, SAMPLES "%s", cases[i].file);
        cllm__row_options options = plain();
        assert_string_equal(rows_of(path, &options), cases[i].rows);
        cllm__row_reader *reader;
        cllm__row_in row;
        bool end;
        cllm__bad_row bad;
        cllm_error err;
        assert_int_equal(cllm__row_reader_open(&reader, path, &options, &err), CLLM_OK);
        assert_int_equal(cllm__row_reader_next(reader, &row, &end, &bad, &err), CLLM_OK);
        assert_string_equal(cllm__row_reader_format(reader), cases[i].described);
        assert_string_equal(cllm__row_reader_compression(reader), "plain");
        assert_true(cllm__row_reader_width(reader) == SIZE_MAX);
        assert_true(cllm__row_reader_size(reader) > 0);
        cllm__row_reader_close(reader);
    }
}

static void test_told(void **state) {
    (void)state;
    cllm__row_options options = plain();
    options.encoding = CLLM_ENCODING_LATIN1;
    assert_string_equal(rows_of(SAMPLES "latin1.dat", &options), "U1|Caf\xC3\xA9|5|978300760|\nU2|Bar|3|978302109|\n");

    options = plain(); /* columns by name, a date, another order of columns */
    options.columns[CLLM__COLUMN_USER] = "sku";
    options.columns[CLLM__COLUMN_ITEM] = "customer";
    options.columns[CLLM__COLUMN_TIME] = "when";
    assert_string_equal(rows_of(SAMPLES "odd.csv", &options), "P1|U1||1577934245|\n");

    options = plain(); /* columns by number without a header */
    options.delimited.header = CLLM_HEADER_NO;
    options.columns[CLLM__COLUMN_USER] = "2";
    options.columns[CLLM__COLUMN_ITEM] = "1";
    assert_string_equal(rows_of(SAMPLES "four.tsv", &options), "242|196|||\n302|186|||\n");

    options = plain(); /* blanks: three columns, because a user comes back; or sequences, if told so */
    assert_string_equal(rows_of(SAMPLES "blanks.txt", &options), "U1|P1|3||\nU1|P2|4||\nU2|P1|5||\n");
    options.delimited.separator = " ";
    assert_string_equal(rows_of(SAMPLES "blanks.txt", &options), "U1|P1|3||\nU1|P2|4||\nU2|P1|5||\n");
    options = plain();
    options.format = CLLM__FORMAT_SEQUENCE;
    assert_string_equal(rows_of(SAMPLES "blanks.txt", &options),
                        "U1|P1|||\nU1|3|||\nU1|P2|||\nU1|4|||\nU2|P1|||\nU2|5|||\n");

    options = plain(); /* a key of JSON by name */
    options.columns[CLLM__COLUMN_ITEM] = "asin";
    options.columns[CLLM__COLUMN_TEXT] = "title";
    assert_string_equal(rows_of(SAMPLES "amazon2023.jsonl", &options),
                        "U1|CHILD1|5|1588687728|Not the text\nU2|CHILD2|2|1588687728|t\n");

    options = plain();
    options.needs_text = true;
    assert_string_equal(rows_of(SAMPLES "texts.tsv", &options), "U1|P1|||Handy &lt;3\nU9|P1|||nobody\nU1|P2|||second\n");
    assert_string_equal(rows_of(SAMPLES "texts.jsonl", &options), "U1|P1|||from json\n");
}

/* A small matrix: row 0 has columns 1 and 0, row 1 nothing, row 2 column 2. */
static void put_matrix(const char *path, const float *data) {
    const int32_t indices[] = {1, 0, 2}, indptr[] = {0, 2, 2, 3};
    const int64_t shape[] = {3, 4};
    const char *format[] = {"csr"};
    const cllm__npz_entry entries[] = {
        {.name = "indices", .type = CLLM_NPY_I32, .rank = 1, .shape = {3}, .data = indices},
        {.name = "indptr", .type = CLLM_NPY_I32, .rank = 1, .shape = {4}, .data = indptr},
        {.name = "format", .type = CLLM_NPY_UNICODE, .rank = 0, .data = format},
        {.name = "shape", .type = CLLM_NPY_I64, .rank = 1, .shape = {2}, .data = shape},
        {.name = "data", .type = CLLM_NPY_F32, .rank = 1, .shape = {3}, .data = data},
    };
    cllm_error err = {0};
    if (cllm__npz_write(path, entries, CLLM_LEN(entries), &err) != CLLM_OK) fail_msg("%s", err.message);
}

static cllm__names *names(const char *const *list, size_t n) {
    cllm__names *set;
    cllm_error err;
    size_t index;
    assert_int_equal(cllm__names_create(&set, &err), CLLM_OK);
    for (size_t i = 0; i < n; i++) assert_int_equal(cllm__names_add(set, list[i], strlen(list[i]), &index, &err), CLLM_OK);
    return set;
}

static void test_npz(void **state) {
    (void)state;
    const float ones[] = {1, 1, 1}, ratings[] = {4, 2.5f, 1};
    cllm__row_options options = plain();
    put_matrix(g_file, ones);
    assert_string_equal(rows_of(g_file, &options), "0|1|||\n0|0|||\n2|2|||\n");
    put_matrix(g_file, ratings);
    assert_string_equal(rows_of(g_file, &options), "0|1|4||\n0|0|2.5||\n2|2|1||\n");
    cllm__row_reader *reader;
    cllm_error err;
    assert_int_equal(cllm__row_reader_open(&reader, g_file, &options, &err), CLLM_OK);
    assert_int_equal(cllm__row_reader_width(reader), 4);
    cllm__row_reader_close(reader);

    put_matrix(g_file, ones); /* items by number, by place, or not at all */
    const char *numbers[] = {"2", "1", "0", "extra", "more"}, *ids[] = {"A", "B", "C", "D"};
    cllm__names *set = names(numbers, 5);
    options.items = set;
    assert_string_equal(rows_of(g_file, &options), "0|1|||\n0|0|||\n2|2|||\n");
    cllm__names_free(set);
    set = names(ids, 4);
    options.items = set;
    assert_string_equal(rows_of(g_file, &options), "0|B|||\n0|A|||\n2|C|||\n");
    cllm__names_free(set);
    set = names(ids, 3);
    options.items = set;
    assert_non_null(strstr(rows_of(g_file, &options), "has 4 columns, and --items names 3 items"));
    cllm__names_free(set);
}

static const char *fields_of(const char *path, cllm__column id) {
    static char all[8192];
    size_t used = 0;
    cllm__field_reader *reader;
    cllm__row_options options = plain();
    cllm_error err = {0};
    all[0] = '\0';
    if (cllm__field_reader_open(&reader, path, id, &options, &err) != CLLM_OK) {
        snprintf(all, sizeof all, "cannot open: %s", err.message);
        return all;
    }
    for (;;) {
        cllm__field_row row;
        bool end;
        cllm__bad_row bad;
        if (cllm__field_reader_next(reader, &row, &end, &bad, &err) != CLLM_OK) {
            used += (size_t)snprintf(all + used, sizeof all - used, "!%s\n", err.message);
            if (cllm__row_reader_failed(cllm__field_reader_base(reader))) break;
            continue;
        }
        if (end) break;
        used += (size_t)snprintf(all + used, sizeof all - used, "%.*s", (int)row.id_length, row.id);
        for (int k = CLLM__TEXT_TITLE; k < CLLM__TEXT_KINDS; k++) {
            used += (size_t)snprintf(all + used, sizeof all - used, "|%.*s", (int)row.fields[k].length,
                                     row.fields[k].length > 0 ? row.fields[k].text : "");
        }
        used += (size_t)snprintf(all + used, sizeof all - used, "\n");
    }
    cllm__field_reader_close(reader);
    return all;
}

static void test_fields(void **state) {
    (void)state;
    assert_string_equal(fields_of(SAMPLES "meta2014.txt", CLLM__COLUMN_ITEM),
                        "P1|Desk lamp \xE2\x80\x93 brass|O'Hara|Home, Light, Office|Brass &amp; glass.|\nP2|||Wear||\n");
    assert_string_equal(fields_of(SAMPLES "meta2018.json", CLLM__COLUMN_ITEM),
                        "P1|Wool scarf|Nord|Wear, Scarves|Warm. Soft.|\n");
    assert_string_equal(fields_of(SAMPLES "meta2023.jsonl", CLLM__COLUMN_ITEM),
                        "P1|Pine candle|Forest Co|Home, Candles|Burns long|\n");
    assert_string_equal(fields_of(SAMPLES "shop.item", CLLM__COLUMN_ITEM),
                        "P1|The Lamp||Home Light||\nP2|A Scarf||Wear||\n");
    assert_string_equal(fields_of(SAMPLES "items.tsv", CLLM__COLUMN_ITEM),
                        "0|A lone \" quote|Acme|Tools, Saws||\n1|||Tools||\n2|Never bought|Acme|||\n");
    assert_string_equal(fields_of(SAMPLES "titles.tsv", CLLM__COLUMN_ITEM), "P1|Just a title||||\nP2|Another||||\n");
    assert_string_equal(fields_of(SAMPLES "shop.user", CLLM__COLUMN_USER), "U1|||||Likes lamps.\nU2|||||\n");

    assert_non_null(strstr(fields_of(put("a\tb\tc\n", 6), CLLM__COLUMN_ITEM), "test-readers"));
    assert_non_null(strstr(fields_of(g_file, CLLM__COLUMN_ITEM),
                           ":1: 3 columns and no header: begin the file with a line that names them"));
    assert_non_null(strstr(fields_of(put("#sku\ttitle\nx\ty\n", 15), CLLM__COLUMN_ITEM),
                           "no column for the item among 'sku', 'title'"));
    const char object[] = "{\"asin\": \"a\", \"title\": {\"en\": \"x\"}}\n{\"asin\": \"b\"}\n";
    assert_non_null(strstr(fields_of(put(object, sizeof object - 1), CLLM__COLUMN_ITEM),
                           ":1: 'title' holds an object instead of text"));
    assert_non_null(strstr(fields_of(g_file, CLLM__COLUMN_ITEM), "\nb|||||\n"));
    const float ones[] = {1, 1, 1};
    put_matrix(g_file, ones);
    assert_non_null(strstr(fields_of(g_file, CLLM__COLUMN_ITEM), "an .npz file, which has no texts"));
}

/* The message of the first failure, whether in opening or in reading. */
static const char *failure(const char *text, size_t length, const cllm__row_options *options) {
    static cllm_error err;
    cllm__row_reader *reader;
    const char *path = put(text, length);
    cllm_status status = cllm__row_reader_open(&reader, path, options, &err);
    if (status != CLLM_OK) return err.message;
    bool end = false;
    while (status == CLLM_OK && !end) {
        cllm__row_in row;
        cllm__bad_row bad;
        status = cllm__row_reader_next(reader, &row, &end, &bad, &err);
    }
    cllm__row_reader_close(reader);
    return status == CLLM_OK ? "no failure" : err.message;
}

static void expect_failure(const char *text, size_t length, const cllm__row_options *options, const char *words) {
    const char *message = failure(text, length, options);
    if (strstr(message, words) == NULL) fail_msg("'%s' does not say '%s'", message, words);
}

#define EXPECT(text, words) expect_failure(text, sizeof(text) - 1, &options, words)

static void test_refused(void **state) {
    (void)state;
    cllm__row_options options = plain();
    EXPECT("", "is empty");
    EXPECT(" \n\n", "is empty");
    EXPECT("PAR1....", "a Parquet file: convert it");
    EXPECT("\x80\x04\x95....", "a Python pickle");
    EXPECT("\x89HDF\r\n", "an HDF5 file");
    EXPECT("BZh91AY", "bzip2");
    EXPECT("[\n{\"user\": \"a\"}]", "one JSON array: write one object a line");
    EXPECT("PK\x03\x04zzzz", "test-readers");
    EXPECT("onecolumn\nx\n", ":1: 1 column with");
    EXPECT("a,b,c,d,e\n", ":1: 5 columns with a comma between them and no header");
    EXPECT("user,thing\na,b\n", "no column for the item among 'user', 'thing'");
    EXPECT("user,item\na,b\nc\n", ":3: 1 field where line 1 has 2");
    EXPECT("user,item\na,b\n,d\n", ":3: the user is empty");
    EXPECT("user,item\na,b\nc,\n", ":3: the item is empty");
    EXPECT("user,item,rating\na,b,good\n", ":2: the rating 'good' is not a finite number");
    EXPECT("user,item,rating\na,b,nan\n", ":2: the rating 'nan' is not a finite number");
    EXPECT("user,item,rating\na,b,1e999\n", ":2: the rating '1e999' is not a finite number");
    EXPECT("user,item,rating\na,b,inf\n", "'inf'");
    EXPECT("user,item,rating\na,b,0x5\n", "'0x5'");
    EXPECT("user,item,rating\na,b,5 stars\n", "'5 stars'");
    EXPECT("user,item,time\na,b,yesterday\n", ":2: the time 'yesterday' is neither");
    EXPECT("user,item,time\na,b,2020-02-30\n", "2020-02-30");
    EXPECT("user,item,time\na,b,2020-13-01\n", "2020-13-01");
    EXPECT("user,item,time\na,b,1e300\n", "1e300");
    EXPECT("user,item\na\xff,b\n", "test-readers");
    EXPECT("user,item\na\x00x,b\n", "NUL");
    EXPECT("{\"user\": \"a\"\n", ":1: not a JSON object or Python dict");
    EXPECT("{\"user\": \"a\", \"item\": \"b\"}\n{]\n", ":2: not a JSON object");
    EXPECT("{\"user\": \"a\", \"item\": \"b\"}\n7\n", ":2: not a JSON object");
    EXPECT("{\"user\": \"a\"}\n", ":1: the row has no item under any of the usual keys (item, item_id, ");
    EXPECT("{\"item\": \"a\", \"user\": null}\n", "the row has no user");
    EXPECT("{\"item\": \"a\", \"user\": [1]}\n", "the user is array instead of a string");
    EXPECT("{\"item\": \"a\", \"user\": true}\n", "the user is boolean instead of a string");
    EXPECT("{\"item\": \"a\", \"user\": 1.5}\n", "the user is double instead of a string");
    EXPECT("{\"item\": \"a\", \"user\": \"\"}\n", "the user is empty");
    EXPECT("{\"item\": \"a\", \"user\": \"x\\u0000y\"}\n", "the user 'x?y' holds a NUL");
    EXPECT("{\"item\": \"a\", \"user\": \"u\", \"rating\": \"NaN\"}\n", "the rating 'NaN'");
    EXPECT("{\"item\": \"a\", \"user\": \"u\", \"rating\": Infinity}\n", ":1: not a JSON object");
    EXPECT("{\"item\": \"a\", \"user\": \"u\", \"rating\": NaN}\n", "no failure"); /* how Python writes a missing value */
    EXPECT("{\"item\": \"a\", \"user\": \"u\", \"rating\": true}\n", "the rating 'true'");
    EXPECT("{\"item\": \"a\", \"user\": \"u\", \"time\": {}}\n", "the time '{ }'");
    EXPECT("{\"item\": \"a\", \"user\": \"u\", \"text\": [\"x\"]}\n", "the text is array instead of a string");
    EXPECT("U1 P1 P2\nU2\n", ":2: the user 'U2' has no items");
    EXPECT("U1 P1 P2 P9 P8 P3\nU2 \0P\n", "NUL");

    char longest[CLLM__ID_LIMIT + 64];
    int n = snprintf(longest, sizeof longest, "user,item\nu,%0*d\n", CLLM__ID_LIMIT, 7);
    expect_failure(longest, (size_t)n, &options, "no failure");
    n = snprintf(longest, sizeof longest, "user,item\nu,%0*d\n", CLLM__ID_LIMIT + 1, 7);
    expect_failure(longest, (size_t)n, &options, "has 1025 bytes, more than the 1024 that an id may have");

    options.needs_rating = true;
    EXPECT("user,item\na,b\n", ":2: the row has no rating, which --min-rating needs");
    EXPECT("user,item,rating\na,b,\n", "the row has no rating");
    EXPECT("{\"item\": \"a\", \"user\": \"u\", \"rating\": NaN}\n", "the row has no rating");
    options = plain();
    options.columns[CLLM__COLUMN_USER] = "buyer";
    EXPECT("user,item\na,b\n", ":1: no column 'buyer' (--user-col) among 'user', 'item'");
    EXPECT("{\"user\": \"a\", \"item\": \"b\"}\n", "the row has no 'buyer', which is to name the user");
    options.columns[CLLM__COLUMN_USER] = "9";
    options.delimited.header = CLLM_HEADER_NO;
    EXPECT("a,b\n", "no header names a column '9'");
    options = plain();
    options.needs_text = true;
    EXPECT("a\tb\n", ":1: 2 columns with a tab between them and no header: expected user, item, text");
    EXPECT("user\titem\nc\td\n", ":1: no column with the texts: name it with --text-col");
    cllm__row_reader *reader;
    cllm_error err;
    options = plain();
    assert_int_equal(cllm__row_reader_open(&reader, "no-such-file.csv", &options, &err), CLLM_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "no-such-file.csv"));
    assert_int_not_equal(cllm__row_reader_open(&reader, ".", &options, &err), CLLM_OK);
}

/* A bad row is skipped and counted; the rows behind it are read. */
static void test_goes_on(void **state) {
    (void)state;
    cllm__row_options options = plain();
    static const char csv[] = "user,item,rating\na,b,1\na,,2\nc,d,x\n\"e\"e,f,3\ng\xff,h,1\ni,j\nk,l,4\n";
    assert_string_equal(rows_of(put(csv, sizeof csv - 1), &options),
                        "a|b|1||\n!item\n!rating\n!line\n!line\n!line\nk|l|4||\n");
    static const char json[] =
        "{\"user\":\"a\",\"item\":\"b\"}\n{\n{\"user\":\"a\"}\n{\"user\":5,\"item\":7,\"timestamp\":\"12\"}\n";
    assert_string_equal(rows_of(put(json, sizeof json - 1), &options), "a|b|||\n!line\n!item\n5|7||12|\n");
    static const char lines[] = "u1 a b c d e\nu2\nu3 f\n";
    assert_string_equal(rows_of(put(lines, sizeof lines - 1), &options),
                        "u1|a|||\nu1|b|||\nu1|c|||\nu1|d|||\nu1|e|||\n!item\nu3|f|||\n");
    /* Truncated compression is no row: reading ends. */
    static const char gzip[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    const char *result = rows_of(put(gzip, sizeof gzip - 1), &options);
    assert_true(strstr(result, "cannot open") == result || strstr(result, "failed") == result);
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t seconds;
    } cases[] = {
        {"0", true, 0},
        {"-86400", true, -86400},
        {"1588687728923", true, 1588687728},
        {"1588687728923000", true, 1588687728},
        {"1588687728923000000", true, 1588687728},
        {"1.588687728923e12", true, 1588687728},
        {"1393545600.9", true, 1393545600},
        {"1970-01-01", true, 0},
        {"1969-12-31", true, -86400},
        {"2000-02-29", true, 951782400},
        {"1900-02-29", true, -2203891200},
        {"2016-03-09 00:01:02", true, 1457481662},
        {"2016-03-09T00:01:02.75Z", true, 1457481662},
        {"2016-03-09 00:01", true, 1457481660},
        {"", false, 0},
        {"2016-3-9", false, 0},
        {"2016-03-09 24:00:00", false, 0},
        {"2016-03-09 00:01:02 x", false, 0},
        {"0000-00-00", false, 0},
        {"--5", false, 0},
        {"5e", false, 0},
        {"99999999999999999999999999999", false, 0},
    };
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        int64_t seconds = 42;
        bool good = cllm__parse_time(cases[i].text, strlen(cases[i].text), &seconds);
        if (good != cases[i].good || (good && seconds != cases[i].seconds)) {
            fail_msg("'%s': %d, %lld", cases[i].text, good, (long long)seconds);
        }
        if (!good) assert_int_equal(seconds, 42);
    }
}

/* Which blank-separated files are sequences. */
static void test_sequences(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool sequences;
    } cases[] = {{"1 2 3\n2 4\n", true},
                 {"1 2\n2 4\n", true},
                 {"1 2 3\n1 4 5\n", false},
                 {"1 2 3 4 5\n1 2 3 4 5\n", true},
                 {"1,2 3\n", false},
                 {"1\t2 3\n", false},
                 {"a::b c\n", false},
                 {"1\n2\n", false},
                 {"\n\n1 2 3 9 9\r\n2 2\r\n", true},
                 {"u1 a:b c:d e f\n", true}};
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        if (cllm__looks_like_sequences(cases[i].text, strlen(cases[i].text), true) != cases[i].sequences)
            fail_msg("%s", cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples), cmocka_unit_test(test_told),      cmocka_unit_test(test_npz),
        cmocka_unit_test(test_fields),  cmocka_unit_test(test_refused),   cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_times),   cmocka_unit_test(test_sequences),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
