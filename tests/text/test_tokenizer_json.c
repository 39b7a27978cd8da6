/* tokenizer.json: every part that is read, refused or written, on a vocabulary small enough to follow. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>

#include "formats/utf8.h"
#include "text/nfc.h"
#include "text/splitter.h"
#include "text_test.h"

/* a b 1 2 space é(2 bytes) and some merges; ids: a 0, b 1, "1" 2, "2" 3, Ġ 4, Ã 5, © 6, then ab 7, 12 8, Ġa 9, Ã© 10 */
#define VOCAB \
    "{\"a\":0,\"b\":1,\"1\":2,\"2\":3,\"\\u0120\":4,\"\\u00c3\":5,\"\\u00a9\":6,\"ab\":7,\"12\":8,\"\\u0120a\":9," \
    "\"\\u00c3\\u00a9\":10}"
#define MERGES "[[\"\\u0120\",\"a\"],\"a b\",[\"1\",\"2\"],\"\\u00c3 \\u00a9\"]"
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}"
#define PLAIN_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"

static char *make(const char *pre, const char *more, const char *model_more) {
    size_t size = strlen(pre) + strlen(more) + strlen(model_more) + 1024;
    char *json = malloc(size);
    snprintf(json, size, "{\"pre_tokenizer\":%s%s,\"model\":{\"type\":\"BPE\",\"vocab\":%s,\"merges\":%s%s}}", pre, more,
             VOCAB, MERGES, model_more);
    return json;
}

static cllm_status read_json(cllm__tokenizer **t, const char *json, cllm_error *err) {
    return cllm__tokenizer_from_json(t, json, strlen(json), "J", err);
}

static cllm__tokenizer *good(const char *pre, const char *more, const char *model_more) {
    char *json = make(pre, more, model_more);
    cllm__tokenizer *t = NULL;
    cllm_error err;
    assert_ok(read_json(&t, json, &err), &err);
    free(json);
    return t;
}

static cllm_status bad(const char *pre, const char *more, const char *model_more, cllm_error *err) {
    char *json = make(pre, more, model_more);
    cllm__tokenizer *t = NULL;
    cllm_status status = read_json(&t, json, err);
    free(json);
    assert_null(t);
    return status;
}

static void gpt2_like(void **state) {
    (void)state;
    cllm__tokenizer *t = good(BYTE_LEVEL, ",\"version\":\"1.0\",\"normalizer\":null,\"unknown_key\":{}", ""), *other;
    assert_encodes(t, "ab a12\xc3\xa9", 7, 9, 8, 10);
    t = reopened(t, "merges.txt"); /* these two files say everything */
    assert_encodes(t, "ab a12\xc3\xa9", 7, 9, 8, 10);
    /* With "" for "none", as GPT-2's own file has it. */
    other = good(BYTE_LEVEL, "",
                 ",\"unk_token\":\"\",\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\",\"dropout\":null");
    assert_int_equal(cllm__tokenizer_hash(t), cllm__tokenizer_hash(other));
    cllm__tokenizer_close(t), cllm__tokenizer_close(other);
}

static void splits(void **state) {
    (void)state;
    cllm__tokenizer *t;
    /* One digit at a time; the look-ahead of \s+(?!\S) then ends where the digit begins, so the space stays a word. */
    t = good("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true}," BYTE_LEVEL "]}",
             "", "");
    t = reopened(t, "tokenizer.json");
    assert_encodes(t, "12", 2, 3);
    assert_encodes(t, "  1", 4, 4, 2);
    assert_encodes(t, "b  ab", 1, 4, 9, 1);
    cllm__tokenizer_close(t);
    t = good("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"}," BYTE_LEVEL "]}", "", "");
    assert_encodes(t, "ab12 12", 7, 8, 4, 8);
    cllm__tokenizer_close(t);
    /* A Split by expression, nested sequences, \s with PCRE2's U+180E kept out of it (its bytes have no piece). */
    t = good("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
             "\"pattern\":"
             "{\"Regex\":\"\\\\s?a\"},\"behavior\":\"Isolated\",\"invert\":false}]}," PLAIN_LEVEL "]}",
             "", "");
    t = reopened(t, "tokenizer.json");
    assert_encodes(t, "ab a", 0, 1, 9);
    cllm__tokenizer_close(t);
    /* Removed keeps the gaps, inverted it keeps the matches; a String is taken literally. */
    t = good("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"String\":\".\"},\"behavior\":"
             "\"Removed\","
             "\"invert\":false}," PLAIN_LEVEL "]}",
             "", "");
    t = reopened(t, "tokenizer.json");
    assert_encodes(t, "a.b.ab..", 0, 1, 7);
    cllm__tokenizer_close(t);
    t = good("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"ab\"},\"behavior\":"
             "\"Removed\","
             "\"invert\":true}," PLAIN_LEVEL "]}",
             "", "");
    t = reopened(t, "tokenizer.json");
    assert_encodes(t, "aabb12ab", 7, 7);
    cllm__tokenizer_close(t);
    /* No split at all; a space before the text. */
    t = reopened(good("{\"type\":\"ByteLevel\",\"use_regex\":false}", "", ""), "tokenizer.json");
    assert_encodes(t, "ab 12", 9, 1, 4, 8);
    assert_encodes(t, " ab", 9, 1);
    cllm__tokenizer_close(t);
}

