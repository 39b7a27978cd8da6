/* Token for token equal to Hugging Face's tokenizers and to sentencepiece: small vocabularies set up as Qwen2's, LLaMA 3's and
 * LLaMA 2's, from tokenizer.json and from GGUF. tools/golden/README.md describes the files. */
#include "formats/stream.h"
#include "golden_text.h"
#include "text/prompt.h"

#define MUSICAL TEST_SHARED_DATA "/musical-instruments/reviews_Musical_Instruments_5.json.gz"

/* The digest of a file's lines, or of their member `key`. */
static uint64_t digest_of(const cllm__tokenizer *t, const char *path, const char *key) {
    cllm__stream *stream;
    cllm__tokens ids = {0};
    cllm_error err;
    char *line;
    size_t length;
    uint64_t hash = FNV_START;
    assert_ok(cllm__stream_open(&stream, path, CLLM_ENCODING_UTF8, &err), &err);
    for (;;) {
        assert_ok(cllm__stream_line(stream, &line, &length, &err), &err);
        if (line == NULL) break;
        json_object *row = key == NULL ? NULL : json_tokener_parse(line), *text = row == NULL ? NULL : member(row, key);
        ids.count = 0;
        if (text == NULL) assert_ok(cllm__tokenizer_encode(t, line, length, &ids, &err), &err);
        else {
            assert_ok(cllm__tokenizer_encode(t, json_object_get_string(text), (size_t)json_object_get_string_len(text), &ids, &err),
                      &err);
        }
        hash = fnv_ids(hash, ids.ids, ids.count);
        json_object_put(row);
    }
    cllm__tokens_free(&ids);
    cllm__stream_close(stream);
    return hash;
}

static void check_texts(const cllm__tokenizer *t, const char *name) {
    check_nasty(t, name);
    json_object *root = json_object_from_file(GOLDEN_FOLDER "tokenizer_llama.json"), *wanted = member(root, name);
    assert_int_equal(digest_of(t, GOLDEN_FOLDER "bpe_corpus.txt", NULL), hex(member(wanted, "corpus")));
    if (cllm__path_exists(MUSICAL)) assert_int_equal(digest_of(t, MUSICAL, "reviewText"), hex(member(wanted, "musical")));
    else print_message("no %s\n", MUSICAL);
    json_object_put(root);
}

static void check_both(const char *name, size_t size, const char *bos) {
    cllm__tokenizer *json = open_golden(name, "json"), *file = open_golden(name, "gguf");
    int32_t wanted = bos == NULL ? -1 : cllm__tokenizer_find(json, bos);
    assert_int_equal(cllm__tokenizer_size(json), size);
    assert_int_equal(cllm__tokenizer_size(file), size);
    assert_int_equal(cllm__tokenizer_bos(json), wanted);
    assert_int_equal(cllm__tokenizer_bos(file), wanted);
    check_texts(json, name);
    check_texts(file, name);
    file = reopened(file, NULL);
    json = reopened(json, NULL);
    check_nasty(file, name);
    check_nasty(json, name);
    cllm__tokenizer_close(json);
    cllm__tokenizer_close(file);
}

static void qwen2(void **state) {
    (void)state;
    check_both("qwen2", 353, NULL);
}

static void llama3(void **state) {
    (void)state;
    check_both("llama3", 344, "<|begin_of_text|>");
}

static void llama2(void **state) {
    (void)state;
    check_both("llama2", 420, "<s>");
}

/* Broken UTF-8 goes to byte pieces, byte by byte, and decoding gives the bytes back, with the space before them. */
static void llama2_bytes(void **state) {
    (void)state;
    static const char *const texts[] = {"\xff", "a\x80z", "\xe2\x82", "\xf0\x9f\x8e!", "caf\xe9 \xf0\x9f\x8e\xb8", "\xe2\x96"};
    for (int k = 0; k < 2; k++) {
        cllm__tokenizer *t = open_golden("llama2", k == 0 ? "json" : "gguf");
        assert_int_equal(cllm__tokenizer_missing_bytes(t), 0);
        for (size_t i = 0; i < CLLM_LEN(texts); i++) {
            cllm__tokens got = {0};
            cllm_error err;
            char *back;
            size_t length;
            assert_ok(cllm__tokenizer_encode(t, texts[i], strlen(texts[i]), &got, &err), &err);
            assert_ok(cllm__tokenizer_decode(t, got.ids, got.count, &back, &length, &err), &err);
            assert_int_equal(back[0], ' ');
            assert_string_equal(back + 1, texts[i]);
            cllm__free(back);
            cllm__tokens_free(&got);
        }
        cllm__tokenizer_close(t);
    }
}

