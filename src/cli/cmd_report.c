#include "cli.h"

int cmd_report(int argc, char **argv) {
    cllm_report_options options;
    cllm_report_options_init(&options);
    const option_spec specs[] = {
        {"output", 'o', OPTION_TEXT, &options.output, "FILE", "the HTML file"},
        {"force", 'f', OPTION_FLAG, &options.force, NULL, "replace an existing report"},
        {"title", 0, OPTION_TEXT, &options.title, "TEXT", "its heading (default: names the data)"},
        {"split", 0, OPTION_TEXT, &options.split, "NAME", "test (default) or valid"},
        {"baselines", 0, OPTION_TEXT, &options.baselines, "LIST", "as for eval; or none"},
        {"metrics-profile", 0, OPTION_TEXT, &options.profile, "NAME", "paper (default) or recbole"},
        {"samples", 0, OPTION_COUNT, &options.samples, "N", "users whose recommendations are shown (3)"},
        {"data", 0, OPTION_TEXT, &options.dataset, "DIR", "the data set, if it is not where it was"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "report RUN... -o FILE.html [options]",
        .about = "Evaluates the runs and writes one HTML file: tables with intervals, runs beside baselines, by length of history and by\n"
                 "popularity of items, losses and validation by epoch, some recommendations. The file loads nothing. If the runs differ in\n"
                 "one numeric setting only, the metrics are drawn against it; of runs that differ in their seed alone there are means.",
        .examples = "  cllm4rec report runs/beauty -o beauty.html\n"
                    "  cllm4rec report runs/lambda-* -o lambda.html --baselines ease --title \"What regularisation does\"\n",
        .min_arguments = 0,
        .max_arguments = 1000,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    options.runs = arguments.values;
    options.n_runs = arguments.count;
    options.host = console_host();
    cllm_error err = {0};
    char *json = NULL;
    cllm_status status = cllm_report(&options, &json, &err);
    text_list_free(&arguments);
    if (status != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    struct json_object *summary = json_tokener_parse(json);
    if (!COMMON.quiet) {
        fprintf(console_report(), "%s: %.0f runs, %.0f kB\n", options.output, (double)options.n_runs, 1e-3 * json_number_at(summary, "bytes", 0));
    }
    json_object_put(summary);
    cllm_text_free(json);
    return 0;
}
