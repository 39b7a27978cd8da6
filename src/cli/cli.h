/*
 * What the commands share: their table, their options, and talking to a person.
 *
 * The program sees only the library's public header. Data goes to stdout; with --json that is one JSON object (or JSON
 * lines, for commands that stream), and text for people goes to stderr.
 */
#ifndef CLLM_CLI_CLI_H
#define CLLM_CLI_CLI_H

#include <cllm4rec/cllm4rec.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>

/* ---- Commands ---- */

typedef struct command {
    const char *name;
    const char *summary;           /* one line, for the list of commands */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
} command;

extern const command COMMANDS[]; /* ends with a NULL name */

int cmd_ablate(int argc, char **argv);
int cmd_backbone(int argc, char **argv);
int cmd_baseline(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_prepare(int argc, char **argv);
int cmd_recommend(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_similar(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_train(int argc, char **argv);

/* ---- Options ---- */

typedef struct text_list {
    const char **values;
    size_t count;
} text_list;

typedef enum option_kind {
    OPTION_FLAG,   /* bool *: given or not */
    OPTION_TEXT,   /* const char ** */
    OPTION_LIST,   /* text_list *: may be given several times */
    OPTION_INT,    /* int * */
    OPTION_COUNT,  /* size_t * */
    OPTION_POSITIVE, /* size_t *, from 1 on: where the library takes 0 for its default, which nobody means who writes it */
    OPTION_SEED,   /* uint64_t * */
    OPTION_NUMBER, /* double * */
    OPTION_TIME,   /* double *, seconds: "90", "30m", "2h" */
    OPTION_GROUP   /* no option: a heading in the help; `help` is its text */
} option_kind;

typedef struct option_spec {
    const char *name;     /* without the dashes */
    char letter;          /* 0: none */
    option_kind kind;
    void *value;
    const char *argument; /* what stands for the value in the help */
    const char *help;
} option_spec;

typedef struct usage {
    const char *synopsis; /* after "cllm4rec " */
    const char *about;    /* a paragraph */
    const char *examples; /* lines, may be NULL */
    size_t min_arguments, max_arguments;
} usage;

/* Reads the command line into the options' values. Each option may also come from the environment, as CLLM4REC_<NAME> in
 * capitals with _ for -; the command line wins. *arguments receives the positional arguments (borrowed from argv).
 * Returns −1 to go on, or the exit code (help was printed, or the usage is wrong and was explained). */
int options_parse(int argc, char **argv, const usage *use, const option_spec *specs, size_t count, text_list *arguments);
void text_list_add(text_list *list, const char *value);
void text_list_free(text_list *list);
/* "5,10,20" into ks; false if it is not a list of at most `capacity` numbers from 1 on. */
bool options_parse_ks(const char *text, size_t *ks, size_t capacity, size_t *count);

/* Options that every command has; part of each command's table through COMMON_OPTIONS. */
typedef struct common_options {
    bool json, quiet, verbose;
} common_options;
extern common_options COMMON;
#define COMMON_OPTIONS \
    {NULL, 0, OPTION_GROUP, NULL, NULL, "Common"}, \
    {"json", 0, OPTION_FLAG, &COMMON.json, NULL, "print one JSON object on stdout"}, \
    {"quiet", 'q', OPTION_FLAG, &COMMON.quiet, NULL, "no progress and no remarks"}, \
    {"verbose", 'v', OPTION_FLAG, &COMMON.verbose, NULL, "more remarks"}

/* ---- Talking ---- */

/* A host that logs and shows progress on stderr, and is cancelled by Ctrl-C (SIGINT) or SIGTERM. */
cllm_host console_host(void);
/* Where a report for people goes: stdout, or stderr with --json. */
FILE *console_report(void);
/* Prints "cllm4rec COMMAND: message" and returns the exit code for it. */
int console_fail(const char *name, const cllm_error *err);
int console_fail_text(const char *name, int exit_code, const char *format, ...) CLLM_PRINTF(3, 4);
/* A field of a TSV line on stdout: a tab, a line end and a backslash become \t, \n, \r and \\, as in a data set's files. */
void console_field(const char *text);
/* Prints the JSON text on stdout as one line, if --json was given. */
void console_json(const char *json);
/* Reads a file of text of at most 64 MiB, ended by a NUL, to be freed. Returns 0, or the exit code of what was explained; *text is then untouched. */
int console_read(const char *name, const char *path, char **text);
/* The next line of at most `limit` bytes, without its line feed, into *line, which grows (to be freed); a NUL follows it. Returns its
 * length, or CONSOLE_END, CONSOLE_LONG (the first `limit` bytes are there) or CONSOLE_NOMEM. */
enum { CONSOLE_END = -1, CONSOLE_LONG = -2, CONSOLE_NOMEM = -3 };
ptrdiff_t console_line(FILE *file, size_t limit, char **line, size_t *capacity);
/* "12.3 s", "4 min 10 s", "2 h 05 min" into a buffer of at least 32 bytes. */
const char *console_duration(double seconds, char *buffer, size_t size);

/* Starts the program again, with better kernels for BLAS, if this CPU has them and OpenBLAS did not notice; else returns. */
void use_best_blas_kernels(char **argv);

/* A member of a JSON object, looked up by a path like "models/ease/ndcg@100"; NULL if it is missing. */
struct json_object *json_at(struct json_object *object, const char *path);
double json_number_at(struct json_object *object, const char *path, double otherwise);
const char *json_text_at(struct json_object *object, const char *path, const char *otherwise);

#endif
