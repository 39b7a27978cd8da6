/* GGUF files as backbones: what metadata mean, what is refused, and by which name. Files are made from the golden ones. */
#include <stdlib.h>
#include <unistd.h>

#include "backbone/checkpoint.h"
#include "backbone/family.h"
#include "gguf_build.h"
#include "models.h"

static unsigned char *bytes;
static size_t size;

static void load_file(const char *name) {
    char path[1024], *data;
    snprintf(path, sizeof path, TEST_DATA "/golden/%s.gguf", name);
    cllm__free(bytes);
    MUST(cllm__read_file(path, (size_t)1 << 24, &data, &size, &test_error));
    bytes = (unsigned char *)data;
}

static unsigned char *place_of(const char *text) {
    for (size_t i = 0; i + strlen(text) <= size; i++)
        if (memcmp(bytes + i, text, strlen(text)) == 0) return bytes + i;
    fail_msg("no '%s' in the file", text);
    return NULL;
}

/* Overwrites the first place of a text with one of the same length. */
static void replace(const char *from, const char *to) {
    assert_int_equal(strlen(from), strlen(to));
    memcpy(place_of(from), to, strlen(to));
}

/* The value behind a key: after the key's characters and its type. */
static unsigned char *value_of(const char *key) {
    return place_of(key) + strlen(key) + 4;
}

static void set_u32(const char *key, uint32_t value) {
    for (size_t i = 0; i < 4; i++) value_of(key)[i] = (unsigned char)(value >> 8 * i);
}

static void set_f32(const char *key, float value) {
    memcpy(value_of(key), &value, 4);
}

/* Adds metadata in front of the others; the value, of n bytes, may be up to 8 bytes. What follows stays aligned, since
 * filling goes into a key of its own. */
static void add_value(const char *key, uint32_t kind, uint64_t value, size_t n) {
    static gguf_build b;
    b.size = 0;
    gguf_key(&b, key, kind);
    gguf_number(&b, value, n);
    char filler[40] = "fill.";
    size_t rest = (b.size + 8 + 4 + 1 + 5) % 64, more = (64 - rest) % 64;
    filler[5] = '\0';
    while (more > 20) { /* several short keys fill as well as a long one */
        gguf_key(&b, "f.aaaaa", CLLM_GGUF_U8), gguf_number(&b, 1, 1);
        b.data[b.size - 6] = (unsigned char)('a' + more % 26);
        more -= 20;
    }
    for (size_t i = 0; i < more; i++) strcat(filler, "x");
    gguf_key(&b, filler, CLLM_GGUF_U8), gguf_number(&b, 1, 1);
    assert_int_equal(b.size % 64, 0);
    unsigned char *bigger = cllm__zalloc(size + b.size, 1);
    memcpy(bigger, bytes, 24);
    memcpy(bigger + 24, b.data, b.size);
    memcpy(bigger + 24 + b.size, bytes + 24, size - 24);
    size_t keys = 0;
    for (size_t at = 0; at < b.size; keys++) at += 8 + b.data[at] + 4 + (at == 0 ? n : 1);
    bigger[16] = (unsigned char)(bigger[16] + keys);
    cllm__free(bytes);
    bytes = bigger;
    size += b.size;
}

static const char *write_file(void) {
    static const char PATH[] = "test_gguf_model.gguf.any-name";
    MUST(cllm__write_file(PATH, bytes, size, &test_error));
    return PATH;
}

static cllm_status open_file(cllm__backbone **backbone) {
    test_error = (cllm_error){0};
    return cllm__backbone_open(backbone, write_file(), (cllm__backbone_options){.dtype = CLLM__F32}, &test_error);
}

static void refuse(cllm_status status, const char *text) {
    cllm__backbone *backbone;
    cllm_status got = open_file(&backbone);
    if (got != status || strstr(test_error.message, text) == NULL || strstr(test_error.message, "test_gguf_model") == NULL)
        fail_msg("status %d and \"%s\", not %d and \"%s\"", (int)got, test_error.message, (int)status, text);
}

