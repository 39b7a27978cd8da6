/*
 * What a run's composed item tokens are composed of (model/composer.h), as its settings say: the words of the items' texts, but for those
 * of a single item, which tell it from no other; components of the frozen backbone's states of these texts (api/item_states.h); or the
 * pieces of the items' numbers.
 */
#ifndef CLLM_API_ITEM_FEATURES_H
#define CLLM_API_ITEM_FEATURES_H

#include "api/item_states.h"
#include "api/run.h"
#include "eval/tfidf.h"
#include "model/composer.h"
#include "model/spelling.h"

typedef struct cllm__item_features {
    cllm__features features; /* of the parts below; none (start == NULL) where each item has a token of its own */
    cllm__tfidf words;
    cllm__item_states states;
    cllm__joined_features joined;
    cllm__spelling spelling;
    float *start; /* [words × width of the tokens] where the words' vectors begin; NULL: at random */
} cllm__item_features;

/* Replaces auto in the settings. Words tell known items apart, and states add nothing to them; for an item without a training row they do
 * (docs/EXPERIMENTS.md). So: both where a language model is given and a twentieth of the items with a text have no such row, else words. */
CLLM_CHECK cllm_status cllm__item_features_resolve(cllm__train_config *config, const cllm__dataset *dataset, bool backbone_given, const cllm_host *host,
                                                   cllm_error *err);

/* Of the run's data set, by its backbone. `folder` is where the run's files are, or are being made: components of states that are there
 * already are used, so that a run goes on with what it began with; else they are made and written. `features` is {0} before and freed by
 * the caller in every case. CLLM_ERR_USAGE for settings that do not go together, CLLM_ERR_DATA where states are asked for and no item
 * has a text. */
CLLM_CHECK cllm_status cllm__item_features_create(cllm__item_features *features, const cllm__run *run, const char *folder, cllm__pool *pool,
                                                  const cllm_host *host, cllm_error *err);
void cllm__item_features_free(cllm__item_features *features);
/* Whether something is known of an item besides its interactions: a text that its token is composed of. */
bool cllm__item_features_known(const cllm__item_features *features, size_t item);
/* Writes what the features became in training, for items that come later: words.safetensors (item_words.h), states.safetensors. */
CLLM_CHECK cllm_status cllm__item_features_save(const cllm__item_features *features, const cllm__composer *composer, const char *folder,
                                                cllm_error *err);

#endif
