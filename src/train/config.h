/*
 * The settings of a training run: presets, single switches on top of them, and their text form.
 *
 * A setting is "name=value", as `cllm4rec train --name value` gives it.
 */
#ifndef CLLM_TRAIN_CONFIG_H
#define CLLM_TRAIN_CONFIG_H

#include <stdint.h>

#include "base/status.h"

enum { CLLM__MONITOR_TERMS = 8 };

/* What an item token is made of (model/composer.h). Spelled: of the pieces of its number (model/spelling.h), without a free part. */
typedef enum cllm__item_tokens { CLLM__ITEM_TOKENS_ID, CLLM__ITEM_TOKENS_TEXT, CLLM__ITEM_TOKENS_ID_TEXT, CLLM__ITEM_TOKENS_SPELLED } cllm__item_tokens;
/* What the part that is composed of texts is a function of: their words, the frozen backbone's states of them, or both. */
typedef enum cllm__item_feature_kinds {
    CLLM__ITEM_FEATURES_WORDS,
    CLLM__ITEM_FEATURES_STATES,
    CLLM__ITEM_FEATURES_BOTH,
    CLLM__ITEM_FEATURES_AUTO /* one of the others, as data and backbone suggest: cllm__item_features_resolve() */
} cllm__item_feature_kinds;
/* Whose token stands for a user in the prompts of collab and rec: his own, none, or in training another's in every epoch. */
typedef enum cllm__user_token { CLLM__USER_TOKEN_ON, CLLM__USER_TOKEN_OFF, CLLM__USER_TOKEN_SHUFFLED } cllm__user_token;
/* The collaborative stage's main text: items, predicted among items; the same, predicted among items and words (one softmax); or
 * items joined by " and", all of it predicted among items and words. */
typedef enum cllm__main_text { CLLM__MAIN_ITEMS, CLLM__MAIN_JOINT, CLLM__MAIN_JOINT_AND } cllm__main_text;
/* A linear model whose scores are added to the trained one's. */
typedef enum cllm__linear_kind { CLLM__LINEAR_NONE, CLLM__LINEAR_EASE, CLLM__LINEAR_EASE_TEXT } cllm__linear_kind;

/* Where what is asked for of late counts: nowhere, where the test rows are later than all others (a split by time), everywhere. */
typedef enum cllm__recency_use { CLLM__RECENCY_OFF, CLLM__RECENCY_BY_TIME, CLLM__RECENCY_ON } cllm__recency_use;

/* Where what follows what counts: nowhere, where validation rows say so, everywhere. */
typedef enum cllm__transitions_use { CLLM__TRANSITIONS_OFF, CLLM__TRANSITIONS_VALID, CLLM__TRANSITIONS_ON } cllm__transitions_use;

