#include "train/checkpoint.h"

#include <math.h>

#include "base/alloc.h"
#include "fuzz_folder.h"
#include "small_tokenizer.h"

/* checkpoint.safetensors of a run: a trainer that takes it is within its schedule and of finite numbers, and trains to the end. */
enum { USERS = 3, ITEMS = 4, WIDTH = 4, WORDS = 2, DOCUMENTS = 2 };

static struct {
    cllm__prompts prompts;
    cllm__backbone *backbone;
    cllm__train_config config;
    cllm__trainer_inputs inputs;
} world;

static cllm_status validate(void *context, const cllm__tables *tables, cllm__validation *result, cllm_error *err) {
    (void)context, (void)tables, (void)err;
    *result = (cllm__validation){.monitor = 0.5};
    return CLLM_OK;
}

static void make_world(void) {
    static const uint64_t start[] = {0, 3, 5, 7}, words_of[] = {0, 1, 2, 2, 3};
    static const int32_t items[] = {0, 1, 2, 1, 3, 0, 3}, words[] = {0, 1, 0};
    static const float weights[] = {1, 1, 0.5F};
    static const cllm__interactions train = {.n_users = USERS, .n_items = ITEMS, .count = 7, .start = start, .items = items};
    static const cllm__features features = {ITEMS, WORDS, words_of, words, weights};
    static uint8_t kinds[] = {CLLM__TEXT_REVIEW, CLLM__TEXT_REVIEW};
    static int32_t by[] = {0, 2}, of[] = {1, 3}, tokens[] = {40, 41, 42, 40};
    static size_t text[] = {0, 2};
    static uint32_t length[] = {2, 2};
    static const cllm__corpus corpus = {.count = DOCUMENTS, .kinds = kinds, .users = by, .items = of, .start = text, .length = length, .tokens = tokens, .n_tokens = 4};
    static const char *const settings[] = {"epochs=1/1/2", "batch=2", "item-tokens=id+text", "keep=best-loss", "patience=1"};
    const cllm__tokenizer *tokenizer = small_tokenizer();
    const cllm__gpt2_shape shape = {.layers = 1, .heads = 1, .width = WIDTH, .vocabulary = cllm__tokenizer_size(tokenizer), .context = 64};
    char path[160];
    snprintf(path, sizeof path, "%s/backbone", fuzz_folder());
    FUZZ_CHECK(cllm__gpt2_init(path, shape, 1, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__backbone_open(&world.backbone, path, (cllm__backbone_options){.dtype = CLLM__F32, .training = true}, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__prompts_compile(&world.prompts, tokenizer, NULL, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm__train_config_preset(&world.config, "paper", NULL) == CLLM_OK);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) FUZZ_CHECK(cllm__train_config_set(&world.config, settings[i], NULL) == CLLM_OK);
    world.inputs = (cllm__trainer_inputs){.train = &train, .corpus = &corpus, .prompts = &world.prompts, .features = &features, .backbone = world.backbone,
                                          .dtype = CLLM__F32, .validate = validate};
}

static void check_finite(const cllm__tables *tables) {
    for (size_t i = 0; i < USERS * WIDTH; i++) FUZZ_CHECK(isfinite(tables->users[i]));
    for (size_t i = 0; i < ITEMS * WIDTH; i++) FUZZ_CHECK(isfinite(tables->items[i]));
}

static void check_taken(const cllm__trainer *t) {
    const cllm__tables *sets[] = {&t->collab, &t->content, &t->best_collab, &t->best_content};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) check_finite(sets[i]);
    FUZZ_CHECK(isfinite(t->sums.nll) && isfinite(t->sums.total) && !isnan(t->best_monitor) && !isnan(t->lowest_collab_loss));
    FUZZ_CHECK(t->at.batch <= 2 && t->at.epoch >= 0 && t->at.epoch <= 1 && t->best_epoch >= -1 && t->best_epoch <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cllm__trainer trainer = {0};
    cllm_error err = {0};
    char *extra = NULL;
    if (world.backbone == NULL) make_world();
    FUZZ_CHECK(cllm__trainer_create(&trainer, &world.config, &world.inputs, &err) == CLLM_OK);
    if (cllm__checkpoint_load(&trainer, fuzz_file(data, size), &extra, &err) == CLLM_OK) {
        FUZZ_CHECK(extra != NULL);
        check_taken(&trainer);
        if (cllm__trainer_run(&trainer, &err) == CLLM_OK) FUZZ_CHECK(trainer.at.phase == CLLM__PHASE_DONE);
        else FUZZ_CHECK(strstr(err.message, "not finite") != NULL); /* of numbers that are finite, but no more than that */
    } else {
        FUZZ_CHECK(err.message[0] != '\0' && extra == NULL);
    }
    cllm__free(extra);
    cllm__trainer_free(&trainer);
    return 0;
}
