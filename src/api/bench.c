/* What this machine can do, and what the main steps make of it. */
#include <json-c/json.h>
#include <string.h>

#include "api/pass_bench.h"
#include "api/run.h"
#include "api/step_bench.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "kernels/peak.h"

enum { REPEATS = 5 };

typedef struct measuring {
    cllm__pool *pool;
    const cllm_host *host;
    const char *step; /* the one that is asked for; NULL: all */
    int repeats;
    cllm__bench_peaks peaks[2]; /* of f32 (8 bits too) and bf16, the best seen */
    struct json_object *steps, *ragged;
} measuring;

/* ---- Backbones ---- */

/* A backbone of this shape with random weights. The folder is removed at once: what is mapped stays readable. */
static cllm_status open_random(cllm__backbone **backbone, cllm__gpt2_shape shape, cllm__dtype dtype, cllm__pool *pool, cllm_error *err) {
    char *folder;
    CLLM_TRY(cllm__temporary_folder(&folder, err));
    char *path = cllm__path_join(folder, "backbone");
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__gpt2_init(path, shape, 1, err);
    if (status == CLLM_OK) {
        status = cllm__backbone_open(backbone, path, (cllm__backbone_options){.dtype = dtype, .training = true, .pool = pool}, err);
    }
    cllm__remove_tree(folder);
    cllm__free(path);
    cllm__free(folder);
    return status;
}

/* ---- Report ---- */

static void add_number(struct json_object *object, const char *name, double value) {
    json_object_object_add(object, name, json_object_new_double(value));
}

static struct json_object *step_json(const char *backbone, const cllm__step_time *t) {
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "backbone", json_object_new_string(backbone));
    json_object_object_add(object, "name", json_object_new_string(t->name));
    json_object_object_add(object, "dtype", json_object_new_string(cllm__dtype_name(t->dtype)));
    add_number(object, "seconds", t->seconds);
    add_number(object, "floor", t->floor);
    add_number(object, "share", t->share);
    add_number(object, "best_seconds", t->best);
    add_number(object, "flops", t->flops);
    add_number(object, "exact_flops", t->exact_flops);
    json_object_object_add(object, "tokens", json_object_new_int64((int64_t)t->tokens));
    json_object_object_add(object, "sequences", json_object_new_int64((int64_t)t->sequences));
    add_number(object, "tokens_per_second", (double)t->tokens / t->seconds);
    add_number(object, "sequences_per_second", (double)t->sequences / t->seconds);
    json_object_object_add(object, "allocations", json_object_new_int64((int64_t)t->allocations));
    add_number(object, "peak_gflops", t->peaks.flops / 1e9);
    return object;
}

static void see_peaks(measuring *m, cllm__dtype dtype, cllm__bench_peaks peaks) {
    cllm__bench_peaks *best = &m->peaks[dtype == CLLM__BF16];
    if (peaks.flops > best->flops) best->flops = peaks.flops;
    if (peaks.bandwidth > best->bandwidth) best->bandwidth = peaks.bandwidth;
}

/* The backbone alone: `forward`, or `backward`, which is both. */
static bool is_pass(const char *step) {
    return step != NULL && (strcmp(step, "forward") == 0 || strcmp(step, "backward") == 0);
}

static cllm_status measure_pass(measuring *m, const char *name, const cllm__backbone *backbone, cllm_error *err) {
    cllm__pass_time t;
    cllm__dtype dtype = cllm__backbone_info_of(backbone)->dtype;
    CLLM_TRY(cllm__bench_pass(&t, backbone, strcmp(m->step, "backward") == 0, m->pool, NULL, m->repeats, m->host, err));
    see_peaks(m, dtype, t.timed.peaks);
    cllm__step_time step = {.name = m->step, .dtype = dtype, .seconds = t.timed.seconds, .best = t.timed.best, .peaks = t.timed.peaks,
                            .flops = t.flops, .exact_flops = t.flops, .floor = t.timed.floor, .share = t.timed.floor / t.timed.seconds,
                            .tokens = t.tokens, .sequences = t.sequences, .allocations = t.timed.allocations};
    json_object_array_add(m->steps, step_json(name, &step));
    return CLLM_OK;
}

static cllm_status measure(measuring *m, const char *name, const cllm__bench_shapes *shapes, const cllm__backbone *backbone, cllm__dtype dtype,
                           cllm_error *err) {
    cllm__step_time times[CLLM__BENCH_STEPS];
    cllm__log(m->host, CLLM_LOG_INFO, "%s, %s", name, cllm__dtype_name(dtype));
    if (is_pass(m->step)) return measure_pass(m, name, backbone, err);
    CLLM_TRY(cllm__bench_steps(times, backbone, dtype, m->pool, shapes, m->step, NULL, m->repeats, m->host, err));
    for (size_t i = 0; i < CLLM__BENCH_STEPS; i++) {
        if (times[i].seconds == 0) continue; /* not asked for */
        see_peaks(m, dtype, times[i].peaks);
        json_object_array_add(strcmp(times[i].name, "ragged") == 0 ? m->ragged : m->steps, step_json(name, &times[i]));
    }
    return CLLM_OK;
}

