/*
 * `cllm4rec ablate STUDY`: a question about the method, answered by doing the same thing in several ways (arms) on the same data,
 * users and seeds, and comparing the outcomes user by user.
 *
 * A study (api/ablate_<study>.c) plans its arms, measures what only it wants to know, and concludes in a sentence. The frame
 * makes data and backbones where none are given, trains the arms' runs, ranks, puts simple models beside them, keeps every result in
 * DIR/ablation.json, compares, and writes DIR/table.tsv and DIR/index.html. What is done next is a function of ablation.json alone, so a study may be killed
 * at any moment; a training that was under way goes on from its checkpoint.
 *
 * How a study looks: see ablate_lambda.c. It is listed in ablation_studies.c.
 */
#ifndef CLLM_API_ABLATION_H
#define CLLM_API_ABLATION_H

#include <json-c/json.h>

#include "api/model.h"
#include "api/part.h"
#include "api/report_page.h"
#include "eval/evaluate.h"
#include "eval/scorer.h"
#include "eval/statistics.h"

typedef struct cllm__ablation cllm__ablation;

typedef enum cllm__scale { CLLM__SCALE_SMOKE, CLLM__SCALE_SMALL, CLLM__SCALE_FULL } cllm__scale;

/* ---- Arms ---- */

enum { CLLM__ARM_NAME = 48, CLLM__ARM_SETTINGS = 12, CLLM__ARM_SETTING = 96 };
#define CLLM__OWN_RUN SIZE_MAX        /* the arm trains a run of its own */
#define CLLM__NO_RUN (SIZE_MAX - 1)   /* there is none: the arm measures something else, like a bare backbone */
#define CLLM__NO_REFERENCE SIZE_MAX
#define CLLM__BASELINES "baselines" /* the series of the simple models that the frame puts beside the arms */

/* One way of doing it. Its name is its own within its data set and series; arms of the same name in several series stand at the same
 * place of the plot. */
typedef struct cllm__arm {
    size_t data;                 /* index of the data set */
    char series[CLLM__ARM_NAME]; /* "": the study has one line only */
    char name[CLLM__ARM_NAME];
    size_t run;       /* CLLM__OWN_RUN (the default), CLLM__NO_RUN, or the arm before it whose run it measures too */
    size_t reference; /* the arm that it is compared with in the table; CLLM__NO_REFERENCE (the default) */
    int kind;         /* the study's own */
    const char *baseline; /* the frame's: the simple model that it is; such arms stand behind the study's, and measure() sees none */
    /* Of its training. NULL: as for all arms. */
    const char *preset;
    char *dataset;  /* a folder of the study's making to train on (measure() then sees that one); freed with the arm (cllm__strdup) */
    char *backbone; /* freed with the arm too */
    const char *prompts;
    char settings[CLLM__ARM_SETTINGS][CLLM__ARM_SETTING]; /* on top of preset, scale and --set */
    size_t n_settings;
} cllm__arm;

/* Adds an arm; for plan(). Lives as long as the study. */
cllm__arm *cllm__ablation_add(cllm__ablation *a, size_t data, const char *series, const char *format, ...) CLLM_PRINTF(4, 5);
/* Adds a setting "name=value". */
void cllm__arm_set(cllm__arm *arm, const char *format, ...) CLLM_PRINTF(2, 3);

/* ---- Measuring one arm with one seed ---- */

/* Model and engine are NULL for CLLM__NO_RUN. */
typedef struct cllm__measuring {
    cllm__ablation *ablation;
    const cllm__arm *arm;
    uint64_t seed;
    const char *folder; /* of the run */
    struct cllm_model *model; /* opened with its vocabulary head */
    cllm__engine *engine;
    cllm__pool *pool;
    cllm_host host; /* labelled with the arm */
    struct json_object *result; /* what ablation.json will hold; through the functions below */
} cllm__measuring;

/* Ranks as `eval` does, with the arm's model (scorer = NULL) or with a scorer of the study's own; keeps metrics, buckets and
 * per-user NDCG@100. At most once a measure(); an arm that never ranks has no such figures. `users` NULL: all with targets. */
CLLM_CHECK cllm_status cllm__measure_ranking(cllm__measuring *m, const cllm__scorer *scorer, const cllm__eval_data *data,
                                             const int32_t *users, size_t n_users, cllm_error *err);
/* The rows that `eval` uses for this arm: the data of its model. */
cllm__eval_data cllm__measure_data(const cllm__measuring *m);
/* The split that the study measures on. */
cllm__split cllm__measure_split(const cllm__measuring *m);
/* A value of one of the study's columns; NaN is kept as missing. */
void cllm__measure_column(cllm__measuring *m, const char *column, double value);

/* ---- The study ---- */

typedef struct cllm__column {
    const char *name;  /* in ablation.json and table.tsv: "review_nll" */
    const char *label; /* on the page: "NLL of held-out reviews" */
    const char *format; /* of a value: "%.4f" */
    bool plotted;      /* gets a figure of its own */
    bool spread;       /* with several seeds, its standard deviation over them stands beside it ("review_nll_spread") */
} cllm__column;

