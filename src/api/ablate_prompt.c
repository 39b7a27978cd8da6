/*
 * N2: what in the prompt matters? One change at a time to the paper's prompt: the user's soft token, the hard words around it, what
 * the history is predicted among, its order, and whether its first item is predicted; then two changes at once.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/ablation.h"
#include "api/model_scorer.h"
#include "base/alloc.h"
#include "base/rng.h"

/* Whose token stands for a user when the trained run is measured. */
typedef enum token { OWN, OF_ANOTHER, NONE } token;

typedef struct change {
    const char *factor, *name;
    const char *settings[2]; /* of a training of its own; none: the method's own run is measured in another way */
    const char *prompts;
    token token;
    bool times; /* only where the data have them */
} change;

/* Six times as many words and more. */
#define LONG_PROMPTS \
    "{\"collab\": \"The customer user_{i} of this shop has, over the last years, bought and rated with four or five stars, and so has " \
    "interacted with\", \"rec\": \"The customer user_{i} of this shop has, over the last years, bought and rated with four or five stars, and so " \
    "has interacted with {items}, and from all this it follows that next time the customer user_{i} will interact with\"}"

static const char METHOD[] = "the paper's prompt";

static const change CHANGES[] = {
    {"", METHOD, {"user-token=on"}, NULL, OWN, false},
    {"user token", "no user token", {"user-token=off"}, NULL, OWN, false},
    {"user token", "tokens shuffled in training", {"user-token=shuffled"}, NULL, OWN, false},
    {"user token", "another's token when measured", {NULL}, NULL, OF_ANOTHER, false},
    {"user token", "no user token when measured", {NULL}, NULL, NONE, false},
    {"hard words", "no hard words", {"hard-words=none"}, NULL, OWN, false},
    {"hard words", "random hard words", {"hard-words=random"}, NULL, OWN, false},
    {"hard words", "a longer template", {"hard-words=template"}, LONG_PROMPTS, OWN, false},
    {"main text", "joint softmax", {"main-text=joint"}, NULL, OWN, false},
    {"main text", "joint softmax, joined by and", {"main-text=joint-and"}, NULL, OWN, false},
    {"order", "ascending order", {"reorder=0"}, NULL, OWN, false},
    {"order", "time order", {"reorder=time", "prompt-order=time"}, NULL, OWN, true},
    {"first item", "first item not predicted", {"predict-first=0"}, NULL, OWN, false},
};

/* Changes that may need or replace each other; by name. */
static const char PAIRS_SERIES[] = "pairs";
static const char *const PAIRS[][2] = {
    {"no user token", "random hard words"},          /* all that is left to say who is asked is the history */
    {"no user token", "time order"},                 /* next-item prediction as sequential recommenders do it */
    {"no hard words", "joint softmax"},              /* the softmax over words, without words around it */
    {"joint softmax, joined by and", "ascending order"}, /* the heterogeneous text, always in one order */
    {"ascending order", "first item not predicted"}, /* the authors' program */
};

static const change *change_of(const char *name) {
    size_t i = 0;
    while (strcmp(CHANGES[i].name, name) != 0) i++;
    return &CHANGES[i];
}

/* SIZE_MAX: not with these data. */
static size_t arm_of(const cllm__ablation *a, size_t data, const char *name) {
    return cllm__ablation_find(a, data, change_of(name)->factor, name);
}

static void pair_name(size_t pair, char name[CLLM__ARM_NAME]) {
    snprintf(name, CLLM__ARM_NAME, "%s + %s", PAIRS[pair][0], PAIRS[pair][1]);
}

static size_t pair_arm(const cllm__ablation *a, size_t data, size_t pair) {
    char name[CLLM__ARM_NAME];
    pair_name(pair, name);
    return cllm__ablation_find(a, data, PAIRS_SERIES, name);
}

static cllm_status has_times(const cllm__ablation *a, size_t data, bool *times, cllm_error *err) {
    cllm__dataset *dataset;
    CLLM_TRY(cllm__dataset_open(&dataset, cllm__ablation_data_path(a, data), true, err));
    *times = cllm__dataset_interactions(dataset, CLLM__TRAIN)->times != NULL;
    cllm__dataset_close(dataset);
    return CLLM_OK;
}