/* Which dtypes are asked for: a bit each. 8 bits are for the backbone alone. */
static cllm_status parse_dtypes(const char *name, bool pass, unsigned *dtypes, cllm_error *err) {
    cllm__dtype one;
    *dtypes = 1u << CLLM__F32 | (cllm__gemm_has_bf16() ? 1u << CLLM__BF16 : 0);
    if (name == NULL) return CLLM_OK;
    CLLM_TRY(pass ? cllm__backbone_dtype_parse(name, CLLM__F32, &one, err) : cllm__dtype_parse(name, &one, err));
    *dtypes = 1u << one;
    return CLLM_OK;
}

static cllm_status check_step(const char *step, cllm_error *err) {
    for (size_t i = 0; i < CLLM__BENCH_STEPS; i++)
        if (step == NULL || is_pass(step) || strcmp(step, cllm__bench_step_names[i]) == 0) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "step '%s': give collab, content, ragged, rec, users, one, forward or backward", step);
}

static cllm_status measure_given(measuring *m, const char *path, unsigned dtypes, cllm_error *err) {
    for (int dtype = CLLM__F32; dtype <= CLLM__Q8_0; dtype++) {
        if ((dtypes >> dtype & 1) == 0) continue;
        cllm__backbone *backbone;
        cllm__backbone_options options = {.dtype = (cllm__dtype)dtype, .training = true, .headless = is_pass(m->step), .pool = m->pool};
        CLLM_TRY(cllm__backbone_open(&backbone, path, options, err));
        bool large = cllm__backbone_info_of(backbone)->context >= cllm__bench_gpt2.backbone.context;
        cllm_status status = measure(m, path, large ? &cllm__bench_gpt2 : &cllm__bench_mini, backbone, (cllm__dtype)dtype, err);
        cllm__backbone_close(backbone);
        CLLM_TRY(status);
    }
    return CLLM_OK;
}

static cllm_status measure_random(measuring *m, bool quick, unsigned dtypes, cllm_error *err) {
    const struct {
        const char *name;
        const cllm__bench_shapes *shapes;
    } models[] = {{"gpt2-124m", &cllm__bench_gpt2}, {"demo", &cllm__bench_mini}};
    for (size_t i = quick ? 1 : 0; i < CLLM_LEN(models); i++) {
        for (int dtype = CLLM__F32; dtype <= CLLM__Q8_0; dtype++) {
            if ((dtypes >> dtype & 1) == 0) continue;
            cllm__backbone *backbone;
            CLLM_TRY(open_random(&backbone, models[i].shapes->backbone, (cllm__dtype)dtype, m->pool, err));
            cllm_status status = measure(m, models[i].name, models[i].shapes, backbone, (cllm__dtype)dtype, err);
            cllm__backbone_close(backbone);
            CLLM_TRY(status);
        }
    }
    return CLLM_OK;
}

static struct json_object *peak_json(const measuring *m) {
    struct json_object *object = json_object_new_object();
    double bandwidth = m->peaks[CLLM__F32].bandwidth;
    if (m->peaks[CLLM__BF16].bandwidth > bandwidth) bandwidth = m->peaks[CLLM__BF16].bandwidth;
    add_number(object, "f32_gflops", m->peaks[CLLM__F32].flops / 1e9);
    add_number(object, "bf16_gflops", m->peaks[CLLM__BF16].flops / 1e9);
    add_number(object, "memory_gb_s", bandwidth / 1e9);
    return object;
}

cllm_status cllm_bench(const cllm_bench_options *o, const cllm_host *host, char **json, cllm_error *err) {
    unsigned dtypes;
    CLLM_TRY(check_step(o->step, err));
    CLLM_TRY(parse_dtypes(o->dtype, is_pass(o->step), &dtypes, err));
    measuring m = {.host = host, .step = o->step, .repeats = o->quick ? 1 : REPEATS, .steps = json_object_new_array(), .ragged = json_object_new_array()};
    struct json_object *report = json_object_new_object();
    cllm_status status = cllm__pool_create(&m.pool, o->threads, err);
    if (status == CLLM_OK) {
        for (int i = CLLM__F32; i <= CLLM__BF16; i++) m.peaks[i].flops = 1e9 * cllm__peak_gflops((cllm__dtype)i, m.pool);
        status = o->backbone != NULL ? measure_given(&m, o->backbone, dtypes, err) : measure_random(&m, o->quick, dtypes, err);
    }
    json_object_object_add(report, "peak", peak_json(&m));
    json_object_object_add(report, "isa", json_object_new_string(cllm__gemm_isa()));
    json_object_object_add(report, "threads", json_object_new_int(cllm__pool_threads(m.pool)));
    json_object_object_add(report, "quick", json_object_new_boolean(o->quick));
    json_object_object_add(report, "steps", m.steps);
    json_object_object_add(report, "ragged", m.ragged);
    cllm__pool_free(m.pool);
    if (status == CLLM_OK) return cllm__json_to_text(report, json, err);
    json_object_put(report);
    return status;
}
