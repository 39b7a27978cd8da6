/* From files to data sets: contents, texts, fields, universes, duplicates, ids, input kinds. */
#include <json-c/json.h>
#include <math.h>
#include <zlib.h>

#include "prepare_test.h"

static void count_in(const cllm__dataset *d, size_t users, size_t items, size_t train, size_t valid, size_t test) {
    assert_int_equal(cllm__dataset_users(d), users);
    assert_int_equal(cllm__dataset_items(d), items);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__TRAIN)->count, train);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__VALID)->count, valid);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__TEST)->count, test);
}

/* The text of a kind and its owners, NULL if there is none. */
static const char *find_text(const cllm__dataset *d, cllm__text_kind kind, const char *user, const char *item,
                             cllm__split *split) {
    static char copy[512];
    const char *found = NULL;
    for (size_t i = 0; i < cllm__dataset_texts(d); i++) {
        cllm__text text = cllm__dataset_text(d, i);
        if (text.kind != kind) continue;
        if (user == NULL ? text.user != -1
                         : text.user < 0 || strcmp(cllm__dataset_user_id(d, (size_t)text.user), user) != 0)
            continue;
        if (item == NULL ? text.item != -1
                         : text.item < 0 || strcmp(cllm__dataset_item_id(d, (size_t)text.item), item) != 0)
            continue;
        assert_null(found); /* one of each */
        assert_int_equal(text.text[text.length], '\0');
        snprintf(copy, sizeof copy, "%.*s", (int)text.length, text.text);
        found = copy;
        if (split != NULL) *split = text.split;
    }
    return found;
}

static void test_amazon(void **state) {
    (void)state;
    const char *input = SAMPLES "amazon2014.json";
    cllm_prepare_options options = from(&input);
    cllm__dataset *d = make(&options, NULL);
    size_t place = 0;
    count_in(d, 2, 2, 3, 0, 0);
    assert_string_equal(row_text(d, CLLM__TRAIN, "U1"), "P2 P1"); /* in time order, not the file's */
    assert_int_equal(find_pair(d, "U1", "P1", &place), CLLM__TRAIN);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__TRAIN)->times[place], 1393545600);
    assert_true(cllm__dataset_interactions(d, CLLM__TRAIN)->ratings[place] == 5.0f);
    assert_int_equal(cllm__dataset_texts(d), 2); /* the empty one is none */
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U1", "P1", NULL), "Sturdy lamp & a warm light.");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U2", "P1", NULL), "Broke in a week.\nReturned it.");
    assert_null(find_text(d, CLLM__TEXT_REVIEW, "U1", "P2", NULL));
    assert_string_equal(cllm__dataset_path(d), at("data"));
    assert_false(cllm__dataset_find_user(d, "nobody", &place));
    cllm__dataset_close(d);

    options.raw_text = true;
    d = make(&options, NULL);
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U1", "P1", NULL), "Sturdy lamp &amp; a warm light.");
    cllm__dataset_close(d);
}

static void test_without_times(void **state) {
    (void)state;
    cllm__dataset *d = make_from("u\ta\nu\tb\nu\tc\nu\td\nv\ta\n", (cllm_prepare_options){.split = CLLM_SPLIT_LOO});
    count_in(d, 2, 4, 3, 1, 1);
    for (int s = 0; s < CLLM__SPLITS; s++) {
        assert_null(cllm__dataset_interactions(d, (cllm__split)s)->times);
        assert_null(cllm__dataset_interactions(d, (cllm__split)s)->ratings);
    }
    assert_string_equal(row_text(d, CLLM__TRAIN, "u"), "a b"); /* the order of the input */
    assert_string_equal(row_text(d, CLLM__VALID, "u"), "c");
    assert_string_equal(row_text(d, CLLM__TEST, "u"), "d");
    cllm__dataset_close(d);

    /* Times and ratings in some rows: the others say that they have none, and stand first. */
    d = make_from("user,item,rating,time\nu,a,,50\nu,b,3,\nu,c,4,10\n", (cllm_prepare_options){.split = CLLM_SPLIT_LOO});
    const cllm__interactions *train = cllm__dataset_interactions(d, CLLM__TRAIN);
    assert_string_equal(row_text(d, CLLM__TRAIN, "u"), "b");
    assert_true(train->times[0] == INT64_MIN);
    assert_true(train->ratings[0] == 3.0f);
    assert_true(isnan(cllm__dataset_interactions(d, CLLM__TEST)->ratings[0]));
    cllm__dataset_close(d);
}

