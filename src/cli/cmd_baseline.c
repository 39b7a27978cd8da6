/* `baseline`: what `eval` does without a run, under its own name and with parameters to set. */
#include "cli.h"
#include "table.h"

enum { MOST_KS = 16 };

int cmd_baseline(int argc, char **argv) {
    cllm_evaluate_options options;
    cllm_evaluate_options_init(&options);
    const char *ks_text = NULL;
    text_list arguments = {0}, set = {0};
    const option_spec specs[] = {
        {"models", 'm', OPTION_TEXT, &options.baselines, "LIST", "some of random,popularity,recent,markov,itemknn,textknn,ease,ease_text,userknn,als,bpr; or all (default): but random"},
        {"split", 0, OPTION_TEXT, &options.split, "NAME", "test (default) or valid"},
        {"set", 0, OPTION_LIST, &set, "MODEL.NAME=VALUE", "a parameter, e.g. ease.lambda=200: this model is not tuned then"},
        {"metrics-profile", 0, OPTION_TEXT, &options.profile, "NAME", "paper (default) or recbole: which recall stands in the table"},
        {"k", 'k', OPTION_TEXT, &ks_text, "LIST", "cut-offs (5,10,20,40,100)"},
        {"mask-valid", 0, OPTION_FLAG, &options.mask_valid, NULL, "at test, validation items are no candidates"},
        {"prompt-valid", 0, OPTION_FLAG, &options.prompt_valid, NULL, "at test, the models are fitted to the validation rows, too"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        {"seed", 0, OPTION_SEED, &options.seed, "N", "of als, bpr, random, ties and intervals (1)"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "baseline DATA [options]",
        .about = "Tunes simple models on an inner split of the training rows, once for each data set, and ranks all items for every user\n"
                 "with something held out. What was chosen is kept in DATA/baselines.json.",
        .examples = "  cllm4rec baseline data/beauty\n"
                    "  cllm4rec baseline data/beauty --models ease_text,als --split valid --json\n"
                    "  cllm4rec baseline data/beauty --models ease --set ease.lambda=200\n",
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    size_t ks[MOST_KS];
    if (ks_text != NULL && !options_parse_ks(ks_text, ks, MOST_KS, &options.n_ks)) {
        text_list_free(&arguments);
        text_list_free(&set);
        return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "-k '%s': give up to %d numbers like 5,10,20", ks_text, MOST_KS);
    }
    if (ks_text != NULL) options.ks = ks;
    options.dataset = arguments.values[0];
    options.baseline_settings = set.values;
    options.n_baseline_settings = set.count;
    options.host = console_host();
    cllm_error err = {0};
    char *json = NULL;
    cllm_status status = cllm_evaluate(&options, &json, &err);
    text_list_free(&arguments);
    text_list_free(&set);
    if (status != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    struct json_object *report = json_tokener_parse(json);
    if (!COMMON.quiet || !COMMON.json) print_evaluation(console_report(), report);
    json_object_put(report);
    cllm_text_free(json);
    return 0;
}