static void set_training(const cllm__ablation *a, cllm__arm *arm, const change *c) {
    for (size_t i = 0; i < CLLM_LEN(c->settings) && c->settings[i] != NULL; i++) cllm__arm_set(arm, "%s", c->settings[i]);
    if (c->prompts != NULL) arm->prompts = c->prompts;
    /* Many trainings in a test: their texts, which no arm changes, cost most. */
    if (cllm__ablation_scale(a) == CLLM__SCALE_SMOKE) cllm__arm_set(arm, "content-share=0.05");
}

static void plan_data(cllm__ablation *a, size_t data, bool times) {
    size_t method = SIZE_MAX;
    for (size_t i = 0; i < CLLM_LEN(CHANGES); i++) {
        const change *c = &CHANGES[i];
        if (c->times && !times) continue;
        cllm__arm *arm = cllm__ablation_add(a, data, c->factor, "%s", c->name);
        arm->kind = (int)i;
        if (i == 0) method = cllm__arm_index(a, arm);
        else arm->reference = method;
        if (c->settings[0] == NULL) arm->run = method;
        else set_training(a, arm, c);
    }
    for (size_t p = 0; p < CLLM_LEN(PAIRS); p++) {
        const change *one = change_of(PAIRS[p][0]), *other = change_of(PAIRS[p][1]);
        char name[CLLM__ARM_NAME];
        if ((one->times || other->times) && !times) continue;
        pair_name(p, name);
        cllm__arm *arm = cllm__ablation_add(a, data, PAIRS_SERIES, "%s", name);
        arm->reference = method;
        set_training(a, arm, one);
        set_training(a, arm, other);
    }
}

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        bool times;
        CLLM_TRY(has_times(a, data, &times, err));
        plan_data(a, data, times);
    }
    return CLLM_OK;
}

/* ---- Measuring ---- */

/* The training loss of the last epoch of a phase, in nats a target. */
static cllm_status last_loss(const cllm__measuring *m, const char *phase, double *nll, cllm_error *err) {
    struct json_object *epochs;
    CLLM_TRY(cllm__run_epochs(m->folder, &epochs, err));
    *nll = NAN;
    for (size_t i = 0; i < json_object_array_length(epochs); i++) {
        struct json_object *epoch = json_object_array_get_idx(epochs, i);
        if (strcmp(cllm__json_shown(epoch, "phase"), phase) == 0) *nll = cllm__json_number(epoch, "nll");
    }
    json_object_put(epochs);
    return CLLM_OK;
}

/* Users with a history exchange their tokens so that nobody keeps his own: a random order read as one cycle. */
static cllm_status deal_tokens(int32_t *tokens, const cllm__interactions *train, uint64_t seed, cllm_error *err) {
    size_t *order, n = 0;
    CLLM_TRY(CLLM_NEW(order, train->n_users + 1, err));
    for (size_t user = 0; user < train->n_users; user++) {
        tokens[user] = (int32_t)user;
        if (cllm__row_count(train, user) > 0) order[n++] = user;
    }
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_PROMPT, 4, 0);
    cllm__rng_shuffle_size(&rng, order, n);
    for (size_t i = 0; i < n; i++) tokens[order[i]] = (int32_t)order[(i + 1) % n];
    cllm__free(order);
    return CLLM_OK;
}

static cllm_status rank_with_tokens(cllm__measuring *m, token whose, cllm_error *err) {
    const cllm__eval_data data = cllm__measure_data(m);
    int32_t *tokens;
    cllm__model_scorer scorer = {0};
    CLLM_TRY(CLLM_NEW(tokens, data.train->n_users + 1, err));
    cllm_status status = deal_tokens(tokens, data.train, m->seed, err);
    if (status == CLLM_OK) {
        cllm__model_scorer_of(&scorer, m->model, m->engine, data.train, 1, m->pool);
        scorer.token_of = tokens;
        scorer.visitors = whose == NONE;
        const cllm__scorer interface = cllm__model_scorer_interface(&scorer);
        status = cllm__measure_ranking(m, &interface, NULL, NULL, 0, err);
    }
    cllm__model_scorer_free(&scorer);
    cllm__free(tokens);
    return status;
}