static void test_duplicates(void **state) {
    (void)state;
    char *summary;
    const char *input = put("input", "user,item,rating,time,text\n"
                                     "u,a,1,30,latest\n"
                                     "u,a,2,20,older\n"
                                     "u,b,3,10,first\n"
                                     "u,b,4,10,second\n"
                                     "u,c,5,,no time\n"
                                     "u,c,4,5,time\n");
    cllm_prepare_options options = from(&input);
    cllm__dataset *d = make(&options, &summary);
    count_in(d, 1, 3, 1, 1, 1);
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "u", "a", NULL), "latest");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "u", "b", NULL), "second");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "u", "c", NULL), "time");
    assert_non_null(strstr(summary, "\"duplicates\":3,"));
    cllm__free(summary);
    cllm__dataset_close(d);
    /* The latest row decides, also about the rating filter. */
    options.has_min_rating = true;
    options.min_rating = 3;
    d = make(&options, NULL);
    count_in(d, 1, 2, 2, 0, 0);
    assert_int_equal(find_pair(d, "u", "a", NULL), -1);
    cllm__dataset_close(d);
}

typedef struct seen {
    char text[512];
} seen;

static void note(void *context, const char *item, bool liked) {
    seen *s = context;
    size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%s%s ", item, liked ? "+" : "-");
}

static const char *dropped(const cllm__dataset *d, const char *user) {
    static seen s;
    cllm_error err;
    s.text[0] = '\0';
    assert_int_equal(cllm__dataset_dropped(d, user, note, &s, &err), CLLM_OK);
    return s.text;
}

static void test_dropped(void **state) {
    (void)state;
    /* a, b × x, y are the 2-core; z is too rare, user c too poor, two rows are rated too low. */
    static const char rows[] =
        "user,item,rating\nb,x,5\nb,y,4\na,y,5\na,x,4\na,z,5\nc,x,5\nb,w,1\nd,w,2\nd\\e,x,5\nA,x,1\n";
    cllm__dataset *d = make_from(rows, (cllm_prepare_options){.has_min_rating = true, .min_rating = 4, .kcore = 2});
    count_in(d, 2, 2, 4, 0, 0);
    assert_string_equal(dropped(d, "a"), "z+ ");
    assert_string_equal(dropped(d, "b"), "w- ");
    assert_string_equal(dropped(d, "c"), "x+ ");
    assert_string_equal(dropped(d, "d"), "w- ");
    assert_string_equal(dropped(d, "d\\e"), "x+ ");
    assert_string_equal(dropped(d, "A"), "x- ");
    assert_string_equal(dropped(d, ""), "");
    assert_string_equal(dropped(d, "aa"), "");
    assert_string_equal(dropped(d, "zzz"), "");
    cllm__dataset_close(d);

    /* Many users with many rows each: the search finds each of them whole. */
    char *text = malloc(200000);
    size_t used = (size_t)sprintf(text, "user,item,rating\nkeep,me,5\n");
    for (int u = 0; u < 300; u++) {
        for (int i = 0; i < u % 7; i++)
            used += (size_t)sprintf(text + used, "user-%d,item\\%d,%d\n", u * 37 % 300, i, i % 2);
    }
    d = make_from(text, (cllm_prepare_options){.has_min_rating = true, .min_rating = 2});
    free(text);
    for (int u = 0; u < 300; u++) {
        char user[16], expected[128];
        snprintf(user, sizeof user, "user-%d", u * 37 % 300);
        used = 0;
        expected[0] = '\0';
        for (int i = 0; i < u % 7; i++) used += (size_t)sprintf(expected + used, "item\\%d- ", i);
        assert_string_equal(dropped(d, user), expected);
    }
    cllm__dataset_close(d);
}