static void normalising(void **state) {
    (void)state;
    cllm__tokenizer *t =
        good(BYTE_LEVEL, ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}", "");
    t = reopened(t, "tokenizer.json");
    /* In the middle, the prefix space besides, between broken bytes (which have no piece), with NUL beside it. */
    assert_encodes(t, "a\xc3\xa9", 0, 10);
    cllm__tokens got = {0};
    cllm_error err;
    assert_ok(cllm__tokenizer_encode_main(t, "b", 1, true, SIZE_MAX, &got, &err), &err);
    got.count = 0;
    assert_ok(cllm__tokenizer_encode_main(t,
                                          "\xff"
                                          "ab\xc3\xa9\xc3",
                                          6, true, SIZE_MAX, &got, &err),
              &err);
    assert_ids(&got, (const int32_t[]){4, 7, 10, 5}, 4);
    cllm__tokens_free(&got);
    cllm__tokenizer_close(t);
    t = good(BYTE_LEVEL, ",\"normalizer\":{\"type\":\"NFC\"}", "");
    /* e + U+0301 is é; "e" itself has no piece, so that the composed form is seen. */
    assert_encodes(t, "ae\xcc\x81", 0, 10);
    assert_encodes(t, "a\0e\xcc\x81", 0, 10);
    cllm__tokenizer_close(t);
}

/* Against utf8proc's own composition: every code point, random rows of letters and marks, long rows of marks. */
static void nfc_of(cllm__nfc *nfc, const char *text, size_t length) {
    cllm_error err;
    utf8proc_uint8_t *wanted;
    utf8proc_ssize_t size =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &wanted, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert_true(size >= 0);
    assert_ok(cllm__nfc_run(nfc, text, length, &err), &err);
    assert_int_equal(nfc->length, size);
    if (size != 0) assert_memory_equal(nfc->text, wanted, (size_t)size);
    free(wanted);
}

static void composing(void **state) {
    (void)state;
    static const uint32_t some[] = {'a',   'e',   0xE9,   0x1EBF,  0x300,  0x301,  0x302,  0x323,
                                    0x327, 0x345, 0x1100, 0x1161,  0x11A8, 0xAC00, 0x212B, 0x958,
                                    0x5D1, 0x5BC, 0x5B4,  0x1D15F, 0x16D,  0x2126, 0};
    cllm__nfc nfc = {0};
    char text[2048];
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c < 0xD800 || c > 0xDFFF) nfc_of(&nfc, text, cllm__utf8_put(text, c));
    }
    cllm__rng rng = cllm__rng_make(4, CLLM_RNG_TEST, 0, 1);
    for (int trial = 0; trial < 20000; trial++) {
        size_t length = 0, count = (size_t)cllm__rng_below(&rng, trial % 100 == 0 ? 400 : 12);
        bool marks = trial % 200 == 0;
        for (size_t i = 0; i < count; i++) {
            uint64_t pick = marks && i != 0 ? 4 + cllm__rng_below(&rng, 6) : cllm__rng_below(&rng, CLLM_LEN(some));
            length += cllm__utf8_put(text + length, some[pick]);
        }
        nfc_of(&nfc, text, length);
    }
    cllm__nfc_free(&nfc);
}

