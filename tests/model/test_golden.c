/* Losses, their parts, gradients, 20 Adam steps and the alternation of both presets, against an independent implementation
 * (tools/golden/cllm4rec.py). Compiled twice: in single and, as ref64_golden, in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "formats/safetensors.h"
#include "kernels/ops.h"
#include "model/engine.h"

#ifdef CLLM_REF64
#define LOSS_BOUND 1e-10
#define GRADIENT_BOUND 1e-9
#define TABLE_BOUND 1e-8 /* of the tables after Adam */
#else
#define LOSS_BOUND 1e-5
#define GRADIENT_BOUND 1e-4
#define TABLE_BOUND 1e-3 /* of the tables' change */
#endif

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { STAGES = 3 };
static const char *const stage_names[STAGES] = {"collab", "content", "rec"};

typedef struct stage_data {
    const int32_t *ids, *offsets, *prompt, *batches, *targets, *target_offsets;
} stage_data;

typedef struct fixture {
    cllm__safetensors *file;
    cllm__backbone *backbone;
    cllm__engine *engine;
    cllm__batch batch;
    cllm__batch_rules rules;
    cllm__objective objective;
    cllm__adam adam;
    cllm__tables initial[2]; /* collab, content */
    cllm__gradient gradient;
    stage_data stages[STAGES];
    void *copies[512]; /* tensors' values, aligned */
    size_t n_copies;
} fixture;

static const cllm__tensor *find(fixture *f, const char *prefix, const char *name) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const cllm__tensor *tensor = cllm__safetensors_find(f->file, full);
    if (tensor == NULL) fail_msg("no tensor %s", full);
    return tensor;
}

static const void *values(fixture *f, const cllm__tensor *tensor, cllm__st_dtype dtype) {
    assert_true(tensor->dtype == dtype && f->n_copies < CLLM_LEN(f->copies));
    void *copy = f->copies[f->n_copies++] = cllm__alloc(tensor->bytes, 1);
    memcpy(copy, tensor->data, tensor->bytes);
    return copy;
}

static const int32_t *ints(fixture *f, const char *prefix, const char *name) {
    return values(f, find(f, prefix, name), CLLM_ST_I32);
}

static const double *doubles(fixture *f, const char *prefix, const char *name) {
    return values(f, find(f, prefix, name), CLLM_ST_F64);
}

static double relative(const cllm__real *a, const double *b, size_t n) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

static void load_tables(fixture *f, cllm__tables *tables, const char *users, const char *items) {
    const cllm__tensor *u = find(f, "init.", users), *v = find(f, "init.", items);
    OK(cllm__tables_create(tables, u->shape[0], v->shape[0], u->shape[1], ERR));
    OK(cllm__tensor_to_real(u, tables->users, ERR));
    OK(cllm__tensor_to_real(v, tables->items, ERR));
}

static void open_fixture(fixture *f, bool faithful) {
    *f = (fixture){0};
    OK(cllm__safetensors_open(&f->file, faithful ? TEST_DATA "/golden/cllm_faithful.safetensors" : TEST_DATA "/golden/cllm_paper.safetensors", ERR));
    OK(cllm__backbone_open(&f->backbone, TEST_DATA "/golden/gpt2_bf16", (cllm__backbone_options){.training = true}, ERR));
    OK(cllm__engine_create(&f->engine, f->backbone, CLLM__F32, NULL, ERR));
    load_tables(f, &f->initial[0], "collab_user", "collab_item");
    load_tables(f, &f->initial[1], "content_user", "content_item");
    const cllm__backbone_info *info = cllm__backbone_info_of(f->backbone);
    OK(cllm__gradient_create(&f->gradient, f->initial[0].n_users, f->initial[0].n_items, info->width, ERR));
    f->rules = (cllm__batch_rules){.space = {(int32_t)info->vocabulary, (int32_t)f->initial[0].n_users, (int32_t)f->initial[0].n_items},
                                   .reg = faithful ? CLLM__REG_CODE : CLLM__REG_MAP, .predict_first = !faithful, .context = info->context};
    f->objective = (cllm__objective){.reg = f->rules.reg, .lambda_c = *doubles(f, faithful ? "lambda_v" : "lambda_c", ""),
                                     .lambda_l = faithful ? 0 : *doubles(f, "lambda_l", "")};
    f->adam = (cllm__adam){*doubles(f, "lr", ""), 0.9, 0.999, 1e-8};
    for (int s = 0; s < STAGES; s++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s.", stage_names[s]);
        f->stages[s] = (stage_data){ints(f, prefix, "ids"), ints(f, prefix, "offsets"), ints(f, prefix, "prompt"), ints(f, prefix, "batches"), NULL, NULL};
        if (s == CLLM__STAGE_REC) {
            f->stages[s].targets = ints(f, prefix, "targets");
            f->stages[s].target_offsets = ints(f, prefix, "target_offsets");
        }
    }
}

