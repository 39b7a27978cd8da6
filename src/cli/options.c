#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

common_options COMMON;

enum { LONG_ONLY = 1000, MAX_OPTIONS = 96 };

void text_list_add(text_list *list, const char *value) {
    const char **bigger = realloc(list->values, (list->count + 1) * sizeof *bigger);
    if (bigger == NULL) {
        fputs("cllm4rec: out of memory\n", stderr);
        exit(cllm_status_exit_code(CLLM_ERR_NOMEM));
    }
    list->values = bigger;
    list->values[list->count++] = value;
}

void text_list_free(text_list *list) {
    free(list->values);
    *list = (text_list){0};
}

static bool parse_time(const char *text, double *seconds) {
    char *end;
    errno = 0;
    double value = strtod(text, &end), unit;
    if (end == text || errno != 0 || (*end != '\0' && end[1] != '\0')) return false;
    switch (*end) {
    case '\0':
    case 's': unit = 1; break;
    case 'm': unit = 60; break;
    case 'h': unit = 3600; break;
    case 'd': unit = 86400; break;
    default: return false;
    }
    if (!isfinite(value * unit) || value <= 0) return false;
    *seconds = value * unit;
    return true;
}

static bool parse_whole(const char *text, unsigned long long limit, unsigned long long *value) {
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && strchr(text, '-') == NULL && *value <= limit;
}

/* False if the text does not fit the option's kind; *wanted then says what would. */
static bool store(const option_spec *spec, const char *text, const char **wanted) {
    unsigned long long whole;
    char *end;
    switch (spec->kind) {
    case OPTION_FLAG: *(bool *)spec->value = true; return true;
    case OPTION_TEXT: *(const char **)spec->value = text; return true;
    case OPTION_LIST: text_list_add(spec->value, text); return true;
    case OPTION_INT:
        *wanted = "a whole number from 0 on";
        if (!parse_whole(text, 1 << 30, &whole)) return false;
        *(int *)spec->value = (int)whole;
        return true;
    case OPTION_COUNT:
    case OPTION_POSITIVE:
        *wanted = spec->kind == OPTION_COUNT ? "a whole number from 0 on" : "a whole number from 1 on";
        if (!parse_whole(text, 1ULL << 48, &whole)) return false;
        if (whole == 0 && spec->kind == OPTION_POSITIVE) return false;
        *(size_t *)spec->value = (size_t)whole;
        return true;
    case OPTION_SEED:
        *wanted = "a whole number from 0 on";
        if (!parse_whole(text, ~0ULL, &whole)) return false;
        *(uint64_t *)spec->value = whole;
        return true;
    case OPTION_NUMBER:
        *wanted = "a number";
        errno = 0;
        double value = strtod(text, &end);
        if (end == text || *end != '\0' || errno != 0 || !isfinite(value)) return false;
        *(double *)spec->value = value;
        return true;
    case OPTION_TIME: *wanted = "a time above 0, such as 90, 30m or 2h"; return parse_time(text, spec->value);
    case OPTION_GROUP: return true;
    }
    return false;
}

static void print_help(const usage *use, const option_spec *specs, size_t count) {
    printf("Usage: cllm4rec %s\n\n%s\n", use->synopsis, use->about);
    for (size_t i = 0; i < count; i++) {
        const option_spec *s = &specs[i];
        if (s->kind == OPTION_GROUP) {
            printf("\n%s:\n", s->help);
            continue;
        }
        char left[64];
        char letter[8] = "    ";
        if (s->letter != 0) snprintf(letter, sizeof letter, "-%c, ", s->letter);
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, s->name, s->argument != NULL ? " " : "", s->argument != NULL ? s->argument : "");
        printf("%-34s %s%s\n", left, strlen(left) > 34 ? "\n                                   " : "", s->help);
    }
    puts("      --help                       print this");
    if (use->examples != NULL) printf("\nExamples:\n%s", use->examples);
}

