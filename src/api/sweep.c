/*
 * Random search with successive halving. Rung r trains its trials anew for part[r] of all epochs (of each stage, at least one of
 * each that has any), so that every learning-rate schedule is whole; ceil(trials × part[0] / part[r]) of them get there.
 *
 * sweep.json holds everything: what was asked, every trial's settings, and every result, written anew after each. What is done next
 * is a function of it alone, so a sweep may be killed at any moment. A trial that was under way goes on from its own checkpoint.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/part.h"
#include "api/run.h"
#include "api/sweep_space.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"

enum { MAX_RUNGS = 8, MAX_TRIALS = 100000, REDRAWS = 200, DEFAULT_TRIALS = 20 };

typedef struct sweep {
    const cllm_sweep_options *options;
    struct json_object *state; /* sweep.json */
    double part[MAX_RUNGS];
    size_t n_rungs, n_trials;
    bool keep_all;
    cllm__part part_of; /* the trial under way */
} sweep;

/* ---- What is known so far ---- */

static struct json_object *trial_at(const sweep *s, size_t trial) {
    return json_object_array_get_idx(cllm__json_at(s->state, "trials"), trial);
}

/* A trial's result at a rung; NULL: there is none yet. */
static struct json_object *result_at(const sweep *s, size_t trial, size_t rung) {
    struct json_object *results = cllm__json_at(trial_at(s, trial), "results");
    return rung < json_object_array_length(results) ? json_object_array_get_idx(results, rung) : NULL;
}

static size_t rungs_of(const sweep *s, size_t trial) {
    return json_object_array_length(cllm__json_at(trial_at(s, trial), "results"));
}

static double score_at(const sweep *s, size_t trial, size_t rung) {
    struct json_object *monitor = cllm__json_at(result_at(s, trial, rung), "monitor");
    double score = monitor == NULL ? -INFINITY : json_object_get_double(monitor);
    return isnan(score) ? -INFINITY : score;
}

static char *path_in(const sweep *s, const char *name) {
    return cllm__path_join(s->options->output, name);
}

/* ---- Beginning ---- */

static cllm_status parse_rungs(sweep *s, const char *text, cllm_error *err) {
    const char *at = text;
    for (s->n_rungs = 0; s->n_rungs < MAX_RUNGS;) {
        char *end;
        double part = strtod(at, &end), before = s->n_rungs > 0 ? s->part[s->n_rungs - 1] : 0;
        if (end == at || !(part > before) || part > 1 || (*end != ',' && *end != '\0')) break;
        s->part[s->n_rungs++] = part;
        at = end + 1;
        if (*end == '\0' && part == 1) return CLLM_OK;
        if (*end == '\0') break;
    }
    return cllm__fail(err, CLLM_ERR_USAGE, "rungs '%.80s': give up to %d ascending parts of the epochs that end with 1, like 0.1,0.3,1", text, MAX_RUNGS);
}

static cllm_status parse_keep(sweep *s, const char *keep, cllm_error *err) {
    s->keep_all = keep != NULL && strcmp(keep, "all") == 0;
    if (keep == NULL || s->keep_all || strcmp(keep, "best") == 0) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "keep '%.40s': give best or all", keep);
}

/* Draws the trials, none twice; a small space may have fewer than were asked for. */
static cllm_status draw_trials(sweep *s, const cllm__space *space, size_t wanted, struct json_object *trials, cllm_error *err) {
    for (size_t trial = 0; trial < wanted; trial++) {
        struct json_object *settings = NULL;
        bool fresh = false;
        for (unsigned attempt = 0; attempt < REDRAWS && !fresh; attempt++) {
            json_object_put(settings);
            settings = NULL;
            CLLM_TRY(cllm__space_draw(space, s->options->seed, trial, attempt, &settings, err));
            fresh = true;
            for (size_t i = 0; i < json_object_array_length(trials) && fresh; i++) {
                fresh = !json_object_equal(settings, cllm__json_at(json_object_array_get_idx(trials, i), "settings"));
            }
        }
        if (!fresh) {
            json_object_put(settings);
            cllm__log(&s->options->host, CLLM_LOG_INFO, "the space has only %zu settings or hardly more: %zu trials", trial, trial);
            break;
        }
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "settings", settings);
        json_object_object_add(object, "results", json_object_new_array());
        json_object_array_add(trials, object);
    }
    return CLLM_OK;
}

