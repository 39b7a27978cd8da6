#include "train/checkpoint.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/safetensors.h"

#ifdef CLLM_REF64
static const cllm__st_dtype REAL_DTYPE = CLLM_ST_F64;
#else
static const cllm__st_dtype REAL_DTYPE = CLLM_ST_F32;
#endif

/* ---- What a checkpoint holds: one list for writing and reading ---- */

enum { PARTS = 25 };

typedef struct part {
    const char *name;
    void *data;
    cllm__st_dtype dtype;
    size_t rows, width; /* width 0: a vector */
} part;

static size_t list_parts(const cllm__trainer *t, part parts[PARTS]) {
    size_t n = 0;
    const struct {
        const char *names[2];
        const cllm__tables *tables;
    } sets[] = {
        {{"collab.users", "collab.items"}, &t->collab},
        {{"content.users", "content.items"}, &t->content},
        {{"best.collab.users", "best.collab.items"}, &t->best_collab},
        {{"best.content.users", "best.content.items"}, &t->best_content},
    };
    for (size_t i = 0; i < CLLM_LEN(sets); i++) {
        const cllm__tables *s = sets[i].tables;
        parts[n++] = (part){sets[i].names[0], s->users, REAL_DTYPE, s->n_users, s->width};
        parts[n++] = (part){sets[i].names[1], s->items, REAL_DTYPE, s->n_items, s->width};
    }
    const struct {
        const char *names[3];
        const cllm__adam_table *table;
    } optimisers[] = {
        {{"adam.collab.users.first", "adam.collab.users.second", "adam.collab.users.step"}, &t->collab_users},
        {{"adam.collab.items.first", "adam.collab.items.second", "adam.collab.items.step"}, &t->collab_items},
        {{"adam.content.users.first", "adam.content.users.second", "adam.content.users.step"}, &t->content_users},
        {{"adam.content.items.first", "adam.content.items.second", "adam.content.items.step"}, &t->content_items},
    };
    for (size_t i = 0; i < CLLM_LEN(optimisers); i++) {
        const cllm__adam_table *a = optimisers[i].table;
        parts[n++] = (part){optimisers[i].names[0], a->first, REAL_DTYPE, a->rows, a->width};
        parts[n++] = (part){optimisers[i].names[1], a->second, REAL_DTYPE, a->rows, a->width};
        parts[n++] = (part){optimisers[i].names[2], a->row_step, CLLM_ST_U64, a->rows, 0};
    }
    if (t->composed) { /* the vectors' steps go with those of collab.users: all rows move in each */
        const cllm__composer *c = &t->composer;
        const cllm__adam_table *a = &t->vectors;
        parts[n++] = (part){"composer.free", c->free_parts, REAL_DTYPE, t->collab.n_items, c->width};
        parts[n++] = (part){"composer.vectors", c->vectors, REAL_DTYPE, a->rows, a->width};
        parts[n++] = (part){"adam.vectors.first", a->first, REAL_DTYPE, a->rows, a->width};
        parts[n++] = (part){"adam.vectors.second", a->second, REAL_DTYPE, a->rows, a->width};
        parts[n++] = (part){"adam.vectors.step", a->row_step, CLLM_ST_U64, a->rows, 0};
    }
    return n;
}

static cllm__tensor tensor_of(const part *p) {
    size_t count = p->rows * (p->width > 0 ? p->width : 1);
    return (cllm__tensor){.name = p->name, .dtype = p->dtype, .rank = p->width > 0 ? 2 : 1, .shape = {p->rows, p->width}, .data = p->data,
                          .bytes = count * cllm__st_dtype_size(p->dtype)};
}

/* Scalars as text: %a keeps every bit and knows infinities. */
typedef struct scalar {
    const char *name;
    double *number;    /* one of these three */
    uint64_t *counter;
    int *integer;
} scalar;

enum { SCALARS = 20 };

typedef struct scalars_view {
    int phase, has_best;
    uint64_t batch;
} scalars_view;

