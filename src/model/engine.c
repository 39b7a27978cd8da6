#include "model/engine.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/ops.h"
#include "model/pooled_head.h"

struct cllm__engine {
    const cllm__backbone *backbone;
    const cllm__backbone_info *info;
    cllm__pool *pool;
    cllm__pass *pass;
    cllm__heads heads;
    const cllm__weight *packed_items; /* borrowed, may be NULL */
    cllm__bag bag; /* scale 0: the backbone reads */
    size_t bag_width;
    size_t group_rows;
    /* of one group */
    cllm__real *x, *dx; /* [rows × width] */
    cllm__real *h, *dh; /* [n_out × width] */
    cllm__real *loudness, *dloudness;
    size_t *start, *out_rows;
    /* of a batch */
    double *nll;          /* [n_out] */
    cllm__real *readouts; /* [n_out × width] */
    struct {
        size_t x, dx, h, dh, loudness, dloudness, start, out_rows, nll, readouts;
    } room;
};

cllm_status cllm__engine_create(cllm__engine **out, const cllm__backbone *backbone, cllm__dtype dtype, cllm__pool *pool,
                                cllm_error *err) {
    cllm__engine *engine = NULL;
    CLLM_TRY(CLLM_NEW(engine, 1, err));
    engine->backbone = backbone;
    engine->info = cllm__backbone_info_of(backbone);
    engine->pool = pool;
    engine->heads = (cllm__heads){.dtype = dtype, .pool = pool};
    /* A layer's activations grow with rows × width: narrow models take more rows for the same cache. */
    engine->group_rows = CLLM__GROUP_ROWS;
    while (engine->group_rows < 8 * CLLM__GROUP_ROWS && 2 * engine->group_rows * engine->info->width <= CLLM__GROUP_ROWS * 768)
        engine->group_rows *= 2;
    cllm_status status = cllm__pass_create(&engine->pass, backbone, pool, err);
    if (status != CLLM_OK) {
        cllm__free(engine);
        return status;
    }
    *out = engine;
    return CLLM_OK;
}

void cllm__engine_free(cllm__engine *engine) {
    if (engine == NULL) return;
    cllm__pass_free(engine->pass);
    cllm__heads_free(&engine->heads);
    cllm__free(engine->x);
    cllm__free(engine->dx);
    cllm__free(engine->h);
    cllm__free(engine->dh);
    cllm__free(engine->loudness);
    cllm__free(engine->dloudness);
    cllm__free(engine->start);
    cllm__free(engine->out_rows);
    cllm__free(engine->nll);
    cllm__free(engine->readouts);
    cllm__free(engine);
}

const cllm__backbone *cllm__engine_backbone(const cllm__engine *engine) {
    return engine->backbone;
}

void cllm__engine_set_bag(cllm__engine *engine, const cllm__bag *bag, size_t width) {
    engine->bag = bag != NULL ? *bag : (cllm__bag){0};
    engine->bag_width = width;
}

static bool reads_bag(const cllm__engine *engine, const cllm__batch *batch) {
    return engine->bag.scale > 0 && (batch->stage == CLLM__STAGE_REC || batch->stage == CLLM__STAGE_PROMPT);
}

/* ---- Groups ---- */

/* Sequences [first, end) of a batch, on their way through the backbone together. */
typedef struct group {
    size_t number, first, end;
    size_t first_row, rows; /* of the batch */
    size_t first_out, n_out;
} group;

/* The next group behind `g` ({0} before the first): the batch's rows are cut into equal parts, and a sequence belongs to the
 * part that holds its middle. False when there is none. */
static bool next_group(const cllm__engine *engine, const cllm__batch *batch, group *g) {
    size_t total = cllm__batch_rows(batch), parts = (total + engine->group_rows - 1) / engine->group_rows;
    size_t s = g->end;
    if (s >= batch->sequences || total == 0) return false;
    size_t number = g->number;
    *g = (group){.number = number + 1, .first = s, .end = s};
    size_t part = (batch->start[s] + batch->start[s + 1]) / 2 * parts / total;
    while (g->end < batch->sequences && (batch->start[g->end] + batch->start[g->end + 1]) / 2 * parts / total <= part) g->end++;
    g->first_row = batch->start[g->first];
    g->rows = batch->start[g->end] - g->first_row;
    g->first_out = batch->out_start[g->first];
    g->n_out = batch->out_start[g->end] - g->first_out;
    return true;
}