static void describe_file(cllm__architecture *a) {
    cllm__checkpoint checkpoint;
    const cllm__family *family;
    MUST(cllm__checkpoint_open(&checkpoint, write_file(), &test_error));
    MUST(cllm__family_describe(checkpoint.config, &family, a, &test_error));
    cllm__checkpoint_close(&checkpoint);
}

/* ---- What metadata mean ---- */

static void test_llama(void **state) {
    (void)state;
    cllm__architecture a;
    load_file("gguf_llama");
    describe_file(&a);
    assert_true(a.layers == 2 && a.heads == 4 && a.kv_heads == 2 && a.head_width == 8 && a.width == 32 && a.inner == 64);
    assert_true(a.vocabulary == 61 && a.context == 96 && a.tied_head && a.rotary_width == 8);
    assert_true(a.norm_epsilon == 1e-5); /* not the single next to it */
    assert_true(a.rotary[0] == 1);
    cllm__free(a.rotary);
    load_file("gguf_qwen2-00001-of-00002"); /* alone: it says what the missing one is called */
    MUST(cllm__write_file("q-00001-of-00002.gguf", bytes, size, &test_error));
    cllm__backbone *backbone;
    assert_int_equal(cllm__backbone_open(&backbone, "q-00001-of-00002.gguf", (cllm__backbone_options){0}, &test_error),
                     CLLM_ERR_NOT_FOUND);
    assert_non_null(strstr(test_error.message, "q-00002-of-00002.gguf"));
}

static void test_rotary(void **state) {
    (void)state;
    cllm__architecture a;
    load_file("gguf_bias"); /* θ = 1000, linear scaling by 2.5, heads of 12 */
    describe_file(&a);
    assert_int_equal(a.head_width, 12);
    for (size_t j = 0; j < 6; j++) assert_true(fabs(a.rotary[j] * 2.5 * pow(1000, (double)j / 6) - 1) < 1e-12);
    cllm__free(a.rotary);
    replace("llama.rope.freq_base", "llama.rope.freq_bale");
    describe_file(&a);
    assert_true(fabs(a.rotary[1] * 2.5 * pow(10000, 1. / 6) - 1) < 1e-12);
    cllm__free(a.rotary);
    add_value("llama.rope.dimension_count", CLLM_GGUF_U32, 10, 4);
    describe_file(&a);
    assert_int_equal(a.rotary_width, 10);
    cllm__free(a.rotary);
    replace("linear", "yarnnn");
    refuse(CLLM_ERR_UNSUPPORTED, "rotary scaling 'yarnnn' (llama.rope.scaling.type)");
    load_file("gguf_bias");
    set_f32("llama.rope.scaling.factor", -1);
    refuse(CLLM_ERR_DATA, "llama.rope.scaling.factor is -1");
    load_file("gguf_llama");
    set_f32("llama.rope.freq_base", NAN);
    refuse(CLLM_ERR_DATA, "llama.rope.freq_base");
}