static size_t list_scalars(cllm__trainer *t, scalars_view *view, scalar scalars[SCALARS]) {
    const scalar all[] = {
        {"phase", NULL, NULL, &view->phase},
        {"epoch", NULL, NULL, &t->at.epoch},
        {"batch", NULL, &view->batch, NULL},
        {"sum.nll", &t->sums.nll, NULL, NULL},
        {"sum.regulariser", &t->sums.regulariser, NULL, NULL},
        {"sum.prior", &t->sums.prior, NULL, NULL},
        {"sum.total", &t->sums.total, NULL, NULL},
        {"sum.seconds", &t->sums.seconds, NULL, NULL},
        {"sum.steps", NULL, &t->sums.steps, NULL},
        {"sum.sequences", NULL, &t->sums.sequences, NULL},
        {"sum.rows", NULL, &t->sums.rows, NULL},
        {"sum.targets", NULL, &t->sums.targets, NULL},
        {"sum.predictions", NULL, &t->sums.predictions, NULL},
        {"best.known", NULL, NULL, &view->has_best},
        {"best.monitor", &t->best_monitor, NULL, NULL},
        {"best.epoch", NULL, NULL, &t->best_epoch},
        {"lowest.collab", &t->lowest_collab_loss, NULL, NULL},
        {"lowest.content", &t->lowest_content_loss, NULL, NULL},
        {"adam.collab.step", NULL, &t->collab_users.step, NULL},
        {"adam.content.step", NULL, &t->content_users.step, NULL},
    };
    _Static_assert(CLLM_LEN(all) == SCALARS, "the list and its size");
    memcpy(scalars, all, sizeof all);
    return CLLM_LEN(all);
}

/* ---- Saving ---- */

cllm_status cllm__checkpoint_save(const cllm__trainer *trainer, const char *path, const char *extra, cllm_error *err) {
    cllm__trainer t = *trainer; /* for the addresses of its scalars only */
    part parts[PARTS];
    cllm__tensor tensors[PARTS];
    size_t n = list_parts(trainer, parts);
    for (size_t i = 0; i < n; i++) tensors[i] = tensor_of(&parts[i]);
    scalars_view view = {.phase = (int)t.at.phase, .has_best = t.has_best, .batch = t.at.batch};
    scalar scalars[SCALARS];
    size_t n_scalars = list_scalars(&t, &view, scalars);
    char texts[SCALARS][40];
    const char *metadata[2 * (SCALARS + 2)];
    size_t pairs = 0;
    metadata[2 * pairs] = "format";
    metadata[2 * pairs++ + 1] = "cllm4rec checkpoint 1";
    for (size_t i = 0; i < n_scalars; i++) {
        const scalar *s = &scalars[i];
        if (s->number != NULL) snprintf(texts[i], sizeof texts[i], "%a", *s->number);
        else if (s->counter != NULL) snprintf(texts[i], sizeof texts[i], "%llu", (unsigned long long)*s->counter);
        else snprintf(texts[i], sizeof texts[i], "%d", *s->integer);
        metadata[2 * pairs] = s->name;
        metadata[2 * pairs++ + 1] = texts[i];
    }
    metadata[2 * pairs] = "extra";
    metadata[2 * pairs++ + 1] = extra != NULL ? extra : "";
    return cllm__safetensors_write(path, tensors, n, metadata, pairs, err);
}

/* ---- Loading ---- */

static cllm_status check_finite(const cllm__safetensors *file, const cllm__tensor *tensor, cllm_error *err) {
    cllm_status status = cllm__tensor_check_finite(tensor, err);
    if (status != CLLM_OK) cllm__error_prefix(err, "%s", cllm__safetensors_path(file));
    return status;
}

static cllm_status read_part(const cllm__safetensors *file, const part *p, cllm_error *err) {
    uint64_t shape[2] = {p->rows, p->width};
    const cllm__tensor *tensor;
    CLLM_TRY(cllm__safetensors_require(file, p->name, p->dtype, p->width > 0 ? 2 : 1, shape, &tensor, err));
    if (cllm__st_dtype_is_float(p->dtype)) CLLM_TRY(check_finite(file, tensor, err));
    if (tensor->bytes > 0) memcpy(p->data, tensor->data, tensor->bytes);
    return CLLM_OK;
}

static bool read_scalar(const scalar *s, const char *text) {
    char *end;
    errno = 0;
    if (s->number != NULL) {
        *s->number = strtod(text, &end);
        if (strncmp(s->name, "sum.", 4) == 0 ? !isfinite(*s->number) : isnan(*s->number)) return false;
    } else if (s->counter != NULL) {
        *s->counter = strtoull(text, &end, 10);
        if (errno != 0 || strchr(text, '-') != NULL) return false;
    } else {
        long value = strtol(text, &end, 10);
        if (errno != 0 || value < INT_MIN || value > INT_MAX) return false;
        *s->integer = (int)value;
    }
    return end != text && *end == '\0';
}

