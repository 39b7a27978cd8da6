/* What a folder may be and may not be: every tensor missing, misshapen, mistyped and not finite is named; so is every value
 * of the configuration that makes no sense or that we can't do. */
#include "models.h"

static const char FOLDER[] = "scratch_open";
static const spec SMALL = {.layers = 2, .heads = 2, .width = 8, .inner = 12, .vocabulary = 7, .context = 5, .prefix = "", .seed = 4};

/* Opening fails with this status, and the message has these words (NULL: none). */
static void expect(cllm_status wanted, const char *word1, const char *word2) {
    cllm__backbone *backbone = (cllm__backbone *)&wanted; /* must stay as it is */
    cllm_error err = {0};
    cllm_status status = cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){.training = true}, &err);
    if (status != wanted) fail_msg("status %d (%s), not %d, for %s", status, err.message, wanted, word1);
    assert_ptr_equal(backbone, &wanted);
    assert_int_equal(err.status, wanted);
    const char *words[] = {word1, word2};
    for (size_t i = 0; i < 2; i++)
        if (words[i] != NULL && strstr(err.message, words[i]) == NULL) fail_msg("'%s' does not say '%s'", err.message, words[i]);
}

static void expect_ok(void) {
    cllm__backbone *backbone;
    MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){.training = true}, &test_error));
    cllm__backbone_close(backbone);
}

static void test_every_tensor(void **state) {
    (void)state;
    static const char *const PREFIXES[] = {"", "transformer."};
    for (size_t p = 0; p < 2; p++) {
        model m;
        spec s = SMALL;
        s.prefix = PREFIXES[p];
        s.head = true;
        model_gpt2(&m, s);
        model_write(&m, FOLDER);
        expect_ok();
        size_t n = m.n;
        assert_int_equal(n, 2 + 2 * 12 + 2 + 1);
        for (size_t i = 0; i < n; i++) {
            cllm__tensor saved = m.tensors[i], *t = &m.tensors[i];
            bool words = strstr(saved.name, "wte") != NULL, head = strcmp(saved.name, "lm_head.weight") == 0;

            *t = m.tensors[--m.n];
            model_write(&m, FOLDER);
            /* Without word embeddings nothing says that there is a prefix. */
            if (!head) expect(CLLM_ERR_NOT_FOUND, words ? "wte.weight" : saved.name, "missing");
            else expect_ok(); /* tied */
            m.tensors[m.n++] = *t;

            *t = saved;
            t->shape[0]++;
            t->bytes += (t->rank == 2 ? t->shape[1] : 1) * sizeof(cllm__real);
            void *longer = cllm__zalloc(1, t->bytes);
            t->data = longer;
            model_write(&m, FOLDER);
            expect(CLLM_ERR_MISMATCH, saved.name, "expected");
            cllm__free(longer);

            *t = saved; /* the same numbers as [1 × …] */
            t->rank++;
            memmove(t->shape + 1, t->shape, 2 * sizeof *t->shape);
            t->shape[0] = 1;
            model_write(&m, FOLDER);
            expect(CLLM_ERR_MISMATCH, saved.name, "expected");

            *t = saved;
            t->dtype = CLLM_ST_I32;
            model_write(&m, FOLDER);
            expect(CLLM_ERR_MISMATCH, saved.name, "I32");

            *t = saved;
            float *bad = cllm__alloc(t->bytes, 1);
            memcpy(bad, saved.data, t->bytes);
            bad[t->bytes / sizeof *bad - 1] = i % 2 == 0 ? NAN : -INFINITY;
            t->data = bad;
            model_write(&m, FOLDER);
            expect(CLLM_ERR_DATA, saved.name, FOLDER);
            cllm__free(bad);
            *t = saved;
        }
        model_free(&m);
    }
}