static void test_universe(void **state) {
    (void)state;
    const char *input = put("input", "u\t0\nu\t1\nu\t9\nv\t0\nw\t9\n");
    cllm_prepare_options options = from(&input);
    options.items = SAMPLES "items.tsv";
    char *summary;
    cllm__dataset *d = make(&options, &summary);
    size_t item;
    count_in(d, 2, 3, 3, 0, 0);                          /* w had nothing else */
    assert_true(cllm__dataset_find_item(d, "2", &item)); /* never bought, but there */
    assert_string_equal(cllm__dataset_item_field(d, item, CLLM__TEXT_TITLE), "Never bought");
    assert_true(cllm__dataset_find_item(d, "0", &item));
    assert_string_equal(cllm__dataset_item_field(d, item, CLLM__TEXT_TITLE), "A lone \" quote");
    assert_string_equal(cllm__dataset_item_field(d, item, CLLM__TEXT_BRAND), "Acme");
    assert_string_equal(cllm__dataset_item_field(d, item, CLLM__TEXT_CATEGORIES), "Tools, Saws");
    assert_string_equal(cllm__dataset_item_field(d, item, CLLM__TEXT_DESCRIPTION), "");
    assert_string_equal(cllm__dataset_item_field(d, item, CLLM__TEXT_REVIEW), "");
    assert_true(cllm__dataset_find_item(d, "1", &item));
    assert_string_equal(cllm__dataset_item_field(d, item, CLLM__TEXT_TITLE), "");
    assert_string_equal(find_text(d, CLLM__TEXT_CATEGORIES, NULL, "1", NULL), "Tools");
    assert_string_equal(dropped(d, "u"), "9+ ");
    assert_string_equal(dropped(d, "w"), "9+ ");
    assert_non_null(strstr(summary, "\"unknown_items\":2,"));
    assert_non_null(strstr(summary, "\"cold_items\":1,"));
    cllm__free(summary);
    cllm__dataset_close(d);

    options.only_seen_items = true;
    d = make(&options, NULL);
    count_in(d, 2, 2, 3, 0, 0);
    cllm__dataset_close(d);

    input = put("input", "u\tnot\nv\tthere\n");
    refuse(&options, CLLM_ERR_DATA,
           "no interactions are left: 2 rows read, 0 malformed, 2 with items that --items does not have");
}

static void test_fields(void **state) {
    (void)state;
    const char *input = put("input", "U1,P1\nU1,P2\nU2,P1\n");
    cllm_prepare_options options = from(&input);
    options.items = SAMPLES "meta2014.txt";
    options.users = SAMPLES "shop.user";
    options.texts = SAMPLES "texts.tsv";
    char *summary;
    cllm__dataset *d = make(&options, &summary);
    assert_string_equal(find_text(d, CLLM__TEXT_TITLE, NULL, "P1", NULL), "Desk lamp \xE2\x80\x93 brass");
    assert_string_equal(find_text(d, CLLM__TEXT_DESCRIPTION, NULL, "P1", NULL), "Brass & glass.");
    assert_string_equal(find_text(d, CLLM__TEXT_BIOGRAPHY, "U1", NULL, NULL), "Likes lamps.");
    assert_null(find_text(d, CLLM__TEXT_BIOGRAPHY, "U2", NULL, NULL));
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U1", "P1", NULL), "Handy <3");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U1", "P2", NULL), "second");
    assert_null(find_text(d, CLLM__TEXT_REVIEW, "U2", "P1", NULL));
    assert_non_null(strstr(summary, "\"unused_texts\":1,"));
    assert_non_null(strstr(summary, "\"reviews\":2,"));
    cllm__free(summary);
    cllm__dataset_close(d);

    /* A repeated id: the first line counts. Later texts of a pair replace earlier ones, and the interaction's own. */
    put("items", "item,title\nP1,one\nP1,two\nP2,\n");
    put("texts", "user,item,text\nU1,P1,old\nU1,P1,new\n");
    input = put("input", "user,item,text\nU1,P1,own\nU1,P2,kept\n");
    options.items = at("items");
    options.texts = at("texts");
    options.users = NULL;
    d = make(&options, NULL);
    assert_string_equal(find_text(d, CLLM__TEXT_TITLE, NULL, "P1", NULL), "one");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U1", "P1", NULL), "new");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U1", "P2", NULL), "kept");
    cllm__dataset_close(d);
}