/* What everything is compared with: the preset and the settings that all trials share. */
static cllm_status base_config(const sweep *s, cllm__train_config *config, cllm_error *err) {
    const cllm_sweep_options *o = s->options;
    CLLM_TRY(cllm__train_config_preset(config, o->preset != NULL ? o->preset : "paper", err));
    for (size_t i = 0; i < o->n_settings; i++) CLLM_TRY(cllm__train_config_set(config, o->settings[i], err));
    return CLLM_OK;
}

static cllm_status check_dataset(const char *path, cllm_error *err) {
    cllm__dataset *dataset;
    CLLM_TRY(cllm__dataset_open(&dataset, path, false, err));
    size_t valid = cllm__dataset_interactions(dataset, CLLM__VALID)->count;
    cllm__dataset_close(dataset);
    if (valid > 0) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_DATA, "'%s' has no validation rows to compare trials by: prepare it with another split", path);
}

static cllm_status make_state(sweep *s, cllm_error *err) {
    const cllm_sweep_options *o = s->options;
    cllm__train_config config;
    cllm__dtype dtype;
    cllm__space space = {0};
    if (o->dataset == NULL || o->output == NULL || o->space == NULL) {
        return cllm__fail(err, CLLM_ERR_USAGE, "give a data set, a space (--space FILE) and an output folder (-o)");
    }
    size_t wanted = o->trials > 0 ? o->trials : DEFAULT_TRIALS;
    if (wanted > MAX_TRIALS) return cllm__fail(err, CLLM_ERR_USAGE, "%zu trials: give at most %d", wanted, MAX_TRIALS);
    CLLM_TRY(parse_rungs(s, o->rungs != NULL ? o->rungs : "0.1,0.3,1", err));
    CLLM_TRY(parse_keep(s, o->keep, err));
    CLLM_TRY(base_config(s, &config, err));
    CLLM_TRY(cllm__dtype_parse(o->dtype, &dtype, err));
    CLLM_TRY(cllm__backbone_dtype_parse(o->backbone_dtype, dtype, &dtype, err));
    CLLM_TRY(check_dataset(o->dataset, err));
    char *dataset = NULL, *backbone = NULL;
    struct json_object *state = json_object_new_object(), *settings = json_object_new_array(), *trials = json_object_new_array();
    s->state = state;
    json_object_object_add(state, "settings", settings);
    cllm_status status = cllm__space_read(&space, o->space, &config, err);
    if (status == CLLM_OK) status = cllm__part_path(&dataset, o->dataset, "data set", err);
    if (status == CLLM_OK) status = cllm__part_path(&backbone, o->backbone, "backbone", err);
    if (status == CLLM_OK) {
        cllm__json_put_text(state, "format", "cllm4rec sweep 1");
        cllm__json_put_text(state, "version", cllm_version());
        cllm__json_put_text(state, "dataset", dataset);
        cllm__json_put_text(state, "backbone", backbone);
        cllm__json_put_text(state, "preset", config.preset);
        cllm__json_put_text(state, "dtype", o->dtype);
        cllm__json_put_text(state, "backbone_dtype", o->backbone_dtype);
        cllm__json_put_text(state, "monitor", config.monitor);
        cllm__json_put_text(state, "rungs", o->rungs != NULL ? o->rungs : "0.1,0.3,1");
        cllm__json_put_text(state, "keep", s->keep_all ? "all" : "best");
        json_object_object_add(state, "seed", json_object_new_uint64(o->seed));
        json_object_object_add(state, "space", json_object_get(space.object));
        for (size_t i = 0; i < o->n_settings; i++) json_object_array_add(settings, json_object_new_string(o->settings[i]));
        status = draw_trials(s, &space, wanted, trials, err);
    }
    json_object_object_add(state, "trials", trials);
    s->n_trials = json_object_array_length(trials);
    cllm__space_free(&space);
    cllm__free(dataset);
    cllm__free(backbone);
    return status;
}

static cllm_status begin_new(sweep *s, cllm_error *err) {
    char *folder;
    CLLM_TRY(make_state(s, err));
    CLLM_TRY(cllm__folder_begin(s->options->output, s->options->force, "sweep.json", &folder, err));
    cllm_status status = cllm__json_write(folder, "sweep.json", s->state, err);
    if (status == CLLM_OK) status = cllm__folder_commit(folder, s->options->output, err);
    if (status != CLLM_OK) cllm__remove_tree(folder);
    cllm__free(folder);
    return status;
}

