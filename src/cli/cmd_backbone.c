#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "summary.h"

static int inspect(int argc, char **argv) {
    const option_spec specs[] = {COMMON_OPTIONS};
    const usage use = {
        .synopsis = "backbone inspect DIR",
        .about = "Shows family, shape, sizes and hash of a backbone: a Hugging Face folder. Every tensor is read and checked.",
        .min_arguments = 1,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    const char *path = arguments.values[0];
    text_list_free(&arguments);
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_backbone_inspect(path, &json, &err) != CLLM_OK) return console_fail("backbone inspect", &err);
    console_json(json);
    if (!COMMON.json) print_summary(stdout, path, json);
    cllm_text_free(json);
    return 0;
}

static int init(int argc, char **argv) {
    cllm_backbone_shape shape = {.layers = 2, .heads = 4, .width = 128, .context = 1024};
    const char *output = NULL, *tokenizer = NULL;
    uint64_t seed = 1;
    bool force = false;
    const option_spec specs[] = {
        {"output", 'o', OPTION_TEXT, &output, "DIR", "the folder to make"},
        {"force", 'f', OPTION_FLAG, &force, NULL, "replace an existing folder"},
        {"layers", 0, OPTION_COUNT, &shape.layers, "N", "transformer layers (2)"},
        {"heads", 0, OPTION_COUNT, &shape.heads, "N", "attention heads (4)"},
        {"width", 0, OPTION_COUNT, &shape.width, "N", "width, divisible by heads (128)"},
        {"vocab", 0, OPTION_COUNT, &shape.vocabulary, "N", "word embeddings (default: the tokenizer's pieces, else 50257)"},
        {"context", 0, OPTION_COUNT, &shape.context, "N", "positions (1024)"},
        {"seed", 0, OPTION_SEED, &seed, "N", "of the weights (1)"},
        {"tokenizer", 0, OPTION_TEXT, &tokenizer, "DIR", "a folder whose tokenizer is saved with it"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "backbone init -o DIR [options]",
        .about = "Writes a GPT-2 with seeded random weights as a Hugging Face folder.",
        .examples = "  cllm4rec backbone init -o small --layers 4 --heads 4 --width 256 --tokenizer gpt2\n",
        .min_arguments = 0,
        .max_arguments = 0,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    text_list_free(&arguments);
    if (output == NULL) return console_fail_text("backbone init", cllm_status_exit_code(CLLM_ERR_USAGE), "no output folder: give -o DIR");
    if (shape.vocabulary == 0 && tokenizer == NULL) shape.vocabulary = 50257;
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_backbone_init(output, shape, tokenizer, seed, force, &err) != CLLM_OK) return console_fail("backbone init", &err);
    if (cllm_backbone_inspect(output, &json, &err) != CLLM_OK) return console_fail("backbone init", &err);
    console_json(json);
    if (!COMMON.json && !COMMON.quiet) print_summary(stdout, output, json);
    cllm_text_free(json);
    return 0;
}

static const char HELP[] =
    "Usage: cllm4rec backbone init -o DIR [options]\n"
    "       cllm4rec backbone inspect DIR\n\n"
    "init writes a GPT-2 with random weights, inspect shows what a backbone is.\n"
    "cllm4rec backbone init --help and cllm4rec backbone inspect --help list the options.\n";

int cmd_backbone(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "init") == 0) return init(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "inspect") == 0) return inspect(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        fputs(HELP, stdout);
        return 0;
    }
    return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "give init or inspect; see cllm4rec backbone --help");
}