/* What is said about the interactions does not spoil the other files. */
static void test_side_files(void **state) {
    (void)state;
    cllm_prepare_options options = {
        .separator = "^", .quote = '\'', .header = -1, .format = "delimited", .user_column = "2", .item_column = "1"};
    options.items = put("items", "#item\ttitle\na\tA's\nb\tB\n");
    options.users = put("users", "{\"user\": \"u\", \"bio\": \"me\"}\n");
    options.texts = put("texts", "user,item,text\nu,a,\"one, two\"\n");
    cllm__dataset *d = make_from("a^u\nb^u\n", options);
    count_in(d, 1, 2, 2, 0, 0);
    assert_string_equal(find_text(d, CLLM__TEXT_TITLE, NULL, "a", NULL), "A's");
    assert_string_equal(find_text(d, CLLM__TEXT_BIOGRAPHY, "u", NULL, NULL), "me");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "u", "a", NULL), "one, two");
    cllm__dataset_close(d);
    options = (cllm_prepare_options){.separator = "^", .user_column = "who", .item_column = "sku", .text_column = "words"};
    options.items = put("items", "{\"asin\": \"a\", \"title\": \"A\"}\n");
    options.users = put("users", "who^bio\nu^me\n");
    options.texts = put("texts", "{\"user\": \"u\", \"asin\": \"a\", \"words\": \"fine\", \"text\": \"not this\"}\n");
    d = make_from("who^sku\nu^a\n", options);
    count_in(d, 1, 1, 1, 0, 0);
    assert_string_equal(find_text(d, CLLM__TEXT_TITLE, NULL, "a", NULL), "A");
    assert_string_equal(find_text(d, CLLM__TEXT_BIOGRAPHY, "u", NULL, NULL), "me");
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "u", "a", NULL), "fine");
    cllm__dataset_close(d);
}

static void test_strange_ids(void **state) {
    (void)state;
    static const char *const users[] = {
        "#user",     "tab\\there", "\\",  "\\\\t", "new\nline", "\"quoted\"", "\xF0\x9F\x8C\xB2",
        "trailing ", "\r",         "a,b", "0",     "00"};
    char text[2048] = "user,item\n";
    size_t used = strlen(text);
    for (size_t i = 0; i < CLLM_LEN(users); i++) {
        used += (size_t)sprintf(text + used, "\"");
        for (const char *c = users[i]; *c != '\0'; c++) used += (size_t)sprintf(text + used, *c == '"' ? "\"\"" : "%c", *c);
        used += (size_t)sprintf(text + used, "\",\"tab\there\"\n");
    }
    cllm__dataset *d = make_from(text, (cllm_prepare_options){0});
    count_in(d, CLLM_LEN(users), 1, CLLM_LEN(users), 0, 0);
    for (size_t i = 0; i < CLLM_LEN(users); i++) {
        size_t row;
        assert_true(cllm__dataset_find_user(d, users[i], &row));
        assert_string_equal(cllm__dataset_user_id(d, row), users[i]);
        assert_int_equal(find_pair(d, users[i], "tab\there", NULL), CLLM__TRAIN);
    }
    cllm__dataset_close(d);
    d = make_from(text, (cllm_prepare_options){.items = put("items", "item,title\nx,y\n\"tab\there\",t\n")});
    cllm__dataset_close(d);
}

/* All of it dropped but one pair: escapes in dropped.tsv. */
static void test_strange_dropped(void **state) {
    (void)state;
    cllm__dataset *d = make_from("user,item,rating\nk,k,5\n\"t\tt\",\"n\nn\",1\n\"b\\t\",\"s\\\",1\n",
                                 (cllm_prepare_options){.has_min_rating = true, .min_rating = 2});
    assert_string_equal(dropped(d, "t\tt"), "n\nn- ");
    assert_string_equal(dropped(d, "b\\t"), "s\\- ");
    assert_string_equal(dropped(d, "t\\tt"), "");
    cllm__dataset_close(d);
}

static void test_texts_cleaned(void **state) {
    (void)state;
    cllm__dataset *d = make_from("{\"user\":\"u\",\"item\":\"a\",\"text\":\"  \\t "
                                 "\"}\n{\"user\":\"u\",\"item\":\"b\",\"text\":\"\\n x\\u0000y &nbsp;\\n\"}\n"
                                 "{\"user\":\"u\",\"item\":\"c\",\"text\":\"<p></p>\"}\n",
                                 (cllm_prepare_options){0});
    assert_int_equal(cllm__dataset_texts(d), 1);
    cllm__text text = cllm__dataset_text(d, 0);
    assert_int_equal(text.length, 6);
    assert_memory_equal(text.text, "x y \xC2\xA0", 7);
    cllm__dataset_close(d);
}