static cllm_status measure(cllm__measuring *m, cllm_error *err) {
    const change *c = &CHANGES[m->arm->kind];
    double nll;
    if (c->token != OWN) return rank_with_tokens(m, c->token, err);
    CLLM_TRY(last_loss(m, "collab", &nll, err));
    cllm__measure_column(m, "collab_nll", nll);
    CLLM_TRY(last_loss(m, "rec", &nll, err));
    cllm__measure_column(m, "rec_nll", nll);
    return cllm__measure_ranking(m, NULL, NULL, NULL, 0, err);
}

/* ---- The sentence ---- */

/* Changes of one kind: those that count and gain, or lose, or do not count. */
static cllm_status list(cllm__ablation *a, size_t data, const char *words, int wanted, bool *any, cllm_error *err) {
    size_t method = arm_of(a, data, METHOD), listed = 0;
    for (size_t i = 1; i < CLLM_LEN(CHANGES); i++) {
        cllm__difference d;
        size_t arm = arm_of(a, data, CHANGES[i].name);
        if (arm == SIZE_MAX) continue;
        CLLM_TRY(cllm__ablation_compare(a, arm, method, NULL, &d, err));
        if ((d.counts ? (d.test.difference > 0 ? 1 : -1) : 0) != wanted) continue;
        cllm__ablation_say(a, "%s%s", listed == 0 ? words : "; ", CHANGES[i].name);
        if (wanted != 0) cllm__ablation_say(a, " (%+.4f)", d.test.difference);
        listed++;
    }
    if (listed > 0) cllm__ablation_say(a, ".");
    *any = *any || (listed > 0 && wanted != 0);
    return CLLM_OK;
}

/* Whether the homogeneous main text is the steadier one: loss an item, and its spread over the seeds where there are several. */
static void say_loss(cllm__ablation *a, size_t data) {
    double spread, joint_spread, and_spread;
    double items = cllm__ablation_value(a, arm_of(a, data, METHOD), "columns/collab_nll", &spread);
    double joint = cllm__ablation_value(a, arm_of(a, data, "joint softmax"), "columns/collab_nll", &joint_spread);
    double joined = cllm__ablation_value(a, arm_of(a, data, "joint softmax, joined by and"), "columns/collab_nll", &and_spread);
    cllm__ablation_say(a, " An item of the history costs %.3f nats in the last collaborative epoch; %.3f with a joint softmax and %.3f with \"and\" between items",
                       items, joint, joined);
    if (isfinite(spread)) {
        cllm__ablation_say(a, " (standard deviation over the seeds %.4f, %.4f and %.4f)", spread, joint_spread, and_spread);
    }
    cllm__ablation_say(a, ".");
}

/* What a pair of changes does beyond its two; users = 0 where the data do not have it. */
static cllm_status interaction_of(const cllm__ablation *a, size_t data, size_t pair, cllm__difference *d, cllm_error *err) {
    size_t both = pair_arm(a, data, pair);
    *d = (cllm__difference){0};
    if (both == SIZE_MAX) return CLLM_OK;
    return cllm__ablation_interaction(a, both, arm_of(a, data, PAIRS[pair][0]), arm_of(a, data, PAIRS[pair][1]), arm_of(a, data, METHOD), d, err);
}

static cllm_status say_pairs(cllm__ablation *a, size_t data, cllm_error *err) {
    size_t told = 0;
    for (size_t p = 0; p < CLLM_LEN(PAIRS); p++) {
        cllm__difference d;
        char name[CLLM__ARM_NAME], text[96];
        CLLM_TRY(interaction_of(a, data, p, &d, err));
        if (!d.counts) continue;
        pair_name(p, name);
        cllm__difference_text(&d, text);
        cllm__ablation_say(a, "%s %s by %s", told++ > 0 ? ";" : " Two changes that do more or less together than they add up to:", name, text);
    }
    cllm__ablation_say(a, told > 0 ? "." : " No two changes that were tried together do more or less than they add up to, beyond the noise.");
    return CLLM_OK;
}

