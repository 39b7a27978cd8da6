#include "train/config.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/batch.h"

#define MONITOR "recall_capped@20+recall_capped@40+ndcg@100"

/* What only variants and ablations change. */
#define METHOD .finetune = true, .lambda_stages = {1, 1, 1}
/* What goes beyond the paper is off, or as the paper has it. */
#define OWN_DEFAULTS \
    .item_tokens = CLLM__ITEM_TOKENS_ID, .states_width = 64, .id_weight = 0.1, .init_deviation = 0.02, .bag = false, .bag_scale = 1, .bag_power = 0.5, \
    .user_weight = 0.1, .width = 0, .lr_decay = 0, .select_last = false, .linear = CLLM__LINEAR_NONE, .linear_weight = 0.25, .neighbours_weight = 0, .neighbours = 300, .factors_weight = 0, .recency = CLLM__RECENCY_OFF, .recency_weight = 0.5, .recency_days = 60, .transitions_weight = 0.1, .validate_every = 1, \
    METHOD

static const cllm__train_config PRESETS[] = {
    {
        .preset = "paper", .seed = 1, .epochs = {10, 100, 150}, .lr = {1e-3, 1e-3, 1e-4}, .batch = 20,
        .max_text_tokens = 128, .content_share = 1, .lambda_c = 100, .lambda_l = 0, .reg_code = false, .predict_first = true,
        .collab_order = CLLM__ORDER_RANDOM, .shuffle = true, .target_all = false, .mask_low = 0.2, .mask_high = 0.2, .dropout = 0,
        .dropout_rec_content = 0, .keep_best_loss = false, .content = true, .mask_cold = true, .patience = 10,
        .monitor = MONITOR, .checkpoint_seconds = 120, OWN_DEFAULTS,
    },
    {
        .preset = "faithful", .seed = 1, .epochs = {10, 100, 150}, .lr = {1e-3, 1e-3, 1e-4}, .batch = 20,
        .max_text_tokens = 1024, .content_share = 1, .lambda_c = 1, .lambda_l = 0, .reg_code = true, .predict_first = false,
        .collab_order = CLLM__ORDER_ASCENDING, .shuffle = false, .target_all = true, .mask_low = 0.2, .mask_high = 0.2, .dropout = 0.1,
        .dropout_rec_content = 0, .keep_best_loss = true, .content = true, .mask_cold = false, .patience = 0,
        .monitor = MONITOR, .checkpoint_seconds = 120, OWN_DEFAULTS,
    },
    {
        .preset = "accurate", .seed = 1, .epochs = {0, 0, 24}, .lr = {1e-3, 1e-3, 1.5e-3}, .batch = 256,
        .max_text_tokens = 128, .content_share = 1, .lambda_c = 0, .lambda_l = 0, .reg_code = false, .predict_first = true,
        .collab_order = CLLM__ORDER_RANDOM, .shuffle = true, .target_all = false, .mask_low = 0.3, .mask_high = 0.8, .dropout = 0,
        .dropout_rec_content = 0, .keep_best_loss = false, .content = false, .mask_cold = true, .patience = 0,
        .monitor = MONITOR, .checkpoint_seconds = 120,
        .item_tokens = CLLM__ITEM_TOKENS_ID_TEXT, .item_features = CLLM__ITEM_FEATURES_AUTO, .states_width = 64, .id_weight = 0.1, .init_deviation = 0.06, .bag = true, .bag_scale = 1,
        .bag_power = 0.5, .bag_sharpness = 0.5, .bag_biases = true, .user_weight = 0.1, .width = 256, .lr_decay = 0.3, .select_last = true, .linear = CLLM__LINEAR_EASE_TEXT,
        .linear_weight = 0.07, .neighbours_weight = 0.03, .neighbours = 300, .factors_weight = 0.1,
        .recency = CLLM__RECENCY_BY_TIME, .recency_weight = 0.5, .recency_days = 60, .transitions = CLLM__TRANSITIONS_VALID, .transitions_weight = 0.1, .newcomers_popular = true, .part_weights_chosen = true, .validate_every = 4, METHOD,
    },
};

