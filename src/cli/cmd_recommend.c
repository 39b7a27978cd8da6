#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Users that are asked for at once when a file of them streams through. */
enum { CHUNK = 256 };

typedef struct recommending {
    cllm_session *session;
    cllm_request request; /* what holds for every user */
    const char *format;   /* tsv, json or trec */
    int first_failure;    /* exit code of the first request that failed; 0: none did */
} recommending;

/* TREC's columns stand between blanks, and nothing quotes them. */
static bool fits_trec(const char *id) {
    return id[0] != '\0' && strpbrk(id, " \t\r\n\v\f") == NULL;
}

/* Returns 0, or the exit code of what was explained. */
static int print_answer(const recommending *r, const char *user, const cllm_answer *answer) {
    if (strcmp(r->format, "json") == 0) {
        struct json_object *line = json_object_new_object(), *items = json_object_new_array();
        json_object_object_add(line, "user", user != NULL ? json_object_new_string(user) : NULL);
        if (answer->status != CLLM_OK) {
            json_object_object_add(line, "error", json_object_new_string(answer->message));
        } else {
            for (size_t i = 0; i < answer->count; i++) {
                struct json_object *item = json_object_new_object();
                json_object_object_add(item, "id", json_object_new_string(answer->items[i].item));
                json_object_object_add(item, "title", json_object_new_string(answer->items[i].title));
                json_object_object_add(item, "score", json_object_new_double(answer->items[i].score));
                json_object_array_add(items, item);
            }
            json_object_object_add(line, "new_user", json_object_new_boolean(answer->new_user));
            if (answer->reason[0] != '\0') json_object_object_add(line, "short", json_object_new_string(answer->reason));
        }
        json_object_object_add(line, "items", items);
        puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(line);
        return 0;
    }
    bool trec = strcmp(r->format, "trec") == 0;
    const char *name = user != NULL ? user : "history";
    for (size_t i = 0; i < answer->count; i++) {
        const cllm_recommendation *item = &answer->items[i];
        if (trec) {
            const char *bad = !fits_trec(name) ? name : !fits_trec(item->item) ? item->item : NULL;
            if (bad != NULL) {
                return console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_DATA), "--format trec cannot hold the id '%s', which has white space in it: take tsv or json", bad);
            }
            printf("%s Q0 %s %zu %.6f cllm4rec\n", name, item->item, i + 1, item->score);
        } else {
            console_field(name);
            putchar('\t');
            console_field(item->item);
            printf("\t%zu\t%.6f\t", i + 1, item->score);
            console_field(item->title);
            putchar('\n');
        }
    }
    if (answer->reason[0] != '\0' && !COMMON.quiet) fprintf(stderr, "%s: %s\n", name, answer->reason);
    return 0;
}

static int answer(recommending *r, const cllm_request *requests, size_t count) {
    cllm_answer answers[CHUNK];
    cllm_error err = {0};
    if (cllm_recommend(r->session, requests, count, answers, &err) != CLLM_OK) return console_fail("recommend", &err);
    int code = 0;
    for (size_t i = 0; i < count; i++) {
        if (code == 0) code = print_answer(r, requests[i].user, &answers[i]);
        if (code == 0 && answers[i].status != CLLM_OK) {
            if (r->first_failure == 0) r->first_failure = cllm_status_exit_code(answers[i].status);
            console_fail_text("recommend", 0, "%s", answers[i].message);
        }
        cllm_answer_free(&answers[i]);
    }
    return code;
}