/* "name=value" texts, as a trial has them. */
static bool are_settings(struct json_object *array) {
    bool good = cllm__json_is_texts(array, CLLM__SPACE_MAX);
    for (size_t i = 0; good && i < json_object_array_length(array); i++) good = strchr(json_object_get_string(json_object_array_get_idx(array, i)), '=') != NULL;
    return good;
}

static cllm_status begin_again(sweep *s, cllm_error *err) {
    if (s->options->output == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "give the sweep's folder (-o) that shall go on");
    char *path = path_in(s, "sweep.json");
    if (path == NULL) return cllm__fail_nomem(err);
    cllm_status status = !cllm__path_exists(path) ? cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' is no sweep (there is no sweep.json in it)", s->options->output)
                                                  : cllm__json_file(path, &s->state, err);
    if (status == CLLM_OK) {
        struct json_object *trials = cllm__json_at(s->state, "trials");
        const char *format = cllm__json_string(s->state, "format"), *rungs = cllm__json_string(s->state, "rungs");
        bool good = format != NULL && strcmp(format, "cllm4rec sweep 1") == 0 && rungs != NULL && cllm__json_string(s->state, "dataset") != NULL &&
                    json_object_is_type(trials, json_type_array) && json_object_array_length(trials) <= MAX_TRIALS &&
                    cllm__json_is_texts(cllm__json_at(s->state, "settings"), SIZE_MAX);
        for (size_t i = 0; good && i < json_object_array_length(trials); i++) {
            struct json_object *trial = json_object_array_get_idx(trials, i), *results = cllm__json_at(trial, "results");
            good = are_settings(cllm__json_at(trial, "settings")) && json_object_is_type(results, json_type_array) &&
                   json_object_array_length(results) <= MAX_RUNGS;
        }
        if (!good) status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged or not of this version: begin the sweep anew", path);
        else s->n_trials = json_object_array_length(trials);
        if (status == CLLM_OK) status = parse_rungs(s, rungs, err);
        for (size_t i = 0; status == CLLM_OK && i < s->n_trials; i++) {
            if (rungs_of(s, i) > s->n_rungs) status = cllm__fail(err, CLLM_ERR_DATA, "'%s': trial %zu has %zu results of %zu rungs: begin the sweep anew", path, i + 1, rungs_of(s, i), s->n_rungs);
        }
        if (status == CLLM_OK) status = parse_keep(s, cllm__json_string(s->state, "keep"), err);
    }
    cllm__free(path);
    return status;
}

/* ---- One trial at one rung ---- */

static void run_name(size_t trial, size_t rung, char name[64]) {
    snprintf(name, 64, "runs/trial%03zu-rung%zu", trial + 1, rung + 1);
}

/* "epochs=W/A/R" for a rung: its part of what the trial would have in full. */
static cllm_status rung_epochs(const sweep *s, size_t trial, size_t rung, char text[96], cllm_error *err) {
    cllm__train_config config;
    struct json_object *shared = cllm__json_at(s->state, "settings"), *own = cllm__json_at(trial_at(s, trial), "settings");
    const char *preset = cllm__json_string(s->state, "preset");
    CLLM_TRY(cllm__train_config_preset(&config, preset != NULL ? preset : "paper", err));
    for (size_t i = 0; i < json_object_array_length(shared); i++) CLLM_TRY(cllm__train_config_set(&config, json_object_get_string(json_object_array_get_idx(shared, i)), err));
    for (size_t i = 0; i < json_object_array_length(own); i++) CLLM_TRY(cllm__train_config_set(&config, json_object_get_string(json_object_array_get_idx(own, i)), err));
    int epochs[3];
    for (int i = 0; i < 3; i++) {
        epochs[i] = (int)(config.epochs[i] * s->part[rung] + 0.5);
        if (epochs[i] == 0 && config.epochs[i] > 0) epochs[i] = 1;
    }
    snprintf(text, 96, "epochs=%d/%d/%d", epochs[0], epochs[1], epochs[2]);
    return CLLM_OK;
}