typedef struct gather {
    const cllm__engine *engine;
    const int32_t *tokens;
    const cllm__tables *tables;
    size_t rows;
} gather;

enum { GATHER_ROWS = 16 };

static void gather_task(void *context, size_t task, int worker) {
    (void)worker;
    const gather *g = context;
    size_t width = g->engine->info->width, end = (task + 1) * GATHER_ROWS < g->rows ? (task + 1) * GATHER_ROWS : g->rows;
    for (size_t t = task * GATHER_ROWS; t < end; t++) {
        const cllm__real *row = cllm__tables_row(g->tables, g->engine->info->vocabulary, g->tokens[t]);
        if (row != NULL) memcpy(g->engine->x + t * width, row, width * sizeof *row);
        else cllm__backbone_embed(g->engine->backbone, g->tokens[t], g->engine->x + t * width);
    }
}

/* The group's last hidden states into engine->h. */
static cllm_status forward(cllm__engine *engine, const cllm__batch *batch, const cllm__tables *tables, const group *g,
                           cllm__forward_options options, cllm_error *err) {
    size_t width = engine->info->width, sequences = 0;
    CLLM_TRY(CLLM_GROW(engine->x, engine->room.x, g->rows * width, err));
    CLLM_TRY(CLLM_GROW(engine->h, engine->room.h, g->n_out * width, err));
    CLLM_TRY(CLLM_GROW(engine->start, engine->room.start, g->end - g->first + 1, err));
    CLLM_TRY(CLLM_GROW(engine->out_rows, engine->room.out_rows, g->n_out, err));
    engine->start[0] = 0;
    for (size_t s = g->first; s < g->end; s++)
        if (batch->start[s + 1] > batch->start[s]) engine->start[++sequences] = batch->start[s + 1] - g->first_row;
    for (size_t i = 0; i < g->n_out; i++) engine->out_rows[i] = batch->out_rows[g->first_out + i] - g->first_row;
    gather work = {engine, batch->tokens + g->first_row, tables, g->rows};
    cllm__pool_run(engine->pool, (g->rows + GATHER_ROWS - 1) / GATHER_ROWS, gather_task, &work);
    cllm__ragged ragged = {sequences, engine->start};
    return cllm__pass_forward(engine->pass, ragged, engine->x, engine->out_rows, g->n_out, options, engine->h, err);
}

static cllm_status check_tables(const cllm__engine *engine, const cllm__batch *batch, const cllm__tables *tables, cllm_error *err) {
    if (tables->width != engine->info->width && !reads_bag(engine, batch))
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the token tables have width %zu and the backbone %zu", tables->width,
                          engine->info->width);
    size_t end = engine->info->vocabulary + tables->n_users + tables->n_items;
    for (size_t t = 0; t < cllm__batch_rows(batch); t++)
        if (batch->tokens[t] < 0 || (size_t)batch->tokens[t] >= end)
            return cllm__fail(err, CLLM_ERR_MISMATCH, "token %d of a batch is outside of %zu words, %zu users and %zu items",
                              (int)batch->tokens[t], engine->info->vocabulary, tables->n_users, tables->n_items);
    return CLLM_OK;
}

/* ---- Coupling and prior ---- */

typedef struct coupling {
    double weight;   /* of ‖own − other‖² */
    double prior;    /* of ‖own‖² */
    double distance; /* Σ ‖own − other‖² so far */
    double square;   /* Σ ‖own‖² so far */
} coupling;