/* No more steps than the schedule and the epoch have: rows that wait replay those that they missed, of a damaged number for ever. */
static bool steps_fit(const cllm__trainer *t, cllm__phase phase, uint64_t batch_at) {
    uint64_t most = 0, here = 0, batch = (uint64_t)t->config.batch;
    for (int p = 0; p < CLLM__PHASE_DONE; p++) {
        uint64_t examples = cllm__epoch_examples(&t->config, (cllm__phase)p, t->n_users_active, t->in.corpus->count), steps = (examples + batch - 1) / batch;
        most += (uint64_t)cllm__schedule_epochs(&t->config, (cllm__phase)p) * steps;
        if (p == (int)phase) here = steps;
    }
    return t->collab_users.step <= most && t->content_users.step <= most && batch_at <= here;
}

static cllm_status read_scalars(cllm__trainer *t, const cllm__safetensors *file, cllm_error *err) {
    const char *path = cllm__safetensors_path(file);
    scalars_view view = {0};
    scalar scalars[SCALARS];
    size_t n = list_scalars(t, &view, scalars);
    for (size_t i = 0; i < n; i++) {
        const char *text = cllm__safetensors_metadata(file, scalars[i].name);
        if (text == NULL || !read_scalar(&scalars[i], text)) {
            return cllm__fail(err, CLLM_ERR_DATA, "'%s': '%s' is %s; the checkpoint is damaged, remove it to start over", path, scalars[i].name,
                              text == NULL ? "missing" : text);
        }
    }
    bool known = view.phase >= 0 && view.phase <= CLLM__PHASE_DONE;
    if (!known || t->at.epoch < 0 ||
        (view.phase < CLLM__PHASE_DONE && t->at.epoch >= cllm__schedule_epochs(&t->config, (cllm__phase)view.phase))) {
        return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' stands at phase %d, epoch %d, which the schedule does not have", path, view.phase, t->at.epoch);
    }
    if (!steps_fit(t, (cllm__phase)view.phase, view.batch)) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' stands at steps %llu and %llu, batch %llu, which the schedule does not have; the checkpoint is damaged, remove it to start over",
                          path, (unsigned long long)t->collab_users.step, (unsigned long long)t->content_users.step, (unsigned long long)view.batch);
    }
    if (t->best_epoch < -1 || t->best_epoch >= t->config.epochs[2]) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': 'best.epoch' is %d of %d epochs; the checkpoint is damaged, remove it to start over", path, t->best_epoch,
                          t->config.epochs[2]);
    }
    t->at.phase = (cllm__phase)view.phase;
    t->at.batch = (size_t)view.batch;
    t->has_best = view.has_best != 0;
    t->collab_items.step = t->collab_users.step;
    t->content_items.step = t->content_users.step;
    t->vectors.step = t->collab_users.step;
    return CLLM_OK;
}

cllm_status cllm__checkpoint_load(cllm__trainer *t, const char *path, char **extra, cllm_error *err) {
    cllm__safetensors *file;
    CLLM_TRY(cllm__safetensors_open(&file, path, err));
    cllm_status status = CLLM_OK;
    const char *format = cllm__safetensors_metadata(file, "format");
    if (format == NULL || strcmp(format, "cllm4rec checkpoint 1") != 0) {
        status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is no checkpoint of this version", path);
        goto cleanup;
    }
    part parts[PARTS];
    size_t n = list_parts(t, parts);
    for (size_t i = 0; i < n; i++) CLLM_TRY_CLEAN(read_part(file, &parts[i], err));
    CLLM_TRY_CLEAN(read_scalars(t, file, err));
    const cllm__adam_table *tables[] = {&t->collab_users, &t->collab_items, &t->content_users, &t->content_items, &t->vectors};
    for (size_t i = 0; i < CLLM_LEN(tables); i++) {
        for (size_t row = 0; row < tables[i]->rows; row++) {
            if (tables[i]->row_step[row] > tables[i]->step) {
                status = cllm__fail(err, CLLM_ERR_DATA, "'%s': row %zu is at step %llu of %llu; the checkpoint is damaged", path, row,
                                    (unsigned long long)tables[i]->row_step[row], (unsigned long long)tables[i]->step);
                goto cleanup;
            }
        }
    }
    if (extra != NULL) {
        const char *text = cllm__safetensors_metadata(file, "extra");
        *extra = cllm__strdup(text != NULL ? text : "");
        if (*extra == NULL) status = cllm__fail_nomem(err);
    }
    /* The rates of a running epoch are set when it goes on; those of the other set stay as the schedule had them. */
cleanup:
    cllm__safetensors_close(file);
    return status;
}

