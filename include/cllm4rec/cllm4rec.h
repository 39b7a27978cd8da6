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

/* Zeroed options with `inputs` and `output` set are a good default; cllm_prepare_options_init() gives exactly that. */
typedef struct cllm_prepare_options {
    const char *const *inputs;   /* interaction or review files, "-" is standard input; for CLLM_SPLIT_FILES: the training part */
    size_t n_inputs;
    const char *valid, *test;    /* for CLLM_SPLIT_FILES, may be NULL */
    const char *items, *users;   /* files with item and user fields, may be NULL; `items` fixes the item universe */
    const char *texts;           /* reviews in a file of their own: user, item, text (TSV or JSON lines); may be NULL */
    const char *output;          /* the data set folder */
    bool force;                  /* replace an existing one */
    const char *format;          /* NULL or "auto", or "amazon", "delimited", "recbole", "npz", "sequence" */
    const char *user_column, *item_column, *rating_column, *time_column, *text_column; /* NULL: the usual names */
    const char *separator;       /* NULL: by content */
    const char *encoding;        /* NULL or "utf-8", or "latin1" */
    char quote;                  /* 0: by format (CSV yes, TSV no) */
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

#ifdef __cplusplus
}
#endif
#endif