static cllm_status train(sweep *s, size_t trial, size_t rung, const char *folder, char **report, cllm_error *err) {
    struct json_object *shared = cllm__json_at(s->state, "settings"), *own = cllm__json_at(trial_at(s, trial), "settings");
    size_t n_shared = json_object_array_length(shared), n_own = json_object_array_length(own), n = 0;
    char epochs[96];
    CLLM_TRY(rung_epochs(s, trial, rung, epochs, err));
    const char **settings;
    CLLM_TRY(CLLM_NEW(settings, n_shared + n_own + 1, err));
    for (size_t i = 0; i < n_shared; i++) settings[n++] = json_object_get_string(json_object_array_get_idx(shared, i));
    for (size_t i = 0; i < n_own; i++) settings[n++] = json_object_get_string(json_object_array_get_idx(own, i));
    settings[n++] = epochs;
    cllm_train_options options;
    cllm_train_options_init(&options);
    options.dataset = cllm__json_string(s->state, "dataset");
    options.output = folder;
    options.backbone = cllm__json_string(s->state, "backbone");
    options.preset = cllm__json_string(s->state, "preset");
    options.dtype = cllm__json_string(s->state, "dtype");
    options.backbone_dtype = cllm__json_string(s->state, "backbone_dtype");
    options.settings = settings;
    options.n_settings = n;
    options.threads = s->options->threads;
    cllm_status status = cllm__part_train(&s->part_of, &options, report, err);
    cllm__free(settings);
    return status;
}

static bool is_best(const sweep *s, size_t trial, size_t rung) {
    for (size_t other = 0; other < s->n_trials; other++) {
        double theirs = score_at(s, other, rung), own = score_at(s, trial, rung);
        if (theirs > own || (theirs == own && other < trial)) return false;
    }
    return score_at(s, trial, rung) > -INFINITY;
}

/* Removes the run folders that nobody needs any more: all but that of the best trial of the last rung. */
static void tidy(const sweep *s, size_t rung) {
    if (s->keep_all) return;
    for (size_t trial = 0; trial < s->n_trials; trial++) {
        if (result_at(s, trial, rung) == NULL || (rung + 1 == s->n_rungs && is_best(s, trial, rung))) continue;
        char name[64];
        run_name(trial, rung, name);
        char *path = path_in(s, name);
        if (path != NULL && cllm__path_exists(path)) cllm__remove_tree(path);
        cllm__free(path);
    }
}

static void tell(const sweep *s, size_t trial, size_t rung) {
    struct json_object *result = result_at(s, trial, rung), *own = cllm__json_at(trial_at(s, trial), "settings");
    char settings[400] = "";
    for (size_t i = 0, used = 0; i < json_object_array_length(own) && used < sizeof settings - 1; i++) {
        int n = snprintf(settings + used, sizeof settings - used, "%s%s", i > 0 ? " " : "", json_object_get_string(json_object_array_get_idx(own, i)));
        used += n > 0 ? (size_t)n : 0;
    }
    if (cllm__json_at(result, "error") != NULL) cllm__log(&s->options->host, CLLM_LOG_WARN, "%s: %s: %s", s->part_of.label, settings, cllm__json_string(result, "error"));
    else cllm__log(&s->options->host, CLLM_LOG_INFO, "%s: %.4f in validation, %.1f s: %s", s->part_of.label, score_at(s, trial, rung), cllm__json_number(result, "seconds"), settings);
}

static cllm_status run_trial(sweep *s, size_t trial, size_t rung, cllm_error *err) {
    char name[64], *report = NULL;
    cllm_error failure = {0};
    run_name(trial, rung, name);
    snprintf(s->part_of.label, sizeof s->part_of.label, "rung %zu/%zu trial %zu/%zu", rung + 1, s->n_rungs, trial + 1, s->n_trials);
    char *folder = path_in(s, name);
    if (folder == NULL) return cllm__fail_nomem(err);
    cllm_status status = cllm__check_cancelled(&s->options->host, &failure);
    if (status == CLLM_OK) status = train(s, trial, rung, folder, &report, &failure);
    cllm__free(folder);
    struct json_object *result = json_object_new_object();
    if (status == CLLM_OK) {
        struct json_object *parsed = json_tokener_parse(report), *validation = cllm__json_at(parsed, "validation");
        json_object_object_add(result, "part", json_object_new_double(s->part[rung]));
        json_object_object_add(result, "monitor", json_object_get(cllm__json_at(validation, "monitor")));
        json_object_object_add(result, "validation", json_object_get(validation));
        json_object_object_add(result, "best_epoch", json_object_get(cllm__json_at(parsed, "best_epoch")));
        json_object_object_add(result, "seconds", json_object_get(cllm__json_at(parsed, "seconds")));
        json_object_put(parsed);
        cllm_text_free(report);
    } else if (status == CLLM_ERR_USAGE || status == CLLM_ERR_FAILED) { /* these settings do not work; others may */
        json_object_object_add(result, "part", json_object_new_double(s->part[rung]));
        cllm__json_put_text(result, "error", failure.message);
    } else {
        json_object_put(result);
        if (err != NULL) *err = failure;
        if (status == CLLM_ERR_INTERRUPTED && err != NULL) snprintf(err->message, sizeof err->message, "interrupted; go on with: cllm4rec sweep --resume -o %s", s->options->output);
        return status;
    }
    struct json_object *results = cllm__json_at(trial_at(s, trial), "results");
    json_object_array_put_idx(results, rung, result);
    CLLM_TRY(cllm__json_write(s->options->output, "sweep.json", s->state, err));
    tell(s, trial, rung);
    tidy(s, rung);
    return CLLM_OK;
}

