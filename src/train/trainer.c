#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/rng.h"

static cllm__adam adam_at(double lr) {
    return (cllm__adam){.lr = lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
}

/* In the last part of the recommendation stage the rate falls in equal steps, to one step above zero. */
static double lr_of(const cllm__train_config *config, cllm__position at) {
    double lr = config->lr[at.phase == CLLM__PHASE_WARMUP ? 0 : at.phase <= CLLM__PHASE_CONTENT ? 1 : 2];
    if (at.phase < CLLM__PHASE_REC || config->lr_decay <= 0) return lr;
    double epochs = config->epochs[2], falling = config->lr_decay * epochs, left = epochs - at.epoch;
    return left < falling ? lr * left / falling : lr;
}

/* ---- Life ---- */

static void init_composer(cllm__trainer *t) {
    cllm__composer *c = &t->composer;
    cllm__composer_init_normal(c, t->config.init_deviation, t->config.seed);
    for (size_t k = 0; k < t->in.n_vectors; k++) {
        for (size_t i = c->whole; i < c->width; i++) c->vectors[k * c->width + i] = (cllm__real)t->in.vectors[k * c->width + i];
    }
    cllm__composer_compose(c, t->collab.items, t->in.pool);
}

static cllm_status init_tables(cllm__trainer *t, cllm_error *err) {
    double deviation = t->config.init_deviation;
    cllm__tables_init_normal(&t->collab, deviation, t->config.seed, CLLM__TABLES_COLLAB);
    cllm__tables_init_normal(&t->content, deviation, t->config.seed, CLLM__TABLES_CONTENT);
    if (t->config.init_text_mean) {
        CLLM_TRY(cllm__tables_init_text_mean(&t->collab, deviation, t->in.corpus, t->in.backbone, err));
        CLLM_TRY(cllm__tables_init_text_mean(&t->content, deviation, t->in.corpus, t->in.backbone, err));
    }
    if (t->composed) {
        init_composer(t);
        cllm__adam_table_reset(&t->vectors, adam_at(t->config.lr[1]));
    }
    cllm__adam_table_reset(&t->collab_users, adam_at(t->config.lr[1]));
    cllm__adam_table_reset(&t->collab_items, adam_at(t->config.lr[1]));
    cllm__adam_table_reset(&t->content_users, adam_at(t->config.lr[0]));
    cllm__adam_table_reset(&t->content_items, adam_at(t->config.lr[0]));
    t->at = cllm__schedule_first(&t->config);
    t->sums = (cllm__epoch_sums){0};
    t->has_best = false;
    t->best_monitor = -INFINITY;
    t->best_epoch = -1;
    t->lowest_collab_loss = t->lowest_content_loss = INFINITY;
    t->order_count = 0;
    return CLLM_OK;
}

cllm_status cllm__trainer_restart(cllm__trainer *t, cllm_error *err) {
    const int *epochs = t->config.epochs;
    if (cllm__schedule_first(&t->config).phase == CLLM__PHASE_DONE) {
        return cllm__fail(err, CLLM_ERR_USAGE, "epochs %d/%d/%d%s%s: there is nothing to do", epochs[0], epochs[1], epochs[2],
                          t->config.content ? "" : " without the content model", t->config.finetune ? "" : " without finetuning");
    }
    return init_tables(t, err);
}

static cllm_status create_tables(cllm__trainer *t, size_t n_users, size_t n_items, size_t width, cllm_error *err) {
    cllm__tables *tables[] = {&t->collab, &t->content, &t->best_collab, &t->best_content};
    for (size_t i = 0; i < CLLM_LEN(tables); i++) CLLM_TRY(cllm__tables_create(tables[i], n_users, n_items, width, err));
    cllm__adam adam = adam_at(0);
    CLLM_TRY(cllm__adam_table_create(&t->collab_users, t->collab.users, n_users, width, adam, err));
    if (t->composed) {
        double id_weight = t->config.item_tokens == CLLM__ITEM_TOKENS_ID_TEXT ? t->config.id_weight : 0;
        CLLM_TRY(cllm__composer_create(&t->composer, t->in.features, width, id_weight, err));
        t->composer.whole = t->config.bag_biases ? CLLM__BAG_BIASES : 0;
        CLLM_TRY(cllm__adam_table_create(&t->vectors, t->composer.vectors, t->in.features->n_features, width, adam, err));
    }
    cllm__real *items = t->composed ? t->composer.free_parts : t->collab.items;
    CLLM_TRY(cllm__adam_table_create(&t->collab_items, items, n_items, width, adam, err));
    CLLM_TRY(cllm__adam_table_create(&t->content_users, t->content.users, n_users, width, adam, err));
    CLLM_TRY(cllm__adam_table_create(&t->content_items, t->content.items, n_items, width, adam, err));
    return cllm__gradient_create(&t->gradient, n_users, n_items, width, err);
}

/* What does not go together, or not with this data. */
static cllm_status check_config(const cllm__trainer *t, const cllm__backbone_info *info, cllm_error *err) {
    const cllm__train_config *config = &t->config;
    if (config->width > 0 && (size_t)config->width != info->width && cllm__train_config_reads_tokens(config)) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "width %d: the backbone's is %zu; tokens of another width need --readout bag, --content 0 and no alternation "
                          "(--epochs 0/0/N), so that it never reads them",
                          config->width, info->width);
    }
    if (config->bag_biases && (!config->bag || config->bag_sharpness == 0)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "bag-biases 1: they are read by --readout bag with a --bag-sharpness above 0");
    }
    size_t width = config->width > 0 ? (size_t)config->width : info->width;
    if (config->bag_biases && width <= CLLM__BAG_BIASES) {
        return cllm__fail(err, CLLM_ERR_USAGE, "width %zu: bag-biases 1 takes %d columns of it; give more", width, CLLM__BAG_BIASES);
    }
    bool reads_items = config->bag || config->main_text != CLLM__MAIN_ITEMS || config->linear != CLLM__LINEAR_NONE || config->neighbours_weight > 0;
    if (config->histories_spelled && reads_items) {
        return cllm__fail(err, CLLM_ERR_USAGE, "histories spelled: no item has a token there that --readout bag, --main-text joint, --linear or "
                                               "--neighbours-weight could read; take --histories tokens");
    }
    if (config->item_tokens == CLLM__ITEM_TOKENS_ID) return CLLM_OK;
    if (config->init_text_mean) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "init text-mean: composed item tokens begin as the sum of their parts, not at the mean of their texts; take --init normal, "
                          "or --item-tokens id");
    }
    if (isinf(config->lambda_c)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "lambda-c inf: one table for both models, which composed item tokens cannot be; take --item-tokens id");
    }
    if (t->in.features == NULL || t->in.features->n_items != t->in.train->n_items) {
        return cllm__fail(err, CLLM_ERR_MISMATCH, "composed item tokens need the features of %zu items", t->in.train->n_items);
    }
    if (config->item_tokens == CLLM__ITEM_TOKENS_TEXT && t->in.features->n_features == 0) {
        return cllm__fail(err, CLLM_ERR_DATA, "item-tokens text: no item has a text; take id, or prepare the data with --items");
    }
    return CLLM_OK;
}