/* The same rows as text, gzip and from standard input; several inputs are one. */
static void test_inputs(void **state) {
    (void)state;
    static const char rows[] = "user,item,time\nu,a,1\nu,b,2\nu,c,3\nv,a,1\n";
    const char *input = put("plain", rows);
    cllm_prepare_options options = from(&input);
    options.output = at("one");
    cllm__dataset_close(make(&options, NULL));

    gzFile file = gzopen(at("packed"), "wb");
    assert_int_equal(gzwrite(file, rows, sizeof rows - 1), sizeof rows - 1);
    assert_int_equal(gzclose(file), Z_OK);
    input = at("packed");
    options.output = at("two");
    char *summary;
    cllm__dataset_close(make(&options, &summary));
    assert_non_null(strstr(summary, "\"compression\":\"gzip\""));
    cllm__free(summary);
    assert_same_data("one", "two");

    int old = dup(STDIN_FILENO);
    assert_non_null(freopen(at("plain"), "r", stdin));
    input = "-";
    cllm__dataset_close(make(&options, &summary));
    dup2(old, STDIN_FILENO);
    close(old);
    clearerr(stdin);
    assert_non_null(strstr(summary, "\"path\":\"-\""));
    cllm__free(summary);
    assert_same_data("one", "two");

    put("a", "user,item,time\nu,a,1\nu,b,2\n");
    put("b", "user,item,time\nu,c,3\nv,a,1\n");
    const char *both[] = {at("a"), at("b")};
    options.inputs = both;
    options.n_inputs = 2;
    cllm__dataset_close(make(&options, NULL));
    assert_same_data("one", "two");
    const char *twice[] = {"-", "-"};
    options.inputs = twice;
    refuse(&options, CLLM_ERR_USAGE, "read once");
}

static void put_matrix(const char *path, const int32_t *indices, const int32_t *indptr, int64_t rows, int64_t columns) {
    uint64_t n = (uint64_t)indptr[rows];
    float ones[64];
    for (size_t i = 0; i < CLLM_LEN(ones); i++) ones[i] = 1;
    const int64_t shape[] = {rows, columns};
    const char *format[] = {"csr"};
    const cllm__npz_entry entries[] = {
        {.name = "indices", .type = CLLM_NPY_I32, .rank = 1, .shape = {n}, .data = indices},
        {.name = "indptr", .type = CLLM_NPY_I32, .rank = 1, .shape = {(uint64_t)rows + 1}, .data = indptr},
        {.name = "format", .type = CLLM_NPY_UNICODE, .rank = 0, .data = format},
        {.name = "shape", .type = CLLM_NPY_I64, .rank = 1, .shape = {2}, .data = shape},
        {.name = "data", .type = CLLM_NPY_F32, .rank = 1, .shape = {n}, .data = ones},
    };
    cllm_error err = {0};
    if (cllm__npz_write(path, entries, CLLM_LEN(entries), &err) != CLLM_OK) fail_msg("%s", err.message);
}

static void test_npz_equals_tsv(void **state) {
    (void)state;
    const int32_t indices[] = {0, 1, 0}, indptr[] = {0, 2, 3};
    put_matrix(at("train.npz"), indices, indptr, 2, 3);
    const int32_t valid_indices[] = {2}, valid_indptr[] = {0, 1, 1};
    put_matrix(at("valid.npz"), valid_indices, valid_indptr, 2, 3);
    const char *input = SAMPLES "train.tsv";
    cllm_prepare_options options = from(&input);
    options.split = CLLM_SPLIT_FILES;
    options.items = SAMPLES "items.tsv";
    options.valid = SAMPLES "valid.tsv";
    options.test = SAMPLES "test.tsv";
    options.output = at("one");
    cllm__dataset *d = make(&options, NULL);
    count_in(d, 2, 3, 3, 1, 1);
    assert_int_equal(find_pair(d, "0", "2", NULL), CLLM__VALID);
    assert_int_equal(find_pair(d, "1", "1", NULL), CLLM__TEST);
    cllm__dataset_close(d);
    input = at("train.npz");
    options.valid = at("valid.npz");
    options.output = at("two");
    cllm__dataset_close(make(&options, NULL));
    assert_same_data("one", "two");

    /* Without an item file the matrix' width is the universe; another width is refused. */
    options.items = NULL;
    d = make(&options, NULL);
    count_in(d, 2, 3, 3, 1, 1);
    cllm__dataset_close(d);
    input = at("train.npz");
    const int32_t cold_indices[] = {0}, cold_indptr[] = {0, 0, 1};
    put_matrix(at("cold.npz"), cold_indices, cold_indptr, 2, 7);
    options = from(&input);
    input = at("cold.npz");
    d = make(&options, NULL);
    count_in(d, 1, 7, 1, 0, 0);
    cllm__dataset_close(d);
    options.only_seen_items = true;
    d = make(&options, NULL);
    count_in(d, 1, 1, 1, 0, 0);
    cllm__dataset_close(d);
    options.split = CLLM_SPLIT_FILES;
    options.valid = at("valid.npz");
    refuse(&options, CLLM_ERR_MISMATCH, "has 3 columns where the matrix before has 7");
}