typedef struct cllm__train_config {
    const char *preset; /* cllm__train_preset_name(): a string constant */
    uint64_t seed;
    int epochs[3];      /* content warm-up, alternation, recommendation */
    double lr[3];       /* of the same three */
    bool finetune;      /* false: no recommendation stage; the collaborative model's next item is what is recommended (LLM-PreRec) */
    int batch;          /* sequences per step */
    int max_text_tokens;
    double content_share; /* the part of the documents that one content epoch visits; the next epoch goes on behind it */
    double lambda_c; /* infinity: one set of tables for both models (trainer.h) */
    double lambda_l;
    double lambda_stages[3]; /* factors of lambda_c in L-steps, C-steps and recommendation steps */
    bool reg_code;        /* the authors' code's convention instead of the paper's (design: reg = map | code) */
    bool predict_first;   /* the prompt's last state predicts the first main token */
    int collab_order;     /* cllm__order (data/batch.h) of a history in the collaborative stage; random: anew in every epoch */
    int prompt_order;     /* the same in a recommendation prompt */
    bool shuffle;         /* users and documents are visited in a new order in every epoch; else ascending */
    bool target_all;      /* recommendation target: all of the user's items instead of the held-out part */
    double mask_low, mask_high; /* the masked share of a history is drawn from this range at each visit */
    double dropout;       /* collab, content and rec steps */
    double dropout_rec_content; /* content steps between recommendation epochs (the authors' code has none there) */
    bool keep_best_loss;  /* pretraining ends with the tables of the lowest training loss instead of the last (authors' code) */
    bool content;         /* false: no content model and no mutual regularisation (the paper's LLM-CF) */
    bool mask_cold;       /* items without a training interaction stay out of the item softmax */
    int patience;         /* recommendation epochs without a better validation figure before it stops; 0: never */
    int validate_every;   /* recommendation epochs between validations; the last epoch is always validated */
    char monitor[128];    /* sum of metrics: "recall_capped@20+recall_capped@40+ndcg@100" */
    int item_tokens;      /* cllm__item_tokens; of the collaborative and recommendation tables */
    int item_features;    /* cllm__item_feature_kinds; of tokens that are composed of texts */
    int states_width;     /* principal components of the states */
    int states_reviews;   /* reviews of an item that they are of, besides its own texts */
    bool init_words_backbone; /* the vectors of words begin at the backbone's embeddings instead of at random */
    double id_weight;     /* of the free part of an id+text token */
    double init_deviation; /* of all that begins at random */
    bool bag;             /* prompts of the recommendation stage are read as a bag of tokens (model/bag.h), not by the backbone */
    double bag_scale, bag_power, bag_sharpness, user_weight; /* cllm__bag */
    bool bag_biases;      /* the same */
    int backbone_layers;  /* only the first so many of the backbone's; 0: all */
    int width;            /* of the tokens; 0: the backbone's, as it has to be where the backbone reads them */
    double lr_decay;      /* the last part of the recommendation epochs, over which the learning rate falls to zero, epoch by epoch */
    bool select_last;     /* the tables of the last recommendation epoch are taken, whatever validation says */
    int linear;           /* cllm__linear_kind */
    double linear_weight; /* of its scores, once both are of unit deviation over the items */
    double neighbours_weight; /* the same of user-kNN's (eval/user_neighbours.h); 0: without it */
    int neighbours;       /* users that it asks */
    double factors_weight; /* the same of ALS's, for the history at hand (eval/fold_in.h); 0: without it */
    int recency;           /* cllm__recency_use */
    double recency_weight; /* the same of what is asked for of late (eval/recency.h) */
    double recency_days;   /* its half-life */
    int transitions;       /* cllm__transitions_use */
    double transitions_weight; /* the same of what follows what (eval/transitions.h), where it is on */
    bool newcomers_popular; /* a history without items is answered by what is popular, of late where recency counts */
    bool part_weights_chosen; /* the weights above are where a search on the validation rows begins (api/fusion_weights.h) */
    int user_token;       /* cllm__user_token */
    int hard_words;       /* cllm__hard_words (text/prompt.h) of the templates collab and rec */
    int main_text;        /* cllm__main_text */
    bool histories_spelled; /* lists of items in collab and rec are their numbers, in words, instead of their tokens */
    bool init_text_mean;  /* token tables begin at the means of their texts' word embeddings instead of at random (tables.h); not with composed item tokens */
    bool shuffle_texts;   /* control experiment: texts are dealt to other users and items */
    int checkpoint_seconds;
} cllm__train_config;

/* The index-th preset's name, NULL past the end. The last of them are the paper's variants: "paper" with one thing changed. */
const char *cllm__train_preset_name(size_t index);
/* The preset's values; CLLM_ERR_USAGE for an unknown name (the message lists the known ones). */
CLLM_CHECK cllm_status cllm__train_config_preset(cllm__train_config *config, const char *preset, cllm_error *err);
/* Applies one "name=value". CLLM_ERR_USAGE names the setting, the value and what is allowed. */
CLLM_CHECK cllm_status cllm__train_config_set(cllm__train_config *config, const char *setting, cllm_error *err);

/* Whether the backbone's layers read anything in training or afterwards, whether that is tokens of users and items (so that there is a
 * way back through them), and whether its vocabulary head reads: else only its word embeddings are asked for. */
bool cllm__train_config_reads(const cllm__train_config *config);
bool cllm__train_config_reads_tokens(const cllm__train_config *config);
bool cllm__train_config_reads_words(const cllm__train_config *config);
/* Whether composed tokens are a function of the backbone's states of texts. */
bool cllm__train_config_uses_states(const cllm__train_config *config);

/* The index-th setting's name, NULL past the end; and a setting's value as text that _set reads back exactly. */
const char *cllm__train_setting_name(size_t index);
void cllm__train_config_get(const cllm__train_config *config, const char *name, char *value, size_t size);

#endif
