/* No allocation in a step after warm-up; frozen weights stay as they are; every allocation that fails is survived. */
#include "models.h"

#include "backbone/decoder.h"

static const char FOLDER[] = "scratch_memory";
static const spec SMALL = {.layers = 2, .heads = 2, .width = 16, .inner = 40, .vocabulary = 11, .context = 20, .prefix = "", .seed = 4};

typedef struct batch {
    size_t start[5], sequences, rows, out_rows[4], width;
    cllm__real *x, *h, *dh, *dx;
} batch;

static batch make_batch(const cllm__backbone *backbone) {
    static const size_t LENGTHS[] = {20, 3, 11, 8};
    batch b = {.sequences = 4, .width = cllm__backbone_info_of(backbone)->width};
    b.rows = row_pointers(b.start, LENGTHS, b.sequences);
    for (size_t s = 0; s < b.sequences; s++) b.out_rows[s] = b.start[s + 1] - 1;
    cllm__rng rng = cllm__rng_make(6, CLLM_RNG_TEST, 0, 0);
    b.x = random_numbers(&rng, b.rows * b.width);
    b.dh = random_numbers(&rng, b.sequences * b.width);
    b.h = numbers(b.sequences * b.width);
    b.dx = numbers(b.rows * b.width);
    return b;
}

static void free_batch(batch *b) {
    cllm__real *blocks[] = {b->x, b->h, b->dh, b->dx};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
}

/* One step over the first `sequences` of the batch. */
static cllm_status step(cllm__pass *pass, batch *b, size_t sequences, cllm__forward_options options, cllm_error *err) {
    CLLM_TRY(cllm__pass_forward(pass, (cllm__ragged){sequences, b->start}, b->x, b->out_rows, sequences, options, b->h, err));
    return options.keep ? cllm__pass_backward(pass, b->dh, b->dx, err) : CLLM_OK;
}

static void check_steps(cllm__dtype dtype, int threads) {
    model m;
    model_gpt2(&m, SMALL);
    cllm__backbone *backbone = model_open(&m, FOLDER, dtype, true);
    uint64_t before = cllm__backbone_memory_hash(backbone);
    batch b = make_batch(backbone);
    cllm__pool *pool;
    cllm__pass *pass;
    MUST(cllm__pool_create(&pool, threads, &test_error));
    MUST(cllm__pass_create(&pass, backbone, pool, &test_error));
    /* Twice the same steps of different sizes: the first time may allocate. */
    size_t count = 0;
    for (int i = 0; i < 48; i++) {
        cllm__forward_options train = {.keep = true, .dropout = i % 2 == 0 ? 0.1 : 0, .key = (uint64_t)i}, infer = {0};
        if (i == 24) count = cllm__alloc_count();
        MUST(step(pass, &b, 1 + (size_t)i % 4, i % 3 == 0 ? infer : train, &test_error));
        cllm__backbone_embed(backbone, i % 11, b.x);
    }
    assert_int_equal(cllm__alloc_count() - count, 0);
    assert_true(cllm__backbone_memory_hash(backbone) == before);

    cllm__pass_free(pass);
    cllm__pool_free(pool);
    free_batch(&b);
    cllm__backbone_close(backbone);
}

static void test_no_allocation_in_a_step(void **state) {
    (void)state;
    check_steps(CLLM__F32, 1);
    check_steps(CLLM__F32, 2);
    check_steps(CLLM__BF16, 2);
}

static uint64_t memory_hash(const char *tensor, bool training, bool headless) {
    model m;
    model_gpt2(&m, SMALL);
    if (tensor != NULL) ((cllm__real *)model_find(&m, tensor)->data)[0] *= 2; /* survives rounding to bf16 */
    model_write(&m, FOLDER);
    model_free(&m);
    cllm__backbone *backbone;
    cllm__backbone_options options = {.dtype = CLLM__BF16, .training = training, .headless = headless};
    MUST(cllm__backbone_open(&backbone, FOLDER, options, &test_error));
    uint64_t hash = cllm__backbone_memory_hash(backbone);
    cllm__backbone_close(backbone);
    return hash;
}

