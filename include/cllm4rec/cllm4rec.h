/*
 * cllm4rec: recommendation with a frozen language model (CLLM4Rec, arXiv 2311.01343).
 *
 * This is the only stable header. Conventions, which hold for every function:
 *
 *  - A function that can fail returns a cllm_status; 0 is success. Results come back through out-parameters, which are
 *    left untouched on failure. `err` may be NULL; otherwise it receives the status and a message that names the place
 *    (file and line where there is one), the offending value and the remedy.
 *  - The library never prints, exits or aborts on bad input. Messages for people go through `cllm_host`.
 *  - Strings are UTF-8 and NUL-terminated unless a length stands beside them. Handles are freed by their own `_close` or
 *    `_free`, which accept NULL. Text that a function hands over ("caller frees") is released with cllm_text_free().
 *  - A cllm_model is immutable after it was opened and may be shared by threads. Everything else belongs to one thread
 *    at a time.
 */
#ifndef CLLM4REC_H
#define CLLM4REC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CLLM_API __attribute__((visibility("default")))
#define CLLM_CHECK __attribute__((warn_unused_result))
#define CLLM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CLLM_API
#define CLLM_CHECK
#define CLLM_PRINTF(f, a)
#endif

/* ---- Status ---------------------------------------------------------------------------------------------------- */

/* name, value, exit code of the program, text. Values are pinned and append-only. */
#define CLLM_STATUS_LIST(X) \
    X(OK, 0, 0, "ok") \
    X(ERR_FAILED, 1, 1, "failed") \
    X(ERR_USAGE, 2, 2, "wrong usage") \
    X(ERR_DATA, 3, 3, "bad data") \
    X(ERR_MISMATCH, 4, 4, "model and data do not match") \
    X(ERR_NOMEM, 5, 5, "out of memory") \
    X(ERR_IO, 6, 1, "input or output failed") \
    X(ERR_NOT_FOUND, 7, 3, "not found") \
    X(ERR_EXISTS, 8, 2, "exists already") \
    X(ERR_UNSUPPORTED, 9, 3, "not supported") \
    X(ERR_INTERRUPTED, 10, 130, "interrupted")

typedef enum cllm_status {
#define CLLM_STATUS_ENUM(name, value, exit_code, text) CLLM_##name = value,
    CLLM_STATUS_LIST(CLLM_STATUS_ENUM)
#undef CLLM_STATUS_ENUM
} cllm_status;

typedef struct cllm_error {
    cllm_status status;
    char message[768];
} cllm_error;

/* The status's short text ("bad data"); never NULL. */
CLLM_API const char *cllm_status_text(cllm_status status);
/* The exit code that a program should end with for this status. */
CLLM_API int cllm_status_exit_code(cllm_status status);
/* "1.2.3" */
CLLM_API const char *cllm_version(void);
/* Frees text that the library handed over. NULL is legal. */
CLLM_API void cllm_text_free(char *text);

/* ---- Host: how long work talks to its caller ------------------------------------------------------------------- */

typedef enum cllm_log_level { CLLM_LOG_DEBUG = 0, CLLM_LOG_INFO = 1, CLLM_LOG_WARN = 2 } cllm_log_level;

/* One report of long work. Sent at least every ten seconds while the work runs, and once at the end of each phase. */
typedef struct cllm_progress {
    const char *phase;     /* "read", "content 3/10", "collab 12/100", "evaluate": borrowed until the callback returns */
    double done, total;    /* units of work; total = 0 where it isn't known */
    const char *unit;      /* "rows", "tokens", "users" */
    double rate;           /* units per second, lately */
    double eta_seconds;    /* estimate for the whole call, < 0 where it isn't known */
    const char *detail;    /* loss terms or other figures as text, may be NULL */
    bool final;            /* the phase's last report */
} cllm_progress;

/* All members may be NULL. The callbacks are called from the thread that called the library. */
typedef struct cllm_host {
    void (*log)(void *user, cllm_log_level level, const char *message);
    void (*progress)(void *user, const cllm_progress *progress);
    bool (*cancelled)(void *user); /* true asks the work to stop soon; it then returns CLLM_ERR_INTERRUPTED */
    void *user;
} cllm_host;