static void test_recbole(void **state) {
    (void)state;
    const char *input = SAMPLES "shop.inter";
    cllm_prepare_options options = from(&input);
    options.items = SAMPLES "shop.item";
    options.users = SAMPLES "shop.user";
    cllm__dataset *d = make(&options, NULL);
    size_t place = 0;
    count_in(d, 2, 2, 2, 0, 0);
    assert_int_equal(find_pair(d, "U1", "P1", &place), CLLM__TRAIN);
    assert_int_equal(cllm__dataset_interactions(d, CLLM__TRAIN)->times[place], 100);
    assert_string_equal(find_text(d, CLLM__TEXT_REVIEW, "U1", "P1", NULL), "nice thing");
    assert_string_equal(find_text(d, CLLM__TEXT_CATEGORIES, NULL, "P1", NULL), "Home Light");
    cllm__dataset_close(d);
}

/* Item rows are a seeded permutation, the same for the same items whatever the order of the input. */
static void test_numbering(void **state) {
    (void)state;
    char forward[4096], backward[4096];
    size_t used = 0, rows[2][100];
    for (int i = 0; i < 100; i++) used += (size_t)sprintf(forward + used, "u\titem%02d\n", i);
    used = 0;
    for (int i = 99; i >= 0; i--) used += (size_t)sprintf(backward + used, "u\titem%02d\n", i);
    cllm__dataset *d = make_from(forward, (cllm_prepare_options){.seed = 5});
    int in_place = 0;
    for (int i = 0; i < 100; i++) {
        char id[16];
        sprintf(id, "item%02d", i);
        assert_true(cllm__dataset_find_item(d, id, &rows[0][i]));
        in_place += rows[0][i] == (size_t)i;
    }
    assert_true(in_place < 10);
    cllm__dataset_close(d);
    d = make_from(backward, (cllm_prepare_options){.seed = 5});
    for (int i = 0; i < 100; i++) {
        char id[16];
        sprintf(id, "item%02d", i);
        assert_true(cllm__dataset_find_item(d, id, &rows[1][i]));
    }
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    uint64_t hash = cllm__dataset_hash(d);
    cllm__dataset_close(d);
    d = make_from(backward, (cllm_prepare_options){.seed = 6});
    assert_true(cllm__dataset_hash(d) != hash);
    size_t moved = 0;
    for (int i = 0; i < 100; i++) {
        char id[16];
        sprintf(id, "item%02d", i);
        assert_true(cllm__dataset_find_item(d, id, &rows[0][0]));
        moved += rows[0][0] != rows[1][i];
    }
    assert_true(moved > 80);
    cllm__dataset_close(d);
}

static int64_t number(struct json_object *object, const char *path) {
    char copy[64];
    strcpy(copy, path);
    for (char *key = strtok(copy, "."); key != NULL; key = strtok(NULL, ".")) {
        if (!json_object_object_get_ex(object, key, &object)) fail_msg("no %s", path);
    }
    return json_object_get_int64(object);
}