static void unknown_bytes(void **state) {
    (void)state;
    cllm__tokenizer *t = good(BYTE_LEVEL, "", "");
    assert_int_equal(cllm__tokenizer_missing_bytes(t), 249);
    assert_encodes(t, "axxb", 7);
    cllm__tokenizer_close(t);
    t = reopened(good(BYTE_LEVEL, "", ",\"unk_token\":\"2\""), "tokenizer.json");
    assert_int_equal(cllm__tokenizer_missing_bytes(t), 0);
    assert_encodes(t, "axxb", 0, 3, 3, 1);
    cllm__tokenizer_close(t);
    t = reopened(good(BYTE_LEVEL, "", ",\"unk_token\":\"2\",\"fuse_unk\":true"), "tokenizer.json");
    assert_encodes(t, "axxbx", 0, 3, 1, 3);
    cllm__tokenizer_close(t);
}

/* A word that is a piece, though no merge leads to it. */
static void ignoring_merges(void **state) {
    (void)state;
    const char *format = "{\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"aba\":3},"
                         "\"merges\":[\"a b\"],\"ignore_merges\":%s}}";
    char json[512];
    cllm__tokenizer *t;
    cllm_error err;
    snprintf(json, sizeof json, format, "false");
    assert_ok(read_json(&t, json, &err), &err);
    assert_encodes(t, "aba", 2, 0);
    cllm__tokenizer_close(t);
    snprintf(json, sizeof json, format, "true");
    assert_ok(read_json(&t, json, &err), &err);
    t = reopened(t, "tokenizer.json");
    assert_encodes(t, "aba", 3);
    assert_encodes(t, "abaa", 2, 0, 0);
    cllm__tokenizer_close(t);
}

static void markers(void **state) {
    (void)state;
    cllm__tokenizer *t =
        good(BYTE_LEVEL,
             ",\"added_tokens\":[{\"id\":11,\"content\":\"<|a b|>\",\"special\":true},{\"id\":12,\"content\":\"3\"},"
             "{\"id\":7,\"content\":\"ab\"}],\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" BYTE_LEVEL
             ",{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<|a b|>\",\"type_id\":0}},"
             "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"<|a b|>\":{\"id\":"
             "\"<|a b|>\",\"ids\":[11],\"tokens\":[\"<|a b|>\"]}}}]}",
             "");
    t = reopened(t, "tokenizer.json");
    assert_int_equal(cllm__tokenizer_size(t), 13);
    assert_int_equal(cllm__tokenizer_bos(t), 11);
    assert_int_equal(cllm__tokenizer_find(t, "<|a b|>"), 11);
    /* In text a marker is text, also where it looks like a byte that the vocabulary lacks. */
    assert_encodes(t, "<|a b|>", 0, 4, 1);
    assert_encodes(t, "3a", 0);
    size_t length;
    assert_string_equal(cllm__tokenizer_piece(t, 11, &length), "<|a b|>");
    cllm__tokenizer_close(t);
}

