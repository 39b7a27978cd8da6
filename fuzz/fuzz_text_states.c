#include "model/text_states.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "data/prepare.h"
#include "fuzz_folder.h"
#include "small_tokenizer.h"

/* The cache of text states. In the input MY_KEY stands for the file's own key, which differs from machine to machine, and MY_CHECKSUM for the
 * checksum of its last numbers. The states are those of a file that is what its name says, else those that the backbone makes, and the
 * file is whole afterwards. */
static const char MY_KEY[] = "0123456789abcdef", MY_CHECKSUM[] = "fedcba9876543210";
enum { ITEMS = 2, WIDTH = 4, BYTES = ITEMS * WIDTH * sizeof(float) };

static struct {
    cllm__dataset *dataset;
    cllm__backbone *backbone;
    float *states; /* as the backbone makes them */
    char key[17];
} world;

static float *get_states(bool *cached) {
    cllm__text_states_info info;
    cllm_error err = {0};
    float *states;
    FUZZ_CHECK(cllm__text_states(&states, world.backbone, small_tokenizer(), world.dataset, cllm__text_states_defaults(), &info, NULL, NULL, &err) == CLLM_OK);
    cllm__hash_text(info.key, world.key);
    *cached = info.cached;
    return states;
}

static void make_world(void) {
    static const char rows[] = "user\titem\nann\tlamp\nbob\tkettle\n", items[] = "item\ttitle\nlamp\tThe lamp\nkettle\tA kettle\n";
    const cllm__gpt2_shape shape = {.layers = 1, .heads = 1, .width = WIDTH, .vocabulary = cllm__tokenizer_size(small_tokenizer()), .context = 96, .lively = true};
    char folder[160], input[160], titles[160];
    bool cached;
    snprintf(input, sizeof input, "%s", fuzz_put("rows.tsv", rows, sizeof rows - 1));
    snprintf(titles, sizeof titles, "%s", fuzz_put("items.tsv", items, sizeof items - 1));
    snprintf(folder, sizeof folder, "%s/data", fuzz_folder());
    const char *inputs[] = {input};
    FUZZ_CHECK(cllm__prepare(&(cllm_prepare_options){.inputs = inputs, .n_inputs = 1, .items = titles, .output = folder}, NULL, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__dataset_open(&world.dataset, folder, false, NULL) == CLLM_OK && cllm__dataset_items(world.dataset) == ITEMS);
    snprintf(folder, sizeof folder, "%s/backbone", fuzz_folder());
    FUZZ_CHECK(cllm__gpt2_init(folder, shape, 1, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__backbone_open(&world.backbone, folder, (cllm__backbone_options){.dtype = CLLM__F32, .headless = true}, NULL) == CLLM_OK);
    FUZZ_CHECK(setenv("CLLM4REC_CACHE", fuzz_folder(), 1) == 0);
    world.states = get_states(&cached);
    FUZZ_CHECK(!cached);
}

static void replace(char *text, size_t size, const char *word, const char *by) {
    for (size_t i = 0; i + 16 <= size; i++) {
        if (memcmp(text + i, word, 16) == 0) memcpy(text + i, by, 16);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char name[64], checksum[17] = "", *text = fuzz_text(data, size);
    bool cached;
    if (world.dataset == NULL) make_world();
    if (size >= BYTES) cllm__hash_text(cllm__hash(text + size - BYTES, BYTES), checksum);
    replace(text, size, MY_KEY, world.key);
    if (size >= BYTES) replace(text, size - BYTES, MY_CHECKSUM, checksum);
    snprintf(name, sizeof name, "text-states-%s.safetensors", world.key);
    fuzz_put(name, text, size);
    float *states = get_states(&cached);
    FUZZ_CHECK(memcmp(states, cached ? text + size - BYTES : (const char *)world.states, BYTES) == 0);
    if (!cached) {
        cllm__free(states);
        states = get_states(&cached);
        FUZZ_CHECK(cached && memcmp(states, world.states, BYTES) == 0);
    }
    cllm__free(states);
    free(text);
    return 0;
}