/* d/dz w·‖z − o‖² = 2w·(z − o); the prior's is the same with o = 0. */
static void couple_row(coupling *c, const cllm__real *own, const cllm__real *other, size_t width, cllm__real *gradient) {
    if (other != NULL) {
        c->distance += cllm__distance2(own, other, width);
        if (gradient != NULL) {
            cllm__axpy(gradient, (cllm__real)(2 * c->weight), own, width);
            cllm__axpy(gradient, (cllm__real)(-2 * c->weight), other, width);
        }
    }
    if (c->prior != 0) {
        c->square += cllm__dot(own, own, width);
        if (gradient != NULL) cllm__axpy(gradient, (cllm__real)(2 * c->prior), own, width);
    }
}

static void couple(coupling *c, const cllm__batch *batch, const cllm__tables *own, const cllm__tables *other,
                   cllm__gradient *gradient) {
    size_t width = own->width;
    if (c->weight == 0) other = NULL;
    if (other == NULL && c->prior == 0) return;
    for (size_t i = 0; i < batch->n_reg_users; i++) {
        size_t at = (size_t)batch->reg_users[i] * width;
        couple_row(c, own->users + at, other != NULL ? other->users + at : NULL, width,
                   gradient != NULL ? cllm__gradient_user(gradient, batch->reg_users[i]) : NULL);
    }
    for (size_t i = 0; i < batch->n_reg_items; i++) {
        size_t at = (size_t)batch->reg_items[i] * width;
        couple_row(c, own->items + at, other != NULL ? other->items + at : NULL, width,
                   gradient != NULL ? cllm__gradient_item(gradient, batch->reg_items[i]) : NULL);
    }
}

/* ---- A step ---- */

/* Adds the gradient by the inputs to the rows of the tokens, in the order of the batch. */
static void scatter(const cllm__engine *engine, const cllm__batch *batch, const group *g, cllm__gradient *gradient) {
    size_t width = engine->info->width, vocabulary = engine->info->vocabulary;
    for (size_t t = 0; t < g->rows; t++) {
        size_t token = (size_t)batch->tokens[g->first_row + t];
        if (token < vocabulary) continue;
        size_t row = token - vocabulary;
        cllm__real *to = row < gradient->n_users ? cllm__gradient_user(gradient, (int32_t)row)
                                                 : cllm__gradient_item(gradient, (int32_t)(row - gradient->n_users));
        cllm__axpy(to, 1, engine->dx + t * width, width);
    }
}

static cllm_status check_step(const cllm__engine *engine, const cllm__batch *batch, const cllm__tables *own,
                              const cllm__tables *other, const cllm__objective *objective, const cllm__gradient *gradient,
                              cllm_error *err) {
    CLLM_ASSERT(batch->stage != CLLM__STAGE_PROMPT);
    CLLM_TRY(check_tables(engine, batch, own, err));
    if (objective->lambda_c != 0 && (other == NULL || !cllm__tables_same_shape(own, other)))
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the regulariser needs the other model's tables in the same shape");
    if (gradient != NULL && (gradient->n_users != own->n_users || gradient->n_items != own->n_items || gradient->width != own->width))
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the gradient has another shape than the tables");
    for (size_t i = 0; i < batch->n_reg_users; i++) CLLM_ASSERT((size_t)batch->reg_users[i] < own->n_users);
    for (size_t i = 0; i < batch->n_reg_items; i++) CLLM_ASSERT((size_t)batch->reg_items[i] < own->n_items);
    return CLLM_OK;
}

static cllm_status head(cllm__engine *engine, const cllm__batch *batch, const cllm__tables *own, const cllm__objective *objective,
                        const group *g, double weight, cllm__gradient *gradient, bool add, cllm_error *err) {
    size_t width = own->width;
    cllm__real *dh = gradient != NULL ? engine->dh : NULL;
    double *nll = engine->nll + g->first_out;
    if (batch->stage == CLLM__STAGE_CONTENT)
        return cllm__word_head(&engine->heads, engine->h, g->n_out, width, engine->backbone, batch->targets + g->first_out, weight, nll,
                               dh, err);
    /* In rec each sequence reads one row, so the lists by sequence are lists by row. */
    cllm__head_targets targets = {.targets = batch->targets + g->first_out};
    if (batch->stage == CLLM__STAGE_REC)
        targets = (cllm__head_targets){.start = batch->target_start + g->first, .targets = batch->target_items};
    return cllm__item_head(&engine->heads, engine->h, g->n_out, width, own->items, own->n_items, objective->cold_items,
                           batch->joint ? engine->backbone : NULL, targets, weight, nll, dh, gradient != NULL ? gradient->items : NULL, add, err);
}

