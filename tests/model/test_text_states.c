/* Items' texts as states of the backbone: the means are those of the sequences one by one; a file of them is used if it is theirs
 * and whole, and only then. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "data/prepare.h"
#include "model/text_states.h"
#include "text/bpe_train.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { USERS = 4, ITEMS = 7, LAYERS = 3, WIDTH = 16, BARE = 5 /* an item without texts of its own */ };

typedef struct world {
    char folder[64];
    cllm__dataset *dataset;
    cllm__tokenizer *tokenizer; /* of bytes */
    cllm__backbone *backbone;
} world;

static const char *in(const world *w, const char *name) {
    static char paths[16][192];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", w->folder, name);
    return path;
}

static void field(char *text, size_t size, const char *what, int item) {
    snprintf(text, size, "%s of i%d%.*s", what, item, 9 * item, " and so on and so on and so on and so on and so on and so on and so on");
}

static void write_inputs(const world *w, const char *word) {
    char text[256];
    FILE *file = fopen(in(w, "reviews.jsonl"), "w");
    for (int u = 0; u < USERS; u++)
        for (int i = 0; i < ITEMS; i++)
            fprintf(file, "{\"reviewerID\":\"u%d\",\"asin\":\"i%d\",\"overall\":5.0,\"unixReviewTime\":%d,\"reviewText\":\"%s u%d on i%d\"}\n", u, i,
                    1000 + i, word, u, i);
    fclose(file);
    file = fopen(in(w, "items.jsonl"), "w");
    for (int i = 0; i < ITEMS; i++) {
        if (i == BARE) {
            fprintf(file, "{\"asin\":\"i%d\"}\n", i);
            continue;
        }
        field(text, sizeof text, "a title", i);
        fprintf(file, "{\"asin\":\"i%d\",\"title\":\"%s\",\"brand\":\"%s\"", i, text, i % 2 ? "Makers" : "");
        field(text, sizeof text, "what is said", i);
        fprintf(file, ",\"description\":\"%s\"}\n", text);
    }
    fclose(file);
}

static cllm__dataset *prepare(const world *w, const char *word) {
    cllm__dataset *dataset;
    write_inputs(w, word);
    const char *inputs[] = {in(w, "reviews.jsonl")};
    cllm_prepare_options options = {.inputs = inputs, .n_inputs = 1, .items = in(w, "items.jsonl"), .output = in(w, "data"), .force = true,
                                    .raw_text = true};
    OK(cllm__prepare(&options, NULL, ERR));
    OK(cllm__dataset_open(&dataset, in(w, "data"), false, ERR));
    return dataset;
}

static cllm__backbone *make_backbone(const world *w, uint64_t seed, cllm__dtype dtype) {
    cllm__backbone *backbone;
    cllm__gpt2_shape shape = {.layers = LAYERS, .heads = 2, .width = WIDTH, .vocabulary = 260, .context = 96, .lively = true};
    cllm__remove_tree(in(w, "model"));
    OK(cllm__gpt2_init(in(w, "model"), shape, seed, ERR));
    OK(cllm__backbone_open(&backbone, in(w, "model"), (cllm__backbone_options){.dtype = dtype, .headless = true}, ERR));
    return backbone;
}

static int open_world(void **state) {
    static world w;
    w = (world){.folder = "states-XXXXXX"};
    assert_non_null(mkdtemp(w.folder));
    unsetenv("CLLM4REC_CACHE");
    setenv("XDG_CACHE_HOME", in(&w, "home"), 1);
    w.dataset = prepare(&w, "good");
    cllm__bpe_trainer *trainer;
    OK(cllm__bpe_trainer_create(&trainer, ERR));
    OK(cllm__bpe_trainer_run(trainer, 256, 1, NULL, &w.tokenizer, ERR));
    cllm__bpe_trainer_free(trainer);
    w.backbone = make_backbone(&w, 1, CLLM__F32);
    *state = &w;
    return 0;
}

static int close_world(void **state) {
    world *w = *state;
    cllm__backbone_close(w->backbone);
    cllm__tokenizer_close(w->tokenizer);
    cllm__dataset_close(w->dataset);
    cllm__remove_tree(w->folder);
    return 0;
}