/* A model with other configuration: `from` is replaced by `to`. */
static void write_changed(const char *from, const char *to) {
    model m;
    model_gpt2(&m, SMALL);
    char *at = strstr(m.config, from), changed[sizeof m.config];
    if (at == NULL) fail_msg("'%s' is not in the configuration", from);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - m.config), m.config, to, at + strlen(from));
    memcpy(m.config, changed, sizeof changed);
    model_write(&m, FOLDER);
    model_free(&m);
}

typedef struct change {
    const char *from, *to;
    cllm_status status;
    const char *word1, *word2;
} change;

static void test_config_values(void **state) {
    (void)state;
    static const change CHANGES[] = {
        {"\"n_layer\": 2", "\"n_layer\": 0", CLLM_ERR_DATA, "n_layer is 0", "config.json"},
        {"\"n_layer\": 2", "\"n_layer\": -1", CLLM_ERR_DATA, "n_layer is -1", "integer from 1"},
        {"\"n_layer\": 2", "\"n_layer\": 2.0", CLLM_ERR_DATA, "n_layer is 2.0", NULL},
        {"\"n_layer\": 2", "\"n_layer\": \"2\"", CLLM_ERR_DATA, "n_layer is \"2\"", NULL},
        {"\"n_layer\": 2", "\"n_layer\": 1000000000", CLLM_ERR_DATA, "n_layer is 1000000000", NULL},
        {"\"n_layer\": 2", "\"n_layer\": 99999999999999999999999", CLLM_ERR_DATA, "n_layer", NULL},
        {"\"n_layer\": 2", "\"n_layer\": null", CLLM_ERR_DATA, "n_layer is missing", NULL},
        {"\"n_layer\": 2", "\"n_layer\": 3", CLLM_ERR_NOT_FOUND, "h.2.ln_1.weight", NULL},
        {"\"n_layer\": 2", "\"n_layer\": 1", CLLM_ERR_MISMATCH, "n_layer is 1", "tensors of layer 1"},
        {"\"n_embd\": 8", "\"n_embd\": 0", CLLM_ERR_DATA, "n_embd", NULL},
        {"\"n_embd\": 8", "\"n_embd\": 9", CLLM_ERR_DATA, "n_embd 9 is not divisible by n_head 2", NULL},
        {"\"n_embd\": 8", "\"n_embd\": 10", CLLM_ERR_MISMATCH, "wte.weight", NULL},
        {"\"n_embd\": 8", "\"n_embd\": 131072", CLLM_ERR_MISMATCH, "wte.weight", NULL},
        {"\"n_embd\": 8", "\"n_embd\": 131074", CLLM_ERR_DATA, "n_embd is 131074", NULL},
        {"\"n_head\": 2", "\"n_head\": 3", CLLM_ERR_DATA, "not divisible by n_head 3", NULL},
        {"\"n_head\": 2", "\"n_head\": 16", CLLM_ERR_DATA, "not divisible", NULL},
        {"\"n_head\": 2", "\"n_head\": []", CLLM_ERR_DATA, "n_head is []", NULL},
        {"\"n_positions\": 5", "\"n_positions\": 6", CLLM_ERR_MISMATCH, "wpe.weight", NULL},
        {"\"n_positions\": 5", "\"n_x\": 5", CLLM_ERR_DATA, "n_ctx is missing", NULL},
        {"\"vocab_size\": 7", "\"vocab_size\": 8", CLLM_ERR_MISMATCH, "wte.weight", NULL},
        {"\"vocab_size\": 7", "\"vocab_size\": 2147483648", CLLM_ERR_DATA, "vocab_size", NULL},
        {"\"n_inner\": 12", "\"n_inner\": 13", CLLM_ERR_MISMATCH, "h.0.mlp.c_fc.weight", NULL},
        {"\"n_inner\": 12", "\"n_inner\": null", CLLM_ERR_MISMATCH, "h.0.mlp.c_fc.weight", "32"},
        {"1e-5", "-1e-5", CLLM_ERR_DATA, "layer_norm_epsilon", NULL},
        {"1e-5", "1e400", CLLM_ERR_DATA, "layer_norm_epsilon", NULL},
        {"1e-5", "NaN", CLLM_ERR_DATA, "config.json", NULL},
        {"1e-5", "true", CLLM_ERR_DATA, "layer_norm_epsilon is true", NULL},
        {"gelu_new", "relu", CLLM_ERR_UNSUPPORTED, "activation_function 'relu'", "gelu_new"},
        {"gelu_new", "gelu", CLLM_ERR_UNSUPPORTED, "activation_function 'gelu'", NULL},
        {"\"gelu_new\"", "3", CLLM_ERR_DATA, "activation_function is 3", NULL},
        {"\"gelu_new\"", "\"gelu_new\", \"add_cross_attention\": true", CLLM_ERR_UNSUPPORTED, "add_cross_attention", NULL},
        {"\"gelu_new\"", "\"gelu_new\", \"quantization_config\": {\"bits\": 4}", CLLM_ERR_UNSUPPORTED, "quantization_config", NULL},
        {"\"gelu_new\"", "\"gelu_new\", \"scale_attn_weights\": 1", CLLM_ERR_DATA, "scale_attn_weights is 1", NULL},
        {"\"gelu_new\"", "\"gelu_new\", \"tie_word_embeddings\": false", CLLM_ERR_NOT_FOUND, "lm_head.weight", NULL},
        {"\"gpt2\"", "\"mamba\"", CLLM_ERR_UNSUPPORTED, "model_type 'mamba'", "gpt2"},
        {"\"gpt2\"", "7", CLLM_ERR_DATA, "model_type is 7", NULL},
        {"\"model_type\"", "\"model\"", CLLM_ERR_DATA, "model_type is missing", NULL},
        {"{\"model_type\"", "{\"model_type", CLLM_ERR_DATA, "not JSON at byte", NULL},
        {"{", "[{", CLLM_ERR_DATA, "not JSON at byte", "ends early"},
        {"}", "} x", CLLM_ERR_DATA, "nothing after it", NULL},
        {"}", "}}", CLLM_ERR_DATA, "nothing after it", NULL},
        {"}", ", \"a\": \"\xff\"}", CLLM_ERR_DATA, "not JSON at byte", NULL},
    };
    static const change FINE[] = {
        {"gelu_new", "gelu_pytorch_tanh", CLLM_OK, NULL, NULL},
        {"n_positions", "n_ctx", CLLM_OK, NULL, NULL},
        {"}", ", \"add_cross_attention\": false, \"reorder_and_upcast_attn\": true, \"torch_dtype\": \"float16\"}\n\n", CLLM_OK, NULL, NULL},
        {"1e-5", "0", CLLM_OK, NULL, NULL},
        {", \"activation_function\": \"gelu_new\"", "", CLLM_OK, NULL, NULL},
    };
    for (size_t i = 0; i < CLLM_LEN(CHANGES); i++) {
        write_changed(CHANGES[i].from, CHANGES[i].to);
        expect(CHANGES[i].status, CHANGES[i].word1, CHANGES[i].word2);
    }
    for (size_t i = 0; i < CLLM_LEN(FINE); i++) {
        write_changed(FINE[i].from, FINE[i].to);
        expect_ok();
    }
}

