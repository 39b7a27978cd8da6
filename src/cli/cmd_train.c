#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Settings of the method that have a flag of their own; each becomes "name=value" for the library, which checks it. */
typedef struct method_flag {
    const char *name, *argument, *help;
} method_flag;

static const method_flag METHOD[] = {
    {"epochs", "W/A/R", "content warm-up / alternation / recommendation (paper: 10/100/150)"},
    {"lr", "X[/Y/Z]", "learning rates of the three (paper: 1e-3/1e-3/1e-4)"},
    {"batch", "N", "users or texts in a step (20)"},
    {"lambda-c", "X", "mutual regularisation (100; faithful: 1, the code's lambda_V); inf: one table of tokens for both models"},
    {"lambda-stages", "X/Y/Z", "factors of lambda-c in L-steps, C-steps and recommendation steps (1/1/1)"},
    {"lambda-l", "X", "prior of the collaborative tokens (0)"},
    {"reg", "map|code", "the paper's objective, or the authors' program's"},
    {"target", "hold|all", "recommendation target: the held-out part, or all items"},
    {"mask-share", "LO[:HI]", "part of a history that is held out in a step (0.2)"},
    {"predict-first", "0|1", "whether the first main token is predicted (1)"},
    {"reorder", "1|0|time", "histories while pretraining: new item order in every epoch (1), by item number (0), oldest first"},
    {"prompt-order", "random|ascending|time", "of the history in recommendation prompts (random)"},
    {"finetune", "0|1", "0: no recommendation stage; the pretrained model's next item is recommended (1)"},
    {"dropout", "P", "in the frozen backbone (0)"},
    {"init", "normal|text-mean", "tokens (item tokens of kind id) begin at random, or at the mean of their texts' word embeddings (normal)"},
    {"item-tokens", "id|text|id+text|spelled", "a token of its own; composed of the words of the item's text; both; or of its number's pieces (id; accurate: id+text)"},
    {"item-features", "words|states|words+states|auto", "what tokens composed of texts are a function of: the texts' words, or what the frozen backbone makes of the texts; auto: words, and states too where a backbone is given and many items have texts and no rows yet (words; accurate: auto)"},
    {"states-width", "N", "principal components of these states (64)"},
    {"states-reviews", "N", "reviews of each item that the backbone reads besides the item's own texts (0)"},
    {"init-words", "normal|backbone", "vectors of words begin at random, or at the backbone's embeddings (normal)"},
    {"readout", "transformer|bag", "what reads a history for a recommendation; bag: the plain sum of its tokens (accurate)"},
    {"bag-sharpness", "X", "0: the sum; above: each item speaks for itself, the strongest counting the more the larger X is (0; accurate: 0.5)"},
    {"bag-biases", "0|1", "with a bag-sharpness: two columns of an item's token say how readily it is recommended and how loudly it speaks (0; accurate: 1)"},
    {"linear", "none|ease|ease-text", "a linear model whose scores are added to the tokens' (none; accurate: ease-text)"},
    {"linear-weight", "X", "of its scores (0.25; accurate: 0.07)"},
    {"neighbours-weight", "X", "of the scores of user-kNN, added too (0: none; accurate: 0.03)"},
    {"neighbours", "N", "users that it asks (300)"},
    {"factors-weight", "X", "of the scores of ALS, added too (0: none; accurate: 0.1)"},
    {"recency", "off|by-time|on", "adds what is asked for of late; by-time: where the test rows are the latest of all (off; accurate: by-time)"},
    {"recency-weight", "X", "of it (0.5)"},
    {"recency-days", "X", "the age at which a row counts half (60)"},
    {"transitions", "off|valid|on", "adds the scores of a Markov chain, what follows a history's latest items; valid: where each user's last rows are held out, if a weight above 0 stands out on the validation rows (off; accurate: valid)"},
    {"transitions-weight", "X", "of them, if on (0.1)"},
    {"part-weights", "given|valid", "these weights are taken as they are, or are where a search on the validation rows begins, if there are test rows besides (given; accurate: valid)"},
    {"newcomers", "model|popular", "what answers where there is no history yet (model; accurate: popular)"},
    {"backbone-layers", "N", "read with the first N layers of the backbone only (0: all)"},
    {"width", "N", "of the tokens, where no backbone reads them (0: the backbone's; accurate: 256)"},
    {"lr-decay", "X", "the last part of the recommendation epochs, in which the learning rate falls to zero (0; accurate: 0.3)"},
    {"select", "best|last", "recommendation epoch that is kept: by validation, or the last (best; accurate: last)"},
    {"content", "0|1", "0: no content model and no mutual regularisation"},
    {"content-share", "X", "the part of the texts that a content epoch visits (1)"},
    {"max-text-tokens", "N", "longer texts are cut (128)"},
    {"patience", "N", "rec epochs without improvement before stopping (10)"},
    {"validate-every", "N", "rec epochs between validations, the last one always among them (1; accurate: 4)"},
    {"monitor", "METRICS", "what decides, e.g. ndcg@100 or recall@20+ndcg@10"},
    {"seed", "N", "of everything random (1)"},
    {"histories", "tokens|spelled", "control experiment: items of a history stand as their numbers, in words, instead of their tokens (tokens)"},
    {"user-token", "on|off|shuffled", "control experiment: users have no token in prompts, or in training another's in every epoch (on)"},
    {"hard-words", "template|none|random", "control experiment: the words of the templates collab and rec (template)"},
    {"main-text", "items|joint|joint-and", "control experiment: histories predicted with one softmax over items and words, joined by \" and\" (items)"},
    {"shuffle-texts", "0|1", "control experiment: texts are dealt to other users and items"},
    {"checkpoint-seconds", "N", "time between checkpoints (120)"},
};
enum { METHODS = sizeof METHOD / sizeof METHOD[0] };