/* Each item of a prompt for itself: the voices of a batch, into engine->h. */
static cllm_status gather_voices(cllm__engine *engine, const cllm__batch *batch, const cllm__tables *tables, cllm__voices *voices, cllm_error *err) {
    size_t vocabulary = engine->info->vocabulary;
    CLLM_TRY(CLLM_GROW(engine->start, engine->room.start, batch->sequences + 1, err));
    cllm__bag_rows(batch, vocabulary + tables->n_users, engine->start);
    CLLM_TRY(CLLM_GROW(engine->h, engine->room.h, engine->start[batch->sequences] * tables->width, err));
    CLLM_TRY(CLLM_GROW(engine->loudness, engine->room.loudness, engine->start[batch->sequences], err));
    cllm__bag_voices(engine->bag, batch, vocabulary, tables, engine->start, engine->h, engine->loudness, engine->pool);
    *voices = (cllm__voices){engine->h, engine->start, batch->sequences, tables->width, engine->bag.sharpness,
                             engine->bag.biases ? engine->loudness : NULL};
    return CLLM_OK;
}

static cllm_status voices_step(cllm__engine *engine, const cllm__batch *batch, const cllm__tables *own, const cllm__objective *objective,
                               double weight, cllm__gradient *gradient, cllm_error *err) {
    cllm__voices voices;
    const cllm__head_targets targets = {batch->target_start, batch->target_items};
    CLLM_TRY(gather_voices(engine, batch, own, &voices, err));
    if (gradient != NULL) CLLM_TRY(CLLM_GROW(engine->dh, engine->room.dh, voices.start[voices.sequences] * own->width, err));
    CLLM_TRY(CLLM_GROW(engine->dloudness, engine->room.dloudness, voices.start[voices.sequences], err));
    CLLM_TRY(cllm__pooled_head(&engine->heads, &voices, own->items, own->n_items, objective->cold_items, targets, weight, engine->nll,
                               gradient != NULL ? engine->dh : NULL, engine->dloudness, gradient != NULL ? gradient->items : NULL, err));
    if (gradient != NULL)
        cllm__bag_voices_backward(engine->bag, batch, engine->info->vocabulary, voices.start, engine->dh, engine->dloudness, gradient);
    return CLLM_OK;
}

/* The same step without the backbone, for all sequences at once. */
static cllm_status bag_step(cllm__engine *engine, const cllm__batch *batch, const cllm__tables *own, const cllm__objective *objective,
                            double weight, cllm__gradient *gradient, cllm_error *err) {
    group all = {.end = batch->sequences, .rows = cllm__batch_rows(batch), .n_out = batch->n_out};
    if (batch->n_out == 0) return CLLM_OK;
    if (engine->bag.sharpness > 0) return voices_step(engine, batch, own, objective, weight, gradient, err);
    CLLM_TRY(CLLM_GROW(engine->h, engine->room.h, batch->n_out * own->width, err));
    if (gradient != NULL) CLLM_TRY(CLLM_GROW(engine->dh, engine->room.dh, batch->n_out * own->width, err));
    cllm__bag_forward(engine->bag, batch, engine->info->vocabulary, own, engine->h, engine->pool);
    CLLM_TRY(head(engine, batch, own, objective, &all, weight, gradient, false, err));
    if (gradient != NULL)
        cllm__bag_backward(engine->bag, batch, engine->info->vocabulary, engine->dh, gradient);
    return CLLM_OK;
}