/* What conversion makes of rope_freqs.weight, in a folder: longrope whose factors are the same for short and long texts. */
static void test_longrope(void **state) {
    (void)state;
    static const struct {
        const char *factors, *message; /* NULL: it opens */
    } CASES[] = {
        {"\"short_factor\": [1, 2], \"long_factor\": [1, 2], \"attention_factor\": 1.0", NULL},
        {"\"short_factor\": [1, 2], \"long_factor\": [1, 3], \"attention_factor\": 1.0",
         "equal short_factor and long_factor"},
        {"\"short_factor\": [1, 2], \"long_factor\": [1, 2]", "attention_factor of 1"},
        {"\"short_factor\": [1], \"long_factor\": [1], \"attention_factor\": 1.0", "list of 2 numbers"},
        {"\"short_factor\": [1, 0], \"long_factor\": [1, 0], \"attention_factor\": 1.0", "number 1 of short_factor is 0"},
    };
    for (size_t i = 0; i < CLLM_LEN(CASES); i++) {
        char extra[300];
        snprintf(extra, sizeof extra, ", \"rope_scaling\": {\"rope_type\": \"longrope\", %s}", CASES[i].factors);
        model m;
        model_llama(&m, (spec){.layers = 1,
                               .heads = 1,
                               .width = 4,
                               .inner = 4,
                               .vocabulary = 5,
                               .context = 8,
                               .prefix = "model.",
                               .extra = extra,
                               .kv_heads = 1,
                               .head_width = 4,
                               .type = "llama"});
        model_write(&m, "longrope");
        model_free(&m);
        cllm__backbone *backbone = NULL;
        cllm_status status = cllm__backbone_open(&backbone, "longrope", (cllm__backbone_options){0}, &test_error);
        assert_int_equal(status == CLLM_OK, CASES[i].message == NULL);
        if (status != CLLM_OK && strstr(test_error.message, CASES[i].message) == NULL) fail_msg("%s", test_error.message);
        if (status == CLLM_OK) cllm__backbone_close(backbone);
    }
    cllm__remove_tree("longrope");
}

static void test_window(void **state) {
    (void)state;
    cllm__architecture a;
    load_file("gguf_llama");
    add_value("llama.attention.sliding_window", CLLM_GGUF_U32, 16, 4);
    describe_file(&a);
    assert_true(a.context == 16 && a.window == 16);
    cllm__free(a.rotary);
    /* As qwen2: the window is every layer's. */
    for (size_t i = 0; i + 5 <= size; i++)
        if (memcmp(bytes + i, "llama", 5) == 0) memcpy(bytes + i, "qwen2", 5);
    describe_file(&a);
    assert_true(a.context == 16 && a.window == 16);
    cllm__free(a.rotary);
    load_file("gguf_llama");
    add_value("llama.attention.sliding_window", CLLM_GGUF_U32, 200, 4);
    describe_file(&a);
    assert_true(a.context == 96 && a.window == 0); /* no sequence is as long */
    cllm__free(a.rotary);
}

static void test_refused(void **state) {
    (void)state;
    load_file("gguf_llama");
    add_value("llama.expert_count", CLLM_GGUF_U32, 8, 4);
    refuse(CLLM_ERR_UNSUPPORTED, "llama.expert_count is 8");
    load_file("gguf_llama");
    add_value("llama.attention.value_length", CLLM_GGUF_U32, 4, 4);
    refuse(CLLM_ERR_UNSUPPORTED, "value_length 4");
    load_file("gguf_llama");
    add_value("llama.attention.causal", CLLM_GGUF_BOOL, 0, 1);
    refuse(CLLM_ERR_UNSUPPORTED, "llama.attention.causal is false");
    uint32_t bits;
    load_file("gguf_llama");
    memcpy(&bits, &(float){1}, 4);
    add_value("llama.rope.scaling.attn_factor", CLLM_GGUF_F32, bits, 4);
    cllm__backbone *backbone;
    assert_int_equal(open_file(&backbone), CLLM_OK);
    cllm__backbone_close(backbone);
    set_f32("llama.rope.scaling.attn_factor", 1.25f);
    refuse(CLLM_ERR_UNSUPPORTED, "llama.rope.scaling.attn_factor is 1.25");
}

/* ---- What is wrong ---- */