typedef struct cllm__study {
    const char *name;     /* "lambda" */
    const char *title;    /* "The strength of mutual regularisation" */
    const char *question; /* a sentence or two, for page and documentation */
    const char *preset;   /* of all arms; NULL: paper */
    size_t n_shops;       /* how many demo shops stand in where no data are given: 1 or 2 */
    bool lines;           /* arms stand along an axis (in the order in which they were added); else they are dots */
    const char *axis;     /* its label */
    bool by_history;      /* the table has NDCG@100 by length of history too */
    bool own_baselines;   /* it brings the simple models itself; else the frame adds popularity, item-kNN and EASE to each data set */
    size_t list;          /* of those, only so many items count; 0: all */
    const cllm__column *columns;
    size_t n_columns;
    /* Adds the arms: a function of options and data sets alone. */
    cllm_status (*plan)(cllm__ablation *a, cllm_error *err);
    /* Called for every arm and seed, its run trained and opened. NULL: cllm__measure_ranking() alone. */
    cllm_status (*measure)(cllm__measuring *m, cllm_error *err);
    /* Says what was found, through cllm__ablation_say(). */
    cllm_status (*conclude)(cllm__ablation *a, cllm_error *err);
    /* Further figures or tables on the page; may be NULL. */
    cllm_status (*figures)(const cllm__ablation *a, cllm__page *page, cllm_error *err);
} cllm__study;

extern const cllm__study *const CLLM__STUDIES[]; /* ends with NULL */

/* ---- What plan(), conclude() and figures() may ask ---- */

const cllm_ablate_options *cllm__ablation_options(const cllm__ablation *a);
cllm__scale cllm__ablation_scale(const cllm__ablation *a);
/* The settings that an arm of this preset (NULL: the study's) has before its own. */
CLLM_CHECK cllm_status cllm__ablation_config(const cllm__ablation *a, const char *preset, cllm__train_config *config, cllm_error *err);
size_t cllm__ablation_data_sets(const cllm__ablation *a);
const char *cllm__ablation_data_name(const cllm__ablation *a, size_t data);
const char *cllm__ablation_data_path(const cllm__ablation *a, size_t data);
/* The backbone of every arm on these data that names no other: --backbone, or one made from the data's words. */
const char *cllm__ablation_backbone(const cllm__ablation *a, size_t data);
/* DIR/name (cllm__free), NULL when memory is short: a place for what the study makes. */
char *cllm__ablation_path(const cllm__ablation *a, const char *name);

size_t cllm__ablation_arms(const cllm__ablation *a);
const cllm__arm *cllm__ablation_arm(const cllm__ablation *a, size_t index);
size_t cllm__arm_index(const cllm__ablation *a, const cllm__arm *arm);
/* SIZE_MAX if there is none. */
size_t cllm__ablation_find(const cllm__ablation *a, size_t data, const char *series, const char *name);
/* Mean over the seeds of a metric ("ndcg@100", "recall@20", "recall_capped@20", …@40), of one by history ("buckets/1-2/ndcg@100"), of a
 * column ("columns/review_nll"), or of "seconds" (training). NaN if it is missing. *spread (may be NULL): standard deviation over
 * the seeds, NaN with one seed. */
double cllm__ablation_value(const cllm__ablation *a, size_t arm, const char *what, double *spread);

/* The paired difference arm − other of per-user NDCG@100, each user's mean over the seeds. */
typedef struct cllm__difference {
    cllm__paired_test test;
    size_t users;
    double spread; /* standard deviation over the seeds of the difference of means; NaN with one seed */
    bool counts;   /* the interval excludes 0, and the difference exceeds the spread of the seeds where there are several */
} cllm__difference;
/* `history`: "1-2" and so on, only users of this bucket; NULL: all. Both arms must have ranked the same users (else
 * CLLM_ERR_MISMATCH). users = 0, counts = false, NaN where nobody is left, or one of them never ranked. */
CLLM_CHECK cllm_status cllm__ablation_compare(const cllm__ablation *a, size_t arm, size_t other, const char *history,
                                              cllm__difference *difference, cllm_error *err);
/* What two changes do together beyond what they do alone: (both − one) − (other − none), user by user as above. */
CLLM_CHECK cllm_status cllm__ablation_interaction(const cllm__ablation *a, size_t both, size_t one, size_t other, size_t none,
                                                  cllm__difference *difference, cllm_error *err);
/* Appends to the conclusion, as it stands: sentences begin with a space (the first one is removed). */
void cllm__ablation_say(cllm__ablation *a, const char *format, ...) CLLM_PRINTF(2, 3);
/* "+0.0123 (95 % interval +0.0050 to +0.0201)": for sentences. */
void cllm__difference_text(const cllm__difference *difference, char text[96]);

#endif