static char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    return path;
}

static void test_files(void **state) {
    (void)state;
    model m;
    cllm__remove_tree(FOLDER);
    expect(CLLM_ERR_NOT_FOUND, "does not exist", FOLDER);
    MUST(cllm__write_file(FOLDER, "x", 1, &test_error));
    expect(CLLM_ERR_UNSUPPORTED, "is a file", "folder");
    remove(FOLDER);
    MUST(cllm__make_folders(FOLDER, &test_error));
    expect(CLLM_ERR_NOT_FOUND, "has no config.json", FOLDER);

    model_gpt2(&m, SMALL);
    model_write(&m, FOLDER);
    expect_ok();

    /* Cut off anywhere. */
    char *data;
    size_t size;
    MUST(cllm__read_file(in_folder("model.safetensors"), (size_t)1 << 20, &data, &size, &test_error));
    for (size_t cut = 0; cut < size; cut += 1 + size / 23) {
        MUST(cllm__write_file(in_folder("model.safetensors"), data, cut, &test_error));
        expect(CLLM_ERR_DATA, "model.safetensors", NULL);
    }
    cllm__free(data);
    remove(in_folder("model.safetensors"));
    expect(CLLM_ERR_NOT_FOUND, "has no model.safetensors", NULL);
    write_text(FOLDER, "pytorch_model.bin", "PK");
    expect(CLLM_ERR_UNSUPPORTED, "pytorch_model.bin", "save_pretrained");
    remove(in_folder("pytorch_model.bin"));

    model_write(&m, FOLDER);
    write_text(FOLDER, "config.json", "");
    expect(CLLM_ERR_DATA, "config.json", "ends early");
    write_text(FOLDER, "config.json", "null ");
    expect(CLLM_ERR_DATA, "one JSON object", NULL);
    write_text(FOLDER, "config.json", "[]");
    expect(CLLM_ERR_DATA, "one JSON object", NULL);
    char *huge = cllm__alloc(1, ((size_t)1 << 20) + 2);
    memset(huge, ' ', ((size_t)1 << 20) + 1);
    huge[((size_t)1 << 20) + 1] = '\0';
    write_text(FOLDER, "config.json", huge);
    cllm__free(huge);
    expect(CLLM_ERR_DATA, "config.json", NULL);
    char *deep = cllm__zalloc(1, 4000);
    memset(deep, '[', 3999);
    write_text(FOLDER, "config.json", deep);
    cllm__free(deep);
    expect(CLLM_ERR_DATA, "config.json", "nesting");
    remove(in_folder("config.json"));
    MUST(cllm__make_folders(in_folder("config.json"), &test_error));
    expect(CLLM_ERR_DATA, "is a folder", NULL);
    model_free(&m);
}