static size_t render(const cllm__prompt *prompt, int32_t *ids) {
    cllm__tokens got = {0};
    cllm_error err;
    const cllm__id_space space = {420, 1, 1};
    assert_ok(cllm__prompt_render(prompt, &space, &(cllm__prompt_fill){.user = 0, .item = 0}, &got, NULL, &err), &err);
    memcpy(ids, got.ids, got.count * sizeof *ids);
    size_t count = got.count;
    cllm__tokens_free(&got);
    return count;
}

/* A template's text has the space once, before a text that begins it; the token that begins a sequence stands before all. */
static void in_templates(void **state) {
    (void)state;
    cllm__tokenizer *t = open_golden("llama2", "gguf");
    cllm_error err;
    int32_t space = cllm__tokenizer_find(t, "\xE2\x96\x81"), a = cllm__tokenizer_find(t, "a"), ids[64], bos;
    int32_t spaced = cllm__tokenizer_find(t, "\xE2\x96\x81" "a");
    assert_true(space >= 0 && a >= 0 && spaced >= 0);
    cllm__prompt prompt;
    assert_ok(cllm__prompt_compile(&prompt, t, "a user_{i} a item_{j}a", &err), &err);
    assert_int_equal(render(&prompt, ids), 5);
    assert_memory_equal(ids, ((int32_t[]){spaced, 420, spaced, 421, a}), 5 * sizeof *ids);
    cllm__prompt_free(&prompt);
    assert_ok(cllm__prompt_compile(&prompt, t, "user_{i}a", &err), &err);
    assert_int_equal(render(&prompt, ids), 2);
    assert_memory_equal(ids, ((int32_t[]){420, a}), 2 * sizeof *ids);
    cllm__prompt_free(&prompt);
    cllm__tokens got = {0};
    const cllm__id_space ids_of = {420, 1, 1};
    assert_ok(cllm__prompt_encode_concrete(t, &ids_of, "a user_0 a item_0a", 18, &got, &err), &err);
    assert_ids(&got, (int32_t[]){spaced, 420, spaced, 421, a}, 5);
    cllm__tokens_free(&got);

    assert_ok(cllm__tokenizer_choose_bos(t, CLLM_BOS_AUTO, &bos, &err), &err);
    assert_int_equal(bos, 1);
    cllm__prompts prompts;
    assert_ok(cllm__prompts_compile(&prompts, t, NULL, &err), &err);
    size_t before = render(&prompts.title, ids);
    assert_ok(cllm__prompts_begin(&prompts, bos, &err), &err);
    assert_int_equal(render(&prompts.title, ids), before + 1);
    assert_int_equal(ids[0], 1);
    assert_int_equal(render(&prompts.collab, ids), prompts.collab.length);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 420);
    cllm__prompts_free(&prompts);
    assert_ok(cllm__tokenizer_choose_bos(t, CLLM_BOS_OFF, &bos, &err), &err);
    assert_int_equal(bos, -1);
    cllm__tokenizer_close(t);

    t = open_golden("qwen2", "gguf"); /* names one, doesn't want it */
    assert_ok(cllm__tokenizer_choose_bos(t, CLLM_BOS_AUTO, &bos, &err), &err);
    assert_int_equal(bos, -1);
    assert_ok(cllm__tokenizer_choose_bos(t, CLLM_BOS_ON, &bos, &err), &err);
    assert_int_equal(bos, cllm__tokenizer_find(t, "<|endoftext|>"));
    cllm__tokenizer_close(t);
    t = train_small(300);
    assert_fails(cllm__tokenizer_choose_bos(t, CLLM_BOS_ON, &bos, why), CLLM_ERR_USAGE, "--bos");
    cllm__tokenizer_close(t);
}