static void test_summary(void **state) {
    (void)state;
    const char *input = put("input", "user,item,rating,text\nu,a,5,two words\nu,b,4,\nu,c,4,\"it's a <b>test</b>, isn't "
                                     "it?\"\nu,d,1,bad\nv,a,5,\nv,,5,\nw,a,x,\nv,b,4,\n");
    cllm_prepare_options options = from(&input);
    options.has_min_rating = true;
    options.min_rating = 4;
    options.max_bad_rows = 2;
    options.seed = UINT64_MAX;
    char *summary, *again;
    cllm_error err;
    cllm__dataset *d = make(&options, &summary);
    struct json_object *object = json_tokener_parse(summary), *value;
    static const struct {
        const char *path;
        int64_t value;
    } expected[] = {{"users", 2},
                    {"items", 3},
                    {"interactions", 5},
                    {"train", 3},
                    {"valid", 1},
                    {"test", 1},
                    {"texts", 2},
                    {"words", 7},
                    {"tokens", 11}, /* two | words, and it|'s| a| test|,| isn|'t| it|? */
                    {"texts_by_kind.reviews", 2},
                    {"texts_by_kind.titles", 0},
                    {"history.min", 1},
                    {"history.max", 2},
                    {"history.median", 1},
                    {"dropped.rating", 1},
                    {"dropped.core", 0},
                    {"dropped.bad_rows", 2},
                    {"dropped.items", 1},
                    {"bad_rows.item", 1},
                    {"bad_rows.rating", 1},
                    {"html.reviews", 1},
                    {"short_users", 1},
                    {"kcore", 0}};
    for (size_t i = 0; i < CLLM_LEN(expected); i++) {
        if (number(object, expected[i].path) != expected[i].value) {
            fail_msg("%s is %lld", expected[i].path, (long long)number(object, expected[i].path));
        }
    }
    assert_true(json_object_object_get_ex(object, "density", &value));
    assert_true(fabs(json_object_get_double(value) - 5.0 / 6) < 1e-6);
    assert_true(json_object_object_get_ex(object, "seed", &value));
    assert_true(json_object_get_uint64(value) == UINT64_MAX);
    assert_true(json_object_object_get_ex(object, "split", &value));
    assert_string_equal(json_object_get_string(value), "ratio");
    assert_true(json_object_object_get_ex(object, "sources", &value));
    assert_int_equal(json_object_array_length(value), 1);
    assert_true(json_object_object_get_ex(object, "seconds", &value));
    json_object_put(object);
    /* Opening tells the same. */
    assert_int_equal(cllm__dataset_summary(d, &again, &err), CLLM_OK);
    assert_string_equal(summary, again);
    cllm__free(summary);
    cllm__free(again);
    cllm__dataset_close(d);
}

/* One user, one item, one interaction: they work, or say why not. */
static void test_smallest(void **state) {
    (void)state;
    const cllm_prepare_options plain = {0};
    cllm__dataset *d = make_from("u\ti\n", plain);
    count_in(d, 1, 1, 1, 0, 0);
    cllm__dataset_close(d);
    d = make_from("u\ta\nu\tb\nu\tc\n", plain);
    count_in(d, 1, 3, 1, 1, 1);
    cllm__dataset_close(d);
    d = make_from("u\ti\nv\ti\nw\ti\n", plain);
    count_in(d, 3, 1, 3, 0, 0);
    cllm__dataset_close(d);
    refuse_text("u\ti\nv\ti\n", (cllm_prepare_options){.kcore = 2}, CLLM_ERR_DATA,
                "2 outside the 2-core: check the columns, loosen the filters");
    refuse_text("u\ti\t3\n", (cllm_prepare_options){.has_min_rating = true, .min_rating = 4}, CLLM_ERR_DATA,
                "1 rated too low");
    refuse_text("user,item\n", plain, CLLM_ERR_DATA, "has no rows");
    refuse_text("user,item\n,\n", (cllm_prepare_options){.max_bad_rows = 5}, CLLM_ERR_DATA, "1 rows read, 1 malformed");
    refuse_text("", plain, CLLM_ERR_DATA, "is empty");
}

static void test_bad_rows(void **state) {
    (void)state;
    static const char rows[] = "user,item,rating\nu,a,5\nu,b,bad\nu,,5\nu,c,4\n";
    refuse_text(rows, (cllm_prepare_options){0}, CLLM_ERR_DATA, "input:3: the rating 'bad' is not a finite number");
    refuse_text(rows, (cllm_prepare_options){.max_bad_rows = 1}, CLLM_ERR_DATA, "more than 1 bad rows: ");
    refuse_text(rows, (cllm_prepare_options){.max_bad_rows = 1}, CLLM_ERR_DATA, "input:4: the item is empty");
    cllm__dataset *d = make_from(rows, (cllm_prepare_options){.max_bad_rows = 2});
    count_in(d, 1, 2, 2, 0, 0);
    cllm__dataset_close(d);
    put("items", "item,title\na,x\n,y\n");
    refuse_text("u\ta\n", (cllm_prepare_options){.items = at("items")}, CLLM_ERR_DATA, "items:3: the item is empty");
    refuse_text("u\ta\n", (cllm_prepare_options){.items = at("nothing")}, CLLM_ERR_NOT_FOUND, "nothing");
    put("items", "item,title\n");
    refuse_text("u\ta\n", (cllm_prepare_options){.items = at("items")}, CLLM_ERR_DATA, "names no items");
}