cllm_status cllm__trainer_create(cllm__trainer *t, const cllm__train_config *config, const cllm__trainer_inputs *inputs,
                                 cllm_error *err) {
    t->config = *config;
    t->in = *inputs;
    const cllm__interactions *train = inputs->train;
    const cllm__backbone_info *info = cllm__backbone_info_of(inputs->backbone);
    size_t n_documents = inputs->corpus->count;
    if (n_documents == 0 && t->config.content) {
        cllm__log(inputs->host, CLLM_LOG_INFO, "no texts: training without the content model and without mutual regularisation");
        t->config.content = false;
    }
    if (!t->config.content) t->config.lambda_c = 0;
    CLLM_TRY(check_config(t, info, err));
    t->one_table = isinf(t->config.lambda_c);
    t->composed = t->config.item_tokens != CLLM__ITEM_TOKENS_ID;
    size_t width = t->config.width > 0 ? (size_t)t->config.width : info->width;
    if (n_documents == 0 && t->config.init_text_mean) {
        cllm__log(inputs->host, CLLM_LOG_WARN, "init text-mean: there are no texts to take means of; all tokens begin at random");
    }

    CLLM_TRY(CLLM_NEW(t->cold, train->n_items + 1, err));
    CLLM_TRY(CLLM_NEW(t->users, train->n_users + 1, err));
    memset(t->cold, 1, train->n_items);
    for (size_t i = 0; i < train->count; i++) t->cold[train->items[i]] = 0;
    for (size_t user = 0; user < train->n_users; user++) {
        size_t n = cllm__row_count(train, user);
        if (n > 0) t->users[t->n_users_active++] = (int32_t)user;
        if (n > t->longest_history) t->longest_history = n;
    }
    if (t->n_users_active == 0) return cllm__fail(err, CLLM_ERR_DATA, "no user has a training interaction: there is nothing to learn from");

    if (t->config.user_token == CLLM__USER_TOKEN_SHUFFLED) CLLM_TRY(CLLM_NEW(t->dealt, train->n_users, err));
    t->rules = (cllm__batch_rules){
        .space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = (int32_t)train->n_users, .n_items = (int32_t)train->n_items},
        .reg = t->config.reg_code ? CLLM__REG_CODE : CLLM__REG_MAP,
        .predict_first = t->config.predict_first,
        .joint = t->config.main_text != CLLM__MAIN_ITEMS,
        .context = info->context,
    };
    CLLM_TRY(CLLM_NEW(t->items_scratch, t->longest_history, err));
    CLLM_TRY(CLLM_NEW(t->targets_scratch, t->longest_history, err));
    size_t most = train->n_users > n_documents ? train->n_users : n_documents;
    CLLM_TRY(CLLM_NEW(t->order, most, err));
    CLLM_TRY(CLLM_NEW(t->order_scratch, n_documents + 1, err));
    CLLM_TRY(create_tables(t, train->n_users, train->n_items, width, err));
    CLLM_TRY(cllm__engine_create(&t->engine, inputs->backbone, inputs->dtype, inputs->pool, err));
    if (t->config.bag) {
        cllm__bag bag = cllm__config_bag(&t->config);
        cllm__engine_set_bag(t->engine, &bag, width);
    }
    return cllm__trainer_restart(t, err);
}