/* The paper's variants (its ablations), as settings on top of "paper". */
static const struct {
    const char *name, *settings[2];
} VARIANTS[] = {
    {"llm-cf", {"content=0", "lambda-c=0"}},
    {"llm-fixord", {"reorder=0", "prompt-order=ascending"}},
    {"llm-prerec", {"finetune=0"}},
};

const char *cllm__train_preset_name(size_t index) {
    size_t own = CLLM_LEN(PRESETS);
    return index < own ? PRESETS[index].preset : index < own + CLLM_LEN(VARIANTS) ? VARIANTS[index - own].name : NULL;
}

bool cllm__train_config_reads_tokens(const cllm__train_config *config) {
    return !config->bag || config->content || config->epochs[1] > 0;
}

bool cllm__train_config_reads(const cllm__train_config *config) {
    return cllm__train_config_reads_tokens(config) || cllm__train_config_uses_states(config);
}

bool cllm__train_config_uses_states(const cllm__train_config *config) {
    return config->item_features == CLLM__ITEM_FEATURES_STATES || config->item_features == CLLM__ITEM_FEATURES_BOTH;
}

bool cllm__train_config_reads_words(const cllm__train_config *config) {
    return config->content || (config->main_text != CLLM__MAIN_ITEMS && config->epochs[1] > 0);
}

cllm_status cllm__train_config_preset(cllm__train_config *config, const char *preset, cllm_error *err) {
    for (size_t i = 0; i < CLLM_LEN(PRESETS); i++) {
        if (strcmp(PRESETS[i].preset, preset) == 0) {
            *config = PRESETS[i];
            return CLLM_OK;
        }
    }
    for (size_t i = 0; i < CLLM_LEN(VARIANTS); i++) {
        if (strcmp(VARIANTS[i].name, preset) != 0) continue;
        cllm__train_config variant = PRESETS[0];
        for (size_t s = 0; s < CLLM_LEN(VARIANTS[i].settings) && VARIANTS[i].settings[s] != NULL; s++) {
            CLLM_TRY(cllm__train_config_set(&variant, VARIANTS[i].settings[s], err));
        }
        variant.preset = VARIANTS[i].name;
        *config = variant;
        return CLLM_OK;
    }
    return cllm__fail(err, CLLM_ERR_USAGE, "unknown preset '%s': there are paper, faithful, accurate, llm-cf, llm-fixord and llm-prerec", preset);
}

/* ---- One setting ---- */

typedef enum kind { INT, SEED, NUMBER, SWITCH, CHOICE, CHOICES, THREE_INTS, THREE_NUMBERS, RANGE, WORDS } kind;

typedef struct setting {
    const char *name;
    kind kind;
    size_t offset;
    double low, high;         /* allowed values, inclusive */
    const char *words[4];     /* CHOICE: the words for false and true; CHOICES: those for 0, 1, …, three or four */
} setting;