static void refused(void **state) {
    (void)state;
    cllm__tokenizer *t = NULL;
    assert_fails(read_json(&t, "[]", why), CLLM_ERR_DATA, "J: no model");
    assert_fails(read_json(&t, "{}", why), CLLM_ERR_DATA, "J: no model");
    assert_fails(read_json(&t, "{\"model\":{\"type\":\"Unigram\"}}", why), CLLM_ERR_UNSUPPORTED,
                 "J: a model of type 'Unigram'");
    assert_fails(read_json(&t, "{\"model\":{}}", why), CLLM_ERR_UNSUPPORTED, "'(no type)'"); /* no pre-tokeniser */
    assert_fails(read_json(&t, "{\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{}}", why), CLLM_ERR_DATA,
                 "model.vocab is not");
    assert_fails(read_json(&t, "{\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":-1}}}", why), CLLM_ERR_DATA,
                 "'a' has no id");
    assert_fails(read_json(&t, "{\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0}}}", why), CLLM_ERR_DATA,
                 "model.merges is not");
    assert_fails(
        read_json(&t, "{\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"aa\"]}}", why),
        CLLM_ERR_DATA, "model.merges[0]: neither");
    assert_fails(
        read_json(&t, "{\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]}}", why),
        CLLM_ERR_DATA, "model.merges[0]: neither");
    assert_fails(
        read_json(&t, "{\"pre_tokenizer\":" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"a\"]]}}", why),
        CLLM_ERR_DATA, "model.merges[0]: the merge's result 'aa'");
    assert_fails(bad(BYTE_LEVEL, "", ",\"byte_fallback\":true", why), CLLM_ERR_UNSUPPORTED, "byte_fallback");
    assert_fails(bad(BYTE_LEVEL, "", ",\"dropout\":0.1", why), CLLM_ERR_UNSUPPORTED, "dropout");
    assert_fails(bad(BYTE_LEVEL, "", ",\"end_of_word_suffix\":\"</w>\"", why), CLLM_ERR_UNSUPPORTED, "end_of_word_suffix");
    assert_fails(bad(BYTE_LEVEL, "", ",\"unk_token\":\"<unk>\"", why), CLLM_ERR_DATA, "unk_token '<unk>'");
    assert_fails(bad("null", "", "", why), CLLM_ERR_UNSUPPORTED, "a pre-tokeniser of type '(no type)'");
    assert_fails(bad("{\"type\":\"Metaspace\",\"replacement\":\"_\"}", "", "", why), CLLM_ERR_UNSUPPORTED,
                 "Metaspace of '_'");
    assert_fails(bad("{\"type\":\"Metaspace\"}", "", ",\"ignore_merges\":true", why), CLLM_ERR_UNSUPPORTED,
                 "ignore_merges");
    assert_fails(bad("{\"type\":\"Metaspace\"}", "", ",\"ranks\":[1]", why), CLLM_ERR_DATA, "model.ranks");
    assert_fails(bad("{\"type\":\"Metaspace\"}", "", ",\"ranks\":[1,1,0,2]", why), CLLM_ERR_DATA, "not ascending");
    assert_fails(bad("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Metaspace\"}," BYTE_LEVEL "]}", "", "", why),
                 CLLM_ERR_UNSUPPORTED, "ByteLevel");
    assert_fails(bad("{\"type\":\"Digits\"}", "", "", why), CLLM_ERR_UNSUPPORTED, "without 'ByteLevel'");
    assert_fails(bad("{\"type\":\"Sequence\",\"pretokenizers\":[" BYTE_LEVEL ",{\"type\":\"Digits\"}]}", "", "", why),
                 CLLM_ERR_UNSUPPORTED, "after ByteLevel, 'Digits'");
    assert_fails(
        bad("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},{\"type\":\"ByteLevel\"}]}", "", "", why),
        CLLM_ERR_UNSUPPORTED, "add_prefix_space");
    assert_fails(bad("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}", "", "", why),
                 CLLM_ERR_UNSUPPORTED, "without 'ByteLevel'");
#define SPLIT(inside) "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\"," inside "}," PLAIN_LEVEL "]}"
    assert_fails(bad(SPLIT("\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\""), "", "", why), CLLM_ERR_DATA,
                 "J: the pattern '('");
    assert_fails(bad(SPLIT("\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Contiguous\""), "", "", why), CLLM_ERR_UNSUPPORTED,
                 "'Contiguous'");
    assert_fails(bad(SPLIT("\"pattern\":{\"Regex\":\"a\\u0000b\"},\"behavior\":\"Isolated\""), "", "", why), CLLM_ERR_DATA,
                 "NUL");
    assert_fails(bad(SPLIT("\"pattern\":{\"Regex\":\"\"},\"behavior\":\"Isolated\""), "", "", why), CLLM_ERR_DATA,
                 "without a pattern");
    assert_fails(bad(SPLIT("\"pattern\":\"a\",\"behavior\":\"Isolated\""), "", "", why), CLLM_ERR_DATA,
                 "without a pattern");
    assert_fails(bad(BYTE_LEVEL, ",\"normalizer\":{\"type\":\"Lowercase\"}", "", why), CLLM_ERR_UNSUPPORTED, "'Lowercase'");
    assert_fails(bad(BYTE_LEVEL, ",\"added_tokens\":{}", "", why), CLLM_ERR_DATA, "added_tokens is not a list");
    assert_fails(bad(BYTE_LEVEL, ",\"added_tokens\":[{\"id\":11}]", "", why), CLLM_ERR_DATA, "added_tokens[0]: no content");
    assert_fails(bad(BYTE_LEVEL, ",\"added_tokens\":[{\"id\":12,\"content\":\"<x>\"}]", "", why), CLLM_ERR_DATA,
                 "the id 11 is missing");
    assert_fails(bad(BYTE_LEVEL, ",\"added_tokens\":[{\"id\":3,\"content\":\"<x>\"}]", "", why), CLLM_ERR_DATA,
                 "two pieces, '2' and '<x>'");
    assert_fails(bad(BYTE_LEVEL, ",\"added_tokens\":[{\"id\":11,\"content\":\"ab\"}]", "", why), CLLM_ERR_DATA,
                 "'ab' has two ids");
    assert_fails(bad(BYTE_LEVEL, ",\"added_tokens\":[{\"id\":11,\"content\":\"x\\u0000\"}]", "", why), CLLM_ERR_DATA,
                 "NUL");
    assert_null(t);
}