/* ---- Preparing data -------------------------------------------------------------------------------------------- */

typedef enum cllm_split_rule {
    CLLM_SPLIT_RATIO = 0, /* the paper's: per user, n_valid = n_test = max(1, floor(0.1 n)) at random; n < 3: all train */
    CLLM_SPLIT_LOO,       /* leave one out: each user's last item is test, the one before it valid; n < 3: all train */
    CLLM_SPLIT_TIME,      /* one moment for all: the last 10 % of rows are test, the 10 % before them valid */
    CLLM_SPLIT_FILES      /* as the files valid and test say */
} cllm_split_rule;

/* `force`, here and below: a folder or file that is there already is replaced if it is of the same kind or empty, else it is CLLM_ERR_EXISTS
 * all the same: no data set gives way to a run, and no other file to a report. */

#define CLLM_QUOTE_NOTHING '\1' /* nothing quotes fields */

/* Zeroed options with `inputs` and `output` set are a good default; cllm_prepare_options_init() gives exactly that. */
typedef struct cllm_prepare_options {
    const char *const *inputs;   /* interaction or review files, "-" is standard input; for CLLM_SPLIT_FILES: the training part */
    size_t n_inputs;
    const char *valid, *test;    /* for CLLM_SPLIT_FILES, may be NULL */
    const char *items, *users;   /* files with item and user fields, may be NULL; `items` fixes the item universe */
    bool only_seen_items;        /* leave out the items of `items` (or of a matrix) that no kept row has */
    const char *texts;           /* reviews in a file of their own: user, item, text (TSV or JSON lines); may be NULL */
    const char *output;          /* the data set folder */
    bool force;                  /* replace an existing one */
    const char *format;          /* NULL or "auto", or "amazon", "delimited", "recbole", "npz", "sequence" */
    const char *user_column, *item_column, *rating_column, *time_column, *text_column; /* NULL: the usual names */
    const char *separator;       /* NULL: by content */
    const char *encoding;        /* NULL or "utf-8", or "latin1" */
    char quote;                  /* 0: by format (CSV yes, TSV no), CLLM_QUOTE_NOTHING, or the character */
    int header;                  /* 0 auto, 1 yes, −1 no */
    bool raw_text;               /* keep HTML entities and tags */
    bool has_min_rating;
    double min_rating;           /* rows below it are set aside (the paper: rating > 3, so 4) */
    int kcore;                   /* users and items with fewer rows are removed until none is left; 0, 1: none */
    cllm_split_rule split;
    uint64_t seed;
    uint64_t max_bad_rows;       /* malformed rows that are tolerated and counted */
    cllm_host host;
} cllm_prepare_options;

CLLM_API void cllm_prepare_options_init(cllm_prepare_options *options);
/* Reads, filters, splits and writes a data set folder. `summary_json` (caller frees; may be NULL) receives an object with
 * users, items, interactions, train, valid, test, density, texts, tokens, history quantiles and dropped rows by reason. */
CLLM_API CLLM_CHECK cllm_status cllm_prepare(const cllm_prepare_options *options, char **summary_json, cllm_error *err);
/* The summary of a data set folder, or of a run folder, as JSON (caller frees). */
CLLM_API CLLM_CHECK cllm_status cllm_inspect(const char *folder, char **summary_json, cllm_error *err);

/* ---- Training -------------------------------------------------------------------------------------------------- */

