/* Components of states as a file: whole or refused; and what words begin at, by its formula. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/item_states.h"
#include "api/word_vectors.h"
#include "base/alloc.h"
#include "base/io.h"
#include "formats/safetensors.h"
#include "text/bpe_train.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { DIMS = 2, FROM = 3, WIDTH = 4 };

static char g_folder[64], g_path[128], g_backbone[128];

static int make_folder(void **state) {
    (void)state;
    snprintf(g_folder, sizeof g_folder, "item-states-%ld", (long)getpid());
    snprintf(g_path, sizeof g_path, "%s/states.safetensors", g_folder);
    snprintf(g_backbone, sizeof g_backbone, "%s/backbone", g_folder);
    OK(cllm__make_folders(g_folder, ERR));
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    cllm__remove_tree(g_folder);
    return 0;
}

/* ---- The file ---- */

static float g_mean[FROM] = {1, 0, -1}, g_axes[DIMS * FROM] = {1, 0, 0, 0, 0, 2};
static const float g_vectors[DIMS * WIDTH] = {1, 2, 3, 4, -1, 0, 1, 0};
static const cllm__item_states g_states = {.pca = {.width = FROM, .dims = DIMS, .mean = g_mean, .axes = g_axes}, .key = 0x0123456789abcdefu};

static void what_was_written_is_read(void **state) {
    (void)state;
    for (int trained = 0; trained < 2; trained++) {
        cllm__item_states read = {0};
        OK(cllm__item_states_save(&g_states, trained ? g_vectors : NULL, WIDTH, g_path, ERR));
        OK(cllm__item_states_load(&read, FROM, g_path, ERR));
        assert_true(read.key == g_states.key && read.pca.dims == DIMS && read.pca.width == FROM);
        assert_memory_equal(read.pca.mean, g_mean, sizeof g_mean);
        assert_memory_equal(read.pca.axes, g_axes, sizeof g_axes);
        assert_true((read.vectors != NULL) == (trained == 1) && read.width == (trained ? WIDTH : 0));
        if (trained) {
            /* A·(h − m) = (3, 4), of length 5. */
            const float h[FROM] = {4, 9, 1};
            cllm__real token[WIDTH] = {1, 1, 1, 1};
            OK(cllm__item_states_add(&read, h, token, ERR));
            for (size_t c = 0; c < WIDTH; c++) {
                double wanted = 1 + 0.6 * (double)g_vectors[c] + 0.8 * (double)g_vectors[WIDTH + c];
                assert_true(fabs((double)token[c] - wanted) < 1e-6);
            }
        }
        cllm__item_states_free(&read);
    }
}

static void refused(cllm_status status, const char *words) {
    cllm__item_states read = {0};
    cllm_error err = {0};
    cllm_status got = cllm__item_states_load(&read, FROM, g_path, &err);
    if (got != status || strstr(err.message, words) == NULL) fail_msg("%d '%s', not %d '%s'", got, err.message, status, words);
    cllm__item_states_free(&read);
}

static void what_is_not_whole_is_refused(void **state) {
    (void)state;
    cllm__item_states other = g_states, read = {0};
    float bad[DIMS * WIDTH] = {0};
    char *data;
    size_t size;
    OK(cllm__item_states_save(&g_states, g_vectors, WIDTH, g_path, ERR));
    OK(cllm__read_file(g_path, 1 << 20, &data, &size, ERR));
    for (size_t cut = 0; cut < size; cut += 7) {
        cllm_error err = {0};
        OK(cllm__write_file(g_path, data, cut, ERR));
        assert_int_not_equal(cllm__item_states_load(&read, FROM, g_path, &err), CLLM_OK);
        assert_non_null(strstr(err.message, g_path));
        cllm__item_states_free(&read);
    }
    char *format = NULL;
    for (size_t i = 0; i + 8 < size && format == NULL; i++) format = memcmp(data + i, "cllm4rec", 8) == 0 ? data + i : NULL;
    assert_non_null(format);
    *format = 'x';
    OK(cllm__write_file(g_path, data, size, ERR));
    cllm__free(data);
    refused(CLLM_ERR_DATA, "is damaged");
    bad[5] = NAN;
    OK(cllm__item_states_save(&g_states, bad, WIDTH, g_path, ERR));
    refused(CLLM_ERR_DATA, "is damaged");
    other.pca.width = 2;
    OK(cllm__item_states_save(&other, NULL, 0, g_path, ERR));
    refused(CLLM_ERR_MISMATCH, "of width 2, the backbone's have 3");
    other = g_states;
    other.pca.dims = 0;
    OK(cllm__item_states_save(&other, NULL, 0, g_path, ERR));
    refused(CLLM_ERR_DATA, "is damaged");
}

/* ---- Where words begin ---- */

enum { WORDS = 5, EMBEDDED = 8 };
static const char *const g_words[WORDS] = {"a", "lamp", "kettle", "lamps", "e"};

