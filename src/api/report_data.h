/*
 * What a report shows, gathered: of each run its manifest, its evaluation (as cllm_evaluate() reports it), its log, and the summary
 * of its data. Nothing here is computed anew or kept for later.
 */
#ifndef CLLM_API_REPORT_DATA_H
#define CLLM_API_REPORT_DATA_H

#include "api/report_page.h"
#include "api/report_svg.h"
#include "api/run.h"
#include "eval/evaluate.h"

typedef struct cllm__report_run {
    const char *path;               /* as it was given */
    const char *data_path;          /* in the manifest, or as given for all */
    char *name;                     /* the folder's, or the path where two would have the same */
    cllm__run run;                  /* manifest and settings */
    struct json_object *evaluation; /* of cllm_evaluate() */
    cllm__evaluation *measured;     /* the same, by user */
    struct json_object *summary;    /* of the data set */
    struct json_object *epochs;     /* array: the lines of log.jsonl that tell of an epoch */
    double seconds;                 /* of training; in the manifest, or of all epochs */
    double memory;                  /* its peak in bytes, in the manifest; else NaN */
    size_t group;                   /* runs on the same data have the same number */
    int style;                      /* in figures */
} cllm__report_run;

typedef struct cllm__report_data {
    const cllm_report_options *options;
    cllm__report_run *runs;
    size_t n_runs, n_groups;
    struct json_object *means; /* array, over seeds (report_means.c) */
} cllm__report_data;

/* `data` is {0} but for its options, and freed by the caller in every case. Every run is looked at before the first is evaluated. The
 * baselines are measured with the first run of a group; the others are compared with the best of these. */
CLLM_CHECK cllm_status cllm__report_gather(cllm__report_data *data, cllm_error *err);
void cllm__report_data_free(cllm__report_data *data);

/* The two numbers of an interval; NaN if there is none. */
void cllm__report_interval(struct json_object *array, double *low, double *high);
/* Whether a setting says nothing about the model. */
bool cllm__report_is_upkeep(const char *setting);
/* The settings unlike the preset's, as an object of texts, those left out that say nothing about the model. The caller puts it. */
struct json_object *cllm__report_changed_settings(const cllm__report_run *run);
/* The name of the run itself among its evaluation's models. */
const char *cllm__report_own_model(const cllm__report_run *run);
/* The metric that orders the table: the headline's first NDCG, else its last; and how the headline calls it. */
void cllm__report_main_metric(const cllm__report_run *run, const char **metric, const char **label);

/* Runs that differ in nothing but their seed, two or more, as one object each: {"data", "hash", "preset", "runs": [names], "seeds": [numbers],
 * "mean": {metric: of the headline's}, "paired": {"best_baseline", "metric", "difference", "interval" and "p": of each user's mean over
 * the runs against the baseline, "differences": [by run], "intervals"}, "training_seconds": mean, "peak_memory_bytes": largest}; what is not known is
 * left out. The caller puts the array. */
CLLM_CHECK cllm_status cllm__report_means(struct json_object **means, const cllm__report_data *data, cllm_error *err);

/* ---- Parts of the page (report_figures.c, report_tables.c, report_samples.c) ---- */

/* One line of the comparison: a run or a baseline of a group, best first by the main metric. */
typedef struct cllm__report_row {
    const char *name;
    struct json_object *model;   /* its metrics */
    const cllm__report_run *run; /* NULL: a baseline */
    int style;
} cllm__report_row;
/* *rows: cllm__free. */
CLLM_CHECK cllm_status cllm__report_rows(const cllm__report_data *data, size_t group, cllm__report_row **rows, size_t *count, cllm_error *err);

void cllm__report_tables(cllm__page *page, const cllm__report_data *data, size_t group, const cllm__report_row *rows, size_t count);
/* The group's means over seeds, if there are any. */
void cllm__report_mean_table(cllm__page *page, const cllm__report_data *data, size_t group);
/* What the runs were given: backbone, preset, settings, time. */
void cllm__report_settings(cllm__page *page, const cllm__report_data *data, size_t group);
CLLM_CHECK cllm_status cllm__report_comparison(cllm__page *page, const cllm__report_data *data, size_t group, const cllm__report_row *rows,
                                               size_t count, cllm_error *err);
CLLM_CHECK cllm_status cllm__report_training(cllm__page *page, const cllm__report_data *data, size_t group, cllm_error *err);
CLLM_CHECK cllm_status cllm__report_samples(cllm__page *page, const cllm__report_run *run, const cllm_report_options *options, cllm_error *err);

#endif
