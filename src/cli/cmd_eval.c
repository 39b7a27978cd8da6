#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "table.h"

static void print_line(void *user, const char *json_line) {
    (void)user;
    puts(json_line);
}

int cmd_eval(int argc, char **argv) {
    cllm_evaluate_options options;
    cllm_evaluate_options_init(&options);
    const char *ks_text = NULL;
    bool per_user = false;
    const option_spec specs[] = {
        {"data", 0, OPTION_TEXT, &options.dataset, "DIR", "the data set, if it is not where it was; without RUN: baselines alone"},
        {"backbone", 0, OPTION_TEXT, &options.backbone, "PATH", "the run's backbone, if it is not where it was"},
        {"split", 0, OPTION_TEXT, &options.split, "NAME", "test (default) or valid"},
        {"baselines", 0, OPTION_TEXT, &options.baselines, "LIST", "some of random,popularity,recent,markov,itemknn,textknn,ease,ease_text,userknn,als,bpr; or all (default): but random; or none"},
        {"metrics-profile", 0, OPTION_TEXT, &options.profile, "NAME", "paper (default) or recbole: which recall stands in the table"},
        {"k", 'k', OPTION_TEXT, &ks_text, "LIST", "cut-offs (5,10,20,40,100)"},
        {"mask-valid", 0, OPTION_FLAG, &options.mask_valid, NULL, "at test, validation items are no candidates"},
        {"prompt-valid", 0, OPTION_FLAG, &options.prompt_valid, NULL, "at test, validation items stand in the prompt, and the baselines are fitted to them, too"},
        {"content", 0, OPTION_FLAG, &options.content, NULL, "also the likelihood of held-out reviews, true and shuffled tokens"},
        {"per-user", 0, OPTION_FLAG, &per_user, NULL, "print a JSON line for each user and model on stdout"},
        {"dtype", 0, OPTION_TEXT, &options.dtype, "f32|bf16", "of matrix products (default: the run's)"},
        {"backbone-dtype", 0, OPTION_TEXT, &options.backbone_dtype, "f32|bf16|q8_0", "of the frozen matrices (default: the run's)"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        {"seed", 0, OPTION_SEED, &options.seed, "N", "of ties, intervals and prompt order (1)"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "eval RUN [options]      or: eval --data DATA [options]",
        .about = "Ranks all items for every user with something held out, and prints the model beside simple baselines, which are tuned once\n"
                 "for each data set (DATA/baselines.json). Where that takes too long, --baselines names a few.",
        .examples = "  cllm4rec eval runs/beauty --split valid --json\n  cllm4rec eval --data data/beauty --baselines popularity,ease\n",
        .min_arguments = 0,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    if (arguments.count > 0) options.run = arguments.values[0];
    text_list_free(&arguments);
    size_t ks[16];
    if (ks_text != NULL) {
        if (!options_parse_ks(ks_text, ks, sizeof ks / sizeof ks[0], &options.n_ks)) {
            return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "-k '%s': give up to 16 numbers like 5,10,20", ks_text);
        }
        options.ks = ks;
    }
    if (per_user) options.per_user = print_line;
    options.host = console_host();
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_evaluate(&options, &json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    struct json_object *report = json_tokener_parse(json);
    if (!COMMON.quiet || (!COMMON.json && !per_user)) print_evaluation(per_user ? stderr : console_report(), report);
    json_object_put(report);
    cllm_text_free(json);
    return 0;
}
