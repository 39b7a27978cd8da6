#include "cli.h"

static void print_results(FILE *to, const char *folder, struct json_object *results) {
    struct json_object *trials = json_at(results, "trials");
    fprintf(to, "%4s %6s %5s %10s  settings\n", "rank", "trial", "rung", "monitor");
    for (size_t i = 0; i < json_object_array_length(trials); i++) {
        struct json_object *row = json_object_array_get_idx(trials, i), *settings = json_at(row, "settings");
        fprintf(to, "%4zu %6.0f %5.0f ", i + 1, json_number_at(row, "trial", 0), json_number_at(row, "rung", 0));
        if (json_at(row, "result/error") != NULL) fprintf(to, "%10s ", "failed");
        else fprintf(to, "%10.4f ", json_number_at(row, "result/monitor", 0));
        json_object_object_foreach(settings, name, value) fprintf(to, " %s=%s", name, json_object_get_string(value));
        fputc('\n', to);
    }
    fprintf(to, "\nmonitor: %s in validation\nthe best run: %s/%s\n", json_text_at(results, "monitor", "?"), folder, json_text_at(results, "best_run", "?"));
}

int cmd_sweep(int argc, char **argv) {
    cllm_sweep_options options = {.seed = 1};
    text_list set = {0}, arguments = {0};
    const option_spec specs[] = {
        {"output", 'o', OPTION_TEXT, &options.output, "DIR", "the sweep's folder"},
        {"space", 0, OPTION_TEXT, &options.space, "FILE", "JSON: {\"lambda-c\": {\"min\": 0.1, \"max\": 1000, \"log\": true}, \"lr\": [\"1e-3\", \"5e-3\"]}"},
        {"trials", 0, OPTION_POSITIVE, &options.trials, "N", "settings to draw (20)"},
        {"rungs", 0, OPTION_TEXT, &options.rungs, "LIST", "parts of all epochs, ascending to 1 (0.1,0.3,1)"},
        {"seed", 0, OPTION_SEED, &options.seed, "N", "of the draws (1)"},
        {"keep", 0, OPTION_TEXT, &options.keep, "best|all", "which run folders stay (best)"},
        {"resume", 0, OPTION_FLAG, &options.resume, NULL, "go on with the sweep in -o"},
        {"force", 'f', OPTION_FLAG, &options.force, NULL, "replace what is there"},
        {NULL, 0, OPTION_GROUP, NULL, NULL, "Of every trial"},
        {"backbone", 0, OPTION_TEXT, &options.backbone, "PATH", "a GGUF file or Hugging Face folder (default: made of the data's words)"},
        {"preset", 0, OPTION_TEXT, &options.preset, "NAME", "as for train (paper)"},
        {"set", 0, OPTION_LIST, &set, "NAME=VALUE", "a setting that all trials share"},
        {"dtype", 0, OPTION_TEXT, &options.dtype, "f32|bf16", "of matrix products (f32)"},
        {"backbone-dtype", 0, OPTION_TEXT, &options.backbone_dtype, "f32|bf16|q8_0", "of the frozen matrices"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "sweep DATA --space FILE -o DIR [options]      or: sweep --resume -o DIR",
        .about = "Searches settings at random, by validation alone: all trials train for the first part of the epochs, the best of them for\n"
                 "the next part, and so on. Ctrl-C or a crash costs nothing: --resume goes on to the same table. Writes results.tsv,\n"
                 "results.json and the best trial's run folder, DIR/best.",
        .examples = "  cllm4rec sweep data/beauty --space space.json -o sweeps/beauty --trials 27 --set epochs=10/30/60\n"
                    "  cllm4rec eval sweeps/beauty/best\n",
        .min_arguments = 0,
        .max_arguments = 1,
    };
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    if (arguments.count > 0) options.dataset = arguments.values[0];
    options.settings = set.values;
    options.n_settings = set.count;
    options.host = console_host();
    cllm_error err = {0};
    char *json = NULL;
    cllm_status status = cllm_sweep(&options, &json, &err);
    text_list_free(&set);
    text_list_free(&arguments);
    if (status != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    struct json_object *results = json_tokener_parse(json);
    if (!COMMON.quiet) print_results(console_report(), options.output, results);
    json_object_put(results);
    cllm_text_free(json);
    return 0;
}