/* means [WORDS × EMBEDDED], seen from their own mean. */
static void expected(const cllm__tokenizer *tokenizer, const cllm__backbone *backbone, double *means) {
    double centre[EMBEDDED] = {0};
    memset(means, 0, WORDS * EMBEDDED * sizeof *means);
    for (size_t w = 0; w < WORDS; w++) {
        char text[32];
        cllm__tokens pieces = {0};
        cllm__real row[EMBEDDED];
        OK(cllm__tokenizer_encode(tokenizer, text, (size_t)sprintf(text, " %s", g_words[w]), &pieces, ERR));
        for (size_t p = 0; p < pieces.count; p++) {
            cllm__backbone_embed(backbone, pieces.ids[p], row);
            for (size_t c = 0; c < EMBEDDED; c++) means[w * EMBEDDED + c] += (double)row[c] / (double)pieces.count;
        }
        for (size_t c = 0; c < EMBEDDED; c++) centre[c] += means[w * EMBEDDED + c] / WORDS;
        cllm__tokens_free(&pieces);
    }
    for (size_t i = 0; i < WORDS * EMBEDDED; i++) means[i] -= centre[i % EMBEDDED];
}

static double product(const double *a, size_t i, size_t j) {
    double sum = 0;
    for (size_t c = 0; c < EMBEDDED; c++) sum += a[i * EMBEDDED + c] * a[j * EMBEDDED + c];
    return sum;
}

static void words_begin_at_their_embeddings(void **state) {
    (void)state;
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *tokenizer;
    cllm__backbone *backbone;
    cllm__names *words;
    double means[WORDS * EMBEDDED], square = 0;
    OK(cllm__bpe_trainer_create(&trainer, ERR));
    OK(cllm__bpe_trainer_run(trainer, 256, 1, NULL, &tokenizer, ERR));
    cllm__bpe_trainer_free(trainer);
    const cllm__gpt2_shape shape = {.layers = 1, .heads = 1, .width = EMBEDDED, .vocabulary = 260, .context = 8, .lively = true};
    OK(cllm__gpt2_init(g_backbone, shape, 1, ERR));
    OK(cllm__backbone_open(&backbone, g_backbone, (cllm__backbone_options){.headless = true}, ERR));
    OK(cllm__names_create(&words, ERR));
    for (size_t w = 0; w < WORDS; w++) {
        size_t index;
        OK(cllm__names_add(words, g_words[w], strlen(g_words[w]), &index, ERR));
    }
    expected(tokenizer, backbone, means);
    for (size_t i = 0; i < WORDS * EMBEDDED; i++) square += means[i] * means[i];
    /* As wide as the backbone: the very numbers. */
    float *vectors;
    OK(cllm__word_vectors_create(&vectors, words, tokenizer, backbone, 0, 0, 0.06, ERR));
    double scale = 0.06 / sqrt(square / (WORDS * EMBEDDED));
    for (size_t i = 0; i < WORDS * EMBEDDED; i++) assert_true(fabs((double)vectors[i] - scale * means[i]) < 1e-6);
    cllm__free(vectors);
    /* Behind two columns, in five components, of which five words have four: products between words stay. */
    OK(cllm__word_vectors_create(&vectors, words, tokenizer, backbone, 7, 2, 0.06, ERR));
    scale = 0.06 / sqrt(square / (WORDS * 5));
    for (size_t i = 0; i < WORDS; i++) {
        assert_true(vectors[i * 7] == 0 && vectors[i * 7 + 1] == 0);
        for (size_t j = 0; j < WORDS; j++) {
            double sum = 0;
            for (size_t c = 2; c < 7; c++) sum += (double)vectors[i * 7 + c] * (double)vectors[j * 7 + c];
            assert_true(fabs(sum - scale * scale * product(means, i, j)) < 1e-6);
        }
    }
    cllm__free(vectors);
    cllm_error err = {0};
    assert_int_equal(cllm__word_vectors_create(&vectors, words, tokenizer, backbone, 11, 2, 0.06, &err), CLLM_ERR_USAGE);
    assert_non_null(strstr(err.message, "take --width 8"));
    assert_int_equal(cllm__word_vectors_create(&vectors, words, tokenizer, backbone, 2, 2, 0.06, &err), CLLM_ERR_USAGE);
    assert_non_null(strstr(err.message, "leaves no column"));
    for (size_t n = 1; n <= 4; n++) {
        cllm__alloc_fail_at(n, true);
        assert_int_equal(cllm__word_vectors_create(&vectors, words, tokenizer, backbone, 7, 2, 0.06, &err), CLLM_ERR_NOMEM);
        cllm__alloc_fail_at(0, false);
    }
    cllm__names_free(words);
    cllm__backbone_close(backbone);
    cllm__tokenizer_close(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(what_is_not_whole_is_refused),
        cmocka_unit_test(words_begin_at_their_embeddings),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
