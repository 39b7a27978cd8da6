/* Token for token equal to Hugging Face's tokenizers with GPT-2's vocabulary: digests and a list of nasty texts. */
#include "formats/stream.h"
#include "golden_text.h"

static void check_digests(const char *golden, const char *data, const char *key) {
    cllm__tokenizer *t = open_gpt2();
    cllm_error err;
    char path[1024], *line;
    snprintf(path, sizeof path, "%s/%s", TEST_SHARED_DATA, data);
    if (!cllm__path_exists(path)) {
        print_message("no %s\n", path);
        cllm__tokenizer_close(t);
        skip();
    }
    cllm__stream *stream;
    size_t length, texts = 0;
    assert_ok(cllm__stream_open(&stream, path, CLLM_ENCODING_UTF8, &err), &err);
    snprintf(path, sizeof path, "%s/golden/%s", TEST_DATA, golden);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char heading[100];
    assert_non_null(fgets(heading, sizeof heading, file));
    unsigned long first, count, tokens, total = 0;
    unsigned long long wanted;
    while (fscanf(file, "%lu %lu %lu %llx", &first, &count, &tokens, &wanted) == 4) {
        assert_int_equal(first, texts);
        cllm__tokens ids = {0};
        uint64_t hash = FNV_START;
        size_t found = 0;
        for (unsigned long i = 0; i < count; i++, texts++) {
            assert_ok(cllm__stream_line(stream, &line, &length, &err), &err);
            assert_non_null(line);
            json_object *row = NULL, *text = NULL;
            if (key != NULL) {
                row = json_tokener_parse(line);
                assert_true(json_object_object_get_ex(row, key, &text));
                line = (char *)json_object_get_string(text);
                length = (size_t)json_object_get_string_len(text);
            }
            ids.count = 0;
            assert_ok(cllm__tokenizer_encode(t, line, length, &ids, &err), &err);
            hash = fnv_ids(hash, ids.ids, ids.count);
            found += ids.count;
            json_object_put(row);
        }
        if (found != tokens || hash != wanted) fail_msg("texts %lu to %lu differ", first, first + count - 1);
        total += tokens;
        cllm__tokens_free(&ids);
    }
    assert_true(texts > 10000 && total > 1000000);
    fclose(file);
    cllm__stream_close(stream);
    cllm__tokenizer_close(t);
}

static void musical(void **state) {
    (void)state;
    check_digests("tokenizer_musical.tsv", "musical-instruments/reviews_Musical_Instruments_5.json.gz", "reviewText");
}

static void imdb(void **state) {
    (void)state;
    check_digests("tokenizer_imdb.tsv", "imdb/reviews.txt.xz", NULL);
}

static void nasty(void **state) {
    (void)state;
    cllm__tokenizer *t = open_gpt2();
    cllm_error err;
    json_object *root = json_object_from_file(TEST_DATA "/golden/tokenizer_nasty.json"), *list = member(root, "strings");
    assert_true(json_object_array_length(list) > 100);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *one = json_object_array_get_idx(list, i), *ids = member(one, "ids");
        const char *text = json_object_get_string(member(one, "text"));
        char *bytes = malloc(strlen(text) + 1), *back;
        size_t length = base64(text, bytes), back_length, count = json_object_array_length(ids);
        bytes = realloc(bytes, length + 1); /* so that reading too far is seen */
        cllm__tokens got = {0};
        assert_ok(cllm__tokenizer_encode(t, bytes, length, &got, &err), &err);
        int32_t *wanted = malloc((count + 1) * sizeof *wanted);
        for (size_t k = 0; k < count; k++) wanted[k] = json_object_get_int(json_object_array_get_idx(ids, k));
        assert_ids(&got, wanted, count);
        assert_ok(cllm__tokenizer_decode(t, got.ids, got.count, &back, &back_length, &err), &err);
        assert_int_equal(back_length, length);
        if (length != 0) assert_memory_equal(back, bytes, length);
        cllm__free(back);
        cllm__tokens_free(&got);
        free(wanted);
        free(bytes);
    }
    json_object_put(root);
    cllm__tokenizer_close(t);
}

/* A word of a megabyte: O(n log n), so that it ends. */
static void long_words(void **state) {
    (void)state;
    cllm__tokenizer *t = open_gpt2();
    cllm_error err;
    json_object *root = json_object_from_file(TEST_DATA "/golden/tokenizer_nasty.json"), *list = member(root, "generated");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *one = json_object_array_get_idx(list, i);
        size_t length = (size_t)json_object_get_int64(member(one, "length"));
        bool lcg = strcmp(json_object_get_string(member(one, "rule")), "lcg") == 0;
        char *text = malloc(length);
        uint64_t x = 1;
        for (size_t k = 0; k < length; k++) {
            x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            text[k] = lcg ? (char)('a' + (x >> 33) % 26) : 'a';
        }
        cllm__tokens got = {0};
        assert_ok(cllm__tokenizer_encode(t, text, length, &got, &err), &err);
        assert_int_equal(got.count, json_object_get_int64(member(one, "tokens")));
        assert_int_equal(fnv_ids(FNV_START, got.ids, got.count),
                         strtoull(json_object_get_string(member(one, "fnv1a64")), NULL, 16));
        cllm__tokens_free(&got);
        free(text);
    }
    json_object_put(root);
    cllm__tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nasty), cmocka_unit_test(long_words), cmocka_unit_test(musical),
                                       cmocka_unit_test(imdb)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
