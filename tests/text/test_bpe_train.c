/* The trainer against Hugging Face's merges, in tests/golden. */
#include <json-c/json.h>

#include "formats/stream.h"
#include "text_test.h"

/* The merges as lines "left right", from the saved file without its heading; the caller frees. */
static char *merges_of(const cllm__tokenizer *t, size_t *size) {
    char *folder = scratch_folder("train"), path[512], *data;
    cllm_error err;
    assert_ok(cllm__tokenizer_save(t, folder, &err), &err);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    assert_ok(cllm__read_file(path, 1 << 24, &data, size, &err), &err);
    cllm__remove_tree(folder);
    free(folder);
    size_t heading = strlen("#version: 0.2\n");
    *size -= heading;
    memmove(data, data + heading, *size + 1);
    return data;
}

static void feed_musical(cllm__bpe_trainer *trainer) {
    cllm__stream *stream;
    cllm_error err;
    char *line;
    size_t length;
    assert_ok(cllm__stream_open(&stream, TEST_SHARED_DATA "/musical-instruments/reviews_Musical_Instruments_5.json.gz",
                                CLLM_ENCODING_UTF8, &err),
              &err);
    for (;;) {
        assert_ok(cllm__stream_line(stream, &line, &length, &err), &err);
        if (line == NULL) break;
        json_object *row = json_tokener_parse(line), *text;
        assert_true(json_object_object_get_ex(row, "reviewText", &text));
        assert_ok(
            cllm__bpe_trainer_feed(trainer, json_object_get_string(text), (size_t)json_object_get_string_len(text), &err),
            &err);
        json_object_put(row);
    }
    cllm__stream_close(stream);
}

/* Every row of bpe_trainer.tsv whose texts have this name. */
static void check_rows(const char *name, cllm__bpe_trainer *trainer) {
    FILE *file = fopen(TEST_DATA "/golden/bpe_trainer.tsv", "r");
    assert_non_null(file);
    char heading[200], texts[64];
    assert_non_null(fgets(heading, sizeof heading, file));
    unsigned long vocab_size, min_frequency, merges;
    unsigned long long wanted;
    int rows = 0;
    while (fscanf(file, "%63s %lu %lu %lu %llx", texts, &vocab_size, &min_frequency, &merges, &wanted) == 5) {
        if (strcmp(texts, name) != 0) continue;
        cllm__tokenizer *t;
        cllm_error err;
        size_t size, lines = 0;
        assert_ok(cllm__bpe_trainer_run(trainer, vocab_size, min_frequency, NULL, &t, &err), &err);
        char *data = merges_of(t, &size);
        for (size_t i = 0; i < size; i++) lines += data[i] == '\n';
        assert_int_equal(lines, merges);
        assert_int_equal(cllm__tokenizer_size(t), 256 + merges);
        if (fnv_bytes(FNV_START, data, size) != wanted)
            fail_msg("%s %lu %lu: other merges", name, vocab_size, min_frequency);
        cllm__free(data);
        cllm__tokenizer_close(t);
        rows++;
    }
    fclose(file);
    assert_true(rows >= 4);
}

static void corpus(void **state) {
    (void)state;
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *t;
    cllm_error err;
    assert_ok(cllm__bpe_trainer_create(&trainer, &err), &err);
    feed_golden(trainer, "bpe_corpus.txt");
    assert_ok(cllm__bpe_trainer_run(trainer, 2048, 0, NULL, &t, &err), &err);
    char *wanted;
    size_t size, wanted_size;
    char *got = merges_of(t, &size);
    assert_ok(cllm__read_file(TEST_DATA "/golden/bpe_corpus.merges", 1 << 24, &wanted, &wanted_size, &err), &err);
    assert_string_equal(got, wanted);
    cllm__free(got), cllm__free(wanted);
    cllm__tokenizer_close(t);
    check_rows("bpe_corpus", trainer);
    cllm__bpe_trainer_free(trainer);
}

static void musical(void **state) {
    (void)state;
    if (!cllm__path_is_folder(TEST_SHARED_DATA "/musical-instruments")) {
        print_message("no musical-instruments\n");
        skip();
    }
    cllm__bpe_trainer *trainer;
    cllm_error err;
    assert_ok(cllm__bpe_trainer_create(&trainer, &err), &err);
    feed_musical(trainer);
    check_rows("musical", trainer);
    cllm__bpe_trainer_free(trainer);
}