#define AT(member) offsetof(cllm__train_config, member)
static const setting SETTINGS[] = {
    {"seed", SEED, AT(seed), 0, 0, {0}},
    {"epochs", THREE_INTS, AT(epochs), 0, 1000000, {0}},
    {"lr", THREE_NUMBERS, AT(lr), 0, 10, {0}},
    {"finetune", SWITCH, AT(finetune), 0, 0, {0}},
    {"batch", INT, AT(batch), 1, 65536, {0}},
    {"max-text-tokens", INT, AT(max_text_tokens), 1, 1 << 20, {0}},
    {"content-share", NUMBER, AT(content_share), 1e-6, 1, {0}},
    {"lambda-c", NUMBER, AT(lambda_c), 0, INFINITY, {0}},
    {"lambda-l", NUMBER, AT(lambda_l), 0, 1e12, {0}},
    {"lambda-stages", THREE_NUMBERS, AT(lambda_stages), 0, 1e6, {0}},
    {"reg", CHOICE, AT(reg_code), 0, 0, {"map", "code"}},
    {"predict-first", SWITCH, AT(predict_first), 0, 0, {0}},
    {"reorder", CHOICES, AT(collab_order), 0, 0, {"1", "0", "time"}},
    {"prompt-order", CHOICES, AT(prompt_order), 0, 0, {"random", "ascending", "time"}},
    {"shuffle", SWITCH, AT(shuffle), 0, 0, {0}},
    {"target", CHOICE, AT(target_all), 0, 0, {"hold", "all"}},
    {"mask-share", RANGE, AT(mask_low), 0, 1, {0}},
    {"dropout", NUMBER, AT(dropout), 0, 0.9, {0}},
    {"dropout-rec-content", NUMBER, AT(dropout_rec_content), 0, 0.9, {0}},
    {"keep", CHOICE, AT(keep_best_loss), 0, 0, {"last", "best-loss"}},
    {"init", CHOICE, AT(init_text_mean), 0, 0, {"normal", "text-mean"}},
    {"init-deviation", NUMBER, AT(init_deviation), 0, 10, {0}},
    {"item-tokens", CHOICES, AT(item_tokens), 0, 0, {"id", "text", "id+text", "spelled"}},
    {"item-features", CHOICES, AT(item_features), 0, 0, {"words", "states", "words+states", "auto"}},
    {"states-width", INT, AT(states_width), 1, 1 << 12, {0}},
    {"states-reviews", INT, AT(states_reviews), 0, 1000, {0}},
    {"init-words", CHOICE, AT(init_words_backbone), 0, 0, {"normal", "backbone"}},
    {"id-weight", NUMBER, AT(id_weight), 0, 100, {0}},
    {"readout", CHOICE, AT(bag), 0, 0, {"transformer", "bag"}},
    {"bag-scale", NUMBER, AT(bag_scale), 1e-6, 1e6, {0}},
    {"bag-power", NUMBER, AT(bag_power), 0, 1, {0}},
    {"bag-sharpness", NUMBER, AT(bag_sharpness), 0, 100, {0}},
    {"bag-biases", SWITCH, AT(bag_biases), 0, 0, {0}},
    {"user-weight", NUMBER, AT(user_weight), 0, 100, {0}},
    {"backbone-layers", INT, AT(backbone_layers), 0, 1 << 16, {0}},
    {"width", INT, AT(width), 0, 1 << 16, {0}},
    {"lr-decay", NUMBER, AT(lr_decay), 0, 1, {0}},
    {"select", CHOICE, AT(select_last), 0, 0, {"best", "last"}},
    {"linear", CHOICES, AT(linear), 0, 0, {"none", "ease", "ease-text"}},
    {"linear-weight", NUMBER, AT(linear_weight), 0, 1000, {0}},
    {"neighbours-weight", NUMBER, AT(neighbours_weight), 0, 1000, {0}},
    {"factors-weight", NUMBER, AT(factors_weight), 0, 1000, {0}},
    {"recency", CHOICES, AT(recency), 0, 0, {"off", "by-time", "on"}},
    {"recency-weight", NUMBER, AT(recency_weight), 0, 1000, {0}},
    {"recency-days", NUMBER, AT(recency_days), 1e-3, 1e6, {0}},
    {"transitions", CHOICES, AT(transitions), 0, 0, {"off", "valid", "on"}},
    {"transitions-weight", NUMBER, AT(transitions_weight), 0, 1000, {0}},
    {"part-weights", CHOICE, AT(part_weights_chosen), 0, 0, {"given", "valid"}},
    {"newcomers", CHOICE, AT(newcomers_popular), 0, 0, {"model", "popular"}},
    {"validate-every", INT, AT(validate_every), 1, 1e6, {0}},
    {"neighbours", INT, AT(neighbours), 1, 1e6, {0}},
    {"user-token", CHOICES, AT(user_token), 0, 0, {"on", "off", "shuffled"}},
    {"hard-words", CHOICES, AT(hard_words), 0, 0, {"template", "none", "random"}},
    {"main-text", CHOICES, AT(main_text), 0, 0, {"items", "joint", "joint-and"}},
    {"histories", CHOICE, AT(histories_spelled), 0, 0, {"tokens", "spelled"}},
    {"content", SWITCH, AT(content), 0, 0, {0}},
    {"mask-cold", SWITCH, AT(mask_cold), 0, 0, {0}},
    {"patience", INT, AT(patience), 0, 1000000, {0}},
    {"monitor", WORDS, AT(monitor), 0, 0, {0}},
    {"shuffle-texts", SWITCH, AT(shuffle_texts), 0, 0, {0}},
    {"checkpoint-seconds", INT, AT(checkpoint_seconds), 1, 86400, {0}},
};
#undef AT