static cllm_status check_finite(const cllm__loss *loss, cllm_error *err) {
    const char *part = !isfinite(loss->likelihood) ? "likelihood" : !isfinite(loss->regulariser) ? "regulariser" : "prior";
    if (isfinite(loss->total)) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_DATA,
                      "the loss is not finite (%s: likelihood %g, regulariser %g, prior %g); a lower learning rate may help", part,
                      loss->likelihood, loss->regulariser, loss->prior);
}

cllm_status cllm__engine_step(cllm__engine *engine, const cllm__batch *batch, const cllm__tables *own, const cllm__tables *other,
                              const cllm__objective *objective, cllm__gradient *gradient, cllm__loss *loss, cllm_error *err) {
    CLLM_TRY(check_step(engine, batch, own, other, objective, gradient, err));
    size_t width = own->width;
    bool map = objective->reg == CLLM__REG_MAP, items = batch->stage != CLLM__STAGE_CONTENT;
    double weight = map || batch->n_out == 0 ? 1 : 1 / (double)batch->n_out;
    CLLM_TRY(CLLM_GROW(engine->nll, engine->room.nll, batch->n_out, err));
    if (gradient != NULL) cllm__gradient_reset(gradient, items && batch->n_out > 0);

    bool first = true, bag = reads_bag(engine, batch);
    if (bag) CLLM_TRY(bag_step(engine, batch, own, objective, weight, gradient, err));
    for (group g = {0}; !bag && next_group(engine, batch, &g);) {
        if (g.n_out == 0) continue;
        if (gradient != NULL) {
            CLLM_TRY(CLLM_GROW(engine->dx, engine->room.dx, g.rows * width, err));
            CLLM_TRY(CLLM_GROW(engine->dh, engine->room.dh, g.n_out * width, err));
        }
        cllm__forward_options options = {.keep = gradient != NULL, .dropout = objective->dropout,
                                         .key = objective->dropout_key + g.number * 0x9E3779B97F4A7C15u};
        CLLM_TRY(forward(engine, batch, own, &g, options, err));
        CLLM_TRY(head(engine, batch, own, objective, &g, weight, gradient, !first, err));
        first = false;
        if (gradient == NULL) continue;
        CLLM_TRY(cllm__pass_backward(engine->pass, engine->dh, engine->dx, err));
        scatter(engine, batch, &g, gradient);
    }

    coupling c = {.weight = map ? objective->lambda_c / 2 : objective->lambda_c,
                  .prior = map && batch->stage == CLLM__STAGE_COLLAB ? objective->lambda_l / 2 : 0};
    couple(&c, batch, own, other, gradient);
    if (gradient != NULL) cllm__gradient_finish(gradient);

    cllm__loss result = {.predictions = batch->n_out,
                         .targets = batch->stage == CLLM__STAGE_REC && batch->sequences > 0 ? batch->target_start[batch->sequences]
                                                                                             : batch->n_out - batch->n_joining,
                         .regulariser = c.weight * c.distance,
                         .prior = c.prior * c.square};
    for (size_t i = 0; i < batch->n_out; i++) result.nll_sum += engine->nll[i];
    result.likelihood = weight * result.nll_sum;
    result.total = result.likelihood + result.regulariser + result.prior;
    CLLM_TRY(check_finite(&result, err));
    *loss = result;
    return CLLM_OK;
}

/* ---- Without gradients ---- */

void cllm__engine_set_packed_items(cllm__engine *engine, const cllm__weight *packed) {
    engine->packed_items = packed;
}

