/* The LLaMA family's folders: every tensor missing and misshapen is named, configuration values are checked or refused by
 * name, and the rotary parameters arrive from wherever they stand. */
#include "models.h"

static const char FOLDER[] = "scratch_llama";
static const spec SMALL = {.type = "llama", .layers = 2, .heads = 4, .kv_heads = 2, .head_width = 4, .width = 8, .inner = 12,
                           .vocabulary = 7, .context = 20, .prefix = "model.", .seed = 4, .head = true};

static void expect(cllm_status wanted, const char *word1, const char *word2) {
    cllm__backbone *backbone = (cllm__backbone *)&wanted;
    cllm_error err = {0};
    cllm_status status = cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){.training = true}, &err);
    if (status != wanted) fail_msg("status %d (%s), not %d, for %s", status, err.message, wanted, word1);
    assert_ptr_equal(backbone, &wanted);
    const char *words[] = {word1, word2};
    for (size_t i = 0; i < 2; i++)
        if (words[i] != NULL && strstr(err.message, words[i]) == NULL) fail_msg("'%s' does not say '%s'", err.message, words[i]);
}

static void test_every_tensor(void **state) {
    (void)state;
    static const char *const TYPES[] = {"llama", "qwen2", "mistral"};
    for (size_t t = 0; t < CLLM_LEN(TYPES); t++) {
        model m;
        spec s = SMALL;
        s.type = TYPES[t];
        s.prefix = t == 1 ? "" : "model.";
        s.attention_bias = t <= 1;
        s.projection_bias = s.mlp_bias = t == 0;
        model_llama(&m, s);
        assert_int_equal(m.n, 1 + 2 * (9 + (t == 0 ? 7 : t == 1 ? 3 : 0)) + 2);
        model_write(&m, FOLDER);
        cllm__backbone *backbone;
        MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){0}, &test_error));
        uint64_t parameters = 0;
        for (size_t i = 0; i < m.n; i++) parameters += cllm__tensor_count(&m.tensors[i]);
        assert_true(cllm__backbone_info_of(backbone)->parameters == parameters);
        cllm__backbone_close(backbone);
        for (size_t i = 0; i < m.n; i++) {
            cllm__tensor saved = m.tensors[i];
            bool words = strstr(saved.name, "embed_tokens") != NULL;
            m.tensors[i] = m.tensors[--m.n];
            model_write(&m, FOLDER);
            expect(CLLM_ERR_NOT_FOUND, words ? "embed_tokens.weight" : saved.name, "missing");
            m.tensors[m.n++] = m.tensors[i];
            m.tensors[i] = saved;
            m.tensors[i].shape[0]--;
            m.tensors[i].bytes -= (saved.rank == 2 ? saved.shape[1] : 1) * sizeof(cllm__real);
            model_write(&m, FOLDER);
            expect(CLLM_ERR_MISMATCH, saved.name, "expected");
            m.tensors[i] = saved;
        }
        model_free(&m);
    }
}

static void write_changed(const char *type, const char *from, const char *to) {
    model m;
    spec s = SMALL;
    s.type = type;
    s.attention_bias = strcmp(type, "qwen2") == 0;
    model_llama(&m, s);
    char *at = strstr(m.config, from), changed[sizeof m.config];
    if (at == NULL) fail_msg("'%s' is not in the configuration", from);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - m.config), m.config, to, at + strlen(from));
    memcpy(m.config, changed, sizeof changed);
    model_write(&m, FOLDER);
    model_free(&m);
}