const char *cllm__train_setting_name(size_t index) {
    return index < CLLM_LEN(SETTINGS) ? SETTINGS[index].name : NULL;
}

static const setting *find(const char *name, size_t length) {
    for (size_t i = 0; i < CLLM_LEN(SETTINGS); i++) {
        if (strlen(SETTINGS[i].name) == length && strncmp(SETTINGS[i].name, name, length) == 0) return &SETTINGS[i];
    }
    return NULL;
}

static bool number(const char *text, char **end, double low, double high, double *value) {
    errno = 0;
    *value = strtod(text, end);
    return *end != text && errno == 0 && *value >= low && *value <= high;
}

/* Reads `count` numbers with `separator` between them; fewer than count repeat the last one if `repeat`. */
static bool numbers(const char *text, char separator, size_t count, bool repeat, double low, double high, double *values) {
    for (size_t i = 0; i < count; i++) {
        char *end;
        if (!number(text, &end, low, high, &values[i])) return false;
        if (*end == '\0') {
            if (i + 1 < count && !repeat) return false;
            for (size_t j = i + 1; j < count; j++) values[j] = values[i];
            return true;
        }
        if (*end != separator || i + 1 == count) return false;
        text = end + 1;
    }
    return false;
}

static bool whole(const double *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (values[i] != floor(values[i])) return false;
    }
    return true;
}