static void by_hand(void **state) {
    (void)state;
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *t;
    cllm_error err;
    assert_ok(cllm__bpe_trainer_create(&trainer, &err), &err);
    /* Nothing to merge: the bytes alone, in the order of their letters. */
    assert_ok(cllm__bpe_trainer_run(trainer, 300, 0, NULL, &t, &err), &err);
    assert_int_equal(cllm__tokenizer_size(t), 256);
    assert_encodes(t, "!~ \n\xad\xff", 0, 93, 220, 198, 255, 187);
    cllm__tokenizer_close(t);
    /* "aaa" holds two pairs (a, a), "bc" comes twice: counts tie, and the smaller ids win, as they do for the last two. */
    assert_ok(cllm__bpe_trainer_feed(trainer, "aaa", 3, &err), &err);
    assert_ok(cllm__bpe_trainer_feed(trainer, "bc bc", 5, &err), &err);
    assert_ok(cllm__bpe_trainer_run(trainer, 300, 0, NULL, &t, &err), &err);
    size_t size;
    char *merges = merges_of(t, &size);
    assert_string_equal(merges, "a a\nb c\n\xc4\xa0 bc\naa a\n");
    cllm__free(merges);
    assert_encodes(t, "aaa bc", 259, 258);
    cllm__tokenizer_close(t);
    assert_ok(cllm__bpe_trainer_run(trainer, 300, 2, NULL, &t, &err), &err);
    assert_int_equal(cllm__tokenizer_size(t), 258);
    cllm__tokenizer_close(t);
    /* Broken UTF-8 and NUL are learnt as bytes. */
    assert_ok(cllm__bpe_trainer_feed(trainer, "\xff\xfe \xff\xfe \xff\xfe\0\0", 10, &err), &err);
    assert_ok(cllm__bpe_trainer_run(trainer, 257, 0, NULL, &t, &err), &err);
    assert_encodes(t, "\xff\xfe", 256);
    cllm__tokenizer_close(t);
    assert_fails(cllm__bpe_trainer_run(trainer, 255, 0, NULL, &t, why), CLLM_ERR_USAGE, "255 pieces");
    cllm__bpe_trainer_free(trainer);
}

static bool cancel_now(void *user) {
    (void)user;
    return true;
}

static void cancelled(void **state) {
    (void)state;
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *t = NULL;
    cllm_error err;
    const cllm_host host = {.cancelled = cancel_now};
    assert_ok(cllm__bpe_trainer_create(&trainer, &err), &err);
    feed_golden(trainer, "bpe_corpus.txt");
    assert_int_equal(cllm__bpe_trainer_run(trainer, 2048, 0, &host, &t, &err), CLLM_ERR_INTERRUPTED);
    assert_null(t);
    cllm__bpe_trainer_free(trainer);
}

static void allocation_failures(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        cllm__bpe_trainer *trainer = NULL;
        cllm__tokenizer *t = NULL;
        cllm_error err;
        size_t made = cllm__alloc_count();
        cllm__alloc_fail_at(n, false);
        cllm_status status = cllm__bpe_trainer_create(&trainer, &err);
        if (status == CLLM_OK) status = cllm__bpe_trainer_feed(trainer, "abc abc \xff abc ab", 16, &err);
        if (status == CLLM_OK) status = cllm__bpe_trainer_run(trainer, 300, 0, NULL, &t, &err);
        cllm__alloc_fail_at(0, false);
        made = cllm__alloc_count() - made;
        cllm__tokenizer_close(t);
        cllm__bpe_trainer_free(trainer);
        if (made < n) {
            assert_ok(status, &err);
            assert_true(n > 40);
            return;
        }
        /* Without memory for its compiler, PCRE2 still has its interpreter. */
        if (status != CLLM_OK) assert_int_equal(status, CLLM_ERR_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(corpus), cmocka_unit_test(musical),
                                       cmocka_unit_test(cancelled), cmocka_unit_test(allocation_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