/* "ease_text, als": what a plan's time leaves out; their tuning may take longer than the fit. */
static void print_besides(FILE *to, struct json_object *besides) {
    size_t count = json_object_is_type(besides, json_type_array) ? json_object_array_length(besides) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(besides, i));
        fprintf(to, "%s%s", i == 0 ? "not counted    " : ", ", strcmp(name, "weights") == 0 ? "the choice of the parts' weights" : name);
    }
    if (count > 0) fprintf(to, "; tuning, where the data set keeps none yet\n");
}

static void print_plan(FILE *to, struct json_object *plan) {
    char a[32], b[32];
    fprintf(to, "%-14s %8s %12s %16s %14s\n", "phase", "epochs", "examples", "tokens/epoch", "time/epoch");
    struct json_object *phases = json_at(plan, "phases");
    if (phases != NULL) {
        json_object_object_foreach(phases, name, phase) {
            fprintf(to, "%-14s %8.0f %12.0f %16.0f %14s\n", name, json_number_at(phase, "epochs", 0), json_number_at(phase, "examples", 0),
                    json_number_at(phase, "tokens_per_epoch", 0), console_duration(json_number_at(phase, "seconds_per_epoch", 0), a, sizeof a));
        }
    }
    fprintf(to, "validation     %s\n", console_duration(json_number_at(plan, "validation_seconds", 0), b, sizeof b));
    fprintf(to, "in all         %s, %.4g tokens, %.4g FLOPs, %.0f MB\n", console_duration(json_number_at(plan, "seconds", 0), a, sizeof a),
            json_number_at(plan, "tokens", 0), json_number_at(plan, "flops", 0), json_number_at(plan, "memory_bytes", 0) / 1e6);
    print_besides(to, json_at(plan, "besides"));
}

static void print_result(FILE *to, const char *run, struct json_object *report) {
    char duration[32];
    fprintf(to, "%s: trained in %s", run, console_duration(json_number_at(report, "seconds", 0), duration, sizeof duration));
    double best = json_number_at(report, "best_epoch", 0);
    if (best > 0) {
        fprintf(to, "; best validation after rec epoch %.0f: recall_capped@20 %.4f, recall_capped@40 %.4f, ndcg@100 %.4f", best,
                json_number_at(report, "validation/recall_capped@20", 0), json_number_at(report, "validation/recall_capped@40", 0),
                json_number_at(report, "validation/ndcg@100", 0));
    }
    fprintf(to, "\nnext: cllm4rec eval %s\n", run);
}

/* The method's flags that were given, and those of --set, as one list of settings; each string is allocated. */
static void collect_settings(const char *const *values, const text_list *set, text_list *settings) {
    for (size_t i = 0; i < METHODS; i++) {
        if (values[i] == NULL) continue;
        size_t size = strlen(METHOD[i].name) + strlen(values[i]) + 2;
        char *text = malloc(size);
        if (text == NULL) abort();
        snprintf(text, size, "%s=%s", METHOD[i].name, values[i]);
        text_list_add(settings, text);
    }
    for (size_t i = 0; i < set->count; i++) {
        char *text = strdup(set->values[i]);
        if (text == NULL) abort();
        text_list_add(settings, text);
    }
}