void cllm__trainer_free(cllm__trainer *t) {
    cllm__engine_free(t->engine);
    cllm__tables_free(&t->collab);
    cllm__tables_free(&t->content);
    cllm__tables_free(&t->best_collab);
    cllm__tables_free(&t->best_content);
    cllm__adam_table_free(&t->collab_users);
    cllm__adam_table_free(&t->collab_items);
    cllm__adam_table_free(&t->content_users);
    cllm__adam_table_free(&t->content_items);
    cllm__adam_table_free(&t->vectors);
    cllm__composer_free(&t->composer);
    cllm__gradient_free(&t->gradient);
    cllm__batch_free(&t->batch);
    cllm__free(t->cold);
    cllm__free(t->users);
    cllm__free(t->dealt);
    cllm__free(t->order);
    cllm__free(t->order_scratch);
    cllm__free(t->items_scratch);
    cllm__free(t->targets_scratch);
    cllm__free(t->touched);
    *t = (cllm__trainer){0};
}

/* ---- One step ---- */

static size_t epoch_examples(const cllm__trainer *t, cllm__phase phase) {
    return cllm__epoch_examples(&t->config, phase, t->n_users_active, t->in.corpus->count);
}

static size_t epoch_steps(const cllm__trainer *t, cllm__phase phase) {
    size_t batch = (size_t)t->config.batch;
    return (epoch_examples(t, phase) + batch - 1) / batch;
}

/* Users with a history exchange their tokens. */
static void deal_tokens(cllm__trainer *t, cllm__phase phase, int epoch) {
    cllm__rng rng = cllm__rng_make(t->config.seed, CLLM_RNG_PROMPT, (uint32_t)epoch, ((uint64_t)phase + 1) << 32);
    int32_t *order = t->dealt; /* on the way, of the k-th active user */
    memcpy(order, t->users, t->n_users_active * sizeof *order);
    cllm__rng_shuffle_i32(&rng, order, t->n_users_active);
    for (size_t k = t->n_users_active; k-- > 0;) order[t->users[k]] = order[k];
}

static void make_order(cllm__trainer *t, cllm__phase phase, int epoch) {
    if (t->dealt != NULL) deal_tokens(t, phase, epoch);
    cllm__epoch_order(&t->config, phase, epoch, t->users, t->n_users_active, t->in.corpus->count, t->order, t->order_scratch);
    t->order_count = epoch_examples(t, phase);
}