static void test_config_values(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        cllm_status status;
        const char *word1, *word2;
    } CHANGES[] = {
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", CLLM_ERR_MISMATCH, "num_hidden_layers is 1", "layer 1"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", CLLM_ERR_NOT_FOUND, "layers.2.", NULL},
        {"\"num_attention_heads\": 4", "\"num_attention_heads\": 0", CLLM_ERR_DATA, "num_attention_heads is 0", NULL},
        {"\"num_attention_heads\": 4", "\"num_attention_heads\": 3", CLLM_ERR_DATA, "3 attention heads", "2 key-value heads"},
        {"\"num_attention_heads\": 4", "\"num_attention_heads\": 131072", CLLM_ERR_DATA, "131072 heads of 4 values", NULL},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 8", CLLM_ERR_DATA, "num_key_value_heads is 8", NULL},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": null", CLLM_ERR_MISMATCH, "k_proj", NULL},
        {"\"head_dim\": 4", "\"head_dim\": null", CLLM_ERR_MISMATCH, "q_proj", NULL},
        {"\"head_dim\": 4", "\"head_dim\": 1", CLLM_ERR_DATA, "rotary positions", NULL},
        {"\"head_dim\": 4", "\"head_dim\": 3", CLLM_ERR_DATA, "must be even", NULL},
        {"\"hidden_size\": 8", "\"hidden_size\": -8", CLLM_ERR_DATA, "hidden_size is -8", NULL},
        {"\"intermediate_size\": 12", "\"intermediate_size\": 13", CLLM_ERR_MISMATCH, "gate_proj", NULL},
        {"\"vocab_size\": 7", "\"vocab_size\": 9", CLLM_ERR_MISMATCH, "embed_tokens.weight", NULL},
        {"1e-5", "2", CLLM_ERR_DATA, "rms_norm_eps is 2", NULL},
        {"silu", "gelu", CLLM_ERR_UNSUPPORTED, "hidden_act 'gelu'", "silu"},
        {"\"attention_bias\": false", "\"attention_bias\": true", CLLM_ERR_NOT_FOUND, "q_proj.bias", NULL},
        {"\"mlp_bias\": false", "\"mlp_bias\": true", CLLM_ERR_NOT_FOUND, "gate_proj.bias", NULL},
        {"}", ", \"quantization_config\": {}}", CLLM_ERR_UNSUPPORTED, "quantization_config", NULL},
        {"}", ", \"rope_theta\": 0}", CLLM_ERR_DATA, "rope_theta is 0", NULL},
        {"}", ", \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4}}", CLLM_ERR_UNSUPPORTED, "'yarn'", "llama3"},
        {"}", ", \"rope_scaling\": {\"type\": \"dynamic\"}}", CLLM_ERR_UNSUPPORTED, "'dynamic'", NULL},
        {"}", ", \"rope_scaling\": {\"type\": \"linear\"}}", CLLM_ERR_DATA, "factor is missing", NULL},
        {"}", ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 0.5}}", CLLM_ERR_DATA, "factor is 0.5", NULL},
        {"}", ", \"rope_scaling\": 7}", CLLM_ERR_DATA, "rope_scaling is 7", NULL},
        {"}", ", \"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 4}}", CLLM_ERR_DATA, "low_freq_factor is missing", NULL},
        {"}", ", \"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 4, \"low_freq_factor\": 4, \"high_freq_factor\": 4, "
              "\"original_max_position_embeddings\": 16}}", CLLM_ERR_DATA, "must be less than high_freq_factor", NULL},
        {"}", ", \"partial_rotary_factor\": 0.1}", CLLM_ERR_DATA, "rotary positions", NULL},
        {"}", ", \"partial_rotary_factor\": 0.75}", CLLM_ERR_DATA, "must be even", NULL},
    };
    for (size_t i = 0; i < CLLM_LEN(CHANGES); i++) {
        write_changed("llama", CHANGES[i].from, CHANGES[i].to);
        expect(CHANGES[i].status, CHANGES[i].word1, CHANGES[i].word2);
    }
    /* A bias that nobody speaks of is another model's. */
    model m;
    spec s = SMALL;
    s.attention_bias = true;
    model_llama(&m, s);
    model_write(&m, FOLDER);
    model_free(&m);
    expect(CLLM_ERR_MISMATCH, "q_proj.bias", "does not speak of");
}

/* The longest sequence that is taken, with these additions to the configuration. */
static size_t context(const char *type, const char *to) {
    cllm__backbone *backbone;
    write_changed(type, "}", to);
    MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){.headless = true}, &test_error));
    size_t result = cllm__backbone_info_of(backbone)->context;
    size_t window = cllm__backbone_info_of(backbone)->window;
    assert_int_equal(window, result < 20 ? result : 0);
    assert_string_equal(cllm__backbone_info_of(backbone)->family, "llama");
    assert_int_equal(cllm__backbone_info_of(backbone)->mlp_matrices, 3);
    assert_int_equal(cllm__backbone_info_of(backbone)->kv_heads, 2);
    cllm__backbone_close(backbone);
    return result;
}

#define QWEN2_WINDOW "\"sliding_window\": 5, \"use_sliding_window\": true"

