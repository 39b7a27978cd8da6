/*
 * Two ways to a list: one question that ranks all items, and items that come out one after another, each appended before the next.
 * Lists of LIST items from the same users' histories; the latter also under a softmax over words and items, where a word may come out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/ablation.h"
#include "base/alloc.h"
#include "base/host.h"
#include "model/rollout.h"

enum { LIST = 20, BEAMS = 4 };

/* ---- Ways ---- */

typedef enum training { FINETUNED, PRETRAINED, JOINT, JOINED, TRAININGS } training;

typedef struct way {
    training run;
    const char *name;
    size_t beams;     /* 0: one step */
    bool joint, free; /* as in cllm__rollout_options */
} way;

static const char *const SERIES[TRAININGS] = {"finetuned", "pretrained", "joint softmax", "joint softmax, joined items"};

static const way WAYS[] = {
    {FINETUNED, "one step", 0, false, false},
    {FINETUNED, "item by item", 1, false, false},
    {FINETUNED, "beam search", BEAMS, false, false},
    {PRETRAINED, "one step", 0, false, false},
    {PRETRAINED, "item by item", 1, false, false},
    {PRETRAINED, "beam search", BEAMS, false, false},
    {PRETRAINED, "repeats too", 1, false, true},
    {PRETRAINED, "words too", 1, true, false},
    {JOINT, "words too", 1, true, false},
    {JOINT, "all allowed", 1, true, true},
    {JOINED, "words too", 1, true, false},
};

/* Where a pretrained model's one step stands among them, with which its lists are compared. */
enum { PRETRAINED_ONCE = 3 };

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    cllm__train_config config;
    CLLM_TRY(cllm__ablation_config(a, NULL, &config, err));
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        size_t run[TRAININGS] = {CLLM__OWN_RUN, CLLM__OWN_RUN, CLLM__OWN_RUN, CLLM__OWN_RUN}, first = cllm__ablation_arms(a);
        for (size_t w = 0; w < CLLM_LEN(WAYS); w++) {
            const way *by = &WAYS[w];
            cllm__arm *arm = cllm__ablation_add(a, data, SERIES[by->run], "%s", by->name);
            arm->kind = (int)w;
            arm->reference = w == 0 ? CLLM__NO_REFERENCE : w <= PRETRAINED_ONCE ? first : first + PRETRAINED_ONCE;
            arm->run = run[by->run];
            if (arm->run != CLLM__OWN_RUN) continue;
            run[by->run] = cllm__arm_index(a, arm);
            if (by->run == FINETUNED) continue;
            cllm__arm_set(arm, "epochs=%d/%d/0", config.epochs[0], config.epochs[1]);
            if (by->run == JOINT) cllm__arm_set(arm, "main-text=joint");
            if (by->run == JOINED) cllm__arm_set(arm, "main-text=joint-and");
        }
    }
    return CLLM_OK;
}

/* ---- Lists as scores ---- */

/* Everything that measuring one arm owns. */
typedef struct decoding {
    cllm__measuring *m;
    const way *way;
    const cllm__interactions *train;
    cllm__batch_rules rules;
    size_t prompt_tokens; /* the longest prompt, so that all ways read the same */
    cllm__weight *packed; /* items, for the one step */
    cllm__rollout *rollout;
    cllm__rollout_tally tally;
    cllm__batch batch;
    cllm__tokens prompt;
    int32_t *order, *items; /* [n_items], [steps] */
    uint8_t *closed;     /* [n_items] had already, or never recommended */
    uint64_t scratch[LIST];
    double *seconds;     /* [users asked] */
    size_t n_asked, listed;
} decoding;

static void decoding_free(decoding *d) {
    if (d->packed != NULL) cllm__engine_set_packed_items(d->m->engine, NULL);
    cllm__weight_free(d->packed);
    cllm__rollout_free(d->rollout);
    cllm__batch_free(&d->batch);
    cllm__tokens_free(&d->prompt);
    cllm__free(d->order);
    cllm__free(d->items);
    cllm__free(d->closed);
    cllm__free(d->seconds);
}