/* Each tensor's memory is in the hash. */
static void test_memory_hash(void **state) {
    (void)state;
    uint64_t hash = memory_hash(NULL, true, false);
    assert_true(memory_hash(NULL, true, false) == hash);
    assert_true(memory_hash(NULL, true, true) != hash);
    assert_true(memory_hash(NULL, false, false) != hash);
    model m;
    model_gpt2(&m, SMALL);
    for (size_t i = 0; i < m.n; i++)
        if (memory_hash(m.tensors[i].name, true, false) == hash) fail_msg("'%s' is not in the hash", m.tensors[i].name);
    model_free(&m);
}

/* Looking at a model tells what opening it tells, without a matrix in memory. */
static void check_look(bool llama, cllm__dtype dtype, bool training) {
    model m;
    spec shape = SMALL;
    shape.kv_heads = 1;
    shape.head_width = 8;
    shape.type = "qwen2";
    shape.attention_bias = shape.head = true;
    cllm__backbone *whole, *look;
    if (llama) model_llama(&m, shape);
    else model_gpt2(&m, shape);
    model_write(&m, FOLDER);
    model_free(&m);
    cllm__backbone_options options = {.dtype = dtype, .training = training, .words = 9};
    MUST(cllm__backbone_open(&whole, FOLDER, options, &test_error));
    options.look = true;
    MUST(cllm__backbone_open(&look, FOLDER, options, &test_error));
    const cllm__backbone_info *a = cllm__backbone_info_of(whole), *b = cllm__backbone_info_of(look);
    assert_true(a->hash == b->hash && a->parameters == b->parameters && a->resident_bytes == b->resident_bytes && a->words == b->words &&
                a->layers == b->layers && a->file_bytes == b->file_bytes);
    assert_true(cllm__backbone_head(whole) != NULL && cllm__backbone_head(look) == NULL);
    cllm__backbone_close(whole);
    cllm__backbone_close(look);
}

static void test_look(void **state) {
    (void)state;
    static const cllm__dtype DTYPES[] = {CLLM__F32, CLLM__BF16, CLLM__Q8_0};
    for (size_t i = 0; i < 12; i++) check_look(i % 2 == 1, DTYPES[i / 4], i / 2 % 2 == 1);
}

/* For word embeddings alone: checked like any, but nothing is held that only a pass needs, and nothing computes. */
static void check_bare(bool llama) {
    model m;
    spec shape = SMALL;
    shape.kv_heads = 1;
    shape.head_width = 8;
    shape.type = "qwen2";
    shape.attention_bias = shape.head = true;
    cllm__backbone *whole, *bare;
    if (llama) model_llama(&m, shape);
    else model_gpt2(&m, shape);
    model_write(&m, FOLDER);
    cllm__backbone_options options = {.training = true};
    MUST(cllm__backbone_open(&whole, FOLDER, options, &test_error));
    options.bare = true;
    MUST(cllm__backbone_open(&bare, FOLDER, options, &test_error));
    const cllm__backbone_info *a = cllm__backbone_info_of(whole), *b = cllm__backbone_info_of(bare);
    assert_true(a->hash == b->hash && a->parameters == b->parameters && a->layers == b->layers);
    assert_true(b->resident_bytes < a->resident_bytes / 4);
    assert_null(cllm__backbone_head(bare));
    cllm__real row[2][16], x[16] = {0}, h[16];
    cllm__backbone_embed(whole, 7, row[0]);
    cllm__backbone_embed(bare, 7, row[1]);
    assert_memory_equal(row[0], row[1], sizeof row[0]);
    cllm__pass *pass;
    cllm__decoder *decoder;
    const size_t start[] = {0, 1};
    MUST(cllm__pass_create(&pass, bare, NULL, &test_error));
    assert_int_equal(cllm__pass_forward(pass, (cllm__ragged){1, start}, x, start, 1, (cllm__forward_options){0}, h, &test_error), CLLM_ERR_USAGE);
    assert_non_null(strstr(test_error.message, "word embeddings alone"));
    assert_int_equal(cllm__pass_backward(pass, x, h, NULL), CLLM_ERR_USAGE);
    assert_int_equal(cllm__decoder_create(&decoder, bare, 4, NULL, NULL), CLLM_ERR_USAGE);
    cllm__pass_free(pass);
    cllm__backbone_close(whole);
    cllm__backbone_close(bare);
    /* What is wrong is found all the same. */
    const char *damaged = llama ? "layers.1.mlp.down_proj.weight" : "h.1.mlp.c_proj.weight";
    ((cllm__real *)(uintptr_t)model_find(&m, damaged)->data)[3] = NAN;
    model_write(&m, FOLDER);
    model_free(&m);
    assert_int_equal(cllm__backbone_open(&bare, FOLDER, options, &test_error), CLLM_ERR_DATA);
    assert_non_null(strstr(test_error.message, damaged));
}