/* ---- What is asked of it ---- */

static char g_log[2048]; /* remarks since it was emptied */
static size_t g_warnings;

static void take_log(void *user, cllm_log_level level, const char *message) {
    (void)user;
    g_warnings += level == CLLM_LOG_WARN;
    if (strlen(g_log) + strlen(message) + 2 < sizeof g_log) strcat(strcat(g_log, message), "\n");
}

static const cllm_host g_host = {.log = take_log};

static float *get(const world *w, cllm__text_states_options options, cllm__text_states_info *info) {
    float *states;
    g_log[0] = '\0';
    g_warnings = 0;
    OK(cllm__text_states(&states, w->backbone, w->tokenizer, w->dataset, options, info, NULL, &g_host, ERR));
    return states;
}

static void same(const float *a, const float *b) {
    assert_memory_equal(a, b, ITEMS * WIDTH * sizeof *a);
}

/* Files in a folder; 0 where there is none. */
static size_t files_in(const char *folder) {
    size_t n = 0;
    DIR *d = opendir(folder);
    if (d == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

static void no_cache(const world *w) {
    cllm__remove_tree(in(w, "data/cache"));
    cllm__remove_tree(in(w, "home"));
}

static const char *cached_file(const world *w, uint64_t key) {
    char name[80];
    snprintf(name, sizeof name, "data/cache/text-states-%016llx.safetensors", (unsigned long long)key);
    return in(w, name);
}

/* ---- Means ---- */

/* Adds the states of one text, computed alone, and returns its tokens. */
static size_t add_text(const world *w, const char *text, int32_t bos, size_t layers, double sum[WIDTH]) {
    cllm__tokens tokens = {0};
    cllm__pass *pass;
    if (bos >= 0) OK(cllm__tokens_add(&tokens, &bos, 1, ERR));
    OK(cllm__tokenizer_encode(w->tokenizer, text, strlen(text), &tokens, ERR));
    size_t lead = bos >= 0, n = tokens.count;
    size_t start[] = {0, n}, *rows = cllm__alloc(n, sizeof *rows);
    cllm__real *x = cllm__alloc(n * WIDTH, sizeof *x), *h = cllm__alloc(n * WIDTH, sizeof *h);
    for (size_t t = 0; t < n; t++) {
        rows[t] = t;
        cllm__backbone_embed(w->backbone, tokens.ids[t], x + t * WIDTH);
    }
    OK(cllm__pass_create(&pass, w->backbone, NULL, ERR));
    OK(cllm__pass_forward(pass, (cllm__ragged){1, start}, x, rows, n, (cllm__forward_options){.layers = layers}, h, ERR));
    for (size_t t = lead; t < n; t++)
        for (size_t c = 0; c < WIDTH; c++) sum[c] += (double)h[t * WIDTH + c];
    cllm__pass_free(pass);
    cllm__free(rows);
    cllm__free(x);
    cllm__free(h);
    cllm__tokens_free(&tokens);
    return n - lead;
}

/* The text as the item's own sequence has it, with bytes as tokens and fields cut at `cut`. */
static void own_text(const world *w, size_t item, size_t cut, size_t all, char *out) {
    out[0] = '\0';
    for (unsigned kind = CLLM__TEXT_TITLE; kind <= CLLM__TEXT_DESCRIPTION; kind++) {
        const char *text = cllm__dataset_item_field(w->dataset, item, (cllm__text_kind)kind);
        if (text[0] == '\0') continue;
        sprintf(out + strlen(out), "%s%.*s", out[0] == '\0' ? "" : "\n", (int)cut, text);
    }
    out[all] = '\0';
}

static void check_means(const world *w, cllm__text_states_options options) {
    cllm__text_states_info info;
    options.no_cache = true;
    size_t cut = options.max_tokens > 0 ? options.max_tokens : 128, lead = options.bos >= 0, tokens = 0, without = 0, texts = 0;
    float *states = get(w, options, &info);
    for (size_t item = 0; item < ITEMS; item++) {
        double sum[WIDTH] = {0};
        char text[1024] = {0};
        size_t n = 0, reviews = 0;
        own_text(w, item, cut, 96 - lead, text);
        if (text[0] != '\0') n += add_text(w, text, options.bos, options.layers, sum);
        texts += n > 0;
        for (size_t i = 0; i < cllm__dataset_texts(w->dataset); i++) {
            cllm__text review = cllm__dataset_text(w->dataset, i);
            if (review.kind != CLLM__TEXT_REVIEW || review.split != CLLM__TRAIN || review.item != (int32_t)item || reviews == options.reviews) continue;
            reviews++;
            texts++;
            sprintf(text, "%.*s", (int)(review.length < cut ? review.length : cut), review.text);
            n += add_text(w, text, options.bos, options.layers, sum);
        }
        for (size_t c = 0; c < WIDTH; c++) {
            float wanted = n > 0 ? (float)(sum[c] / (double)n) : 0;
            assert_memory_equal(&states[item * WIDTH + c], &wanted, sizeof wanted);
        }
        tokens += n;
        without += n == 0;
    }
    assert_true(info.tokens == tokens && info.texts == texts && info.without == without && !info.cached);
    cllm__free(states);
}

static void test_means(void **state) {
    const world *w = *state;
    cllm__text_states_options options = cllm__text_states_defaults();
    check_means(w, options);
    options.layers = 1;
    check_means(w, options);
    options.max_tokens = 20;
    options.reviews = 2;
    check_means(w, options);
    options.bos = 257;
    options.layers = 2;
    check_means(w, options);
    assert_int_equal(files_in(in(w, "data/cache")), 0);
}

/* A text by itself is what an item has whose only text it is; cut alike; one of nothing is refused. */
static void test_one_text(void **state) {
    const world *w = *state;
    static const char *const texts[] = {"a title of i3", "x"};
    const cllm__text_states_options options[] = {{.bos = -1}, {.bos = 257, .layers = 2, .max_tokens = 5}};
    for (size_t i = 0; i < 4; i++) {
        const cllm__text_states_options *o = &options[i % 2];
        const char *text = texts[i / 2];
        double sum[WIDTH] = {0};
        char cut[32];
        float got[WIDTH];
        sprintf(cut, "%.*s", o->max_tokens > 0 ? (int)o->max_tokens : 31, text);
        size_t n = add_text(w, cut, o->bos, o->layers, sum);
        OK(cllm__text_state(got, w->backbone, w->tokenizer, text, strlen(text), *o, NULL, ERR));
        for (size_t c = 0; c < WIDTH; c++) {
            float wanted = (float)(sum[c] / (double)n);
            assert_memory_equal(&got[c], &wanted, sizeof wanted);
        }
        cllm_error error = {0};
        assert_int_equal(cllm__text_state(got, w->backbone, w->tokenizer, "", 0, *o, NULL, &error), CLLM_ERR_USAGE);
        for (size_t a = 1;; a++) {
            cllm__alloc_fail_at(a, true);
            cllm_status status = cllm__text_state(got, w->backbone, w->tokenizer, text, strlen(text), *o, NULL, &error);
            cllm__alloc_fail_at(0, false);
            if (status == CLLM_OK) break;
            assert_int_equal(status, CLLM_ERR_NOMEM);
        }
    }
}

/* Another number of threads, the same bits. */
static void test_threads(void **state) {
    const world *w = *state;
    cllm__text_states_options options = {.reviews = 100, .bos = -1, .no_cache = true};
    cllm__pool *pool;
    float *alone = get(w, options, NULL), *together;
    OK(cllm__pool_create(&pool, 3, ERR));
    OK(cllm__text_states(&together, w->backbone, w->tokenizer, w->dataset, options, NULL, pool, NULL, ERR));
    same(alone, together);
    cllm__pool_free(pool);
    cllm__free(alone);
    cllm__free(together);
}

/* ---- The file ---- */

static void test_cache(void **state) {
    const world *w = *state;
    cllm__text_states_options options = cllm__text_states_defaults();
    cllm__text_states_info first, second;
    no_cache(w);
    float *made = get(w, options, &first);
    assert_false(first.cached);
    assert_true(cllm__path_exists(cached_file(w, first.key)));
    float *read = get(w, options, &second);
    assert_true(second.cached && second.key == first.key && second.tokens == first.tokens && g_warnings == 0);
    same(made, read);
    cllm__free(read);
    options.no_cache = true;
    read = get(w, options, &second);
    assert_true(!second.cached && second.key == first.key);
    same(made, read);
    cllm__free(read);
    cllm__free(made);
}

static uint64_t key_of(const world *w, cllm__text_states_options options) {
    cllm__text_states_info info;
    options.no_cache = true;
    cllm__free(get(w, options, &info));
    return info.key;
}

/* Other weights, layers, number types, cuts, reviews, texts have other keys; all layers by number are all layers. */
static void test_keys(void **state) {
    world *w = *state;
    cllm__text_states_options options = cllm__text_states_defaults();
    uint64_t keys[8];
    keys[0] = key_of(w, options);
    options.layers = LAYERS;
    assert_true(key_of(w, options) == keys[0]);
    options.layers = 1;
    keys[1] = key_of(w, options);
    options.layers = 0;
    options.max_tokens = 10;
    keys[2] = key_of(w, options);
    options.max_tokens = 0;
    options.reviews = 1;
    keys[3] = key_of(w, options);
    options.reviews = 0;
    options.bos = 3;
    keys[4] = key_of(w, options);
    options.bos = -1;
    world other = *w;
    other.backbone = make_backbone(w, 2, CLLM__F32);
    keys[5] = key_of(&other, options);
    cllm__backbone_close(other.backbone);
    other.backbone = make_backbone(w, 1, CLLM__BF16);
    keys[6] = key_of(&other, options);
    cllm__backbone_close(other.backbone);
    options.reviews = 1;
    w->dataset = (cllm__dataset_close(w->dataset), prepare(w, "bad"));
    keys[7] = key_of(w, options);
    options.reviews = 0;
    assert_true(key_of(w, options) == keys[0]); /* only reviews differ, and they are not asked for */
    for (size_t a = 0; a < CLLM_LEN(keys); a++)
        for (size_t b = 0; b < a; b++) assert_true(keys[a] != keys[b]);
}

/* Computes anew, with a remark and the right result, over a spoilt file, which is whole afterwards. */
static void mended(const world *w, const float *wanted, const char *words) {
    cllm__text_states_info info;
    float *states = get(w, cllm__text_states_defaults(), &info);
    assert_false(info.cached);
    same(states, wanted);
    if (g_warnings != 1 || strstr(g_log, words) == NULL || strstr(g_log, "computing the text states again") == NULL) fail_msg("remarks: %s", g_log);
    cllm__free(states);
    states = get(w, cllm__text_states_defaults(), &info);
    assert_true(info.cached && g_warnings == 0);
    same(states, wanted);
    cllm__free(states);
}

static void test_damage(void **state) {
    const world *w = *state;
    cllm__text_states_info info, other;
    no_cache(w);
    float *states = get(w, cllm__text_states_defaults(), &info);
    char path[192], *data;
    size_t size;
    strcpy(path, cached_file(w, info.key));
    OK(cllm__read_file(path, (size_t)1 << 20, &data, &size, ERR));
    for (size_t cut = 0; cut < size; cut += 1 + size / 9) {
        OK(cllm__write_file(path, data, cut, ERR));
        mended(w, states, path);
    }
    data[size - 1] ^= 1; /* one bit of one number */
    OK(cllm__write_file(path, data, size, ERR));
    mended(w, states, "checksum");
    cllm__free(data);
    /* Another key's file under this name. */
    cllm__text_states_options options = cllm__text_states_defaults();
    options.layers = 1;
    cllm__free(get(w, options, &other));
    OK(cllm__read_file(cached_file(w, other.key), (size_t)1 << 20, &data, &size, ERR));
    OK(cllm__write_file(path, data, size, ERR));
    cllm__free(data);
    mended(w, states, "no text states of this key");
    OK(cllm__write_file(path, "nonsense", 8, ERR));
    mended(w, states, path);
    cllm__free(states);
}

/* ---- Where it lies ---- */

static int refuse_data(void *user, cllm__io_op op, const char *path) {
    const char *const *places = user;
    for (size_t i = 0; places[i] != NULL; i++)
        if ((op == CLLM_IO_MKDIR || op == CLLM_IO_CREATE) && strstr(path, places[i]) != NULL) return EROFS;
    return 0;
}

static void test_folders(void **state) {
    const world *w = *state;
    const char *data_only[] = {"data/cache", NULL}, *both[] = {"data/cache", "home", NULL};
    cllm__text_states_info info;
    no_cache(w);
    cllm__io_set_hook(refuse_data, both);
    float *states = get(w, cllm__text_states_defaults(), &info), *again;
    assert_true(g_warnings == 1 && strstr(g_log, "are not kept: ") != NULL && strstr(g_log, "Read-only") != NULL);
    cllm__io_set_hook(refuse_data, data_only);
    cllm__free(get(w, cllm__text_states_defaults(), &info));
    assert_true(!info.cached && g_warnings == 0);
    cllm__io_set_hook(NULL, NULL);
    assert_int_equal(files_in(in(w, "data/cache")), 0);
    assert_int_equal(files_in(in(w, "home/cllm4rec")), 1);
    again = get(w, cllm__text_states_defaults(), &info);
    assert_true(info.cached);
    same(states, again);
    cllm__free(again);
    setenv("CLLM4REC_CACHE", in(w, "own"), 1);
    again = get(w, cllm__text_states_defaults(), &info);
    assert_true(!info.cached && files_in(in(w, "own")) == 1 && files_in(in(w, "data/cache")) == 0);
    cllm__free(again);
    again = get(w, cllm__text_states_defaults(), &info);
    unsetenv("CLLM4REC_CACHE");
    assert_true(info.cached);
    same(states, again);
    cllm__free(again);
    cllm__free(states);
}

/* ---- Failures ---- */

static bool cancelled(void *user) {
    size_t *left = user;
    return (*left)-- == 0;
}

static void test_cancelled(void **state) {
    const world *w = *state;
    cllm_error error = {0};
    float *states = NULL;
    no_cache(w);
    for (size_t at = 0; at < 2; at++) { /* while texts are read, and before states are computed */
        size_t left = at;
        cllm_host host = {.user = &left, .cancelled = cancelled};
        assert_int_equal(cllm__text_states(&states, w->backbone, w->tokenizer, w->dataset, cllm__text_states_defaults(), NULL, NULL, &host, &error),
                         CLLM_ERR_INTERRUPTED);
        assert_null(states);
    }
    assert_int_equal(files_in(in(w, "data/cache")), 0);
}

static void test_wrong(void **state) {
    const world *w = *state;
    cllm_error error = {0};
    float *states = NULL;
    cllm__text_states_options options = cllm__text_states_defaults();
    options.layers = LAYERS + 1;
    assert_int_equal(cllm__text_states(&states, w->backbone, w->tokenizer, w->dataset, options, NULL, NULL, NULL, &error), CLLM_ERR_USAGE);
    assert_non_null(strstr(error.message, "layer 4 are asked for; the backbone has 3"));
    assert_null(states);
}

static void test_memory(void **state) {
    const world *w = *state;
    float *wanted = get(w, cllm__text_states_defaults(), NULL);
    for (int cached = 0; cached < 2; cached++) {
        for (size_t n = 1;; n += 1 + n / 8) {
            cllm_error error = {0};
            float *states = NULL;
            if (!cached) no_cache(w);
            cllm__alloc_fail_at(n, true);
            cllm_status status = cllm__text_states(&states, w->backbone, w->tokenizer, w->dataset, cllm__text_states_defaults(), NULL, NULL, NULL, &error);
            cllm__alloc_fail_at(0, false);
            if (status == CLLM_OK) { /* at last, or the file could not be written */
                same(states, wanted);
                cllm__free(states);
                if (n > 1000) break;
                continue;
            }
            assert_int_equal(status, CLLM_ERR_NOMEM);
            assert_null(states);
        }
    }
    cllm__free(wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_means),   cmocka_unit_test(test_one_text),  cmocka_unit_test(test_threads),   cmocka_unit_test(test_cache), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_folders), cmocka_unit_test(test_cancelled), cmocka_unit_test(test_wrong), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_keys), /* last: it changes the data */
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