/* One file per tensor, held together by an index. */
static void test_index(void **state) {
    (void)state;
    model m;
    model_gpt2(&m, SMALL);
    model_write(&m, FOLDER);
    cllm__backbone *whole;
    MUST(cllm__backbone_open(&whole, FOLDER, (cllm__backbone_options){0}, &test_error));
    uint64_t memory = cllm__backbone_memory_hash(whole), bytes = cllm__backbone_info_of(whole)->file_bytes;
    remove(in_folder("model.safetensors"));
    char index[8192];
    size_t n = (size_t)snprintf(index, sizeof index, "{\"metadata\": {}, \"weight_map\": {");
    for (size_t i = 0; i < m.n; i++) {
        char name[40];
        snprintf(name, sizeof name, "model-%zu.safetensors", i);
        MUST(cllm__safetensors_write(in_folder(name), &m.tensors[i], 1, NULL, 0, &test_error));
        n += (size_t)snprintf(index + n, sizeof index - n, "%s\"%s\": \"%s\"", i == 0 ? "" : ", ", m.tensors[i].name, name);
    }
    snprintf(index + n, sizeof index - n, "}}");
    write_text(FOLDER, "model.safetensors.index.json", index);
    cllm__backbone *parts;
    MUST(cllm__backbone_open(&parts, FOLDER, (cllm__backbone_options){0}, &test_error));
    assert_true(cllm__backbone_memory_hash(parts) == memory);
    assert_true(cllm__backbone_info_of(parts)->file_bytes > bytes);
    assert_true(cllm__backbone_info_of(parts)->hash != cllm__backbone_info_of(whole)->hash);
    cllm__backbone_close(parts);
    cllm__backbone_close(whole);

    remove(in_folder("model-3.safetensors"));
    expect(CLLM_ERR_NOT_FOUND, "model-3.safetensors", NULL);
    static const change INDEXES[] = {
        {"{}", NULL, CLLM_ERR_DATA, "weight_map is missing", "index.json"},
        {"{\"weight_map\": 3}", NULL, CLLM_ERR_DATA, "weight_map is 3", NULL},
        {"{\"weight_map\": {}}", NULL, CLLM_ERR_DATA, "weight_map is empty", NULL},
        {"{\"weight_map\": {\"a\": \"../model.safetensors\"}}", NULL, CLLM_ERR_DATA, "'../model.safetensors'", "same folder"},
        {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", NULL, CLLM_ERR_DATA, "'/etc/passwd'", "same folder"},
        {"{\"weight_map\": {\"a\": \"..\"}}", NULL, CLLM_ERR_DATA, "'..'", "same folder"},
        {"{\"weight_map\": {\"a\": 7}}", NULL, CLLM_ERR_DATA, "for 'a'", "same folder"},
        {"{\"weight_map\": {\"a\": \"model-1.safetensors\"}}", NULL, CLLM_ERR_NOT_FOUND, "wte.weight", "index.json"},
        {"{\"weight_map\"", NULL, CLLM_ERR_DATA, "index.json", "ends early"},
    };
    for (size_t i = 0; i < CLLM_LEN(INDEXES); i++) {
        write_text(FOLDER, "model.safetensors.index.json", INDEXES[i].from);
        expect(INDEXES[i].status, INDEXES[i].word1, INDEXES[i].word2);
    }
    model_free(&m);
}

/* What the configuration says arrives in info, and what changes the computation changes the hash. */
static void test_info(void **state) {
    (void)state;
    model m;
    spec s = SMALL;
    s.head = true;
    model_gpt2(&m, s);
    cllm__backbone *backbone = model_open(&m, FOLDER, CLLM__F32, true);
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    assert_string_equal(info->family, "gpt2");
    assert_int_equal(info->layers, 2);
    assert_int_equal(info->heads, 2);
    assert_int_equal(info->kv_heads, 2);
    assert_int_equal(info->head_width, 4);
    assert_int_equal(info->width, 8);
    assert_int_equal(info->inner, 12);
    assert_int_equal(info->mlp_matrices, 2);
    assert_int_equal(info->vocabulary, 7);
    assert_int_equal(info->context, 5);
    size_t layer = 2 * 16 + 8 * 24 + 24 + 64 + 8 + 96 + 12 + 96 + 8;
    assert_int_equal(info->parameters, 7 * 8 + 5 * 8 + 2 * layer + 16);
    /* Matrices twice, packed with or without padding; vectors and positions once. */
    assert_true(info->resident_bytes >= sizeof(cllm__real) * (2 * (2 * 448 + 84) + 40 + 16 + 2 * 56));
    assert_int_equal(cllm__weight_rows(cllm__backbone_head(backbone)), 8);
    assert_int_equal(cllm__weight_columns(cllm__backbone_head(backbone)), 7);
    assert_int_equal(cllm__weight_rows(cllm__backbone_head_transposed(backbone)), 7);

    size_t start[] = {0, 3, 4};
    double dense = 2.0 * (8 * 8 * 4 + 2 * 8 * 12), scores = 4.0 * 8 * (6 + 1);
    assert_true(fabs(cllm__backbone_flops(info, (cllm__ragged){2, start}, 4) - 2 * (4 * dense + scores)) < 1e-6);
    double saved = 3.0 / 4 * (4 * 2.0 * (8 * 8 * 2 + 2 * 8 * 12) + scores);
    assert_true(fabs(cllm__backbone_flops(info, (cllm__ragged){2, start}, 1) - (2 * (4 * dense + scores) - saved)) < 1e-6);
    uint64_t hash = info->hash;
    cllm__backbone_close(backbone);

    static const char *const CHANGES[][2] = {{"1e-5", "2e-5"}, {"\"n_head\": 2", "\"n_head\": 4"}, {"\"n_head\": 2", "\"n_head\": 1"}};
    for (size_t i = 0; i <= CLLM_LEN(CHANGES); i++) {
        if (i < CLLM_LEN(CHANGES)) {
            write_changed(CHANGES[i][0], CHANGES[i][1]);
        } else { /* one bit of one weight */
            model_gpt2(&m, SMALL);
            ((unsigned char *)model_find(&m, "h.1.mlp.c_fc.bias")->data)[0] ^= 1;
            model_write(&m, FOLDER);
            model_free(&m);
        }
        MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){.headless = true}, &test_error));
        assert_true(cllm__backbone_info_of(backbone)->hash != hash);
        assert_null(cllm__backbone_head(backbone));
        cllm__backbone_close(backbone);
    }
    /* White space and what doesn't enter the computation changes nothing. */
    for (int i = 0; i < 2; i++) {
        write_changed("\"gpt2\"", i == 0 ? "\"gpt2\"" : "  \"gpt2\", \"embd_pdrop\": 0.1, \"use_cache\": true");
        MUST(cllm__backbone_open(&backbone, FOLDER, (cllm__backbone_options){0}, &test_error));
        if (i > 0) assert_true(cllm__backbone_info_of(backbone)->hash == hash);
        hash = cllm__backbone_info_of(backbone)->hash;
        cllm__backbone_close(backbone);
    }
}