typedef struct cllm_train_options {
    const char *dataset;            /* a data set folder */
    const char *output;             /* the run folder */
    const char *backbone;           /* a GGUF file or a Hugging Face folder; NULL: one is made from the data's own texts */
    const char *preset;             /* NULL or "paper", or "faithful" */
    const char *const *settings;    /* "name=value" on top of the preset, as `cllm4rec train --help` lists them */
    size_t n_settings;
    const char *prompts;            /* a JSON object of templates that replace default ones; may be NULL */
    const char *bos;                /* the token before each prompt: NULL or "auto" (what the tokenizer's files want), "on", "off" */
    const char *dtype;              /* of products: NULL or "f32", or "bf16" */
    const char *backbone_dtype;     /* of frozen matrices: NULL for that of products, "f32", "bf16", or "q8_0" */
    int threads;                    /* 0: as many as this process may use */
    double budget_seconds;          /* > 0: the schedule is shortened to fit, from a probe at the start */
    bool resume;                    /* go on from the run folder's checkpoint; every other setting is taken from it */
    bool force;                     /* replace an existing run folder */
    bool dry_run;                   /* only predict tokens, FLOPs, memory and time, from a short probe; writes nothing */
    bool final;                     /* afterwards fit once more on all rows, with the epochs that validation chose */
    cllm_host host;
} cllm_train_options;

CLLM_API void cllm_train_options_init(cllm_train_options *options);
/* Trains and writes the run folder. Interrupted (host.cancelled), it writes a checkpoint and returns CLLM_ERR_INTERRUPTED;
 * with `resume` it then ends in the same bits as if it had never stopped, and so it does after a crash. `report_json`
 * (caller frees; may be NULL) receives what was reached, or the prediction of a dry run, whose `besides` names what its seconds leave out. */
CLLM_API CLLM_CHECK cllm_status cllm_train(const cllm_train_options *options, char **report_json, cllm_error *err);
/* The presets with all their settings, as JSON (caller frees). */
CLLM_API CLLM_CHECK cllm_status cllm_train_presets(char **json, cllm_error *err);

/* Zero is the default of each; dataset, output and space are needed. */
typedef struct cllm_sweep_options {
    const char *dataset;            /* a data set folder */
    const char *output;             /* the sweep's folder */
    const char *space;              /* a JSON file: setting -> [values], or {"min":…,"max":…,"log":true}; docs/FORMATS.md */
    const char *backbone, *preset;  /* of every trial, as in cllm_train_options */
    const char *const *settings;    /* likewise, below those of the space */
    size_t n_settings;
    const char *dtype, *backbone_dtype;
    size_t trials;                  /* 0: 20 */
    const char *rungs;              /* ascending parts of all epochs, the last is 1; NULL: "0.1,0.3,1" */
    const char *keep;               /* which run folders stay: NULL or "best", or "all" */
    uint64_t seed;                  /* of the draws */
    int threads;
    bool resume;                    /* go on with the sweep in `output`; everything but threads and host is taken from there */
    bool force;                     /* replace an existing one */
    cllm_host host;
} cllm_sweep_options;

/* Random search with successive halving on the monitor in validation: every trial is trained for the first part of the epochs, the
 * best of them anew for the next part, and so on. Interrupted or killed at any moment, with `resume` it ends in the same table.
 * `results_json` (caller frees; may be NULL) receives what DIR/results.json holds. */
CLLM_API CLLM_CHECK cllm_status cllm_sweep(const cllm_sweep_options *options, char **results_json, cllm_error *err);

/* ---- Evaluation ------------------------------------------------------------------------------------------------ */

typedef struct cllm_evaluate_options {
    const char *run;                /* a run folder; NULL: baselines alone, on `dataset` */
    const char *dataset;            /* NULL: the one that the run was trained on */
    const char *split;              /* NULL or "test", or "valid" */
    const char *baselines;          /* NULL or "all": popularity, recent, itemknn, textknn, ease, ease_text, userknn, als, bpr; those on
                                     * texts if there are texts, recent if the data set is split by time; or "none", or a list, which
                                     * may hold "random" too. What all asks for and memory does not allow is left out with a warning;
                                     * what a list asks for is an error */
    const char *const *baseline_settings; /* "als.factors=64": a baseline that is named is not tuned (docs/EVALUATION.md) */
    size_t n_baseline_settings;
    const char *profile;            /* NULL or "paper", or "recbole": which recall goes by the plain name */
    const size_t *ks;               /* cut-offs; NULL: 5, 10, 20, 40, 100 */
    size_t n_ks;
    bool mask_valid;                /* at test: validation items are not candidates (stricter variant) */
    bool prompt_valid;              /* at test: validation items stand in the prompt, and baselines are fitted to them (stricter variant) */
    const char *backbone, *dtype, *backbone_dtype; /* as in cllm_model_options */
    bool content;                   /* also the likelihood of held-out reviews, with true and with shuffled tokens */
    int threads;
    uint64_t seed;                  /* of ties, bootstrap and prompt order */
    /* Called for every user in order with one JSON line (may be NULL): {"user":…,"model":…,"items":[…],"metrics":{…}}. */
    void (*per_user)(void *user, const char *json_line);
    cllm_host host;
} cllm_evaluate_options;

