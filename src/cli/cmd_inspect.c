#include "cli.h"
#include "summary.h"

int cmd_inspect(int argc, char **argv) {
    const option_spec specs[] = {COMMON_OPTIONS};
    const usage use = {
        .synopsis = "inspect DIR",
        .about = "Shows the summary of a data set folder or of a run folder.",
        .min_arguments = 1,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    const char *folder = arguments.values[0];
    text_list_free(&arguments);
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_inspect(folder, &json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    print_summary(console_report(), folder, json);
    cllm_text_free(json);
    return 0;
}