static void forward(const char *folder, cllm__real *h, cllm__real *dx) {
    cllm__backbone *backbone;
    MUST(cllm__backbone_open(&backbone, folder, (cllm__backbone_options){.training = true}, &test_error));
    size_t start[] = {0, 5, 7}, *rows = all_rows(7), C = cllm__backbone_info_of(backbone)->width;
    cllm__real *x = numbers(7 * C);
    for (size_t t = 0; t < 7; t++) cllm__backbone_embed(backbone, (int32_t)t, x + t * C);
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, (cllm__ragged){2, start}, x, rows, 7, (cllm__forward_options){.keep = true}, h, &test_error));
    MUST(cllm__pass_backward(pass, h, dx, &test_error));
    cllm__pass_free(pass);
    cllm__backbone_close(backbone);
    cllm__free(x);
    cllm__free(rows);
}

/* The number format of the file and the prefix of its names don't matter, old mask buffers neither. */
static void test_spellings(void **state) {
    (void)state;
    cllm__real h[3][56], dx[3][56];
    static const cllm__st_dtype DTYPES[] = {CLLM_ST_F16, CLLM_ST_BF16, CLLM_ST_F64};
    for (size_t d = 0; d < CLLM_LEN(DTYPES); d++) {
        for (int variant = 0; variant < 3; variant++) {
            model m;
            spec s = SMALL;
            s.prefix = variant == 1 ? "transformer." : "";
            model_gpt2(&m, s);
            if (variant == 2) {
                model_add(&m, "h.0.attn.", "bias", 5, 5, 1, 0);
                model_add(&m, "h.1.attn.", "masked_bias", 0, 1, 1, 0);
            }
            for (size_t i = 0; i < m.n; i++) {
                model_retype(&m.tensors[i], DTYPES[d]);
                if (variant == 1) { /* the same values in the widest format */
                    cllm__tensor *t = &m.tensors[i];
                    size_t n = cllm__tensor_count(t);
                    float *wide = cllm__alloc(n, sizeof *wide);
                    MUST(cllm__tensor_to_f32(t, wide, &test_error));
                    cllm__free((void *)t->data);
                    t->data = wide;
                    t->dtype = CLLM_ST_F32;
                    t->bytes = n * sizeof *wide;
                }
            }
            model_write(&m, FOLDER);
            model_free(&m);
            forward(FOLDER, h[variant], dx[variant]);
        }
        assert_memory_equal(h[0], h[1], sizeof h[0]);
        assert_memory_equal(h[0], h[2], sizeof h[0]);
        assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    }
}