CLLM_API void cllm_evaluate_options_init(cllm_evaluate_options *options);
/* Full ranking over all items; training items masked. `report_json`: caller frees. docs/EVALUATION.md defines the metrics. */
CLLM_API CLLM_CHECK cllm_status cllm_evaluate(const cllm_evaluate_options *options, char **report_json, cllm_error *err);

/* Zero is the default of each, but for `samples`. */
typedef struct cllm_report_options {
    const char *const *runs;        /* run folders, finished; of one data set or of several */
    size_t n_runs;
    const char *output;             /* the HTML file */
    const char *title;              /* NULL: one that names the data */
    const char *dataset, *split, *baselines, *profile; /* as in cllm_evaluate_options, for every run */
    size_t samples;                 /* users whose recommendations are shown */
    bool force;                     /* replace an existing report */
    int threads;
    cllm_host host;
} cllm_report_options;

CLLM_API void cllm_report_options_init(cllm_report_options *options);
/* Evaluates the runs as cllm_evaluate() does, those after the first of a data set against the best of its baselines alone, and writes
 * one HTML file with inline SVG, which loads and runs nothing: comparison with intervals, means over seeds, by history and
 * popularity, training curves, recommendations. `summary_json` (caller frees; may be NULL) receives {"output","bytes","title",
 * "runs":[{"name","run","preset","changed_settings","seed","training_seconds","peak_memory_bytes","evaluation"}],"means"}:
 * docs/EVALUATION.md. */
CLLM_API CLLM_CHECK cllm_status cllm_report(const cllm_report_options *options, char **summary_json, cllm_error *err);

/* Zero is the default of each; study and output are needed. */
typedef struct cllm_ablate_options {
    const char *study;              /* one of cllm_ablations() */
    const char *const *datasets;    /* data set folders; none: the built-in shop, made in `output` */
    size_t n_datasets;
    const char *output;             /* the study's folder */
    const char *scale;              /* "smoke" (a minute at most, shows that it works), NULL or "small" (minutes an arm), "full" (the
                                     * preset's whole schedule) */
    size_t seeds;                   /* 0: 1, at full scale 3 */
    const char *backbone, *dtype, *backbone_dtype; /* of every arm that has none of its own, as in cllm_train_options */
    const char *const *settings;    /* of every arm, below its own */
    size_t n_settings;
    const char *split;              /* NULL or "test", or "valid" */
    int threads;
    bool resume;                    /* go on with the study in `output`; everything but threads and host is taken from there */
    bool force;                     /* replace an existing one */
    cllm_host host;
} cllm_ablate_options;

/* Answers a question about the method: trains and measures it in several ways that differ in one thing, with the same seeds on the
 * same users, and writes DIR/ablation.json, table.tsv and index.html, which end in a sentence of conclusion (docs/ABLATIONS.md).
 * Interrupted or killed at any moment, with `resume` it ends in the same table. `results_json` (caller frees; may be NULL) receives
 * what ablation.json holds. */
CLLM_API CLLM_CHECK cllm_status cllm_ablate(const cllm_ablate_options *options, char **results_json, cllm_error *err);
/* The studies there are: {"studies": [{"name", "title", "question"}]} (caller frees). */
CLLM_API CLLM_CHECK cllm_status cllm_ablations(char **json, cllm_error *err);

/* ---- Recommending ---------------------------------------------------------------------------------------------- */