/* Finetuned: the recommendation prompt. Pretrained: the history itself, as it was learnt, for the next item to follow. */
static cllm_status render(decoding *d, int32_t user, cllm_error *err) {
    const cllm__prompts *prompts = &d->m->model->run.prompts;
    const cllm__prompt *collab = &prompts->collab;
    size_t n = cllm__row_count(d->train, (size_t)user);
    cllm__prompt_fill fill = {.user = user, .item = -1, .max_tokens = d->prompt_tokens};
    d->prompt.count = 0;
    cllm__prompt_order(d->order, cllm__row(d->train, (size_t)user), n, (cllm__order)d->m->model->run.config.prompt_order, 1, user);
    if (d->way->run == FINETUNED) {
        fill.items = d->order;
        fill.n_items = n;
        return cllm__prompt_render(&prompts->rec, &d->rules.space, &fill, &d->prompt, NULL, err);
    }
    CLLM_TRY(cllm__prompt_render(collab, &d->rules.space, &fill, &d->prompt, NULL, err));
    size_t fit = cllm__prompt_list_fit(collab, d->prompt_tokens - d->prompt.count), from = n > fit ? n - fit : 0;
    cllm__tokens *ids = &d->prompt;
    CLLM_TRY(CLLM_GROW(ids->ids, ids->capacity, ids->count + cllm__prompt_list_length(collab, n - from), err));
    int32_t *end = cllm__prompt_list(collab, d->rules.space.vocab_rows + d->rules.space.n_users, d->order + from, n - from, ids->ids + ids->count);
    ids->count = (size_t)(end - ids->ids);
    return CLLM_OK;
}

/* The first LIST of one ranking of all items. */
static cllm_status rank_once(decoding *d, float *scores, size_t *count, cllm_error *err) {
    cllm__batch_clear(&d->batch, CLLM__STAGE_PROMPT);
    CLLM_TRY(cllm__batch_add_readout(&d->batch, &d->rules, d->prompt.ids, d->prompt.count, NULL, 0, err));
    CLLM_TRY(cllm__engine_score(d->m->engine, &d->m->model->collab, &d->batch, scores, err));
    for (size_t i = 0; i < d->m->model->collab.n_items; i++) {
        if (d->closed[i]) scores[i] = -INFINITY;
    }
    return cllm__topk(&d->m->model->ties, scores, LIST, d->scratch, d->items, NULL, count, err);
}

static cllm_status score_user(decoding *d, int32_t user, float *scores, cllm_error *err) {
    const cllm_model *model = d->m->model;
    size_t n_items = model->collab.n_items, count = 0;
    memcpy(d->closed, model->hidden, n_items);
    for (size_t i = 0; i < cllm__row_count(d->train, (size_t)user); i++) d->closed[cllm__row(d->train, (size_t)user)[i]] = 1;
    CLLM_TRY(render(d, user, err));
    double began = cllm__now();
    if (d->way->beams == 0) CLLM_TRY(rank_once(d, scores, &count, err));
    else CLLM_TRY(cllm__rollout_run(d->rollout, d->prompt.ids, d->prompt.count, d->closed, d->items, &count, &d->tally, err));
    d->seconds[d->n_asked++] = cllm__now() - began;
    if (count > LIST) count = LIST;
    d->listed += count;
    for (size_t i = 0; i < n_items; i++) scores[i] = -INFINITY;
    for (size_t i = 0; i < count; i++) scores[d->items[i]] = -(float)i;
    return CLLM_OK;
}

/* One by one, as visitors come, and timed. */
static cllm_status score(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    decoding *d = context;
    for (size_t u = 0; u < count; u++) CLLM_TRY(score_user(d, users[u], scores + u * d->m->model->collab.n_items, err));
    return CLLM_OK;
}

/* ---- Measuring ---- */

static cllm_status set_up(decoding *d, cllm_error *err) {
    const cllm_model *model = d->m->model;
    const cllm__tables *tables = &model->collab;
    const cllm__backbone_info *info = cllm__backbone_info_of(model->run.backbone);
    const cllm__tokens *join = &model->run.prompts.collab.join;
    size_t steps = LIST + (d->way->run == JOINED ? LIST * join->count : 0);
    if (info->context < 4 * steps) {
        return cllm__fail(err, CLLM_ERR_USAGE, "the backbone takes sequences of %zu tokens: generating %d items asks for %zu at least", info->context, LIST, 4 * steps);
    }
    d->prompt_tokens = info->context - steps;
    d->rules = (cllm__batch_rules){
        .space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = (int32_t)tables->n_users, .n_items = (int32_t)tables->n_items}, .context = info->context};
    CLLM_TRY(CLLM_NEW(d->order, tables->n_items + 1, err));
    CLLM_TRY(CLLM_NEW(d->items, steps + 1, err));
    CLLM_TRY(CLLM_NEW(d->closed, tables->n_items + 1, err));
    CLLM_TRY(CLLM_NEW(d->seconds, tables->n_users + 1, err));
    if (d->way->beams == 0) {
        CLLM_TRY(cllm__weight_pack(&d->packed, tables->items, tables->width, tables->n_items, true, model->run.dtype, d->m->pool, err));
        cllm__engine_set_packed_items(d->m->engine, d->packed);
        return CLLM_OK;
    }
    const cllm__rollout_options options = {.steps = steps, .beams = d->way->beams, .joint = d->way->joint, .free = d->way->free,
                                           .prompt_tokens = d->prompt_tokens, .join = join->ids, .n_join = join->count};
    return cllm__rollout_create(&d->rollout, model->run.backbone, tables, model->run.dtype, options, d->m->pool, err);
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_columns(decoding *d) {
    size_t n = d->n_asked;
    double outputs = (double)d->tally.outputs;
    qsort(d->seconds, n, sizeof *d->seconds, compare_numbers);
    cllm__measure_column(d->m, "ms", n > 0 ? 1000 * d->seconds[n / 2] : NAN);
    cllm__measure_column(d->m, "listed", (double)d->listed / (double)n);
    cllm__measure_column(d->m, "repeats", d->way->beams > 0 ? (double)d->tally.repeats / outputs : NAN);
    cllm__measure_column(d->m, "words", d->way->joint ? (double)d->tally.words / outputs : NAN);
    cllm__measure_column(d->m, "word_mass", d->way->joint ? d->tally.word_mass / outputs : NAN);
}

