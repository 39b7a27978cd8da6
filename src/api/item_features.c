#include "api/item_features.h"

#include <string.h>

#include "api/item_words.h"
#include "api/word_vectors.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "model/bag.h"
#include "model/text_states.h"

/* LEAST_ITEMS: words that stand with fewer are left out. MANY_COLD: one item of so many without a row makes states worth their cost. */
enum { LEAST_ITEMS = 2, MANY_COLD = 20 };

void cllm__item_features_free(cllm__item_features *f) {
    cllm__tfidf_free(&f->words);
    cllm__item_states_free(&f->states);
    cllm__joined_features_free(&f->joined);
    cllm__spelling_free(&f->spelling);
    cllm__free(f->start);
    *f = (cllm__item_features){0};
}

bool cllm__item_features_known(const cllm__item_features *f, size_t item) {
    return f->spelling.start == NULL && f->features.start[item + 1] > f->features.start[item];
}

/* What is made of one run. */
typedef struct making {
    const cllm__run *run;
    const char *folder;
    cllm__pool *pool;
    const cllm_host *host;
} making;

/* ---- Words ---- */

static cllm_status read_words(cllm__item_features *f, const making *m, cllm_error *err) {
    const cllm__train_config *config = &m->run->config;
    const cllm__item_texts texts = cllm__item_texts_of(m->run->dataset);
    CLLM_TRY(cllm__tfidf_create(&f->words, cllm__dataset_items(m->run->dataset), &texts, m->host, err));
    CLLM_TRY(cllm__tfidf_thin(&f->words, LEAST_ITEMS, err));
    cllm__log(m->host, CLLM_LOG_INFO, "item tokens: %zu words in %zu items' texts", f->words.n_words, f->words.n_items);
    f->features = cllm__tfidf_features(&f->words);
    if (!config->init_words_backbone || f->words.n_words == 0) return CLLM_OK;
    return cllm__word_vectors_create(&f->start, f->words.lexicon.words, m->run->tokenizer, m->run->backbone, (size_t)config->width,
                                     config->bag_biases ? CLLM__BAG_BIASES : 0, config->init_deviation, err);
}

/* ---- States ---- */

static char *states_path(const char *folder) {
    return cllm__path_join(folder, "states.safetensors");
}

static bool is_zero(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (values[i] != 0) return false;
    }
    return true;
}

/* Components that the run has already, or new ones. */
static cllm_status find_components(cllm__item_states *states, const making *m, const float *rows, const uint8_t *without, uint64_t key,
                                   cllm_error *err) {
    size_t width = cllm__backbone_info_of(m->run->backbone)->width;
    char *path = states_path(m->folder);
    cllm_status status;
    if (path == NULL) return cllm__fail_nomem(err);
    if (cllm__path_exists(path)) {
        CLLM_TRY_CLEAN(cllm__item_states_load(states, width, path, err));
        if (states->key != key) {
            cllm__log(m->host, CLLM_LOG_WARN, "'%s' is of states of another processor or number type; the last bits of what follows may differ",
                      path);
        }
        goto cleanup;
    }
    states->key = key;
    CLLM_TRY_CLEAN(cllm__pca_create(&states->pca, rows, without, cllm__dataset_items(m->run->dataset), width,
                                    (size_t)m->run->config.states_width, true, err));
    if (states->pca.dims == 0) {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "item-features: the items' texts are all the same to the backbone; take words"));
    }
    status = cllm__item_states_save(states, NULL, 0, path, err);
cleanup:
    cllm__free(path);
    return status;
}

static cllm_status use_states(cllm__item_features *f, const making *m, const float *rows, uint8_t *without, uint64_t key, cllm_error *err) {
    size_t n_items = cllm__dataset_items(m->run->dataset), width = cllm__backbone_info_of(m->run->backbone)->width;
    float *weights;
    for (size_t j = 0; j < n_items; j++) without[j] = is_zero(rows + j * width, width);
    CLLM_TRY(find_components(&f->states, m, rows, without, key, err));
    size_t dims = f->states.pca.dims;
    CLLM_TRY(CLLM_NEW(weights, n_items * dims + 1, err));
    for (size_t j = 0; j < n_items; j++) cllm__item_states_weigh(&f->states, rows + j * width, weights + j * dims);
    cllm_status status = cllm__features_join(&f->joined, &f->features, weights, dims, without, err);
    f->features = f->joined.features;
    cllm__free(weights);
    return status;
}

static cllm_status read_states(cllm__item_features *f, const making *m, cllm_error *err) {
    const cllm__run *run = m->run;
    size_t n_items = cllm__dataset_items(run->dataset);
    const cllm__text_states_options options = {.max_tokens = (size_t)run->config.max_text_tokens, .bos = run->bos_token,
                                               .reviews = (size_t)run->config.states_reviews};
    cllm__text_states_info info;
    float *rows = NULL;
    uint8_t *without = NULL;
    cllm_status status;
    if (f->features.start == NULL) { /* states alone: no words before them */
        CLLM_TRY(CLLM_NEW(f->words.start, n_items + 1, err));
        f->words.n_items = n_items;
        f->features = cllm__tfidf_features(&f->words);
    }
    CLLM_TRY_CLEAN(cllm__text_states(&rows, run->backbone, run->tokenizer, run->dataset, options, &info, m->pool, m->host, err));
    if (info.without == n_items) {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA,
                                  "item-features: no item has a text that the backbone could read; take words, or --set states-reviews=4 "
                                  "where there are reviews, or prepare the data with --items"));
    }
    CLLM_TRY_CLEAN(CLLM_NEW(without, n_items + 1, err));
    CLLM_TRY_CLEAN(use_states(f, m, rows, without, info.key, err));
    cllm__log(m->host, CLLM_LOG_INFO, "item tokens: %zu components of the backbone's states of %zu items' texts", f->states.pca.dims,
              n_items - info.without);
