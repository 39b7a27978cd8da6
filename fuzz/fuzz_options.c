#include "cli/cli.h"

#include <math.h>

#include "fuzz.h"

/* A command line, a line an argument: what is accepted lies within what the options promise. */
enum { ARGUMENTS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *rest = NULL, name[] = "command", *argv[ARGUMENTS + 2] = {name};
    int argc = 1;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && argc <= ARGUMENTS; line = strtok_r(NULL, "\n", &rest)) argv[argc++] = line;
    bool flag = false;
    const char *word = NULL;
    int whole = 0;
    size_t count = 0, positive = 1, ks[16], n_ks;
    uint64_t seed = 0;
    double number = 0, seconds = 1;
    text_list list = {0}, arguments = {0};
    const option_spec specs[] = {
        {"flag", 'f', OPTION_FLAG, &flag, NULL, ""},       {"word", 'w', OPTION_TEXT, &word, "W", ""},
        {"list", 0, OPTION_LIST, &list, "L", ""},          {"whole", 't', OPTION_INT, &whole, "N", ""},
        {"count", 'k', OPTION_COUNT, &count, "N", ""},     {"positive", 0, OPTION_POSITIVE, &positive, "N", ""},
        {"seed", 's', OPTION_SEED, &seed, "N", ""},        {"number", 0, OPTION_NUMBER, &number, "X", ""},
        {"time", 0, OPTION_TIME, &seconds, "TIME", ""},
    };
    const usage use = {.synopsis = "command", .about = "", .max_arguments = ARGUMENTS};
    static FILE *nowhere;
    if (nowhere == NULL) nowhere = fopen("/dev/null", "w");
    FUZZ_CHECK(nowhere != NULL);
    FILE *out = stdout, *messages = stderr;
    stdout = stderr = nowhere;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    stdout = out;
    stderr = messages;
    FUZZ_CHECK(code == -1 || code == 0 || code == cllm_status_exit_code(CLLM_ERR_USAGE));
    FUZZ_CHECK(whole >= 0 && positive >= 1 && isfinite(number) && isfinite(seconds) && seconds > 0);
    if (word != NULL && options_parse_ks(word, ks, 16, &n_ks)) {
        FUZZ_CHECK(n_ks >= 1 && n_ks <= 16 && strchr(word, '-') == NULL);
        for (size_t i = 0; i < n_ks; i++) FUZZ_CHECK(ks[i] >= 1);
    }
    text_list_free(&list);
    text_list_free(&arguments);
    free(text);
    return 0;
}