static cllm_status measure(cllm__measuring *m, cllm_error *err) {
    const cllm__eval_data data = cllm__measure_data(m);
    decoding d = {.m = m, .way = &WAYS[m->arm->kind], .train = data.train};
    const cllm__scorer scorer = {.name = d.way->name, .context = &d, .score = score, .batch = 1};
    cllm_status status = set_up(&d, err);
    if (status == CLLM_OK) status = cllm__measure_ranking(m, &scorer, &data, NULL, 0, err);
    if (status == CLLM_OK) measure_columns(&d);
    decoding_free(&d);
    return status;
}

/* ---- Concluding ---- */

/* "X ranks better than Y by …": what an arm's lists are worth beside another's, and how many times as long they take. */
static cllm_status say_pair(cllm__ablation *a, size_t first, size_t arm, size_t other, const char *what, cllm_error *err) {
    cllm__difference d;
    char text[96];
    CLLM_TRY(cllm__ablation_compare(a, first + arm, first + other, NULL, &d, err));
    cllm__difference_text(&d, text);
    cllm__ablation_say(a, " %s %s than ranking all items at once (%s in NDCG), in %.1f times the time.", what,
                       !d.counts ? "ranks no better and no worse, beyond the noise," : d.test.difference > 0 ? "ranks better" : "ranks worse", text,
                       cllm__ablation_value(a, first + arm, "columns/ms", NULL) / cllm__ablation_value(a, first + other, "columns/ms", NULL));
    return CLLM_OK;
}

static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        size_t first = data * CLLM_LEN(WAYS);
        cllm__ablation_say(a, "%sOn %s, lists of %d.", data > 0 ? " " : "", cllm__ablation_data_name(a, data), LIST);
        CLLM_TRY(say_pair(a, first, 1, 0, "Of the finetuned model, a list generated item by item", err));
        CLLM_TRY(say_pair(a, first, 4, PRETRAINED_ONCE, "Of the pretrained one, such a list", err));
        CLLM_TRY(say_pair(a, first, 5, PRETRAINED_ONCE, "Its beam search", err));
        cllm__ablation_say(a,
                           " With nothing ruled out, %.0f %% of its outputs are items that the user had or was just given; where words may come too, %.1f %% of the "
                           "outputs are words if it was trained on items alone, %.1f %% if it was trained with one softmax over both, and %.1f %%, besides the joining "
                           "word, if its texts join items by \" and \".",
                           100 * cllm__ablation_value(a, first + 6, "columns/repeats", NULL), 100 * cllm__ablation_value(a, first + 7, "columns/words", NULL),
                           100 * cllm__ablation_value(a, first + 8, "columns/words", NULL), 100 * cllm__ablation_value(a, first + 10, "columns/words", NULL));
    }
    return CLLM_OK;
}

static const cllm__column COLUMNS[] = {
    {.name = "ms", .label = "ms a user", .format = "%.3f", .plotted = true},
    {.name = "listed", .label = "items a list", .format = "%.1f"},
    {.name = "repeats", .label = "share of repeats", .format = "%.4f"},
    {.name = "words", .label = "share of words", .format = "%.4f"},
    {.name = "word_mass", .label = "probability of a word", .format = "%.4f"},
};

const cllm__study CLLM__STUDY_DECODE = {
    .name = "decode",
    .title = "One step or item by item",
    .question = "A list of recommendations can be read off one softmax over all items, or generated as a text is: item by item, greedily or by beam "
                "search, among items alone or among items and words. Which lists are better, what do they cost, and how often is what comes out no item "
                "to recommend? All lists have 20 items, so NDCG@100 is that of 20.",
    .n_shops = 1,
    .list = LIST,
    .columns = COLUMNS,
    .n_columns = CLLM_LEN(COLUMNS),
    .plan = plan,
    .measure = measure,
    .conclude = conclude,
};