/* A trained run, opened: immutable, shared by threads. */
typedef struct cllm_model cllm_model;
/* Zero is the default of each. */
typedef struct cllm_model_options {
    const char *dataset;        /* NULL: the one that the run was trained on */
    const char *dtype;          /* of products: "f32" or "bf16"; NULL: the run's */
    const char *backbone_dtype; /* of frozen matrices: "f32", "bf16" or "q8_0"; NULL: `dtype` if that is given, else the run's */
    const char *backbone;       /* a file or folder with the weights of the run's backbone; NULL: where they were */
} cllm_model_options;
/* `options` may be NULL. */
CLLM_API CLLM_CHECK cllm_status cllm_model_open(cllm_model **model, const char *run, const cllm_model_options *options, cllm_error *err);
/* Every session on it must have been closed. */
CLLM_API void cllm_model_close(cllm_model *model);
CLLM_API size_t cllm_model_users(const cllm_model *model);
CLLM_API size_t cllm_model_items(const cllm_model *model);
/* Raw ids by row; borrowed for the model's life. The row must be below the count. */
CLLM_API const char *cllm_model_user_id(const cllm_model *model, size_t user);
CLLM_API const char *cllm_model_item_id(const cllm_model *model, size_t item);
CLLM_API const char *cllm_model_item_title(const cllm_model *model, size_t item); /* "" if it has none */

/* The row of a raw id; false if the data has no such item. */
CLLM_API bool cllm_model_find_item(const cllm_model *model, const char *id, size_t *item);

/* Working memory for asking a model; belongs to one thread at a time. `threads` 0: as many as this process may use. */
typedef struct cllm_session cllm_session;
CLLM_API CLLM_CHECK cllm_status cllm_session_open(cllm_session **session, const cllm_model *model, int threads, cllm_error *err);
CLLM_API void cllm_session_close(cllm_session *session);

/* What an item must have: `field` is "category" or "brand". Of several categories one is enough; case does not matter. The value "": that it
 * has none. */
typedef struct cllm_condition {
    const char *field, *value;
} cllm_condition;

typedef struct cllm_request {
    const char *user;               /* raw id; NULL or unknown together with `history`: a new user */
    const char *const *history;     /* raw item ids, oldest first; for a known user it is added to what the data holds; unknown
                                     * ones are ignored as long as one is known */
    size_t n_history;
    size_t k;
    bool include_seen;              /* also items that the user has had, in any split or among the dropped rows */
    const char *const *deny;        /* raw item ids that must not come; unknown ones are ignored */
    size_t n_deny;
    const char *const *allow;       /* NULL: every item; otherwise only these; unknown ones are ignored */
    size_t n_allow;
    const cllm_condition *where;    /* only items that fulfil all of these */
    size_t n_where;
} cllm_request;

typedef struct cllm_recommendation {
    const char *item, *title;       /* borrowed from the model */
    double score;                   /* natural logarithm of the model's probability that this is the user's next item */
} cllm_recommendation;

typedef struct cllm_answer {
    cllm_recommendation *items;     /* best first; owned by the answer */
    size_t count;                   /* k, or fewer with a reason */
    char reason[160];               /* why there are fewer than k; "" otherwise */
    bool new_user;                  /* the user token was left out of the prompt */
    cllm_status status;             /* of this request: CLLM_ERR_NOT_FOUND for an unknown user without history, … */
    char message[256];              /* and its message */
} cllm_answer;

/* Answers `count` requests at once; the answer to each has the same bits as if it were asked alone. Free each answer with
 * cllm_answer_free(). A request that cannot be answered fails in its own answer only. */
CLLM_API CLLM_CHECK cllm_status cllm_recommend(cllm_session *session, const cllm_request *requests, size_t count,
                                               cllm_answer *answers, cllm_error *err);
CLLM_API void cllm_answer_free(cllm_answer *answer);