static void test_quotes(void **state) {
    (void)state;
    size_t row;
    cllm__dataset *d = make_from("user,item\n\"u\",a\n\"v,a\n", (cllm_prepare_options){.quote = CLLM_QUOTE_NOTHING});
    assert_true(cllm__dataset_find_user(d, "\"u\"", &row) && cllm__dataset_find_user(d, "\"v", &row));
    cllm__dataset_close(d);
    d = make_from("user\titem\n'u'\ta\n", (cllm_prepare_options){.quote = '\''});
    assert_true(cllm__dataset_find_user(d, "u", &row));
    cllm__dataset_close(d);
    refuse_text("user,item\n\"v,a\n", (cllm_prepare_options){0}, CLLM_ERR_DATA, "never closed");
    refuse_text("user,item\nv,a\n", (cllm_prepare_options){.quote = '\n'}, CLLM_ERR_USAGE, "quote");
}

static void test_usage(void **state) {
    (void)state;
    const char *input = put("input", "u\ti\n");
    cllm_prepare_options options = from(&input);
    options.force = false;
    const cllm_prepare_options good = options;
    options.n_inputs = 0;
    refuse(&options, CLLM_ERR_USAGE, "no input");
    options = good;
    options.output = "";
    assert_int_equal(cllm__prepare(&options, NULL, NULL), CLLM_ERR_USAGE);
    options = good;
    options.kcore = -1;
    refuse(&options, CLLM_ERR_USAGE, "--kcore -1");
    options = good;
    options.format = "xml";
    refuse(&options, CLLM_ERR_USAGE, "no format 'xml'");
    options = good;
    options.encoding = "utf-7";
    refuse(&options, CLLM_ERR_USAGE, "no encoding 'utf-7'");
    options = good;
    options.has_min_rating = true;
    options.min_rating = NAN;
    refuse(&options, CLLM_ERR_USAGE, "--min-rating");
    options = good;
    options.valid = SAMPLES "valid.tsv";
    refuse(&options, CLLM_ERR_USAGE, "--train");
    options = good;
    options.split = CLLM_SPLIT_FILES;
    refuse(&options, CLLM_ERR_USAGE, "give --valid, --test or both");
    options = good;
    options.split = (cllm_split_rule)9;
    refuse(&options, CLLM_ERR_USAGE, "no split rule 9");
    options = good;
    options.separator = "";
    refuse(&options, CLLM_ERR_USAGE, "separator");
    options = good;
    input = at("no-such-input");
    refuse(&options, CLLM_ERR_NOT_FOUND, "no-such-input");

    /* An existing folder: refused; replaced with force if it is a data set, never otherwise. */
    input = at("input");
    options = good;
    cllm__dataset_close(make(&options, NULL));
    cllm_error err;
    assert_int_equal(cllm__prepare(&options, NULL, &err), CLLM_ERR_EXISTS);
    assert_non_null(strstr(err.message, "--force"));
    options.force = true;
    cllm__dataset_close(make(&options, NULL));
    assert_int_equal(cllm__make_folders(at("precious"), &err), CLLM_OK);
    put("precious/file", "x");
    options.output = at("precious");
    assert_int_equal(cllm__prepare(&options, NULL, &err), CLLM_ERR_EXISTS);
    assert_non_null(strstr(err.message, "it has no dataset.json"));
    assert_true(cllm__path_exists(at("precious/file")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amazon),        cmocka_unit_test(test_without_times), cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_dropped),       cmocka_unit_test(test_universe),      cmocka_unit_test(test_fields),
        cmocka_unit_test(test_side_files),    cmocka_unit_test(test_strange_ids),   cmocka_unit_test(test_strange_dropped),
        cmocka_unit_test(test_texts_cleaned), cmocka_unit_test(test_inputs),        cmocka_unit_test(test_npz_equals_tsv),
        cmocka_unit_test(test_recbole),       cmocka_unit_test(test_numbering),     cmocka_unit_test(test_summary),
        cmocka_unit_test(test_smallest),      cmocka_unit_test(test_bad_rows),      cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