static void close_fixture(fixture *f) {
    for (size_t i = 0; i < f->n_copies; i++) cllm__free(f->copies[i]);
    cllm__batch_free(&f->batch);
    cllm__gradient_free(&f->gradient);
    for (int t = 0; t < 2; t++) cllm__tables_free(&f->initial[t]);
    cllm__engine_free(f->engine);
    cllm__backbone_close(f->backbone);
    cllm__safetensors_close(f->file);
}

static void make_batch(fixture *f, cllm__stage stage, int32_t number) {
    const stage_data *d = &f->stages[stage];
    cllm__batch_clear(&f->batch, stage);
    for (int32_t q = d->batches[number]; q < d->batches[number + 1]; q++) {
        const int32_t *ids = d->ids + d->offsets[q];
        size_t n = (size_t)(d->offsets[q + 1] - d->offsets[q]), n_prompt = (size_t)d->prompt[q];
        if (stage == CLLM__STAGE_REC)
            OK(cllm__batch_add_readout(&f->batch, &f->rules, ids, n, d->targets + d->target_offsets[q],
                                       (size_t)(d->target_offsets[q + 1] - d->target_offsets[q]), ERR));
        else OK(cllm__batch_add_tokens(&f->batch, &f->rules, ids, n_prompt, ids + n_prompt, n - n_prompt, ERR));
    }
}

static void check_losses(const cllm__loss *loss, const double *expected, const char *where, int step) {
    const double values[4] = {loss->likelihood, loss->regulariser, loss->prior, loss->total};
    for (int i = 0; i < 4; i++)
        if (!(fabs(values[i] - expected[i]) <= LOSS_BOUND * fabs(expected[i])))
            fail_msg("%s step %d: part %d is %.12g instead of %.12g", where, step, i, values[i], expected[i]);
}

/* Dense Adam over both tables. */
typedef struct optimiser {
    cllm__tables first, second;
    uint64_t step;
} optimiser;

static void optimiser_create(optimiser *o, const cllm__tables *like) {
    *o = (optimiser){0};
    OK(cllm__tables_create(&o->first, like->n_users, like->n_items, like->width, ERR));
    OK(cllm__tables_create(&o->second, like->n_users, like->n_items, like->width, ERR));
}

static void optimiser_free(optimiser *o) {
    cllm__tables_free(&o->first);
    cllm__tables_free(&o->second);
}

static void optimiser_step(optimiser *o, cllm__tables *tables, const fixture *f) {
    size_t width = tables->width;
    o->step++;
    cllm__adam_step(tables->users, o->first.users, o->second.users, f->gradient.users, tables->n_users * width, f->adam, o->step);
    cllm__adam_step(tables->items, o->first.items, o->second.items, f->gradient.items, tables->n_items * width, f->adam, o->step);
}

/* In double the tables themselves are compared, in single their change, which is much smaller than they are. */
static void check_table(fixture *f, const cllm__real *table, const char *prefix, const char *name, const cllm__real *initial) {
    const double *expected = doubles(f, prefix, name);
    size_t n = cllm__tensor_count(find(f, prefix, name));
    double distance = relative(table, expected, n);
#ifndef CLLM_REF64
    double difference = 0, change = 0;
    for (size_t i = 0; i < n; i++) {
        difference += pow((double)table[i] - expected[i], 2);
        change += pow(expected[i] - (double)initial[i], 2);
    }
    distance = sqrt(difference / change);
#else
    (void)initial;
#endif
    if (!(distance <= TABLE_BOUND)) fail_msg("%s%s: the table after Adam is %g away", prefix, name, distance);
}