/* One user a line, streamed: memory does not grow with the file. */
static int answer_file(recommending *r, const char *path) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (file == NULL) return console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_NOT_FOUND), "cannot open '%s': %s", path, strerror(errno));
    enum { LONGEST = 1024 + 1 }; /* an id, and a carriage return */
    cllm_request requests[CHUNK];
    char(*lines)[LONGEST + 1] = malloc(CHUNK * sizeof *lines), *line = NULL;
    size_t count = 0, users = 0, number = 0, capacity = 0;
    int code = lines == NULL ? console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_NOMEM), "no memory") : 0;
    for (bool more = true; more && code == 0;) {
        ptrdiff_t got = console_line(file, LONGEST, &line, &capacity);
        more = got != CONSOLE_END;
        if (more) {
            number++;
            if (got == CONSOLE_NOMEM) {
                code = console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_NOMEM), "no memory");
                break;
            }
            size_t length = got == CONSOLE_LONG ? LONGEST : (size_t)got;
            if (memchr(line, '\0', length) != NULL) {
                code = console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_DATA), "%s:%zu: a NUL byte: give a text file, a user's id a line", path, number);
                break;
            }
            if (got == CONSOLE_LONG) {
                code = console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_DATA), "%s:%zu: '%.20s…' is longer than an id can be: give one a line", path,
                                         number, line);
                break;
            }
            const char *id = line;
            if (number == 1 && length >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) id += 3;
            while (length > 0 && line[length - 1] == '\r') line[--length] = '\0';
            if (id[0] == '\0') continue;
            strcpy(lines[count], id);
            requests[count] = r->request;
            requests[count].user = lines[count];
            count++;
            users++;
        }
        if (count == CHUNK || (!more && count > 0)) {
            code = answer(r, requests, count);
            count = 0;
        }
    }
    if (code == 0 && ferror(file)) code = console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_IO), "cannot read '%s': %s", path, strerror(errno));
    if (code == 0 && users == 0) fprintf(stderr, "warning: '%s' has no users: give one a line\n", path);
    free(line);
    free(lines);
    if (file != stdin) fclose(file);
    return code;
}

/* Cuts "a,b,c" in place. */
static void split_list(char *text, text_list *list) {
    for (char *part = strtok(text, ","); part != NULL; part = strtok(NULL, ",")) text_list_add(list, part);
}

/* "@FILE" (a line each) or "a,b,c" into a list; the text that it points into is *kept, to be freed. Returns 0, or the exit code. */
static int read_ids(const char *given, text_list *list, char **kept) {
    if (given[0] != '@') {
        if ((*kept = strdup(given)) == NULL) return console_fail_text("recommend", cllm_status_exit_code(CLLM_ERR_NOMEM), "no memory");
        split_list(*kept, list);
        return 0;
    }
    int code = console_read("recommend", given + 1, kept);
    if (code != 0) return code;
    for (char *part = strtok(*kept, "\r\n"); part != NULL; part = strtok(NULL, "\r\n")) text_list_add(list, part);
    return 0;
}

/* "category=Makeup" into a condition; the field's name is cut off in place. */
static bool read_condition(char *text, cllm_condition *condition) {
    char *equals = strchr(text, '=');
    if (equals == NULL) return false;
    *equals = '\0';
    *condition = (cllm_condition){text, equals + 1};
    return true;
}

/* Ids that the data does not have are left out, which nobody should find out from the result. */
static void warn_unknown(const cllm_model *model, const char *option, const text_list *list) {
    const char *first = NULL;
    size_t unknown = 0, item;
    for (size_t i = 0; i < list->count; i++) {
        if (cllm_model_find_item(model, list->values[i], &item)) continue;
        if (unknown++ == 0) first = list->values[i];
    }
    if (unknown > 0) fprintf(stderr, "warning: --%s: %zu of %zu items are not in the data and left out, '%s' for one\n", option, unknown, list->count, first);
}