static void test_metadata(void **state) {
    (void)state;
    load_file("gguf_llama");
    replace("llama.block_count", "llama.block_counf");
    refuse(CLLM_ERR_DATA, "llama.block_count is missing");
    load_file("gguf_llama");
    set_u32("llama.block_count", 0);
    refuse(CLLM_ERR_DATA, "llama.block_count is 0");
    load_file("gguf_llama");
    set_u32("llama.block_count", 1);
    refuse(CLLM_ERR_MISMATCH, "llama.block_count is 1, but there is a tensor 'blk.1.");
    load_file("gguf_llama");
    set_u32("llama.block_count", 3);
    refuse(CLLM_ERR_NOT_FOUND, "tensor 'blk.2.");
    load_file("gguf_llama");
    set_u32("llama.attention.head_count_kv", 3);
    refuse(CLLM_ERR_DATA, "3 key-value heads");
    load_file("gguf_llama");
    set_u32("llama.feed_forward_length", 32);
    refuse(CLLM_ERR_MISMATCH, "tensor 'blk.0.ffn_gate.weight' is BF16 [64, 32], but [32, 32] is expected");
    load_file("gguf_llama");
    replace("llama.attention.layer_norm_rms_epsilon", "llama.attention.layer_norm_rms_epsilom");
    refuse(CLLM_ERR_DATA, "llama.attention.layer_norm_rms_epsilon is missing");
    load_file("gguf_gpt2");
    replace("gpt2.context_length", "gpt2.context_lengtf");
    refuse(CLLM_ERR_DATA, "gpt2.context_length is missing");
    load_file("gguf_gpt2");
    unsigned char *architecture = place_of("general.architecture") + strlen("general.architecture") + 4 + 8;
    memcpy(architecture, "gp\x01 ", 4);
    refuse(CLLM_ERR_UNSUPPORTED, "the architecture 'gp? ' is not supported; llama, qwen2 and gpt2 are");
}

static void test_tensors(void **state) {
    (void)state;
    load_file("gguf_llama");
    replace("blk.1.ffn_up.weight", "blk.1.ffn_oo.weight");
    refuse(CLLM_ERR_UNSUPPORTED, "tensor 'blk.1.ffn_oo.weight' is not part of the architecture llama");
    load_file("gguf_llama");
    replace("token_embd.weight", "token_embf.weight");
    refuse(CLLM_ERR_NOT_FOUND, "token_embd.weight");
    load_file("gguf_llama");
    replace("blk.1.ffn_up.weight", "blk.0.ffn_up.weight");
    refuse(CLLM_ERR_DATA, "the tensor 'blk.0.ffn_up.weight' stands twice");
    load_file("gguf_llama");
    replace("blk.0.attn_q.weight", "blk.0.ffn_norm.bias"); /* norms of llama have none */
    refuse(CLLM_ERR_UNSUPPORTED, "tensor 'blk.0.ffn_norm.bias' is not part of the architecture llama");
    load_file("gguf_llama");
    replace("rope_freqs.weight", "rope_fregs.weight");
    refuse(CLLM_ERR_UNSUPPORTED, "rope_fregs.weight");
    load_file("gguf_gpt2");
    replace("blk.0.attn_qkv.bias", "blk.9.attn_qkv.bias");
    refuse(CLLM_ERR_MISMATCH, "blk.9.attn_qkv.bias");
    /* A NaN among the norm's values; in a scale of Q8_0. */
    static const char *const NAMES[] = {"blk.0.attn_norm.weight", "token_embd.weight"};
    for (size_t i = 0; i < 2; i++) {
        load_file("gguf_llama");
        cllm__gguf *file;
        MUST(cllm__gguf_open(&file, write_file(), &test_error));
        const cllm__gguf_tensor *t = cllm__gguf_find_tensor(file, NAMES[i]), *first = cllm__gguf_tensor_at(file, 0);
        for (size_t j = 1; j < cllm__gguf_tensors(file); j++) /* the last tensor's data end the file, but for filling */
            if (cllm__gguf_tensor_at(file, j)->data < first->data) first = cllm__gguf_tensor_at(file, j);
        size_t start = 0, place;
        for (size_t at = 0; at + first->bytes <= size && start == 0; at += 32)
            if (memcmp(bytes + at, first->data, first->bytes) == 0) start = at;
        place = start + (size_t)(t->data - first->data);
        cllm__gguf_close(file);
        memset(bytes + place, 0xFF, 4);
        refuse(CLLM_ERR_DATA, NAMES[i]);
    }
}

