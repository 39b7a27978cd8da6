/* Packed = padded = two-pass, for random GPT-2 and LLaMA: the hidden states of sequences of different lengths packed one behind
 * the other are, to the bit, those of each sequence with arbitrary tokens behind it (padding on the right, which a causal mask hides), and
 * those of its prompt first and then its main text, which goes on from the prompt's keys and values. */
#include "models.h"

#include "backbone/decoder.h"

enum { CONTEXT = 40, SEQUENCES = 6, ROUNDS = 3 };

typedef struct setup {
    cllm__backbone *backbone;
    size_t start[SEQUENCES + 1], rows, width;
    cllm__real *x, *packed; /* inputs, and their hidden states */
} setup;

static const size_t LENGTHS[SEQUENCES] = {9, 40, 1, 2, 23, 17};

static setup set_up(bool llama, bool training) {
    setup s = {0};
    model m;
    spec shape = {.layers = 3, .heads = 4, .width = 48, .inner = 80, .vocabulary = 30, .context = CONTEXT, .prefix = "", .seed = 19,
                  .type = "llama", .kv_heads = 2, .head_width = 16};
    if (llama) model_llama(&m, shape);
    else model_gpt2(&m, shape);
    s.backbone = model_open(&m, "scratch_two_pass", CLLM__F32, training);
    s.width = cllm__backbone_info_of(s.backbone)->width;
    s.rows = row_pointers(s.start, LENGTHS, SEQUENCES);
    cllm__rng rng = cllm__rng_make(4, CLLM_RNG_TEST, 0, 0);
    s.x = random_numbers(&rng, s.rows * s.width);
    s.packed = numbers(s.rows * s.width);
    return s;
}

static void tear_down(setup *s) {
    cllm__backbone_close(s->backbone);
    cllm__free(s->x);
    cllm__free(s->packed);
    cllm__remove_tree("scratch_two_pass");
}

static void forward(const setup *s, cllm__ragged ragged, const cllm__real *x, bool keep, cllm__real *h) {
    size_t rows = ragged.start[ragged.sequences], *all = all_rows(rows);
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, s->backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, ragged, x, all, rows, (cllm__forward_options){.keep = keep}, h, &test_error));
    cllm__pass_free(pass);
    cllm__free(all);
}

static void same_bits(const char *what, const setup *s, size_t sequence, size_t row, size_t rows, const cllm__real *h) {
    const cllm__real *wanted = s->packed + (s->start[sequence] + row) * s->width;
    for (size_t i = 0; i < rows * s->width; i++)
        if (memcmp(&h[i], &wanted[i], sizeof *h) != 0)
            fail_msg("%s: sequence %zu, row %zu: %.9g, should be %.9g", what, sequence, row + i / s->width, (double)h[i], (double)wanted[i]);
}

/* All sequences in one rectangle as long as the context, another filling in each round. */
static void check_padded(const setup *s, bool keep) {
    size_t start[SEQUENCES + 1], n = SEQUENCES * CONTEXT * s->width;
    cllm__real *h = numbers(n);
    for (size_t i = 0; i <= SEQUENCES; i++) start[i] = i * CONTEXT;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        cllm__rng rng = cllm__rng_make(round, CLLM_RNG_TEST, 1, 0);
        cllm__real *x = random_numbers(&rng, n);
        for (size_t i = 0; i < SEQUENCES; i++)
            memcpy(x + start[i] * s->width, s->x + s->start[i] * s->width, LENGTHS[i] * s->width * sizeof *x);
        forward(s, (cllm__ragged){SEQUENCES, start}, x, keep, h);
        for (size_t i = 0; i < SEQUENCES; i++) same_bits("padded", s, i, 0, LENGTHS[i], h + start[i] * s->width);
        cllm__free(x);
    }
    cllm__free(h);
}

/* A prompt of each length, then the main text at once (its last state) and token by token (all of them). */
static void check_two_pass(const setup *s) {
    cllm__real *h = numbers(s->width);
    for (size_t i = 0; i < SEQUENCES; i++) {
        const cllm__real *x = s->x + s->start[i] * s->width;
        for (size_t prompt = 1; prompt <= LENGTHS[i]; prompt++) {
            cllm__decoder *decoder;
            MUST(cllm__decoder_create(&decoder, s->backbone, LENGTHS[i], NULL, &test_error));
            MUST(cllm__decoder_extend(decoder, x, prompt, h, &test_error));
            same_bits("prompt", s, i, prompt - 1, 1, h);
            if (prompt < LENGTHS[i]) {
                MUST(cllm__decoder_extend(decoder, x + prompt * s->width, LENGTHS[i] - prompt, h, &test_error));
                same_bits("main text at once", s, i, LENGTHS[i] - 1, 1, h);
                cllm__decoder_rewind(decoder, prompt);
            }
            for (size_t t = prompt; t < LENGTHS[i]; t++) {
                MUST(cllm__decoder_extend(decoder, x + t * s->width, 1, h, &test_error));
                same_bits("main text", s, i, t, 1, h);
            }
            cllm__decoder_free(decoder);
        }
    }
    cllm__free(h);
}

static void check(bool llama) {
    for (int training = 0; training < 2; training++) {
        setup s = set_up(llama, training != 0);
        forward(&s, (cllm__ragged){SEQUENCES, s.start}, s.x, training != 0, s.packed);
        check_padded(&s, training != 0);
        check_two_pass(&s);
        tear_down(&s);
    }
}

static void test_gpt2(void **state) {
    (void)state;
    check(false);
}

static void test_llama(void **state) {
    (void)state;
    check(true);
}

/* The comparison sees a token that is not hidden: one put before a sequence changes its states. */
static void test_padding_on_the_left(void **state) {
    (void)state;
    setup s = set_up(true, false);
    forward(&s, (cllm__ragged){SEQUENCES, s.start}, s.x, false, s.packed);
    size_t start[] = {0, LENGTHS[0] + 1};
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 1, 0);
    cllm__real *x = random_numbers(&rng, start[1] * s.width), *h = numbers(start[1] * s.width);
    memcpy(x + s.width, s.x, LENGTHS[0] * s.width * sizeof *x);
    forward(&s, (cllm__ragged){1, start}, x, false, h);
    for (size_t t = 0; t < LENGTHS[0]; t++) assert_memory_not_equal(h + (t + 1) * s.width, s.packed + t * s.width, s.width * sizeof *h);
    cllm__free(x);
    cllm__free(h);
    tear_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpt2), cmocka_unit_test(test_llama), cmocka_unit_test(test_padding_on_the_left)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