cllm_status cllm__engine_score(cllm__engine *engine, const cllm__tables *tables, const cllm__batch *batch, float *scores,
                               cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_PROMPT || batch->stage == CLLM__STAGE_REC);
    const cllm__weight *packed = engine->packed_items;
    if (packed != NULL && (cllm__weight_rows(packed) != tables->width || cllm__weight_columns(packed) != tables->n_items))
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the packed items are %zu of width %zu, the table's %zu of width %zu",
                          cllm__weight_columns(packed), cllm__weight_rows(packed), tables->n_items, tables->width);
    if (reads_bag(engine, batch) && engine->bag.sharpness > 0) {
        cllm__voices voices;
        CLLM_TRY(check_tables(engine, batch, tables, err));
        CLLM_TRY(gather_voices(engine, batch, tables, &voices, err));
        return cllm__pooled_scores(&engine->heads, &voices, tables->items, tables->n_items, scores, err);
    }
    /* All readouts first: the items are packed, or streamed, once for all of them. */
    CLLM_TRY(CLLM_GROW(engine->readouts, engine->room.readouts, batch->n_out * tables->width, err));
    CLLM_TRY(cllm__engine_hidden(engine, tables, batch, engine->readouts, err));
    return cllm__item_scores(&engine->heads, engine->readouts, batch->n_out, tables->width, tables->items, tables->n_items, packed,
                             scores, err);
}

cllm_status cllm__engine_text_nll(cllm__engine *engine, const cllm__tables *tables, const cllm__batch *batch, double *nll,
                                  size_t *counts, cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_CONTENT);
    CLLM_TRY(check_tables(engine, batch, tables, err));
    CLLM_TRY(CLLM_GROW(engine->nll, engine->room.nll, batch->n_out, err));
    for (group g = {0}; next_group(engine, batch, &g);) {
        if (g.n_out == 0) continue;
        CLLM_TRY(forward(engine, batch, tables, &g, (cllm__forward_options){0}, err));
        CLLM_TRY(cllm__word_head(&engine->heads, engine->h, g.n_out, tables->width, engine->backbone, batch->targets + g.first_out, 1,
                                 engine->nll + g.first_out, NULL, err));
    }
    for (size_t s = 0; s < batch->sequences; s++) {
        nll[s] = 0;
        for (size_t i = batch->out_start[s]; i < batch->out_start[s + 1]; i++) nll[s] += engine->nll[i];
        counts[s] = batch->out_start[s + 1] - batch->out_start[s];
    }
    return CLLM_OK;
}

cllm_status cllm__engine_hidden(cllm__engine *engine, const cllm__tables *tables, const cllm__batch *batch, cllm__real *hidden,
                                cllm_error *err) {
    CLLM_TRY(check_tables(engine, batch, tables, err));
    if (reads_bag(engine, batch)) {
        cllm__bag_forward(engine->bag, batch, engine->info->vocabulary, tables, hidden, engine->pool);
        return CLLM_OK;
    }
    for (group g = {0}; next_group(engine, batch, &g);) {
        if (g.n_out == 0) continue;
        CLLM_TRY(forward(engine, batch, tables, &g, (cllm__forward_options){0}, err));
        memcpy(hidden + g.first_out * tables->width, engine->h, g.n_out * tables->width * sizeof *hidden);
    }
    return CLLM_OK;
}

double cllm__engine_flops(const cllm__engine *engine, const cllm__batch *batch, size_t n_items, bool gradient) {
    const cllm__backbone_info *info = engine->info;
    bool items = batch->stage != CLLM__STAGE_CONTENT;
    double rows = (double)cllm__batch_rows(batch), out = (double)batch->n_out, pairs = 0;
    if (batch->sequences == 0 || rows == 0) return 0;
    if (reads_bag(engine, batch)) return 2 * (engine->bag.sharpness > 0 ? rows : out) * (double)engine->bag_width * (double)n_items * (gradient ? 3 : 1);
    for (size_t s = 0; s < batch->sequences; s++) {
        double length = (double)(batch->start[s + 1] - batch->start[s]);
        pairs += length * (length + 1) / 2;
    }
    double body = cllm__backbone_flops(info, (cllm__ragged){batch->sequences, batch->start}, batch->n_out);
    double attention = 4 * ((double)info->layers - 1 + out / rows) * (double)(info->heads * info->head_width) * pairs;
    double head_once = 2 * out * (double)info->width * (double)((items ? n_items : 0) + (items && !batch->joint ? 0 : info->words));
    /* Backward to the inputs: the weights once more and attention twice more; the tied item head has its own gradient. */
    return gradient ? 2 * body + attention + head_once * (items ? 3 : 2) : body + head_once;
}