static bool from_environment(const char *name, const option_spec *specs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (specs[i].kind == OPTION_GROUP || specs[i].kind == OPTION_LIST) continue;
        char variable[80] = "CLLM4REC_";
        size_t used = strlen(variable);
        for (const char *c = specs[i].name; *c != '\0' && used + 1 < sizeof variable; c++) {
            variable[used++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        }
        variable[used] = '\0';
        const char *text = getenv(variable), *wanted = "";
        if (text == NULL || (specs[i].kind == OPTION_FLAG && strcmp(text, "0") == 0)) continue;
        if (!store(&specs[i], text, &wanted)) {
            fprintf(stderr, "cllm4rec %s: %s is '%s': give %s\n", name, variable, text, wanted);
            return false;
        }
    }
    return true;
}

int options_parse(int argc, char **argv, const usage *use, const option_spec *specs, size_t count, text_list *arguments) {
    const int wrong = cllm_status_exit_code(CLLM_ERR_USAGE);
    struct option table[MAX_OPTIONS + 2];
    char letters[2 * MAX_OPTIONS + 4] = ":";
    size_t used = 0, letters_used = 1;
    for (size_t i = 0; i < count; i++) {
        if (specs[i].kind == OPTION_GROUP) continue;
        bool flag = specs[i].kind == OPTION_FLAG;
        table[used++] = (struct option){specs[i].name, flag ? no_argument : required_argument, NULL, LONG_ONLY + (int)i};
        if (specs[i].letter != 0) {
            letters[letters_used++] = specs[i].letter;
            if (!flag) letters[letters_used++] = ':';
        }
    }
    letters[letters_used] = '\0';
    table[used++] = (struct option){"help", no_argument, NULL, LONG_ONLY + MAX_OPTIONS};
    table[used] = (struct option){0};
    if (!from_environment(argv[0], specs, count)) return wrong;

    optind = 0; /* GNU: start over, with permutation */
    for (;;) {
        int code = getopt_long(argc, argv, letters, table, NULL);
        if (code == -1) break;
        if (code == LONG_ONLY + MAX_OPTIONS) {
            print_help(use, specs, count);
            return 0;
        }
        const option_spec *spec = code >= LONG_ONLY ? &specs[code - LONG_ONLY] : NULL;
        for (size_t i = 0; spec == NULL && i < count; i++) {
            if (specs[i].letter != 0 && specs[i].letter == code) spec = &specs[i];
        }
        if (spec == NULL) {
            const char *given = argv[optind - 1];
            fprintf(stderr, "cllm4rec %s: %s '%s'; see cllm4rec %s --help\n", argv[0], code == ':' ? "no value for" : "unknown option", given,
                    argv[0]);
            return wrong;
        }
        const char *wanted = "";
        if (!store(spec, optarg, &wanted)) {
            fprintf(stderr, "cllm4rec %s: --%s '%s': give %s\n", argv[0], spec->name, optarg, wanted);
            return wrong;
        }
    }
    size_t given = (size_t)(argc - optind);
    if (given < use->min_arguments || given > use->max_arguments) {
        fprintf(stderr, "cllm4rec %s: %s\nUsage: cllm4rec %s\n", argv[0], given < use->min_arguments ? "too few arguments" : "too many arguments",
                use->synopsis);
        return wrong;
    }
    *arguments = (text_list){0};
    for (int i = optind; i < argc; i++) text_list_add(arguments, argv[i]);
    return -1;
}

bool options_parse_ks(const char *text, size_t *ks, size_t capacity, size_t *count) {
    if (strchr(text, '-') != NULL) return false;
    for (*count = 0; *count < capacity; text++) {
        char *end;
        unsigned long long k = strtoull(text, &end, 10);
        if (end == text || k == 0 || k > 1u << 30 || (*end != ',' && *end != '\0')) return false;
        ks[(*count)++] = (size_t)k;
        text = end;
        if (*end == '\0') return true;
    }
    return false;
}