/* The k items most similar to an item (raw id), or to a text if `item` is NULL, by cosine of the item vectors of `space`:
 * "collab", "content" (seen from the items' mean) or "both" (the mean of the two cosines; for items only). In "content" a text is fitted
 * to a content token first; in "collab" it has a place if item tokens are composed of texts, the token of an item of this text.
 * space = NULL: cllm_similar_space(). CLLM_ERR_NOT_FOUND for an unknown item, and where item tokens are composed of words alone for a
 * text without a known one. */
CLLM_API CLLM_CHECK cllm_status cllm_similar(cllm_session *session, const char *item, const char *text, const char *space, size_t k,
                                             cllm_answer *answer, cllm_error *err);
/* Where an item is compared ("collab"), and where a text is: "collab" if item tokens are composed of texts, else "content". */
CLLM_API const char *cllm_similar_space(const cllm_session *session, bool text);
/* Writes user and item vectors: `path` ending in .npz (float32 arrays users_collab, items_collab, users_content, items_content;
 * strings user_ids, item_ids) or a folder of TSV files of these names (id, then the values). */
CLLM_API CLLM_CHECK cllm_status cllm_export(const cllm_model *model, const char *path, bool force, cllm_error *err);

/* ---- Text, backbones, measurement ------------------------------------------------------------------------------ */

/* A BPE vocabulary: a folder with vocab.json and merges.txt, or tokenizer.json, or a GGUF file; or a backbone, which has one of these.
 * Immutable. */
typedef struct cllm_tokenizer cllm_tokenizer;
CLLM_API CLLM_CHECK cllm_status cllm_tokenizer_open(cllm_tokenizer **tokenizer, const char *path, cllm_error *err);
CLLM_API void cllm_tokenizer_close(cllm_tokenizer *tokenizer);
/* Number of pieces; ids of text are below it. */
CLLM_API size_t cllm_tokenizer_size(const cllm_tokenizer *tokenizer);
/* Where the ids of users begin: rows of the word embeddings of the backbone whose folder or GGUF file it is, which may be more than
 * pieces; the number of pieces where there is only a tokenizer. */
CLLM_API size_t cllm_tokenizer_rows(const cllm_tokenizer *tokenizer);
/* The token that stands before a sequence: with "auto" (or NULL) if the tokenizer's files want one, with "on" in any case, with
 * "off" none. *id = -1 for none. Nothing else adds it. */
CLLM_API CLLM_CHECK cllm_status cllm_tokenizer_bos(const cllm_tokenizer *tokenizer, const char *bos, int32_t *id, cllm_error *err);
/* *ids (caller frees with cllm_ids_free) receives the ids of `text`. With `as_template`, user_<i> and item_<j> with i < n_users,
 * j < n_items become tokens from cllm_tokenizer_rows() on (users first); otherwise they are text. n_items = SIZE_MAX: as many
 * as ids of 31 bits have room for. */
CLLM_API CLLM_CHECK cllm_status cllm_tokenizer_encode(const cllm_tokenizer *tokenizer, const char *text, size_t length, bool as_template,
                                                      size_t n_users, size_t n_items, int32_t **ids, size_t *count, cllm_error *err);
CLLM_API CLLM_CHECK cllm_status cllm_tokenizer_decode(const cllm_tokenizer *tokenizer, const int32_t *ids, size_t count, char **text,
                                                      size_t *length, cllm_error *err);
CLLM_API void cllm_ids_free(int32_t *ids);

/* Writes a random GPT-2 as a Hugging Face folder. `tokenizer` (may be NULL) is a folder whose tokenizer is saved with it; a
 * vocabulary of 0 then stands for its size. */
typedef struct cllm_backbone_shape {
    size_t layers, heads, width, vocabulary, context;
} cllm_backbone_shape;
CLLM_API CLLM_CHECK cllm_status cllm_backbone_init(const char *folder, cllm_backbone_shape shape, const char *tokenizer, uint64_t seed,
                                                   bool force, cllm_error *err);
/* Family, shape, sizes and hash of a backbone (a Hugging Face folder or a GGUF file), its tokenizer's size, and what its files
 * hold: number formats, metadata and tensors; as JSON (caller frees). */
CLLM_API CLLM_CHECK cllm_status cllm_backbone_inspect(const char *path, char **json, cllm_error *err);