static cllm_status add_example(cllm__trainer *t, cllm__phase phase, int epoch, size_t example, cllm_error *err) {
    const cllm__train_config *config = &t->config;
    if (cllm__phase_is_content(phase)) {
        cllm__document document = cllm__corpus_at(t->in.corpus, example);
        return cllm__batch_add_document(&t->batch, &t->rules, t->in.prompts, &document, err);
    }
    int32_t user = (int32_t)example, token = t->dealt != NULL ? t->dealt[user] : user;
    const int32_t *items = cllm__row(t->in.train, example);
    size_t n = cllm__row_count(t->in.train, example);
    if (phase == CLLM__PHASE_COLLAB) {
        cllm__collab_order(t->items_scratch, items, n, (cllm__order)config->collab_order, config->seed, (uint32_t)epoch, user);
        return cllm__batch_add_collab(&t->batch, &t->rules, t->in.prompts, token, t->items_scratch, n, err);
    }
    size_t n_prompt, n_targets;
    cllm__mask_rules mask = {.share_low = config->mask_low, .share_high = config->mask_high, .target_all = config->target_all,
                             .order = (cllm__order)config->prompt_order};
    cllm__rec_mask(t->items_scratch, &n_prompt, t->targets_scratch, &n_targets, items, n, mask, config->seed, (uint32_t)epoch, user);
    return cllm__batch_add_rec(&t->batch, &t->rules, t->in.prompts, token, t->items_scratch, n_prompt, t->targets_scratch, n_targets, err);
}

static cllm_status build_batch(cllm__trainer *t, cllm__position at, cllm_error *err) {
    cllm__batch_clear(&t->batch, cllm__phase_is_content(at.phase)      ? CLLM__STAGE_CONTENT
                                 : at.phase == CLLM__PHASE_COLLAB ? CLLM__STAGE_COLLAB
                                                                  : CLLM__STAGE_REC);
    size_t first = at.batch * (size_t)t->config.batch, last = first + (size_t)t->config.batch;
    if (last > t->order_count) last = t->order_count;
    for (size_t i = first; i < last; i++) CLLM_TRY(add_example(t, at.phase, at.epoch, t->order[i], err));
    return CLLM_OK;
}

