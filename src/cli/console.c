#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* ---- Cancelling ---- */

static volatile sig_atomic_t g_stop;

static void on_signal(int number) {
    if (g_stop) { /* the second time, at once */
        signal(number, SIG_DFL);
        raise(number);
    }
    g_stop = 1;
}

static bool cancelled(void *user) {
    (void)user;
    return g_stop != 0;
}

/* ---- Progress ---- */

static size_t g_line; /* characters of the progress line that stands on the terminal */
static double g_last; /* when the last plain line was printed */
static bool g_terminal;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void clear_line(void) {
    if (g_line > 0) fprintf(stderr, "\r%*s\r", (int)g_line, "");
    g_line = 0;
}

static void print_log(void *user, cllm_log_level level, const char *message) {
    (void)user;
    if ((COMMON.quiet && level < CLLM_LOG_WARN) || (!COMMON.verbose && level < CLLM_LOG_INFO)) return;
    clear_line();
    fprintf(stderr, "%s%s\n", level == CLLM_LOG_WARN ? "warning: " : "", message);
}

const char *console_duration(double seconds, char *buffer, size_t size) {
    long whole = (long)(seconds + 0.5);
    if (seconds < 60) snprintf(buffer, size, seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
    else if (whole < 3600) snprintf(buffer, size, "%ld min %02ld s", whole / 60, whole % 60);
    else snprintf(buffer, size, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
    return buffer;
}

static const char *quantity(double value, char *buffer, size_t size) {
    if (value >= 1e9) snprintf(buffer, size, "%.2f G", value / 1e9);
    else if (value >= 1e6) snprintf(buffer, size, "%.2f M", value / 1e6);
    else if (value >= 1e4) snprintf(buffer, size, "%.1f k", value / 1e3);
    else snprintf(buffer, size, value < 10 && value != (double)(long)value ? "%.1f" : "%.0f", value);
    return buffer;
}

static void print_progress(void *user, const cllm_progress *p) {
    (void)user;
    double time = now();
    /* Off a terminal one line in ten seconds is enough; the last one of a phase always comes. */
    if (COMMON.quiet || (!g_terminal && !p->final && time - g_last < 10)) return;
    g_last = time;
    char line[512], done[32], total[32], rate[32], eta[48] = "", duration[32];
    if (p->total > 0) snprintf(eta, sizeof eta, "/%s", quantity(p->total, total, sizeof total));
    int n = snprintf(line, sizeof line, "%-18s %s%s %s, %s %s/s", p->phase, quantity(p->done, done, sizeof done), eta, p->unit,
                     quantity(p->rate, rate, sizeof rate), p->unit);
    if (p->detail != NULL && n > 0 && (size_t)n < sizeof line) n += snprintf(line + n, sizeof line - (size_t)n, "  %s", p->detail);
    if (!p->final && p->eta_seconds >= 0 && n > 0 && (size_t)n < sizeof line) {
        n += snprintf(line + n, sizeof line - (size_t)n, "  %s left", console_duration(p->eta_seconds, duration, sizeof duration));
    }
    size_t length = strlen(line);
    if (g_terminal && !p->final) {
        fprintf(stderr, "\r%s%*s", line, g_line > length ? (int)(g_line - length) : 0, "");
        g_line = length;
    } else {
        clear_line();
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
}

cllm_host console_host(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    g_terminal = isatty(STDERR_FILENO) == 1;
    return (cllm_host){.log = print_log, .progress = print_progress, .cancelled = cancelled};
}

/* ---- Reports ---- */

FILE *console_report(void) {
    return COMMON.json ? stderr : stdout;
}

int console_fail(const char *name, const cllm_error *err) {
    clear_line();
    fprintf(stderr, "cllm4rec %s: %s\n", name, err->message[0] != '\0' ? err->message : cllm_status_text(err->status));
    return cllm_status_exit_code(err->status);
}

int console_fail_text(const char *name, int exit_code, const char *format, ...) {
    clear_line();
    va_list args;
    va_start(args, format);
    fprintf(stderr, "cllm4rec %s: ", name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return exit_code;
}

void console_field(const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\t': fputs("\\t", stdout); break;
        case '\n': fputs("\\n", stdout); break;
        case '\r': fputs("\\r", stdout); break;
        case '\\': fputs("\\\\", stdout); break;
        default: putchar(*text);
        }
    }
}

enum { TEXT_LIMIT = 64 << 20 };

int console_read(const char *name, const char *path, char **text) {
    FILE *file = fopen(path, "r");
    char *held = NULL;
    size_t used = 0, capacity = 0, n = 1;
    while (file != NULL && n > 0) {
        if (used + 65536 > capacity) {
            capacity = capacity * 2 + 65536;
            char *bigger = realloc(held, capacity + 1);
            if (bigger == NULL) {
                free(held);
                fclose(file);
                return console_fail_text(name, cllm_status_exit_code(CLLM_ERR_NOMEM), "no memory for '%s'", path);
            }
            held = bigger;
        }
        n = fread(held + used, 1, 65536, file);
        used += n;
        if (used > TEXT_LIMIT) { /* a device that never ends, say */
            free(held);
            fclose(file);
            return console_fail_text(name, cllm_status_exit_code(CLLM_ERR_DATA), "'%s' is longer than %d MiB: give a text file", path, TEXT_LIMIT >> 20);
        }
    }
    if (file == NULL || ferror(file)) { /* a folder, say */
        int code = console_fail_text(name, cllm_status_exit_code(CLLM_ERR_NOT_FOUND), "cannot read '%s': %s", path, strerror(errno));
        if (file != NULL) fclose(file);
        free(held);
        return code;
    }
    fclose(file);
    if (memchr(held, '\0', used) != NULL) {
        free(held);
        return console_fail_text(name, cllm_status_exit_code(CLLM_ERR_DATA), "'%s' holds a NUL byte: give a text file", path);
    }
    held[used] = '\0';
    *text = held;
    return 0;
}

ptrdiff_t console_line(FILE *file, size_t limit, char **line, size_t *capacity) {
    size_t length = 0;
    for (;;) {
        if (length + 1 >= *capacity) {
            char *bigger = realloc(*line, 2 * *capacity + 64);
            if (bigger == NULL) return CONSOLE_NOMEM;
            *line = bigger;
            *capacity = 2 * *capacity + 64;
        }
        int c = getc(file);
        (*line)[length] = '\0';
        if (c == '\n' || (c == EOF && length > 0)) return (ptrdiff_t)length;
        if (c == EOF) return CONSOLE_END;
        if (length == limit) return CONSOLE_LONG;
        (*line)[length++] = (char)c;
    }
}

void console_json(const char *json) {
    if (!COMMON.json) return;
    struct json_object *object = json_tokener_parse(json); /* what a file holds may stand on many lines */
    puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

struct json_object *json_at(struct json_object *object, const char *path) {
    char name[128];
    while (object != NULL && *path != '\0') {
        size_t length = strcspn(path, "/");
        if (length >= sizeof name) return NULL;
        memcpy(name, path, length);
        name[length] = '\0';
        struct json_object *member = NULL;
        if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, name, &member)) return NULL;
        object = member;
        path += length + (path[length] == '/');
    }
    return object;
}

double json_number_at(struct json_object *object, const char *path, double otherwise) {
    struct json_object *member = json_at(object, path);
    return member != NULL && (json_object_is_type(member, json_type_double) || json_object_is_type(member, json_type_int))
               ? json_object_get_double(member)
               : otherwise;
}

const char *json_text_at(struct json_object *object, const char *path, const char *otherwise) {
    struct json_object *member = json_at(object, path);
    return member != NULL && json_object_is_type(member, json_type_string) ? json_object_get_string(member) : otherwise;
}