/* A separate head, and one that is tied although the file has a copy (which isn't looked at). */
static void test_heads(void **state) {
    (void)state;
    for (int tied = 0; tied < 2; tied++) {
        model m;
        spec s = SMALL;
        s.head = true;
        if (!tied) s.extra = ", \"tie_word_embeddings\": false";
        model_gpt2(&m, s);
        const cllm__real *from = model_find(&m, tied ? "wte.weight" : "lm_head.weight")->data;
        cllm__real expected[56], identity[64] = {0}, head[56];
        memcpy(expected, from, sizeof expected);
        cllm__backbone *backbone = model_open(&m, FOLDER, CLLM__F32, true);
        assert_int_equal(cllm__backbone_info_of(backbone)->parameters - (tied ? 0 : 56), 7 * 8 + 5 * 8 + 2 * 532 + 16);
        for (size_t i = 0; i < 8; i++) identity[9 * i] = 1;
        MUST(cllm__gemm_frozen(NULL, head, 7, identity, 8, 8, cllm__backbone_head(backbone), NULL, CLLM__GEMM_PLAIN, &test_error));
        for (size_t i = 0; i < 8; i++)
            for (size_t v = 0; v < 7; v++) assert_true(head[i * 7 + v] == expected[v * 8 + i]);
        MUST(cllm__gemm_frozen(NULL, head, 8, identity, 7, 1, cllm__backbone_head_transposed(backbone), NULL, CLLM__GEMM_PLAIN,
                               &test_error));
        assert_memory_equal(head, expected, 8 * sizeof *head); /* the first row of the transposed head: token 0 */
        cllm__backbone_close(backbone);
    }
}

