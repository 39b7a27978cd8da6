/* A backbone written anew with the numbers of each matrix shuffled: the same numbers, the same shape, another order. */
#include <stdlib.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "backbone/convert.h"
#include "formats/safetensors.h"
#include "models.h"

static char g_folder[] = "/tmp/cllm4rec-convert-XXXXXX";

/* Converts the golden LLaMA (q, k, v, norms, embeddings) into a folder of that name and opens its tensors. */
static cllm__safetensors *converted(const char *name, const uint64_t *seed) {
    char folder[256], path[300];
    cllm__safetensors *file;
    snprintf(folder, sizeof folder, "%s/%s", g_folder, name);
    assert_int_equal(mkdir(folder, 0777), 0);
    MUST(cllm__backbone_convert(TEST_DATA "/golden/gguf_llama.gguf", folder, CLLM__F32, seed, &test_error));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    MUST(cllm__safetensors_open(&file, path, &test_error));
    return file;
}

/* By bits: 0 and −0 are two numbers. */
static int compare_bits(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void assert_permuted(const cllm__tensor *a, const cllm__tensor *b) {
    size_t n = cllm__tensor_count(a);
    uint32_t *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    memcpy(x, a->data, n * sizeof *x);
    memcpy(y, b->data, n * sizeof *y);
    size_t moved = 0;
    for (size_t i = 0; i < n; i++) moved += x[i] != y[i];
    if (moved <= n / 4) fail_msg("%s: %zu of %zu numbers moved", a->name, moved, n);
    qsort(x, n, sizeof *x, compare_bits);
    qsort(y, n, sizeof *y, compare_bits);
    assert_memory_equal(x, y, n * sizeof *x);
    free(x);
    free(y);
}

static void test_shuffle(void **state) {
    static const uint64_t seven = 7, eight = 8;
    cllm__safetensors *plain = converted("plain", NULL), *first = converted("first", &seven), *again = converted("again", &seven),
                      *other = converted("other", &eight);
    size_t matrices = 0, vectors = 0;
    (void)state;
    assert_int_equal(cllm__safetensors_count(plain), cllm__safetensors_count(first));
    for (size_t i = 0; i < cllm__safetensors_count(plain); i++) {
        const cllm__tensor *p = cllm__safetensors_at(plain, i), *f = cllm__safetensors_at(first, i), *a = cllm__safetensors_at(again, i),
                           *o = cllm__safetensors_at(other, i);
        assert_string_equal(p->name, f->name);
        assert_int_equal(p->dtype, CLLM_ST_F32);
        assert_int_equal(p->bytes, f->bytes);
        assert_memory_equal(p->shape, f->shape, sizeof p->shape);
        assert_memory_equal(f->data, a->data, f->bytes);
        if (p->rank > 1) {
            assert_permuted(p, f);
            assert_permuted(p, o);
            assert_memory_not_equal(f->data, o->data, f->bytes);
            matrices++;
        } else {
            assert_memory_equal(p->data, f->data, p->bytes); /* norms and biases keep their places */
            vectors++;
        }
    }
    assert_true(matrices >= 8 && vectors >= 3);
    cllm__safetensors_close(plain);
    cllm__safetensors_close(first);
    cllm__safetensors_close(again);
    cllm__safetensors_close(other);
}

/* transformers' LLaMA turns whole heads, so a model that turns parts of them cannot be written for it. */
static void test_partly_turned(void **state) {
    char source[256], folder[256], weights[300];
    model m;
    (void)state;
    snprintf(source, sizeof source, "%s/source", g_folder);
    snprintf(folder, sizeof folder, "%s/partly", g_folder);
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    assert_int_equal(mkdir(folder, 0777), 0);
    for (int whole = 0; whole < 2; whole++) {
        model_llama(&m, (spec){.layers = 1, .heads = 2, .width = 8, .inner = 12, .vocabulary = 7, .context = 20, .prefix = "model.", .type = "llama",
                               .kv_heads = 1, .head_width = 4, .extra = whole ? ", \"partial_rotary_factor\": 1" : ", \"partial_rotary_factor\": 0.5"});
        model_write(&m, source);
        model_free(&m);
        cllm_error err = {0};
        assert_int_equal(cllm__backbone_convert(source, folder, CLLM__F32, NULL, &err), whole ? CLLM_OK : CLLM_ERR_UNSUPPORTED);
        assert_int_equal(cllm__path_exists(weights), whole);
        if (!whole) assert_non_null(strstr(err.message, "source/config.json': rotary positions turn 2 of a head's 4 values"));
    }
}

/* The result opens and runs as any backbone. */
static void test_opens(void **state) {
    char folder[256];
    cllm__backbone *backbone;
    (void)state;
    snprintf(folder, sizeof folder, "%s/first", g_folder);
    MUST(cllm__backbone_open(&backbone, folder, (cllm__backbone_options){.dtype = CLLM__F32}, &test_error));
    cllm__backbone_close(backbone);
}

static int remove_folder(void **state) {
    (void)state;
    cllm__remove_tree(g_folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shuffle), cmocka_unit_test(test_opens), cmocka_unit_test(test_partly_turned)};
    if (mkdtemp(g_folder) == NULL) return 1;
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