static int compare_i32(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The distinct rows of a table that a step may read: tokens in [first, first + count) of the vocabulary, and the
 * regulariser's. */
static cllm_status rows_read(cllm__trainer *t, int32_t first, int32_t count, const int32_t *reg, size_t n_reg, size_t *n, cllm_error *err) {
    size_t rows = cllm__batch_rows(&t->batch), used = 0;
    CLLM_TRY(CLLM_GROW(t->touched, t->touched_capacity, rows + n_reg + 1, err));
    for (size_t i = 0; i < rows; i++) {
        int32_t row = t->batch.tokens[i] - first;
        if (row >= 0 && row < count) t->touched[used++] = row;
    }
    if (n_reg > 0) memcpy(t->touched + used, reg, n_reg * sizeof *reg);
    used += n_reg;
    qsort(t->touched, used, sizeof *t->touched, compare_i32);
    size_t kept = 0;
    for (size_t i = 0; i < used; i++) {
        if (kept == 0 || t->touched[kept - 1] != t->touched[i]) t->touched[kept++] = t->touched[i];
    }
    *n = kept;
    return CLLM_OK;
}

static cllm_status catch_up(cllm__trainer *t, cllm__adam_table *users, cllm__adam_table *items, cllm_error *err) {
    const cllm__id_space *space = &t->rules.space;
    size_t n;
    CLLM_TRY(rows_read(t, space->vocab_rows, space->n_users, t->batch.reg_users, t->batch.n_reg_users, &n, err));
    cllm__adam_table_catch_up(users, t->touched, n, t->in.pool);
    CLLM_TRY(rows_read(t, space->vocab_rows + space->n_users, space->n_items, t->batch.reg_items, t->batch.n_reg_items, &n, err));
    cllm__adam_table_catch_up(items, t->touched, n, t->in.pool);
    return CLLM_OK;
}

static uint64_t dropout_key(const cllm__trainer *t, cllm__position at) {
    uint64_t parts[] = {t->config.seed, (uint64_t)at.phase, (uint64_t)at.epoch, at.batch};
    return cllm__hash(parts, sizeof parts);
}

/* All that composed tokens are made of moves in every step, and the tokens with it. */
static void move_composed(cllm__trainer *t) {
    cllm__composer_backward(&t->composer, t->gradient.items, t->in.pool);
    cllm__adam_table_step_dense(&t->vectors, t->composer.gradient, t->in.pool);
    cllm__adam_table_step_dense(&t->collab_items, t->gradient.items, t->in.pool);
    cllm__composer_compose(&t->composer, t->collab.items, t->in.pool);
}

/* The coupling of a phase's steps. */
static double coupling_of(const cllm__trainer *t, cllm__phase phase) {
    if (phase == CLLM__PHASE_WARMUP || t->one_table) return 0;
    return t->config.lambda_c * t->config.lambda_stages[cllm__phase_is_content(phase) ? 1 : phase == CLLM__PHASE_COLLAB ? 0 : 2];
}

/* The step at `at` from its order: batch, gradient, Adam. */
static cllm_status step(cllm__trainer *t, cllm__position at, cllm__loss *loss, cllm_error *err) {
    CLLM_TRY(build_batch(t, at, err));
    bool content = cllm__phase_is_content(at.phase) && !t->one_table; /* whose tables move */
    cllm__adam_table *users = content ? &t->content_users : &t->collab_users;
    cllm__adam_table *items = content ? &t->content_items : &t->collab_items;
    CLLM_TRY(catch_up(t, users, items, err));
    cllm__objective objective = {
        .reg = t->rules.reg,
        .lambda_c = coupling_of(t, at.phase),
        .lambda_l = t->config.lambda_l,
        .dropout = at.phase == CLLM__PHASE_REC_CONTENT ? t->config.dropout_rec_content : t->config.dropout,
        .dropout_key = dropout_key(t, at),
        .cold_items = t->config.mask_cold ? t->cold : NULL,
    };
    cllm_status status = cllm__engine_step(t->engine, &t->batch, content ? &t->content : &t->collab, content ? &t->collab : &t->content,
                                           &objective, &t->gradient, loss, err);
    if (status != CLLM_OK) {
        cllm__error_prefix(err, "%s epoch %d, step %zu", cllm__phase_name(at.phase), at.epoch + 1, at.batch + 1);
        return status;
    }
    cllm__adam_table_step(users, t->gradient.touched_users, t->gradient.n_touched_users, t->gradient.users, t->in.pool);
    if (!content && t->composed) move_composed(t);
    else if (t->gradient.items_dense) cllm__adam_table_step_dense(items, t->gradient.items, t->in.pool);
    else cllm__adam_table_step(items, t->gradient.touched_items, t->gradient.n_touched_items, t->gradient.items, t->in.pool);
    return CLLM_OK;
}

/* ---- Phases ---- */

static void flush(cllm__trainer *t) {
    cllm__adam_table_flush(&t->collab_users, t->in.pool);
    cllm__adam_table_flush(&t->collab_items, t->in.pool);
    cllm__adam_table_flush(&t->content_users, t->in.pool);
    cllm__adam_table_flush(&t->content_items, t->in.pool);
    if (t->one_table) cllm__tables_copy(&t->content, &t->collab);
}

/* Learning rates of the phase that begins; all rows are up to date. */
static void set_rates(cllm__trainer *t, cllm__position at) {
    double lr = lr_of(&t->config, at);
    if (cllm__phase_is_content(at.phase) && !t->one_table) t->content_users.adam.lr = t->content_items.adam.lr = lr;
    else t->collab_users.adam.lr = t->collab_items.adam.lr = t->vectors.adam.lr = lr;
}

/* Pretraining is over: finetuning, if there is any, starts with fresh optimisers, from the tables of the lowest loss if so configured. */
static void begin_finetuning(cllm__trainer *t) {
    if (t->config.keep_best_loss) {
        if (isfinite(t->lowest_collab_loss) && !t->composed) cllm__tables_copy(&t->collab, &t->best_collab);
        if (isfinite(t->lowest_content_loss)) cllm__tables_copy(&t->content, &t->best_content);
    }
    cllm__adam adam = adam_at(t->config.lr[2]);
    cllm__adam_table_reset(&t->collab_users, adam);
    cllm__adam_table_reset(&t->collab_items, adam);
    if (t->composed) cllm__adam_table_reset(&t->vectors, adam);
    cllm__adam_table_reset(&t->content_users, adam);
    cllm__adam_table_reset(&t->content_items, adam);
}

/* The authors' program keeps the pretraining tables with the lowest training loss, regulariser included. A loss with the
 * regulariser seldom beats the last one without, so the content tables then stay those of the warm-up (paper.md B10). */
static void keep_lowest_loss(cllm__trainer *t, cllm__phase phase, double loss) {
    if (phase == CLLM__PHASE_COLLAB && loss < t->lowest_collab_loss) {
        t->lowest_collab_loss = loss;
        cllm__tables_copy(&t->best_collab, &t->collab);
    }
    if ((phase == CLLM__PHASE_WARMUP || phase == CLLM__PHASE_CONTENT) && loss < t->lowest_content_loss) {
        t->lowest_content_loss = loss;
        cllm__tables_copy(&t->best_content, &t->content);
    }
}

static cllm_status validate(cllm__trainer *t, cllm__epoch_report *report, cllm_error *err) {
    int left = cllm__schedule_epochs(&t->config, CLLM__PHASE_REC) - 1 - report->epoch;
    if (t->in.validate == NULL || left % t->config.validate_every != 0) return CLLM_OK;
    CLLM_TRY(t->in.validate(t->in.context, &t->collab, &report->validation, err));
    report->validated = true;
    report->best = !t->has_best || t->config.select_last || report->validation.monitor > t->best_monitor;
    if (report->best) {
        t->has_best = true;
        t->best_monitor = report->validation.monitor;
        t->best_epoch = report->epoch;
        cllm__tables_copy(&t->best_collab, &t->collab);
        cllm__tables_copy(&t->best_content, &t->content);
    }
    return CLLM_OK;
}

/* The epoch at t->at is through: reports it, validates, and moves on to the next one. */
static cllm_status end_epoch(cllm__trainer *t, cllm_error *err) {
    cllm__position at = t->at;
    flush(t);
    const cllm__epoch_sums *s = &t->sums;
    double steps = s->steps > 0 ? (double)s->steps : 1;
    cllm__epoch_report report = {
        .phase = at.phase, .epoch = at.epoch, .steps = s->steps, .sequences = s->sequences, .rows = s->rows, .targets = s->targets,
        .predictions = s->predictions, .nll = s->targets > 0 ? s->nll / (double)s->targets : 0, .regulariser = s->regulariser / steps,
        .prior = s->prior / steps, .total = s->total / steps, .learning_rate = lr_of(&t->config, at), .seconds = s->seconds,
    };
    t->seconds_of[at.phase] += s->seconds;
    t->rows_of[at.phase] += (double)s->rows;
    if (t->config.keep_best_loss) keep_lowest_loss(t, at.phase, report.total);
    cllm__position next = cllm__schedule_next_epoch(&t->config, at);
    if (at.phase == CLLM__PHASE_REC) {
        CLLM_TRY(validate(t, &report, err));
        if (t->config.patience > 0 && report.validated && at.epoch - t->best_epoch >= t->config.patience) {
            cllm__log(t->in.host, CLLM_LOG_INFO, "no better validation for %d epochs: stopping; the best was epoch %d", t->config.patience,
                      t->best_epoch + 1);
            next = (cllm__position){.phase = CLLM__PHASE_DONE};
        }
    }
    if (t->in.epoch_done != NULL) CLLM_TRY(t->in.epoch_done(t->in.context, &report, err));
    bool was_pretraining = at.phase < CLLM__PHASE_REC;
    t->at = next;
    t->sums = (cllm__epoch_sums){0};
    t->order_count = 0;
    if (was_pretraining && next.phase >= CLLM__PHASE_REC) begin_finetuning(t);
    return CLLM_OK;
}

/* Seconds for all that comes after the present epoch, by what was measured so far; < 0 when that is too little. */
static double seconds_left(const cllm__trainer *t) {
    double seconds = 0, rows = 0;
    for (int p = 0; p < CLLM__PHASES; p++) {
        seconds += t->seconds_of[p];
        rows += t->rows_of[p];
    }
    seconds += t->sums.seconds;
    rows += (double)t->sums.rows;
    if (rows <= 0 || seconds <= 0) return -1;
    const cllm__corpus *corpus = t->in.corpus;
    double history = (double)t->in.train->count + 10.0 * (double)t->n_users_active;
    double documents = ((double)corpus->n_tokens + 8.0 * (double)corpus->count) * t->config.content_share, left = 0;
    for (int p = 0; p < CLLM__PHASES; p++) {
        int epochs = cllm__schedule_epochs(&t->config, (cllm__phase)p) - cllm__schedule_done(&t->config, (cllm__phase)p, t->at);
        if ((cllm__phase)p == t->at.phase) epochs--;
        if (epochs <= 0) continue;
        double per_row = t->rows_of[p] > 0 ? t->seconds_of[p] / t->rows_of[p] : seconds / rows;
        left += epochs * per_row * (cllm__phase_is_content((cllm__phase)p) ? documents : history);
    }
    return left;
}

/* A batch of a phase that is over, or the present one's: saves when it is time to, or when asked to stop. */
static cllm_status between_steps(cllm__trainer *t, cllm_error *err) {
    bool stop = cllm__cancelled(t->in.host);
    if (t->in.save != NULL && (stop || cllm__now() - t->last_save >= t->config.checkpoint_seconds)) {
        CLLM_TRY(t->in.save(t->in.context, err));
        t->last_save = cllm__now();
    }
    return stop ? cllm__fail(err, CLLM_ERR_INTERRUPTED, "interrupted in %s epoch %d", cllm__phase_name(t->at.phase), t->at.epoch + 1) : CLLM_OK;
}

static cllm_status run_epoch(cllm__trainer *t, cllm_error *err) {
    cllm__phase phase = t->at.phase;
    set_rates(t, t->at);
    make_order(t, phase, t->at.epoch);
    char name[48], detail[128] = "";
    snprintf(name, sizeof name, "%s %d/%d", cllm__phase_name(phase), t->at.epoch + 1, cllm__schedule_epochs(&t->config, phase));
    size_t steps = epoch_steps(t, phase);
    cllm__meter meter = cllm__meter_begin(t->in.host, name, cllm__phase_is_content(phase) ? "texts" : "users", (double)t->order_count);
    while (t->at.batch < steps) {
        CLLM_TRY(between_steps(t, err));
        double began = cllm__now();
        cllm__loss loss;
        CLLM_TRY(step(t, t->at, &loss, err));
        cllm__epoch_sums *s = &t->sums;
        s->nll += loss.nll_sum;
        s->regulariser += loss.regulariser;
        s->prior += loss.prior;
        s->total += loss.total;
        s->targets += loss.targets;
        s->predictions += loss.predictions;
        s->steps++;
        s->sequences += t->batch.sequences;
        s->rows += cllm__batch_rows(&t->batch);
        s->seconds += cllm__now() - began;
        t->at.batch++;
        snprintf(detail, sizeof detail, "nll %.4f  reg %.4g  loss %.4g", s->targets > 0 ? s->nll / (double)s->targets : 0,
                 s->regulariser / (double)s->steps, s->total / (double)s->steps);
        meter.rest_seconds = seconds_left(t);
        cllm__meter_update(&meter, (double)s->sequences, detail);
    }
    cllm__meter_end(&meter, (double)t->sums.sequences, detail);
    cllm_status status = end_epoch(t, err);
    /* Stopped while it validated: the epoch's steps are done and worth keeping. */
    if (status == CLLM_ERR_INTERRUPTED && t->in.save != NULL) CLLM_TRY(t->in.save(t->in.context, err));
    return status;
}

cllm_status cllm__trainer_run(cllm__trainer *t, cllm_error *err) {
    t->last_save = cllm__now();
    while (t->at.phase != CLLM__PHASE_DONE) CLLM_TRY(run_epoch(t, err));
    if (t->has_best) {
        cllm__tables_copy(&t->collab, &t->best_collab);
        cllm__tables_copy(&t->content, &t->best_content);
    }
    return CLLM_OK;
}

/* ---- What a run would cost ---- */

/* Rows and FLOPs of one epoch of a phase: its batches are built, not run. Large epochs are sampled. */
static cllm_status measure_epoch(cllm__trainer *t, cllm__phase phase, cllm__plan *plan, cllm_error *err) {
    make_order(t, phase, 0);
    size_t steps = epoch_steps(t, phase), stride = steps > 200 ? steps / 200 : 1, seen = 0;
    double rows = 0, flops = 0;
    for (size_t i = 0; i < steps; i += stride, seen++) {
        CLLM_TRY(build_batch(t, (cllm__position){phase, 0, i}, err));
        rows += (double)cllm__batch_rows(&t->batch);
        flops += cllm__engine_flops(t->engine, &t->batch, t->in.train->n_items, true);
    }
    double scale = seen > 0 ? (double)steps / (double)seen : 0;
    plan->phase[phase].rows = rows * scale;
    plan->phase[phase].flops = flops * scale;
    plan->phase[phase].examples = t->order_count;
    return CLLM_OK;
}

/* Seconds of one epoch: real steps for `probe` seconds after one for warming up, scaled by FLOPs. */
static cllm_status time_epoch(cllm__trainer *t, cllm__phase phase, double probe, cllm__plan *plan, cllm_error *err) {
    make_order(t, phase, 0);
    set_rates(t, (cllm__position){.phase = phase});
    size_t steps = epoch_steps(t, phase);
    double seconds = 0, flops = 0;
    for (size_t i = 0; i <= steps && (i < 2 || seconds < probe); i++) {
        cllm__position at = {phase, 0, i % steps};
        cllm__loss loss;
        double began = cllm__now();
        CLLM_TRY(step(t, at, &loss, err));
        if (i == 0 && steps > 1) continue;
        seconds += cllm__now() - began;
        flops += cllm__engine_flops(t->engine, &t->batch, t->in.train->n_items, true);
        CLLM_TRY(cllm__check_cancelled(t->in.host, err));
    }
    double began = cllm__now();
    flush(t);
    seconds += cllm__now() - began;
    plan->phase[phase].seconds = flops > 0 ? seconds * plan->phase[phase].flops / flops : seconds;
    return CLLM_OK;
}

cllm_status cllm__trainer_plan(cllm__trainer *t, double probe_seconds, cllm__plan *result, cllm_error *err) {
    cllm__plan plan = {0};
    static const cllm__phase same_as[CLLM__PHASES] = {CLLM__PHASE_CONTENT, CLLM__PHASE_COLLAB, CLLM__PHASE_CONTENT, CLLM__PHASE_REC,
                                                      CLLM__PHASE_CONTENT};
    bool done[CLLM__PHASES] = {false};
    for (int p = 0; p < CLLM__PHASES; p++) {
        cllm__phase kind = same_as[p];
        int epochs = cllm__schedule_epochs(&t->config, (cllm__phase)p);
        if (epochs == 0) continue;
        if (!done[kind]) {
            CLLM_TRY(measure_epoch(t, kind, &plan, err));
            CLLM_TRY(time_epoch(t, kind, probe_seconds, &plan, err));
            done[kind] = true;
        }
        plan.phase[p] = plan.phase[kind];
        plan.seconds += epochs * plan.phase[p].seconds;
        plan.tokens += epochs * plan.phase[p].rows;
        plan.flops += epochs * plan.phase[p].flops;
    }
    if (t->in.validate != NULL && cllm__schedule_epochs(&t->config, CLLM__PHASE_REC) > 0) {
        double began = cllm__now();
        cllm__validation unused;
        CLLM_TRY(t->in.validate(t->in.context, &t->collab, &unused, err));
        int epochs = cllm__schedule_epochs(&t->config, CLLM__PHASE_REC), every = t->config.validate_every;
        plan.validation_seconds = (cllm__now() - began) * ((epochs + every - 1) / every);
        plan.seconds += plan.validation_seconds;
    }
    /* Two sets of tables with their best copies and two moments each, and one gradient. */
    plan.memory = 9 * (t->collab.n_users + t->collab.n_items) * t->collab.width * sizeof(cllm__real);
    CLLM_TRY(init_tables(t, err));
    *result = plan;
    return CLLM_OK;
}

/* Seconds of the schedule without content epochs, and of its content epochs at a share of 1. */
static void seconds_of_schedule(const cllm__plan *plan, double validation, const cllm__train_config *config, double *other, double *content) {
    *other = validation * cllm__schedule_epochs(config, CLLM__PHASE_REC);
    *content = 0;
    for (int p = 0; p < CLLM__PHASES; p++) {
        double seconds = plan->phase[p].seconds * cllm__schedule_epochs(config, (cllm__phase)p);
        *(cllm__phase_is_content((cllm__phase)p) ? content : other) += seconds;
    }
}

cllm_status cllm__plan_fit(const cllm__plan *plan, double seconds, cllm__train_config *config, cllm_error *err) {
    cllm__train_config fitted = *config;
    int rec_epochs = cllm__schedule_epochs(config, CLLM__PHASE_REC);
    double validation = rec_epochs > 0 ? plan->validation_seconds / rec_epochs : 0, other, content;
    seconds_of_schedule(plan, validation, config, &other, &content);
    if (other + content <= seconds) return CLLM_OK;
    /* Texts cost most, so a content epoch gives way first: it visits a share of them. Epochs become fewer, all stages alike, where
     * the rest alone would take more than half of the time (all of it without texts). */
    double room = content > 0 ? seconds / 2 : seconds, part = other > room ? room / other : 1;
    for (int i = 0; i < 3; i++) {
        int epochs = (int)(config->epochs[i] * part);
        fitted.epochs[i] = epochs < 1 && config->epochs[i] > 0 ? 1 : epochs;
    }
    seconds_of_schedule(plan, validation, &fitted, &other, &content);
    double share = content > 0 ? (seconds - other) / content : other <= seconds ? 1 : 0;
    if (share < 1e-3) {
        return cllm__fail(err, CLLM_ERR_USAGE, "a budget of %.0f s is too short: the shortest schedule takes about %.0f s", seconds, other + 1e-3 * content);
    }
    fitted.content_share *= share < 1 ? share : 1;
    *config = fitted;
    return CLLM_OK;
}