cllm_status cllm__train_config_set(cllm__train_config *config, const char *text, cllm_error *err) {
    const char *equals = strchr(text, '=');
    const setting *s = equals == NULL ? NULL : find(text, (size_t)(equals - text));
    if (s == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "unknown setting '%s': see cllm4rec train --help", text);
    const char *value = equals + 1;
    char *at = (char *)config + s->offset, *end;
    double v[3];
    switch (s->kind) {
    case INT:
        if (!numbers(value, '\0', 1, false, s->low, s->high, v) || !whole(v, 1)) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give a whole number from %.0f to %.0f", s->name, value, s->low, s->high);
        }
        *(int *)at = (int)v[0];
        return CLLM_OK;
    case SEED:
        errno = 0;
        unsigned long long seed = strtoull(value, &end, 10);
        if (end == value || *end != '\0' || errno != 0 || strchr(value, '-') != NULL) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give a whole number from 0 on", s->name, value);
        }
        *(uint64_t *)at = seed;
        return CLLM_OK;
    case NUMBER:
        if (!numbers(value, '\0', 1, false, s->low, s->high, v)) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give a number from %g to %g", s->name, value, s->low, s->high);
        }
        *(double *)at = v[0];
        return CLLM_OK;
    case SWITCH:
        if (strcmp(value, "1") != 0 && strcmp(value, "0") != 0) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give 1 (on) or 0 (off)", s->name, value);
        }
        *(bool *)at = value[0] == '1';
        return CLLM_OK;
    case CHOICE:
        if (strcmp(value, s->words[0]) != 0 && strcmp(value, s->words[1]) != 0) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give %s or %s", s->name, value, s->words[0], s->words[1]);
        }
        *(bool *)at = strcmp(value, s->words[1]) == 0;
        return CLLM_OK;
    case CHOICES:
        for (size_t i = 0; i < CLLM_LEN(s->words) && s->words[i] != NULL; i++) {
            if (strcmp(value, s->words[i]) != 0) continue;
            *(int *)at = (int)i;
            return CLLM_OK;
        }
        if (s->words[3] == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give %s, %s or %s", s->name, value, s->words[0], s->words[1], s->words[2]);
        return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give %s, %s, %s or %s", s->name, value, s->words[0], s->words[1], s->words[2], s->words[3]);
    case THREE_INTS:
        if (!numbers(value, '/', 3, false, s->low, s->high, v) || !whole(v, 3)) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give three whole numbers, warm-up/alternation/recommendation, like 10/100/150", s->name, value);
        }
        for (int i = 0; i < 3; i++) ((int *)at)[i] = (int)v[i];
        return CLLM_OK;
    case THREE_NUMBERS:
        if (!numbers(value, '/', 3, true, s->low, s->high, v)) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give one number, or three like 1e-3/1e-3/1e-4", s->name, value);
        }
        memcpy(at, v, sizeof v);
        return CLLM_OK;
    case RANGE:
        if (!numbers(value, ':', 2, true, s->low, s->high, v) || v[0] > v[1]) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give a share like 0.2, or a range like 0.1:0.6", s->name, value);
        }
        config->mask_low = v[0];
        config->mask_high = v[1];
        return CLLM_OK;
    case WORDS:
        if (value[0] == '\0' || strlen(value) >= sizeof config->monitor) {
            return cllm__fail(err, CLLM_ERR_USAGE, "%s '%s': give metrics like ndcg@100 or recall@20+ndcg@10", s->name, value);
        }
        snprintf(config->monitor, sizeof config->monitor, "%s", value);
        return CLLM_OK;
    }
    return cllm__fail(err, CLLM_ERR_FAILED, "setting '%s' has no kind", s->name);
}

/* The shortest text that reads back to the same number. */
static void print_number(double value, char *text, size_t size) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

void cllm__train_config_get(const cllm__train_config *config, const char *name, char *value, size_t size) {
    const setting *s = find(name, strlen(name));
    CLLM_ASSERT(s != NULL);
    const char *at = (const char *)config + s->offset;
    const double *numbers_at = (const double *)at;
    const int *ints_at = (const int *)at;
    char texts[3][32];
    switch (s->kind) {
    case INT: snprintf(value, size, "%d", *ints_at); break;
    case SEED: snprintf(value, size, "%llu", (unsigned long long)*(const uint64_t *)at); break;
    case NUMBER: print_number(*numbers_at, value, size); break;
    case SWITCH: snprintf(value, size, "%d", *(const bool *)at ? 1 : 0); break;
    case CHOICE: snprintf(value, size, "%s", s->words[*(const bool *)at ? 1 : 0]); break;
    case CHOICES: snprintf(value, size, "%s", s->words[*ints_at]); break;
    case THREE_INTS: snprintf(value, size, "%d/%d/%d", ints_at[0], ints_at[1], ints_at[2]); break;
    case THREE_NUMBERS:
        for (int i = 0; i < 3; i++) print_number(numbers_at[i], texts[i], sizeof texts[i]);
        snprintf(value, size, "%s/%s/%s", texts[0], texts[1], texts[2]);
        break;
    case RANGE:
        print_number(config->mask_low, texts[0], sizeof texts[0]);
        print_number(config->mask_high, texts[1], sizeof texts[1]);
        snprintf(value, size, "%s:%s", texts[0], texts[1]);
        break;
    case WORDS: snprintf(value, size, "%s", config->monitor); break;
    }
}