cleanup:
    cllm__free(rows);
    cllm__free(without);
    return status;
}

/* ---- */

static cllm_status spell(cllm__item_features *f, const making *m, cllm_error *err) {
    size_t n_items = cllm__dataset_items(m->run->dataset);
    CLLM_TRY(cllm__spelling_create(&f->spelling, m->run->tokenizer, n_items, err));
    f->features = f->spelling.features;
    cllm__log(m->host, CLLM_LOG_INFO, "item tokens: %zu numbers spelled in %zu pieces, %.1f each", n_items, f->features.n_features,
              f->spelling.mean_pieces);
    return CLLM_OK;
}

static cllm_status check(const cllm__train_config *config, cllm_error *err) {
    bool of_texts = config->item_tokens == CLLM__ITEM_TOKENS_TEXT || config->item_tokens == CLLM__ITEM_TOKENS_ID_TEXT;
    if (cllm__train_config_uses_states(config) && !of_texts) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "item-features with states: item tokens must be composed of texts; take --item-tokens id+text or text");
    }
    if (config->init_words_backbone && (!of_texts || config->item_features == CLLM__ITEM_FEATURES_STATES)) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "init-words backbone: item tokens must be composed of words; take --item-tokens id+text or text, and "
                          "--item-features words or words+states");
    }
    return CLLM_OK;
}

/* Items that have a text of their own, and those of them that have no training row. */
static cllm_status count_texts(const cllm__dataset *dataset, size_t *with_text, size_t *cold, cllm_error *err) {
    static const cllm__text_kind own[] = {CLLM__TEXT_TITLE, CLLM__TEXT_BRAND, CLLM__TEXT_CATEGORIES, CLLM__TEXT_DESCRIPTION};
    const cllm__interactions *train = cllm__dataset_interactions(dataset, CLLM__TRAIN);
    size_t n_items = cllm__dataset_items(dataset);
    unsigned char *known;
    CLLM_TRY(CLLM_NEW(known, n_items + 1, err));
    for (size_t i = 0; i < train->count; i++) known[train->items[i]] = 1;
    *with_text = *cold = 0;
    for (size_t i = 0; i < n_items; i++) {
        bool text = false;
        for (size_t k = 0; k < CLLM_LEN(own); k++) {
            const char *field = cllm__dataset_item_field(dataset, i, own[k]);
            text = text || (field != NULL && field[0] != '\0');
        }
        *with_text += text;
        *cold += text && !known[i];
    }
    cllm__free(known);
    return CLLM_OK;
}

cllm_status cllm__item_features_resolve(cllm__train_config *config, const cllm__dataset *dataset, bool backbone_given, const cllm_host *host, cllm_error *err) {
    size_t with_text, cold;
    if (config->item_features != CLLM__ITEM_FEATURES_AUTO) return CLLM_OK;
    config->item_features = CLLM__ITEM_FEATURES_WORDS;
    if (config->item_tokens != CLLM__ITEM_TOKENS_TEXT && config->item_tokens != CLLM__ITEM_TOKENS_ID_TEXT) return CLLM_OK;
    CLLM_TRY(count_texts(dataset, &with_text, &cold, err));
    if (cold == 0 || cold * MANY_COLD < with_text) return CLLM_OK;
    if (backbone_given) config->item_features = CLLM__ITEM_FEATURES_BOTH;
    cllm__log(host, CLLM_LOG_INFO, "%zu of %zu items with a text have no training row: %s", cold, with_text,
              backbone_given ? "what the backbone makes of the texts goes into the tokens beside their words (--item-features words: without)"
                             : "with a language model (--backbone) what it makes of the texts would go into the tokens beside their words");
    return CLLM_OK;
}

cllm_status cllm__item_features_create(cllm__item_features *f, const cllm__run *run, const char *folder, cllm__pool *pool, const cllm_host *host,
                                       cllm_error *err) {
    const making m = {run, folder, pool, host};
    CLLM_TRY(check(&run->config, err));
    if (run->config.item_tokens == CLLM__ITEM_TOKENS_ID) return CLLM_OK;
    if (run->config.item_tokens == CLLM__ITEM_TOKENS_SPELLED) return spell(f, &m, err);
    if (run->config.item_features != CLLM__ITEM_FEATURES_STATES) CLLM_TRY(read_words(f, &m, err));
    if (cllm__train_config_uses_states(&run->config)) CLLM_TRY(read_states(f, &m, err));
    return CLLM_OK;
}

cllm_status cllm__item_features_save(const cllm__item_features *f, const cllm__composer *composer, const char *folder, cllm_error *err) {
    size_t width = composer->width;
    char *words = cllm__path_join(folder, "words.safetensors"), *states = states_path(folder);
    cllm_status status = words == NULL || states == NULL ? cllm__fail_nomem(err) : CLLM_OK;
    if (status == CLLM_OK && f->words.lexicon.words != NULL) status = cllm__item_words_save(&f->words.lexicon, composer->vectors, width, words, err);
    if (status == CLLM_OK && f->states.pca.dims > 0) {
        status = cllm__item_states_save(&f->states, composer->vectors + f->words.n_words * width, width, states, err);
    }
    cllm__free(words);
    cllm__free(states);
    return status;
}