/* ---- Rungs ---- */

/* The trials of a rung, best of the rung before first (all, in their order, at the first); returns how many go on. */
static size_t choose(const sweep *s, size_t rung, size_t *order) {
    for (size_t i = 0; i < s->n_trials; i++) order[i] = i;
    if (rung == 0) return s->n_trials;
    size_t left = s->n_trials;
    for (size_t before = 0; before < rung; before++) {
        for (size_t i = 1; i < left; i++) { /* ties in their order */
            for (size_t j = i; j > 0 && score_at(s, order[j], before) > score_at(s, order[j - 1], before); j--) {
                size_t swap = order[j];
                order[j] = order[j - 1];
                order[j - 1] = swap;
            }
        }
        double wanted = ceil((double)s->n_trials * s->part[0] / s->part[before + 1] - 1e-9);
        if (wanted < 1) wanted = 1;
        if ((double)left > wanted) left = (size_t)wanted;
        while (left > 0 && !(score_at(s, order[left - 1], before) > -INFINITY)) left--; /* those that failed */
    }
    return left;
}

static cllm_status run_rungs(sweep *s, size_t *order, cllm_error *err) {
    for (size_t rung = 0; rung < s->n_rungs; rung++) {
        size_t left = choose(s, rung, order);
        for (size_t i = 0; i < left; i++) {
            if (result_at(s, order[i], rung) == NULL) CLLM_TRY(run_trial(s, order[i], rung, err));
        }
        if (left == 0) {
            const char *message = cllm__json_string(result_at(s, 0, 0), "error");
            return cllm__fail(err, CLLM_ERR_FAILED, "every trial failed, the first by: %s", message != NULL ? message : "no validation");
        }
    }
    return CLLM_OK;
}

/* ---- Results ---- */

static bool stands_before(const sweep *s, size_t a, size_t b) {
    size_t rungs_a = rungs_of(s, a), rungs_b = rungs_of(s, b);
    if (rungs_a != rungs_b) return rungs_a > rungs_b;
    if (rungs_a == 0) return false;
    return score_at(s, a, rungs_a - 1) > score_at(s, b, rungs_b - 1);
}

static void put_row(cllm__out *out, const sweep *s, size_t rank, size_t trial, cllm_error *err, cllm_status *status) {
    struct json_object *own = cllm__json_at(trial_at(s, trial), "settings"), *result = result_at(s, trial, rungs_of(s, trial) - 1);
    const char *error = cllm__json_string(result, "error");
    if (*status == CLLM_OK) *status = cllm__out_printf(out, err, "%zu\t%zu\t%zu\t%g", rank, trial + 1, rungs_of(s, trial), s->part[rungs_of(s, trial) - 1]);
    if (*status == CLLM_OK) *status = error == NULL ? cllm__out_printf(out, err, "\t%.6f", cllm__json_number(result, "monitor")) : cllm__out_printf(out, err, "\tfailed");
    for (size_t i = 0; i < json_object_array_length(own) && *status == CLLM_OK; i++) {
        const char *setting = json_object_get_string(json_object_array_get_idx(own, i)), *equals = strchr(setting, '=');
        *status = cllm__out_printf(out, err, "\t%s", equals != NULL ? equals + 1 : setting);
    }
    if (*status == CLLM_OK) *status = cllm__out_printf(out, err, "\n");
}

static cllm_status write_table(const sweep *s, const size_t *order, cllm_error *err) {
    char *path = path_in(s, "results.tsv");
    cllm__out *out = NULL;
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__out_create(&out, path, err);
    cllm__free(path);
    if (status == CLLM_OK) status = cllm__out_printf(out, err, "rank\ttrial\trung\tpart\tmonitor");
    struct json_object *own = cllm__json_at(trial_at(s, 0), "settings");
    for (size_t i = 0; status == CLLM_OK && i < json_object_array_length(own); i++) {
        const char *setting = json_object_get_string(json_object_array_get_idx(own, i));
        status = cllm__out_printf(out, err, "\t%.*s", (int)strcspn(setting, "="), setting);
    }
    if (status == CLLM_OK) status = cllm__out_printf(out, err, "\n");
    for (size_t i = 0; i < s->n_trials && status == CLLM_OK; i++) put_row(out, s, i + 1, order[i], err, &status);
    if (status == CLLM_OK) return cllm__out_commit(out, err);
    cllm__out_abort(out);
    return status;
}