static void check_stage(fixture *f, cllm__stage stage) {
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s.", stage_names[stage]);
    const cllm__tables *initial = &f->initial[stage == CLLM__STAGE_CONTENT], *other = &f->initial[stage != CLLM__STAGE_CONTENT];
    const double *losses = doubles(f, prefix, "losses");
    size_t width = initial->width, steps = find(f, prefix, "losses")->shape[0];
    cllm__tables own = {0};
    optimiser o;
    optimiser_create(&o, initial);
    OK(cllm__tables_create(&own, initial->n_users, initial->n_items, width, ERR));
    cllm__tables_copy(&own, initial);
    for (size_t b = 0; b < steps; b++) {
        cllm__loss loss;
        make_batch(f, stage, (int32_t)b);
        OK(cllm__engine_step(f->engine, &f->batch, &own, other, &f->objective, &f->gradient, &loss, ERR));
        check_losses(&loss, losses + 4 * b, stage_names[stage], (int)b);
        if (b == 0) {
            double users = relative(f->gradient.users, doubles(f, prefix, "grad_user"), own.n_users * width);
            double items = relative(f->gradient.items, doubles(f, prefix, "grad_item"), own.n_items * width);
            if (!(users <= GRADIENT_BOUND && items <= GRADIENT_BOUND)) fail_msg("%s: gradients are %g, %g away", stage_names[stage], users, items);
        }
        optimiser_step(&o, &own, f);
    }
    check_table(f, own.users, prefix, "adam_user", initial->users);
    check_table(f, own.items, prefix, "adam_item", initial->items);
    /* The last user is in no batch. */
    size_t idle = (own.n_users - 1) * width;
    assert_memory_equal(own.users + idle, initial->users + idle, width * sizeof *own.users);
    cllm__tables_free(&own);
    optimiser_free(&o);
}

static void check_alternation(fixture *f) {
    const int32_t *schedule = ints(f, "alt.", "schedule");
    const double *losses = doubles(f, "alt.", "losses");
    size_t steps = find(f, "alt.", "losses")->shape[0];
    static const char *const names[2][2] = {{"collab_user", "collab_item"}, {"content_user", "content_item"}};
    cllm__tables tables[2] = {0};
    optimiser o[2];
    for (int t = 0; t < 2; t++) {
        OK(cllm__tables_create(&tables[t], f->initial[t].n_users, f->initial[t].n_items, f->initial[t].width, ERR));
        cllm__tables_copy(&tables[t], &f->initial[t]);
        optimiser_create(&o[t], &tables[t]);
    }
    for (size_t i = 0; i < steps; i++) {
        cllm__stage stage = (cllm__stage)schedule[3 * i];
        int own = stage == CLLM__STAGE_CONTENT;
        cllm__loss loss;
        if (schedule[3 * i + 2])
            for (int t = 0; t < 2; t++) {
                check_table(f, tables[t].users, "alt.pretrained_", names[t][0], f->initial[t].users);
                check_table(f, tables[t].items, "alt.pretrained_", names[t][1], f->initial[t].items);
                optimiser_free(&o[t]);
                optimiser_create(&o[t], &tables[t]);
            }
        make_batch(f, stage, schedule[3 * i + 1]);
        OK(cllm__engine_step(f->engine, &f->batch, &tables[own], &tables[!own], &f->objective, &f->gradient, &loss, ERR));
        check_losses(&loss, losses + 4 * i, "alternation", (int)i);
        optimiser_step(&o[own], &tables[own], f);
    }
    for (int t = 0; t < 2; t++) {
        check_table(f, tables[t].users, "alt.", names[t][0], f->initial[t].users);
        check_table(f, tables[t].items, "alt.", names[t][1], f->initial[t].items);
        cllm__tables_free(&tables[t]);
        optimiser_free(&o[t]);
    }
}

static void check_preset(bool faithful) {
    fixture f;
    open_fixture(&f, faithful);
    for (int s = 0; s < STAGES; s++) check_stage(&f, (cllm__stage)s);
    check_alternation(&f);
    close_fixture(&f);
}

static void test_paper(void **state) {
    (void)state;
    check_preset(false);
}

static void test_faithful(void **state) {
    (void)state;
    check_preset(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paper), cmocka_unit_test(test_faithful)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