/* Embeddings that stand for no piece have no part in the head; the others' logits are what they were. */
static void test_fewer_words(void **state) {
    (void)state;
    enum { WORDS = 23 };
    for (int dtype = CLLM__F32; dtype <= CLLM__Q8_0; dtype++) {
        model m;
        spec shape = {.layers = 1, .heads = 2, .width = 16, .inner = 24, .vocabulary = 30, .context = 8, .prefix = "", .seed = 4,
                      .type = "llama", .kv_heads = 1, .head_width = 8};
        model_llama(&m, shape);
        model_write(&m, "scratch_words");
        model_free(&m);
        cllm__backbone *all, *some;
        cllm__backbone_options options = {.dtype = (cllm__dtype)dtype, .training = true};
        MUST(cllm__backbone_open(&all, "scratch_words", options, &test_error));
        options.words = WORDS;
        MUST(cllm__backbone_open(&some, "scratch_words", options, &test_error));
        assert_int_equal(cllm__backbone_info_of(all)->words, 30);
        assert_int_equal(cllm__backbone_info_of(some)->words, WORDS);
        assert_int_equal(cllm__backbone_info_of(some)->vocabulary, 30);
        assert_int_equal(cllm__weight_columns(cllm__backbone_head(some)), WORDS);
        assert_int_equal(cllm__weight_rows(cllm__backbone_head_transposed(some)), WORDS);
        cllm__real h[16], wanted[30], got[WORDS];
        for (int i = 0; i < 16; i++) h[i] = (cllm__real)(i % 5 - 2);
        MUST(cllm__gemm_frozen(NULL, wanted, 30, h, 16, 1, cllm__backbone_head(all), NULL, CLLM__GEMM_PLAIN, &test_error));
        MUST(cllm__gemm_frozen(NULL, got, WORDS, h, 16, 1, cllm__backbone_head(some), NULL, CLLM__GEMM_PLAIN, &test_error));
        assert_memory_equal(wanted, got, sizeof got);
        assert_true(cllm__backbone_info_of(all)->hash == cllm__backbone_info_of(some)->hash);
        cllm__backbone_close(all);
        cllm__backbone_close(some);
    }
    cllm__remove_tree("scratch_words");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fewer_words),
        cmocka_unit_test(test_every_tensor), cmocka_unit_test(test_config_values), cmocka_unit_test(test_files),
        cmocka_unit_test(test_index),        cmocka_unit_test(test_info),          cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_heads),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cllm__remove_tree(FOLDER);
    return failed;
}