/* Writes a backbone as a Hugging Face folder that transformers loads: config.json, model.safetensors and, if there is one that
 * can be written, the tokenizer. `dtype` is "f32" or "bf16"; NULL: f32. The folder appears whole or not at all. */
CLLM_API CLLM_CHECK cllm_status cllm_backbone_convert(const char *path, const char *folder, const char *dtype, bool force,
                                                      cllm_error *err);
/* The same with the numbers of each matrix in random order: what a backbone of this shape does that has learnt nothing. */
CLLM_API CLLM_CHECK cllm_status cllm_backbone_shuffle(const char *path, const char *folder, const char *dtype, uint64_t seed, bool force,
                                                      cllm_error *err);

/* A backbone as the language model that it is. `dtype`: of the frozen matrices: NULL or "f32", "bf16", "q8_0". */
typedef struct cllm_generate_options {
    const char *backbone, *prompt, *dtype;
    size_t tokens;      /* how many to add; an end-of-text token is one like any other */
    double temperature; /* 0: the likeliest token each time */
    double top_p;       /* above temperature 0: of the likeliest tokens that make up this share of the probability */
    uint64_t seed;
    int threads;        /* 0: all that this process may use */
    cllm_host host;
} cllm_generate_options;
/* What the model goes on with: bytes, maybe cut inside a character, with a NUL after them (caller frees with cllm_text_free). A
 * token of the tokenizer's own is put before the prompt if it asks for one. */
CLLM_API CLLM_CHECK cllm_status cllm_backbone_generate(const cllm_generate_options *options, char **text, size_t *length, cllm_error *err);

typedef struct cllm_score_options {
    const char *backbone, *file, *dtype; /* `file`: a text a line; plain, .gz, .zst, .xz; "-" is standard input */
    size_t max_lines;                    /* of the file, blank ones too; 0: all */
    int threads;
    cllm_host host;
} cllm_score_options;
/* How likely the model finds the lines: each on its own, nothing put before it, at most 512 tokens, scored from its second token
 * on; lines of fewer are skipped. {"lines" (read), "skipped" (of these), "tokens" (scored), "nll" (nats a token), "perplexity"}:
 * caller frees. */
CLLM_API CLLM_CHECK cllm_status cllm_backbone_score(const cllm_score_options *options, char **json, cllm_error *err);

/* Zero is the default of each. */
typedef struct cllm_bench_options {
    const char *backbone; /* NULL: GPT-2-124M's shape and the demo's, with random weights */
    const char *dtype;    /* "f32" or "bf16", for a pass "q8_0" too; NULL: f32, and bf16 where the CPU multiplies it */
    const char *step;     /* "collab", "content", "ragged", "rec", "users", "one"; NULL: all of these. Or a pass through the backbone
                           * alone, 40 sequences of 50 tokens without a head: "forward", or "backward", which is both */
    int threads;          /* 0: all that this process may use */
    bool quick;           /* the demo's shape alone, each step once: shows that it works, not how fast */
} cllm_bench_options;
/* Measures this machine and the main steps beside their floors; JSON (caller frees). */
CLLM_API CLLM_CHECK cllm_status cllm_bench(const cllm_bench_options *options, const cllm_host *host, char **json, cllm_error *err);

/* What this build and machine are (CPU features, instruction sets in use, libraries, threads, memory), and a self-test: JSON
 * (caller frees) with "ok", "checks": [{"name","ok","detail"}], … A check that fails makes "ok" false, not the call fail. */
CLLM_API CLLM_CHECK cllm_status cllm_doctor(char **json, cllm_error *err);

/* Writes the built-in shop into a folder: reviews.jsonl (Amazon's layout), items.tsv (title, brand, categories, description),
 * users.tsv (biography). People have planted tastes which purchases and words follow. A function of the sizes and the seed. */
CLLM_API CLLM_CHECK cllm_status cllm_demo_shop(const char *folder, size_t users, size_t items, uint64_t seed, cllm_error *err);

#ifdef __cplusplus
}
#endif
#endif