static void free_settings(text_list *settings) {
    for (size_t i = 0; i < settings->count; i++) free((char *)(uintptr_t)settings->values[i]);
    text_list_free(settings);
}

int cmd_train(int argc, char **argv) {
    cllm_train_options options;
    cllm_train_options_init(&options);
    const char *values[METHODS] = {NULL}, *prompts = NULL;
    text_list set = {0}, arguments = {0}, settings = {0};
    option_spec specs[METHODS + 24];
    size_t n = 0;
    const option_spec first[] = {
        {"output", 'o', OPTION_TEXT, &options.output, "DIR", "the run folder to make, or with --resume the one to go on with"},
        {"backbone", 'm', OPTION_TEXT, &options.backbone, "PATH", "a GGUF file or a Hugging Face folder; default: made from the data's own texts"},
        {"preset", 0, OPTION_TEXT, &options.preset, "NAME", "paper (default); faithful: the authors' program, quirks included; accurate: composed tokens and a linear part; the paper's variants: llm-cf, llm-fixord, llm-prerec"},
        {"dtype", 0, OPTION_TEXT, &options.dtype, "f32|bf16", "of matrix products"},
        {"backbone-dtype", 0, OPTION_TEXT, &options.backbone_dtype, "f32|bf16|q8_0", "of the frozen matrices (that of products)"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        {"budget", 0, OPTION_TIME, &options.budget_seconds, "TIME", "shorten the schedule to fit, e.g. 30m"},
        {"dry-run", 0, OPTION_FLAG, &options.dry_run, NULL, "predict tokens, FLOPs, memory and time; train nothing"},
        {"resume", 0, OPTION_FLAG, &options.resume, NULL, "go on from the last checkpoint, to the same bits"},
        {"final", 0, OPTION_FLAG, &options.final, NULL, "afterwards fit once more on all rows, for use rather than measurement"},
        {"force", 'f', OPTION_FLAG, &options.force, NULL, "replace an existing run"},
        {"bos", 0, OPTION_TEXT, &options.bos, "auto|on|off", "the token that begins each prompt; auto: as the backbone's tokenizer wants it"},
        {"prompts", 0, OPTION_TEXT, &prompts, "FILE", "JSON object of templates that replace the default ones"},
        {NULL, 0, OPTION_GROUP, NULL, NULL, "The method (default: the preset's)"},
    };
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) specs[n++] = first[i];
    for (size_t i = 0; i < METHODS; i++) {
        specs[n++] = (option_spec){METHOD[i].name, 0, OPTION_TEXT, (void *)&values[i], METHOD[i].argument, METHOD[i].help};
    }
    specs[n++] = (option_spec){"set", 0, OPTION_LIST, &set, "NAME=VALUE", "any setting, as run.json lists them"};
    const option_spec last[] = {COMMON_OPTIONS};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) specs[n++] = last[i];
    const usage use = {
        .synopsis = "train DATA -o RUN [options]      or: train --resume -o RUN",
        .about = "Trains CLLM4Rec on a data set folder: content warm-up, alternation with mutual regularisation, recommendation.\n"
                 "Ctrl-C writes a checkpoint; --resume goes on to the same bits.",
        .examples = "  cllm4rec train data/beauty -o runs/beauty --budget 30m\n"
                    "  cllm4rec train data/beauty -o runs/beauty --backbone gpt2 --dtype bf16 --dry-run\n",
        .min_arguments = 0,
        .max_arguments = 1,
    };
    int code = options_parse(argc, argv, &use, specs, n, &arguments);
    if (code >= 0) return code;
    if (arguments.count > 0) options.dataset = arguments.values[0];
    char *templates = NULL;
    if (prompts != NULL && (code = console_read(argv[0], prompts, &templates)) != 0) {
        text_list_free(&set);
        text_list_free(&arguments);
        return code;
    }
    collect_settings(values, &set, &settings);
    options.prompts = templates;
    options.settings = settings.values;
    options.n_settings = settings.count;
    options.host = console_host();

    cllm_error err = {0};
    char *json = NULL;
    cllm_status status = cllm_train(&options, &json, &err);
    free(templates);
    free_settings(&settings);
    text_list_free(&set);
    text_list_free(&arguments);
    if (status != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    struct json_object *report = json_tokener_parse(json);
    /* A plan is what was asked for; what training says at its end is a remark. */
    if (options.dry_run && !(COMMON.json && COMMON.quiet)) print_plan(console_report(), report);
    else if (!options.dry_run && !COMMON.quiet) print_result(console_report(), options.output, report);
    json_object_put(report);
    cllm_text_free(json);
    return 0;
}