static void test_bare(void **state) {
    (void)state;
    check_bare(false);
    check_bare(true);
}

/* Opening, packing, a pass and a step with the n-th allocation failing, for every n, once and for good. */
static cllm_status everything(batch *b, bool *changed) {
    cllm__backbone *backbone = NULL;
    cllm__pass *pass = NULL;
    cllm_error err = {0};
    cllm__backbone_options options = {.training = true};
    cllm_status status = cllm__backbone_open(&backbone, FOLDER, options, &err);
    if (status == CLLM_OK) status = cllm__pass_create(&pass, backbone, NULL, &err);
    if (status == CLLM_OK) status = step(pass, b, 2, (cllm__forward_options){.keep = true}, &err);
    if (status == CLLM_OK) status = step(pass, b, 4, (cllm__forward_options){.keep = true}, &err);
    *changed = status != err.status;
    cllm__pass_free(pass);
    cllm__backbone_close(backbone);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    model m;
    model_gpt2(&m, SMALL);
    cllm__backbone *backbone = model_open(&m, FOLDER, CLLM__F32, true);
    batch b = make_batch(backbone);
    cllm__backbone_close(backbone);
    size_t failures = 0;
    for (int sticky = 0; sticky < 2; sticky++) {
        for (size_t n = 1;; n++) {
            bool changed;
            cllm__alloc_fail_at(n, sticky != 0);
            size_t count = cllm__alloc_count();
            cllm_status status = everything(&b, &changed);
            bool reached = cllm__alloc_count() - count >= n;
            cllm__alloc_fail_at(0, false);
            assert_false(changed);
            if (!reached) {
                assert_int_equal(status, CLLM_OK);
                break;
            }
            assert_int_equal(status, CLLM_ERR_NOMEM);
            failures++;
            assert_true(n < 100000);
        }
    }
    print_message("%zu allocations failed\n", failures);
    assert_true(failures > 100);
    free_batch(&b);
}

/* A pass whose buffers could not grow still serves smaller batches. */
static void test_pass_survives(void **state) {
    (void)state;
    model m;
    model_gpt2(&m, SMALL);
    cllm__backbone *backbone = model_open(&m, FOLDER, CLLM__F32, true);
    batch b = make_batch(backbone);
    cllm__pass *pass;
    cllm_error err;
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(step(pass, &b, 1, (cllm__forward_options){.keep = true}, &test_error));
    cllm__real *h = numbers(b.width), *dx = numbers(b.start[1] * b.width);
    memcpy(h, b.h, b.width * sizeof *h);
    memcpy(dx, b.dx, b.start[1] * b.width * sizeof *dx);
    cllm__alloc_fail_at(1, true);
    assert_int_equal(step(pass, &b, 4, (cllm__forward_options){.keep = true}, &err), CLLM_ERR_NOMEM);
    cllm__alloc_fail_at(0, false);
    assert_int_equal(cllm__pass_backward(pass, b.dh, b.dx, &err), CLLM_ERR_USAGE);
    MUST(step(pass, &b, 1, (cllm__forward_options){.keep = true}, &test_error));
    assert_memory_equal(h, b.h, b.width * sizeof *h);
    assert_memory_equal(dx, b.dx, b.start[1] * b.width * sizeof *dx);
    cllm__pass_free(pass);
    cllm__free(h);
    cllm__free(dx);
    free_batch(&b);
    cllm__backbone_close(backbone);
    cllm__pass_free(NULL);
    cllm__backbone_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation_in_a_step),
        cmocka_unit_test(test_memory_hash),
        cmocka_unit_test(test_bare),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_pass_survives),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cllm__remove_tree(FOLDER);
    return failed;
}