/* The file with `from` (once in it) replaced by `to`, of the same length. */
static void check_damaged(const char *name, const char *from, const char *to, cllm_status wanted, const char *words) {
    char path[1024], *folder = scratch_folder("damaged"), *data, *at = NULL;
    size_t size, length = strlen(from);
    cllm_error err;
    cllm__tokenizer *t = NULL;
    snprintf(path, sizeof path, GOLDEN_FOLDER "tokenizer_%s.gguf", name);
    assert_ok(cllm__read_file(path, 1 << 20, &data, &size, &err), &err);
    for (size_t i = 0; at == NULL && i + length <= size; i++) {
        if (memcmp(data + i, from, length) == 0) at = data + i;
    }
    assert_non_null(at);
    memcpy(at, to, length);
    snprintf(path, sizeof path, "%s/damaged.gguf", folder);
    assert_ok(cllm__write_file(path, data, size, &err), &err);
    assert_fails(cllm__tokenizer_open(&t, path, why), wanted, words);
    assert_fails(cllm__tokenizer_open(&t, path, why), wanted, "damaged.gguf");
    assert_null(t);
    cllm__free(data);
    cllm__remove_tree(folder);
    free(folder);
}

static void refused(void **state) {
    (void)state;
    check_damaged("qwen2", "tokenizer.ggml.model", "tokenizer.ggml.xodel", CLLM_ERR_NOT_FOUND, "tokenizer.ggml.model is missing");
    check_damaged("qwen2", "gpt2", "bert", CLLM_ERR_UNSUPPORTED, "tokenizer.ggml.model is 'bert'");
    check_damaged("qwen2", "qwen2", "qwen9", CLLM_ERR_UNSUPPORTED, "tokenizer.ggml.pre is 'qwen9'");
    check_damaged("qwen2", "tokenizer.ggml.tokens", "tokenizer.ggml.xokens", CLLM_ERR_DATA, "tokenizer.ggml.tokens has no pieces");
    check_damaged("qwen2", "tokenizer.ggml.merges", "tokenizer.ggml.xerges", CLLM_ERR_DATA, "no tokenizer.ggml.merges");
    check_damaged("qwen2", "\xc4\xa0 s", "\xc4\xa0_s", CLLM_ERR_DATA, "is not two pieces");
    check_damaged("qwen2", "\xc4\xa0 s", "\xc4\xa0 \x01", CLLM_ERR_DATA, "tokenizer.ggml.merges[");
    check_damaged("llama2", "tokenizer.ggml.scores", "tokenizer.ggml.xcores", CLLM_ERR_DATA, "tokenizer.ggml.scores is missing");
    check_damaged("llama3", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.xos_token_id", CLLM_ERR_DATA, "without a tokenizer.ggml.bos");
}

/* Each allocation fails once. */
static void allocation_failures(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        char path[1024];
        snprintf(path, sizeof path, GOLDEN_FOLDER "tokenizer_llama2.%s", k == 0 ? "json" : "gguf");
        for (size_t n = 1;; n = n < 100 ? n + 1 : n + 97) {
            cllm__tokenizer *t = NULL;
            cllm__tokens got = {0};
            cllm_error err;
            size_t made = cllm__alloc_count();
            cllm__alloc_fail_at(n, false);
            cllm_status status = cllm__tokenizer_open(&t, path, &err);
            if (status == CLLM_OK) status = cllm__tokenizer_encode(t, "a b \xc3\xa9", 6, &got, &err);
            cllm__alloc_fail_at(0, false);
            made = cllm__alloc_count() - made;
            cllm__tokenizer_close(t);
            cllm__tokens_free(&got);
            if (made < n) {
                assert_ok(status, &err);
                break;
            }
            if (status != CLLM_OK) assert_int_equal(status, CLLM_ERR_NOMEM);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qwen2),   cmocka_unit_test(llama3),  cmocka_unit_test(llama2),
        cmocka_unit_test(llama2_bytes), cmocka_unit_test(in_templates), cmocka_unit_test(refused),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