/* An expression that would try for ever is stopped. */
static void hostile_pattern(void **state) {
    (void)state;
    cllm__tokenizer *t = good(SPLIT("\"pattern\":{\"Regex\":\"(a|aa|a\\\\p{L})+!\"},\"behavior\":\"Isolated\""), "", "");
    cllm__tokens got = {0};
    char text[200];
    memset(text, 'a', sizeof text);
    memcpy(text + sizeof text - 2, "1!", 2);
    assert_fails(cllm__tokenizer_encode(t, text, sizeof text, &got, why), CLLM_ERR_DATA, "fails on this text");
    assert_int_equal(got.count, 0);
    cllm__tokens_free(&got);
    cllm__tokenizer_close(t);
}

static void allocation_failures(void **state) {
    (void)state;
    char *json = make(SPLIT("\"pattern\":{\"Regex\":\"a+\"},\"behavior\":\"Isolated\""),
                      ",\"normalizer\":{\"type\":\"NFC\"},\"added_tokens\":[{\"id\":11,\"content\":\"<x>\"}]",
                      ",\"ignore_merges\":true");
    for (size_t n = 1;; n++) {
        cllm__tokenizer *t = NULL;
        cllm__tokens got = {0};
        cllm_error err;
        size_t made = cllm__alloc_count();
        cllm__alloc_fail_at(n, false);
        cllm_status status = read_json(&t, json, &err);
        if (status == CLLM_OK) status = cllm__tokenizer_encode_main(t, "b\xc3\xa9\xff", 4, true, SIZE_MAX, &got, &err);
        cllm__alloc_fail_at(0, false);
        made = cllm__alloc_count() - made;
        cllm__tokenizer_close(t);
        cllm__tokens_free(&got);
        if (made < n) {
            assert_ok(status, &err);
            assert_true(n > 40);
            break;
        }
        /* Without memory for its compiler, PCRE2 still has its interpreter. */
        if (status != CLLM_OK) assert_int_equal(status, CLLM_ERR_NOMEM);
    }
    free(json);
}

static size_t words_of(const cllm__splitter *splitter, const char *text) {
    cllm__split_walk *walk;
    cllm_error err;
    size_t begin, end, words = 0;
    assert_ok(cllm__split_walk_create(&walk, splitter, &err), &err);
    cllm__split_walk_begin(walk, text, strlen(text));
    for (;; words++) {
        assert_ok(cllm__split_walk_next(walk, &begin, &end, &err), &err);
        if (begin == end) break;
    }
    cllm__split_walk_free(walk);
    return words;
}

/* A letter is what PCRE2's tables know as one: U+1E4D0 came with Unicode 15. */
static void letters_by_version(void **state) {
    (void)state;
    cllm__splitter *splitter;
    cllm_error err;
    char pattern[256], version[32];
    snprintf(pattern, sizeof pattern, "%s", cllm__gpt2_pattern);
    const cllm__split_step step = {.pattern = pattern, .keep_matches = true, .keep_gaps = true};
    assert_ok(cllm__splitter_create(&splitter, &step, 1, &err), &err);
    assert_true(pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version) > 0);
    assert_int_equal(words_of(splitter, "a\xC3\xA9" "b"), 1);
    assert_int_equal(words_of(splitter, "a\xF0\x9E\x93\x90" "b"), atof(version) >= 15 ? 1 : 3);
    cllm__splitter_free(splitter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_like),       cmocka_unit_test(splits), cmocka_unit_test(letters_by_version),
        cmocka_unit_test(normalising),     cmocka_unit_test(composing),
        cmocka_unit_test(unknown_bytes),   cmocka_unit_test(ignoring_merges),
        cmocka_unit_test(markers),         cmocka_unit_test(refused),
        cmocka_unit_test(hostile_pattern), cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