/* ---- The finished model ---- */

cllm_status cllm__model_save(const cllm__tables *collab, const cllm__tables *content, const uint8_t *item_state, const char *path,
                             cllm_error *err) {
    const part parts[] = {
        {"collab.users", collab->users, REAL_DTYPE, collab->n_users, collab->width},
        {"collab.items", collab->items, REAL_DTYPE, collab->n_items, collab->width},
        {"content.users", content->users, REAL_DTYPE, content->n_users, content->width},
        {"content.items", content->items, REAL_DTYPE, content->n_items, content->width},
        {"items.state", (void *)(uintptr_t)item_state, CLLM_ST_U8, collab->n_items, 0},
    };
    cllm__tensor tensors[CLLM_LEN(parts)];
    for (size_t i = 0; i < CLLM_LEN(parts); i++) tensors[i] = tensor_of(&parts[i]);
    const char *metadata[] = {"format", "cllm4rec model 1"};
    return cllm__safetensors_write(path, tensors, CLLM_LEN(parts), metadata, 1, err);
}

static cllm_status load_table(const cllm__safetensors *file, const char *name, size_t rows, size_t width, cllm__real *to, cllm_error *err) {
    uint64_t shape[] = {rows, width};
    const cllm__tensor *tensor;
    CLLM_TRY(cllm__safetensors_require_float(file, name, 2, shape, &tensor, err));
    CLLM_TRY(check_finite(file, tensor, err));
    return cllm__tensor_to_real(tensor, to, err);
}

cllm_status cllm__model_load(cllm__tables *collab, cllm__tables *content, uint8_t **item_state, const char *path, cllm_error *err) {
    cllm__safetensors *file;
    CLLM_TRY(cllm__safetensors_open(&file, path, err));
    cllm_status status;
    uint8_t *state = NULL;
    const uint64_t any[] = {UINT64_MAX, UINT64_MAX};
    const cllm__tensor *users, *items, *states;
    CLLM_TRY_CLEAN(cllm__safetensors_require_float(file, "collab.users", 2, any, &users, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require_float(file, "collab.items", 2, any, &items, err));
    size_t n_users = users->shape[0], n_items = items->shape[0], width = users->shape[1];
    cllm__tables *sets[] = {collab, content};
    const char *const names[2][2] = {{"collab.users", "collab.items"}, {"content.users", "content.items"}};
    for (size_t i = 0; i < 2; i++) {
        CLLM_TRY_CLEAN(cllm__tables_create(sets[i], n_users, n_items, width, err));
        CLLM_TRY_CLEAN(load_table(file, names[i][0], n_users, width, sets[i]->users, err));
        CLLM_TRY_CLEAN(load_table(file, names[i][1], n_items, width, sets[i]->items, err));
    }
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "items.state", CLLM_ST_U8, 1, (const uint64_t[]){n_items}, &states, err));
    CLLM_TRY_CLEAN(CLLM_NEW(state, n_items + 1, err));
    if (n_items > 0) memcpy(state, states->data, n_items);
    for (size_t i = 0; i < n_items; i++) {
        if (state[i] > CLLM__ITEM_UNKNOWN) {
            status = cllm__fail(err, CLLM_ERR_DATA, "'%s': items.state[%zu] is %d", path, i, state[i]);
            goto cleanup;
        }
    }
    *item_state = state;
    state = NULL;
cleanup:
    cllm__free(state);
    cllm__safetensors_close(file);
    return status;
}

void cllm__place_cold_items(cllm__tables *collab, const cllm__tables *content, const uint8_t *cold, const cllm__corpus *corpus,
                            uint8_t *item_state) {
    for (size_t i = 0; i < collab->n_items; i++) item_state[i] = cold[i] ? CLLM__ITEM_UNKNOWN : CLLM__ITEM_TRAINED;
    for (size_t d = 0; d < corpus->count; d++) {
        int32_t item = corpus->items[d];
        if (item < 0 || item_state[item] != CLLM__ITEM_UNKNOWN) continue;
        item_state[item] = CLLM__ITEM_FROM_TEXT;
        size_t at = (size_t)item * collab->width;
        memcpy(collab->items + at, content->items + at, collab->width * sizeof *collab->items);
    }
}