int cmd_recommend(int argc, char **argv) {
    const char *user = NULL, *users_file = NULL, *history = NULL, *deny = NULL, *allow = NULL, *data = NULL, *backbone = NULL, *dtype = NULL, *backbone_dtype = NULL;
    const char *format = "tsv";
    size_t k = 10;
    int threads = 0;
    bool include_seen = false;
    text_list where = {0};
    const option_spec specs[] = {
        {"user", 'u', OPTION_TEXT, &user, "ID", "a user of the data"},
        {"users-file", 0, OPTION_TEXT, &users_file, "FILE", "one user a line, streamed; - is stdin"},
        {"history", 0, OPTION_TEXT, &history, "LIST", "items a,b,c that somebody has had, oldest first; or @FILE. With --user: besides what the data say"},
        {"top", 'k', OPTION_COUNT, &k, "N", "how many items (10)"},
        {"include-seen", 0, OPTION_FLAG, &include_seen, NULL, "also items that the user has had"},
        {"deny", 0, OPTION_TEXT, &deny, "LIST", "items that must not come; or @FILE"},
        {"allow", 0, OPTION_TEXT, &allow, "LIST", "only these items; or @FILE"},
        {"where", 0, OPTION_LIST, &where, "FIELD=VALUE", "only items with this category or brand; may be given several times: all must hold"},
        {"format", 0, OPTION_TEXT, &format, "NAME", "tsv (user, item, rank, score, title), json (lines) or trec"},
        {"data", 0, OPTION_TEXT, &data, "DIR", "the data set, if it is not where it was"},
        {"backbone", 0, OPTION_TEXT, &backbone, "PATH", "the run's backbone, if it is not where it was"},
        {"dtype", 0, OPTION_TEXT, &dtype, "f32|bf16", "of matrix products (default: the run's)"},
        {"backbone-dtype", 0, OPTION_TEXT, &backbone_dtype, "f32|bf16|q8_0", "of the frozen matrices (default: the run's)"},
        {"threads", 't', OPTION_INT, &threads, "N", "default: all that this process may use"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "recommend RUN (--user ID | --users-file FILE | --history LIST) [options]",
        .about = "The k items that the model finds most likely next. A score is the natural logarithm of the model's probability for the\n"
                 "item among all items. What the user has had, in any split, stands in the prompt and is not recommended again.\n"
                 "docs/FORMATS.md says what the lines hold.",
        .examples = "  cllm4rec recommend runs/beauty --user A1YJEY40YUW4SE -k 20\n"
                    "  cllm4rec recommend runs/beauty --history B00021DVCQ,B00027DDOQ --where category=Makeup --json\n"
                    "  cllm4rec recommend runs/beauty --users-file users.txt --format trec > run.trec\n",
        .min_arguments = 1,
        .max_arguments = 1,
    };
    text_list arguments, history_ids = {0}, deny_ids = {0}, allow_ids = {0};
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    const char *run = arguments.values[0];
    text_list_free(&arguments);
    const int wrong = cllm_status_exit_code(CLLM_ERR_USAGE);
    static const char *const names[3] = {"history", "deny", "allow"};
    char *kept[3] = {NULL};
    recommending r = {0};
    cllm_error err = {0};
    cllm_model *model;
    const char *const given[3] = {history, deny, allow};
    text_list *const lists[3] = {&history_ids, &deny_ids, &allow_ids};
    cllm_condition *conditions = calloc(where.count + 1, sizeof *conditions);
    if (conditions == NULL) {
        code = console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_NOMEM), "no memory");
        goto cleanup;
    }
    if (COMMON.json) format = "json";
    if (strcmp(format, "tsv") != 0 && strcmp(format, "json") != 0 && strcmp(format, "trec") != 0) {
        code = console_fail_text(argv[0], wrong, "--format '%s': give tsv, json or trec", format);
        goto cleanup;
    }
    if (user == NULL && users_file == NULL && history == NULL) {
        code = console_fail_text(argv[0], wrong, "give --user, --users-file or --history");
        goto cleanup;
    }
    if (user != NULL && users_file != NULL) {
        code = console_fail_text(argv[0], wrong, "give --user or --users-file, not both");
        goto cleanup;
    }
    for (size_t i = 0; i < 3; i++) {
        if (given[i] != NULL && (code = read_ids(given[i], lists[i], &kept[i])) != 0) goto cleanup;
    }
    for (size_t i = 0; i < where.count; i++) {
        if (read_condition((char *)where.values[i], &conditions[i])) continue;
        code = console_fail_text(argv[0], wrong, "--where '%s': give category=NAME or brand=NAME", where.values[i]);
        goto cleanup;
    }
    r.format = format;
    r.request = (cllm_request){.user = user, .history = history_ids.values, .n_history = history_ids.count, .k = k,
                               .include_seen = include_seen, .deny = deny_ids.values, .n_deny = deny_ids.count,
                               .allow = allow != NULL ? (allow_ids.count > 0 ? allow_ids.values : (const char *const[]){NULL}) : NULL,
                               .n_allow = allow_ids.count, .where = conditions, .n_where = where.count};
    if (cllm_model_open(&model, run, &(cllm_model_options){data, dtype, backbone_dtype, backbone}, &err) != CLLM_OK) {
        code = console_fail(argv[0], &err);
        goto cleanup;
    }
    for (size_t i = 0; i < 3; i++) warn_unknown(model, names[i], lists[i]);
    if (cllm_session_open(&r.session, model, threads, &err) != CLLM_OK) code = console_fail(argv[0], &err);
    else code = users_file != NULL ? answer_file(&r, users_file) : answer(&r, &r.request, 1);
    cllm_session_close(r.session);
    cllm_model_close(model);
    /* One request that fails fails the command; of a file of users, those that were answered count. */
    if (code == 0 && users_file == NULL) code = r.first_failure;
cleanup:
    for (size_t i = 0; i < 3; i++) {
        free(kept[i]);
        text_list_free(lists[i]);
    }
    free(conditions);
    text_list_free(&where);
    return code;
}