static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        bool any = false;
        if (data > 0) cllm__ablation_say(a, " ");
        if (cllm__ablation_data_sets(a) > 1) cllm__ablation_say(a, "%s: ", cllm__ablation_data_name(a, data));
        cllm__ablation_say(a, "Compared with the paper's prompt,");
        CLLM_TRY(list(a, data, " these cost NDCG@100: ", -1, &any, err));
        CLLM_TRY(list(a, data, any ? " These gain: " : " these gain NDCG@100: ", 1, &any, err));
        CLLM_TRY(list(a, data, any ? " No difference beyond the noise: " : " no change makes a difference beyond the noise: ", 0, &any, err));
        CLLM_TRY(say_pairs(a, data, err));
        say_loss(a, data);
        if (arm_of(a, data, "time order") == SIZE_MAX) cllm__ablation_say(a, " The rows have no times, so histories in time order are left out.");
    }
    return CLLM_OK;
}

/* ---- The page ---- */

static void put_difference(cllm__page *page, const cllm__difference *d, bool interval) {
    cllm__page_put(page, "<td class=\"n\">%+.4f", d->test.difference);
    if (interval) cllm__page_put(page, " (%+.4f to %+.4f)", d->test.interval.low, d->test.interval.high);
    cllm__page_put(page, "</td>");
}

static cllm_status put_pair(const cllm__ablation *a, cllm__page *page, size_t data, size_t pair, cllm_error *err) {
    size_t both = pair_arm(a, data, pair), method = arm_of(a, data, METHOD);
    cllm__difference one, other, together, beyond;
    char name[CLLM__ARM_NAME];
    if (both == SIZE_MAX) return CLLM_OK;
    CLLM_TRY(cllm__ablation_compare(a, arm_of(a, data, PAIRS[pair][0]), method, NULL, &one, err));
    CLLM_TRY(cllm__ablation_compare(a, arm_of(a, data, PAIRS[pair][1]), method, NULL, &other, err));
    CLLM_TRY(cllm__ablation_compare(a, both, method, NULL, &together, err));
    CLLM_TRY(interaction_of(a, data, pair, &beyond, err));
    pair_name(pair, name);
    cllm__page_put(page, "<tr><td>%s</td>", name);
    put_difference(page, &one, false);
    put_difference(page, &other, false);
    put_difference(page, &together, false);
    put_difference(page, &beyond, true);
    cllm__page_put(page, "<td>%s</td></tr>\n", !beyond.counts ? "adds up" : beyond.test.difference > 0 ? "more than the sum" : "less than the sum");
    return CLLM_OK;
}

static cllm_status figures(const cllm__ablation *a, cllm__page *page, cllm_error *err) {
    cllm__page_put(page, "<h2>Two changes at once</h2>\n");
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        cllm__page_put(page, "<div class=\"wide\"><table><caption>");
        cllm__page_text(page, cllm__ablation_data_name(a, data), 0);
        cllm__page_put(page, ": NDCG@100 against the paper's prompt</caption>\n<thead><tr><th>changes</th><th class=\"n\">the first</th>"
                             "<th class=\"n\">the second</th><th class=\"n\">both</th>"
                             "<th class=\"n\">beyond the sum (95 %% interval)</th><th></th></tr></thead>\n<tbody>\n");
        for (size_t p = 0; p < CLLM_LEN(PAIRS); p++) CLLM_TRY(put_pair(a, page, data, p, err));
        cllm__page_put(page, "</tbody></table></div>\n");
    }
    return CLLM_OK;
}

static const cllm__column COLUMNS[] = {
    {.name = "collab_nll", .label = "training loss an item, collaborative", .format = "%.4f", .plotted = true, .spread = true},
    {.name = "rec_nll", .label = "training loss a target, recommendation", .format = "%.4f", .spread = true},
};

const cllm__study CLLM__STUDY_PROMPT = {
    .name = "prompt",
    .title = "What in the prompt matters",
    .question = "A prompt is made of the user's own token, hard words, and a history in which items are predicted among items alone. Which of these does the "
                "method need? Each row changes one thing, the pairs two.",
    .n_shops = 1,
    .columns = COLUMNS,
    .n_columns = CLLM_LEN(COLUMNS),
    .plan = plan,
    .measure = measure,
    .conclude = conclude,
    .figures = figures,
};