static struct json_object *results_json(const sweep *s, const size_t *order) {
    struct json_object *object = json_object_new_object(), *rows = json_object_new_array();
    char name[64];
    run_name(order[0], s->n_rungs - 1, name);
    cllm__json_put_text(object, "sweep", s->options->output);
    cllm__json_put_text(object, "monitor", cllm__json_string(s->state, "monitor"));
    cllm__json_put_text(object, "best_run", s->keep_all ? name : "best");
    for (size_t i = 0; i < s->n_trials; i++) {
        size_t rungs = rungs_of(s, order[i]);
        struct json_object *row = json_object_new_object(), *settings = json_object_new_object(), *own = cllm__json_at(trial_at(s, order[i]), "settings");
        json_object_object_add(row, "rank", json_object_new_uint64(i + 1));
        json_object_object_add(row, "trial", json_object_new_uint64(order[i] + 1));
        json_object_object_add(row, "rung", json_object_new_uint64(rungs));
        for (size_t j = 0; j < json_object_array_length(own); j++) {
            const char *setting = json_object_get_string(json_object_array_get_idx(own, j));
            char key[128];
            snprintf(key, sizeof key, "%.*s", (int)strcspn(setting, "="), setting);
            json_object_object_add(settings, key, json_object_new_string(setting + strcspn(setting, "=") + 1));
        }
        json_object_object_add(row, "settings", settings);
        json_object_object_add(row, "result", json_object_get(result_at(s, order[i], rungs - 1)));
        json_object_array_add(rows, row);
    }
    json_object_object_add(object, "trials", rows);
    return object;
}

/* The winner's folder under its last name; then nothing else is needed. */
static cllm_status keep_best(const sweep *s, size_t best, cllm_error *err) {
    if (s->keep_all) return CLLM_OK;
    char name[64];
    run_name(best, s->n_rungs - 1, name);
    char *from = path_in(s, name), *to = path_in(s, "best"), *runs = path_in(s, "runs");
    cllm_status status = from == NULL || to == NULL || runs == NULL ? cllm__fail_nomem(err) : CLLM_OK;
    if (status == CLLM_OK && cllm__path_exists(from)) status = cllm__folder_commit(from, to, err);
    if (status == CLLM_OK && cllm__path_exists(runs)) cllm__remove_tree(runs);
    cllm__free(from);
    cllm__free(to);
    cllm__free(runs);
    return status;
}

static cllm_status finish(sweep *s, size_t *order, char **json, cllm_error *err) {
    for (size_t i = 0; i < s->n_trials; i++) order[i] = i;
    for (size_t i = 1; i < s->n_trials; i++) {
        for (size_t j = i; j > 0 && stands_before(s, order[j], order[j - 1]); j--) {
            size_t swap = order[j];
            order[j] = order[j - 1];
            order[j - 1] = swap;
        }
    }
    CLLM_TRY(write_table(s, order, err));
    struct json_object *results = results_json(s, order);
    cllm_status status = cllm__json_write(s->options->output, "results.json", results, err);
    if (status == CLLM_OK) status = keep_best(s, order[0], err);
    if (status == CLLM_OK && json != NULL) return cllm__json_to_text(results, json, err);
    json_object_put(results);
    return status;
}

cllm_status cllm_sweep(const cllm_sweep_options *options, char **results, cllm_error *err) {
    sweep s = {.options = options, .part_of = {.host = &options->host}};
    size_t *order = NULL;
    cllm_status status = options->resume ? begin_again(&s, err) : begin_new(&s, err);
    if (status == CLLM_OK && s.n_trials == 0) status = cllm__fail(err, CLLM_ERR_DATA, "the sweep in '%s' has no trials", options->output);
    if (status == CLLM_OK) status = CLLM_NEW(order, s.n_trials, err);
    if (status == CLLM_OK) status = run_rungs(&s, order, err);
    if (status == CLLM_OK) status = finish(&s, order, results, err);
    cllm__free(order);
    json_object_put(s.state);
    return status;
}