/* A sliding window changes nothing up to its length. */
static void test_windows(void **state) {
    (void)state;
    assert_int_equal(context("llama", ", \"sliding_window\": 5}"), 20); /* LLaMA has none */
    assert_int_equal(context("mistral", "}"), 20);                      /* the default is 4096 */
    assert_int_equal(context("mistral", ", \"sliding_window\": null}"), 20);
    assert_int_equal(context("mistral", ", \"sliding_window\": 5}"), 5);
    assert_int_equal(context("mistral", ", \"sliding_window\": 4096}"), 20);
    assert_int_equal(context("qwen2", ", \"sliding_window\": 5}"), 20);
    assert_int_equal(context("qwen2", ", \"sliding_window\": 5, \"use_sliding_window\": false}"), 20);
    assert_int_equal(context("qwen2", ", \"sliding_window\": 5, \"use_sliding_window\": true}"), 20); /* from layer 28 on */
    /* Qwen2's layers from max_window_layers on have it, or those that are listed so; here are two. */
    assert_int_equal(context("qwen2", ", " QWEN2_WINDOW ", \"max_window_layers\": 2}"), 20);
    assert_int_equal(context("qwen2", ", " QWEN2_WINDOW ", \"max_window_layers\": 1}"), 5);
    assert_int_equal(context("qwen2", ", " QWEN2_WINDOW ", \"max_window_layers\": 0}"), 5);
    assert_int_equal(context("qwen2", ", " QWEN2_WINDOW ", \"sliding_window\": null, \"max_window_layers\": 0}"), 20);
    assert_int_equal(context("qwen2", ", " QWEN2_WINDOW ", \"layer_types\": [\"full_attention\", \"sliding_attention\"]}"), 5);
    assert_int_equal(context("qwen2", ", " QWEN2_WINDOW ", \"max_window_layers\": 0, \"layer_types\": [\"full_attention\", \"full_attention\"]}"), 20);
    assert_int_equal(context("qwen2", ", \"sliding_window\": 5, \"layer_types\": [\"full_attention\", \"sliding_attention\"]}"), 20);
    write_changed("qwen2", "}", ", " QWEN2_WINDOW ", \"layer_types\": [\"full_attention\"]}");
    expect(CLLM_ERR_DATA, "layer_types", "2 kinds");
    write_changed("qwen2", "}", ", " QWEN2_WINDOW ", \"layer_types\": [\"full_attention\", \"chunked_attention\"]}");
    expect(CLLM_ERR_UNSUPPORTED, "layer 1 of layer_types is 'chunked_attention'", "sliding_attention");
    write_changed("qwen2", "}", ", " QWEN2_WINDOW ", \"layer_types\": [7, null]}");
    expect(CLLM_ERR_UNSUPPORTED, "layer 0 of layer_types is ''", NULL);
    write_changed("qwen2", "}", ", " QWEN2_WINDOW ", \"max_window_layers\": -1}");
    expect(CLLM_ERR_DATA, "max_window_layers is -1", NULL);
    write_changed("mistral", "\"max_position_embeddings\": 20", "\"max_position_embeddings\": 10000");
    cllm__backbone *backbone;
    MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){0}, &test_error));
    assert_int_equal(cllm__backbone_info_of(backbone)->context, 4096);
    cllm__backbone_close(backbone);
}

/* Hidden states of a fixed batch. */
static void hidden(const char *addition, cllm__real h[20 * 8]) {
    cllm__backbone *backbone;
    write_changed("llama", "}", addition);
    MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){0}, &test_error));
    size_t start[] = {0, 20}, *rows = all_rows(20);
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    cllm__real *x = random_numbers(&rng, 20 * 8);
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){1, start}, x, rows, 20, (cllm__forward_options){0}, h, &test_error));
    cllm__pass_free(pass);
    cllm__backbone_close(backbone);
    cllm__free(rows);
    cllm__free(x);
}

/* The same rotary positions in all spellings, and others where a parameter differs. */
static void test_rotary_spellings(void **state) {
    (void)state;
    static const char *const SAME[][3] = {
        {"}", ", \"rope_scaling\": {\"type\": \"default\"}, \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2}}", ", \"rope_scaling\": null, \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e4}}"},
        {", \"rope_theta\": 50, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}}",
         ", \"rope_theta\": 50.0, \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 2.0}}",
         ", \"rope_parameters\": {\"rope_type\": \"linear\", \"rope_theta\": 50, \"factor\": 2}}"},
        {", \"partial_rotary_factor\": 0.5}", ", \"rope_parameters\": {\"partial_rotary_factor\": 0.5}}", NULL},
        /* Stretching by one is no stretching. */
        {"}", ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 1, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
              "\"original_max_position_embeddings\": 8}}", NULL},
    };
    cllm__real first[4][160], other[160];
    for (size_t i = 0; i < CLLM_LEN(SAME); i++) {
        hidden(SAME[i][0], first[i]);
        for (size_t j = 1; j < 3 && SAME[i][j] != NULL; j++) {
            hidden(SAME[i][j], other);
            assert_memory_equal(first[i], other, sizeof other);
        }
    }
    assert_memory_not_equal(first[0], first[1], sizeof other);
    assert_memory_not_equal(first[0], first[2], sizeof other);
    /* The first position is not turned. */
    assert_memory_equal(first[0], first[1], 8 * sizeof *other);
    assert_memory_equal(first[0], first[2], 8 * sizeof *other);
    hidden(", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
           "\"original_max_position_embeddings\": 8}}", other);
    assert_memory_not_equal(first[0], other, sizeof other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tensor),
        cmocka_unit_test(test_config_values),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_rotary_spellings),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cllm__remove_tree(FOLDER);
    return failed;
}
