/* Which token begins a sequence, where tokenizer_config.json has a say: what transformers 5.23 does with the same folders. */
#include "text_test.h"

static char g_folder[256];

static void put(const char *name, const char *text) {
    char path[512];
    cllm_error err;
    snprintf(path, sizeof path, "%s/%s", g_folder, name);
    assert_ok(cllm__write_file(path, text, strlen(text), &err), &err);
}

static void drop(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", g_folder, name);
    unlink(path);
}

/* Five pieces and a merge; "ab" or "<go>" may begin a sequence. */
static void put_vocab(void) {
    drop("tokenizer.json");
    put("vocab.json", "{\"a\":0,\"b\":1,\"ab\":2,\"c\":3,\"<go>\":4}");
    put("merges.txt", "a b\n");
}

static void put_json(const char *post) {
    char text[2048];
    drop("vocab.json");
    drop("merges.txt");
    snprintf(text, sizeof text,
             "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":4,\"content\":\"<go>\",\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":"
             "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":%s,\"model\":{"
             "\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3},\"merges\":[\"a b\"]}}",
             post);
    put("tokenizer.json", text);
}

#define WANTS_GO \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<go>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\"," \
    "\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"<go>\":{\"id\":\"<go>\",\"ids\":[4],\"tokens\":[\"<go>\"]}}}"

/* What `auto` and `on` choose; −2: on is refused. `config` NULL: there is no such file. */
static void expect(const char *config, int32_t automatic, int32_t on) {
    cllm__tokenizer *t;
    cllm_error err;
    int32_t id;
    if (config != NULL) put("tokenizer_config.json", config);
    else drop("tokenizer_config.json");
    assert_ok(cllm__tokenizer_open(&t, g_folder, &err), &err);
    assert_ok(cllm__tokenizer_choose_bos(t, CLLM_BOS_AUTO, &id, &err), &err);
    if (id != automatic) fail_msg("%s: auto is %d", config, id);
    if (cllm__tokenizer_choose_bos(t, CLLM_BOS_ON, &id, &err) != CLLM_OK) id = -2;
    if (id != on) fail_msg("%s: on is %d", config, id);
    /* What was decided is in the files that are written. */
    char *folder = scratch_folder("config_saved");
    cllm__tokenizer *again;
    assert_ok(cllm__tokenizer_save(t, folder, &err), &err);
    assert_ok(cllm__tokenizer_open(&again, folder, &err), &err);
    assert_int_equal(cllm__tokenizer_bos(again), automatic);
    assert_int_equal(cllm__tokenizer_hash(again), cllm__tokenizer_hash(t));
    cllm__tokenizer_close(again);
    cllm__tokenizer_close(t);
    cllm__remove_tree(folder);
    free(folder);
}

/* vocab.json and merges.txt say nothing of it: add_bos_token does. */
static void with_vocab(void **state) {
    (void)state;
    put_vocab();
    expect(NULL, -1, -2);
    expect("{}", -1, -2);
    expect("{\"bos_token\": \"<go>\"}", -1, 4);
    expect("{\"bos_token\": \"<go>\", \"add_bos_token\": false}", -1, 4);
    expect("{\"bos_token\": \"<go>\", \"add_bos_token\": null}", -1, 4);
    expect("{\"bos_token\": \"<go>\", \"add_bos_token\": true, \"model_max_length\": 1000000000000000019884624838656}", 4, 4);
    expect("{\"bos_token\": {\"content\": \"ab\", \"lstrip\": false}, \"add_bos_token\": true}", 2, 2);
    expect("{\"bos_token\": null, \"add_bos_token\": true}", -1, -2);
    expect("{\"add_bos_token\": true}", -1, -2);
    expect("{\"bos_token\": \"<stop>\"}", -1, -2); /* no piece, but nobody wants it */
}

/* A tokenizer.json's post_processor decides, whatever add_bos_token says. */
static void with_json(void **state) {
    (void)state;
    static const char *const ADD[] = {"", ", \"add_bos_token\": false", ", \"add_bos_token\": true"};
    char config[256];
    for (size_t i = 0; i < 3; i++) {
        snprintf(config, sizeof config, "{\"bos_token\": \"<go>\"%s}", ADD[i]);
        put_json("null");
        expect(config, -1, 4);
        put_json(WANTS_GO);
        expect(config, 4, 4);
        snprintf(config, sizeof config, "{\"bos_token\": \"ab\"%s}", ADD[i]);
        expect(config, 4, 4); /* the name is the post_processor's too */
        snprintf(config, sizeof config, "{\"eos_token\": \"ab\"%s}", ADD[i]);
        expect(config, 4, 4);
        put_json("null");
        expect(config, -1, -2);
    }
}

static void wrong(void **state) {
    (void)state;
    cllm__tokenizer *t = NULL;
    put_vocab();
    put("tokenizer_config.json", "{\"bos_token\": \"<stop>\", \"add_bos_token\": true}");
    assert_fails(cllm__tokenizer_open(&t, g_folder, why), CLLM_ERR_DATA, "tokenizer_config.json: add_bos_token with a bos_token, '<stop>'");
    put("tokenizer_config.json", "{\"bos_token\": ");
    assert_fails(cllm__tokenizer_open(&t, g_folder, why), CLLM_ERR_DATA, "tokenizer_config.json");
    put("tokenizer_config.json", "[]");
    expect("[]", -1, -2);
    expect("{\"bos_token\": 4, \"add_bos_token\": \"yes\"}", -1, -2);
    assert_null(t);
    for (size_t n = 1;; n++) {
        cllm_error err = {0};
        put("tokenizer_config.json", "{\"bos_token\": \"<go>\", \"add_bos_token\": true}");
        cllm__alloc_fail_at(n, true);
        cllm_status status = cllm__tokenizer_open(&t, g_folder, &err);
        cllm__alloc_fail_at(0, false);
        if (status == CLLM_OK) break;
        assert_int_equal(status, CLLM_ERR_NOMEM);
        assert_null(t);
    }
    cllm__tokenizer_close(t);
}

static int make_folder(void **state) {
    (void)state;
    char *folder = scratch_folder("config");
    snprintf(g_folder, sizeof g_folder, "%s", folder);
    free(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    cllm__remove_tree(g_folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_vocab), cmocka_unit_test(with_json), cmocka_unit_test(wrong)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