/* Shapes are told as the file has them. */
static void test_shapes(void **state) {
    (void)state;
    static const struct {
        uint64_t sizes[4]; /* innermost first */
        size_t rank;
        const char *message;
    } NORMS[] = {
        {{4, 1, 1, 1}, 4, "tensor 'blk.0.attn_norm.weight' is F32 [1, 1, 1, 4], but [4] is expected"},
        {{2, 2}, 2, "tensor 'blk.0.attn_norm.weight' is F32 [2, 2], but [4] is expected"},
        {{5}, 1, "tensor 'blk.0.attn_norm.weight' is F32 [5], but [4] is expected"},
    };
    for (size_t i = 0; i < CLLM_LEN(NORMS); i++) {
        static gguf_build b;
        gguf_begin(&b, 3, 2, 7);
        gguf_key_string(&b, "general.architecture", "llama");
        gguf_key_u32(&b, "llama.block_count", 1);
        gguf_key_u32(&b, "llama.embedding_length", 4);
        gguf_key_u32(&b, "llama.feed_forward_length", 4);
        gguf_key_u32(&b, "llama.context_length", 4);
        gguf_key_u32(&b, "llama.attention.head_count", 1);
        gguf_key(&b, "llama.attention.layer_norm_rms_epsilon", CLLM_GGUF_F32), gguf_number(&b, 0x3727C5AC, 4); /* 1e-5 */
        gguf_tensor(&b, "token_embd.weight", 4, 5, 0, 0);
        gguf_string(&b, "blk.0.attn_norm.weight");
        gguf_number(&b, NORMS[i].rank, 4);
        for (size_t j = 0; j < NORMS[i].rank; j++) gguf_number(&b, NORMS[i].sizes[j], 8);
        gguf_number(&b, 0, 4), gguf_number(&b, 96, 8);
        gguf_pad(&b, 32);
        for (size_t j = 0; j < 32; j++) gguf_number(&b, 0, 4); /* all numbers are 0 */
        cllm__free(bytes);
        bytes = cllm__zalloc(b.size, 1);
        memcpy(bytes, b.data, size = b.size);
        refuse(CLLM_ERR_MISMATCH, NORMS[i].message);
    }
}

static void test_plain_file(void **state) {
    (void)state;
    cllm__free(bytes);
    bytes = (unsigned char *)cllm__strdup("a text");
    size = 6;
    refuse(CLLM_ERR_UNSUPPORTED, "neither a GGUF file nor a Hugging Face folder");
}

static void test_memory(void **state) {
    (void)state;
    static const char *const FILES[] = {"gguf_llama.gguf", "gguf_qwen2-00001-of-00002.gguf", "gguf_gpt2.gguf"};
    for (size_t i = 0; i < CLLM_LEN(FILES); i++) {
        char path[1024];
        snprintf(path, sizeof path, TEST_DATA "/golden/%s", FILES[i]);
        for (size_t n = 1;; n++) {
            cllm__backbone *backbone;
            size_t before = cllm__alloc_count();
            cllm__alloc_fail_at(n, false);
            cllm_status status =
                cllm__backbone_open(&backbone, path, (cllm__backbone_options){.training = true}, &test_error);
            cllm__alloc_fail_at(0, false);
            if (cllm__alloc_count() - before < n) {
                assert_int_equal(status, CLLM_OK);
                cllm__backbone_close(backbone);
                break;
            }
            assert_int_equal(status, CLLM_ERR_NOMEM);
        }
    }
}

static int clean(void **state) {
    (void)state;
    cllm__free(bytes);
    unlink("test_gguf_model.gguf.any-name");
    unlink("q-00001-of-00002.gguf");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama),      cmocka_unit_test(test_rotary),   cmocka_unit_test(test_window), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_longrope),   cmocka_unit_test(test_metadata), cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_shapes),     cmocka_unit_test(test_plain_file), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
