#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "summary.h"

/* What people read: sizes first, then a GGUF file's metadata a line each; the list of tensors only with --verbose. */
static void print_inspection(const char *path, const char *json) {
    struct json_object *object = json_tokener_parse(json), *metadata = NULL, *tensors = NULL;
    if (json_object_object_get_ex(object, "metadata", &metadata)) json_object_get(metadata);
    if (json_object_object_get_ex(object, "tensors", &tensors)) json_object_get(tensors);
    json_object_object_del(object, "metadata");
    json_object_object_del(object, "tensors");
    print_summary(stdout, path, json_object_to_json_string(object));
    if (json_object_is_type(metadata, json_type_object)) {
        puts("metadata");
        json_object_object_foreach(metadata, key, value) {
            const char *text = json_object_is_type(value, json_type_string)
                                   ? json_object_get_string(value)
                                   : json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
            size_t line = strcspn(text, "\r\n"), shown = line < 80 ? line : 80;
            while (shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80) shown--; /* whole characters */
            printf("  %-40s %.*s%s\n", key, (int)shown, text, text[shown] != '\0' ? " …" : "");
        }
    }
    for (size_t i = 0; COMMON.verbose && i < json_object_array_length(tensors); i++) {
        struct json_object *tensor = json_object_array_get_idx(tensors, i);
        if (i == 0) puts("tensors");
        printf("  %-40s %-6s %s\n", json_text_at(tensor, "name", ""), json_text_at(tensor, "type", ""),
               json_object_to_json_string_ext(json_at(tensor, "shape"), JSON_C_TO_STRING_PLAIN));
    }
    json_object_put(metadata);
    json_object_put(tensors);
    json_object_put(object);
}

/* The backbone is the argument or, as llama.cpp has it, -m; of the two one must be given. Frees `arguments`; NULL: explained. */
static const char *choose_backbone(const char *name, text_list *arguments, const char *option) {
    const char *argument = arguments->count > 0 ? arguments->values[0] : NULL, *variable = getenv("CLLM4REC_BACKBONE");
    text_list_free(arguments);
    if (argument != NULL && option != NULL && option != variable) {
        console_fail_text(name, 0, "the backbone is given twice, '%s' and -m '%s': leave one out", argument, option);
        return NULL;
    }
    if (argument == NULL && option == NULL) console_fail_text(name, 0, "no backbone: give a GGUF file or a Hugging Face folder");
    return argument != NULL ? argument : option;
}

#define BACKBONE_OPTION(path) {"backbone", 'm', OPTION_TEXT, path, "FILE|DIR", "the backbone, where it is not given as an argument"}

static int inspect(int argc, char **argv) {
    const char *path = NULL;
    const option_spec specs[] = {BACKBONE_OPTION(&path), COMMON_OPTIONS};
    const usage use = {
        .synopsis = "backbone inspect FILE|DIR",
        .about = "Shows family, shape, sizes, number formats, metadata and hash of a backbone: a GGUF file or a Hugging Face folder.\n"
                 "context is the longest sequence; where layers see a sliding window, no more than that window, up to which it changes\n"
                 "nothing.\n"
                 "Every tensor is read and checked; --verbose lists them.",
        .min_arguments = 0,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    if ((path = choose_backbone(argv[0], &arguments, path)) == NULL) return cllm_status_exit_code(CLLM_ERR_USAGE);
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_backbone_inspect(path, &json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    if (!COMMON.json) print_inspection(path, json);
    cllm_text_free(json);
    return 0;
}

static int convert(int argc, char **argv) {
    const char *path = NULL, *output = NULL, *dtype = "f32";
    bool force = false;
    bool shuffle = false;
    uint64_t seed = 1;
    const option_spec specs[] = {
        BACKBONE_OPTION(&path),
        {"output", 'o', OPTION_TEXT, &output, "DIR", "the folder to make"},
        {"force", 'f', OPTION_FLAG, &force, NULL, "replace an existing folder"},
        {"dtype", 0, OPTION_TEXT, &dtype, "TYPE", "numbers of the weights: f32 or bf16 (f32)"},
        {"shuffle", 0, OPTION_FLAG, &shuffle, NULL, "put the numbers of each matrix in random order: the same shape, nothing learnt"},
        {"seed", 's', OPTION_SEED, &seed, "N", "of the order (1)"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "backbone convert FILE|DIR -o DIR [options]",
        .about = "Writes a backbone as a Hugging Face folder, which transformers loads: config.json, model.safetensors and the tokenizer.",
        .examples = "  cllm4rec backbone convert smollm2.gguf -o smollm2 --dtype bf16\n",
        .min_arguments = 0,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    if ((path = choose_backbone(argv[0], &arguments, path)) == NULL) return cllm_status_exit_code(CLLM_ERR_USAGE);
    if (output == NULL) return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "no output folder: give -o DIR");
    cllm_error err = {0};
    char *json = NULL;
    if ((!shuffle ? cllm_backbone_convert(path, output, dtype, force, &err)
                      : cllm_backbone_shuffle(path, output, dtype, seed, force, &err)) != CLLM_OK)
        return console_fail(argv[0], &err);
    if (cllm_backbone_inspect(output, &json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    struct json_object *made = json_tokener_parse(json);
    if (!COMMON.quiet && json_at(made, "tokenizer_pieces") == NULL)
        fprintf(stderr, "%s has no tokenizer that could be written; %s has none\n", path, output);
    json_object_put(made);
    if (!COMMON.json && !COMMON.quiet) print_inspection(output, json);
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
        {"vocab", 0, OPTION_POSITIVE, &shape.vocabulary, "N", "word embeddings (default: the tokenizer's pieces, else 50257)"},
        {"context", 0, OPTION_COUNT, &shape.context, "N", "positions (1024)"},
        {"seed", 's', OPTION_SEED, &seed, "N", "of the weights (1)"},
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
    if (output == NULL) return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "no output folder: give -o DIR");
    if (shape.vocabulary == 0 && tokenizer == NULL) shape.vocabulary = 50257;
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_backbone_init(output, shape, tokenizer, seed, force, &err) != CLLM_OK) return console_fail(argv[0], &err);
    if (cllm_backbone_inspect(output, &json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    if (!COMMON.json && !COMMON.quiet) print_inspection(output, json);
    cllm_text_free(json);
    return 0;
}

static int generate(int argc, char **argv) {
    cllm_generate_options options = {.tokens = 32, .top_p = 1, .seed = 1};
    const char *file = NULL;
    const option_spec specs[] = {
        BACKBONE_OPTION(&options.backbone),
        {"prompt", 'p', OPTION_TEXT, &options.prompt, "TEXT", "what to go on from"},
        {"file", 'f', OPTION_TEXT, &file, "FILE", "or what a file holds, without the line feed at its end"},
        {"tokens", 'n', OPTION_COUNT, &options.tokens, "N", "how many to add (32)"},
        {"temperature", 0, OPTION_NUMBER, &options.temperature, "X", "0: always the likeliest token (default); 1: by their probabilities"},
        {"top-p", 0, OPTION_NUMBER, &options.top_p, "X", "of the likeliest tokens that make up this share (1)"},
        {"seed", 's', OPTION_SEED, &options.seed, "N", "of the choice among them (1)"},
        {"backbone-dtype", 0, OPTION_TEXT, &options.dtype, "f32|bf16|q8_0", "of the frozen matrices (f32)"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "backbone generate FILE|DIR (--prompt TEXT | --file FILE) [options]",
        .about = "Prints what the language model goes on with: shows that a backbone is what it claims to be.",
        .examples = "  cllm4rec backbone generate smollm2.gguf --prompt 'The capital of France is' --tokens 8\n",
        .min_arguments = 0,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    if ((options.backbone = choose_backbone(argv[0], &arguments, options.backbone)) == NULL) return cllm_status_exit_code(CLLM_ERR_USAGE);
    if ((options.prompt == NULL) == (file == NULL))
        return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "%s: give --prompt TEXT or --file FILE",
                                 file == NULL ? "nothing to go on from" : "a prompt and a file");
    char *prompt = NULL, *text = NULL;
    size_t length;
    if (file != NULL) {
        if ((code = console_read(argv[0], file, &prompt)) != 0) return code;
        length = strlen(prompt);
        if (length > 0 && prompt[length - 1] == '\n') prompt[length - 1] = '\0';
        options.prompt = prompt;
    }
    options.host = console_host();
    cllm_error err = {0};
    if (cllm_backbone_generate(&options, &text, &length, &err) != CLLM_OK) {
        free(prompt);
        return console_fail(argv[0], &err);
    }
    if (COMMON.json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "prompt", json_object_new_string(options.prompt));
        json_object_object_add(object, "text", json_object_new_string_len(text, (int)length));
        console_json(json_object_to_json_string(object));
        json_object_put(object);
    } else {
        fwrite(text, 1, length, stdout);
        putchar('\n');
    }
    free(prompt);
    cllm_text_free(text);
    return 0;
}

static int evaluate(int argc, char **argv) {
    cllm_score_options options = {0};
    const option_spec specs[] = {
        BACKBONE_OPTION(&options.backbone),
        {"text", 'f', OPTION_TEXT, &options.file, "FILE", "a text a line; plain, .gz, .zst or .xz; - is stdin"},
        {"lines", 0, OPTION_POSITIVE, &options.max_lines, "N", "no more than the file's first N, blank ones too (all)"},
        {"backbone-dtype", 0, OPTION_TEXT, &options.dtype, "f32|bf16|q8_0", "of the frozen matrices (f32)"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "backbone eval FILE|DIR --text FILE [options]",
        .about = "How likely the language model finds texts: each line on its own, its first 512 tokens, scored from the second on.\n"
                 "Blank lines and lines of one token are counted as lines and as skipped.",
        .examples = "  cllm4rec backbone eval smollm2.gguf --text reviews.txt.xz --lines 200 --json\n",
        .min_arguments = 0,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    if ((options.backbone = choose_backbone(argv[0], &arguments, options.backbone)) == NULL) return cllm_status_exit_code(CLLM_ERR_USAGE);
    if (options.file == NULL) return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "no texts: give --text FILE");
    options.host = console_host();
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_backbone_score(&options, &json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    if (!COMMON.json) print_summary(stdout, options.file, json);
    cllm_text_free(json);
    return 0;
}

static const char HELP[] =
    "Usage: cllm4rec backbone init -o DIR [options]\n"
    "       cllm4rec backbone inspect FILE|DIR\n"
    "       cllm4rec backbone convert FILE|DIR -o DIR [options]\n"
    "       cllm4rec backbone generate FILE|DIR (--prompt TEXT | --file FILE) [options]\n"
    "       cllm4rec backbone eval FILE|DIR --text FILE [options]\n\n"
    "init writes a GPT-2 with random weights, inspect shows what a backbone is, convert writes one as a Hugging Face folder,\n"
    "generate goes on with a text, eval says how likely texts are. Each has a --help of its own.\n"
    "llama.cpp's short names are known: -m (the backbone), -p, -f, -n, -t, -s, --temp.\n";

int cmd_backbone(int argc, char **argv) {
    static const struct {
        char name[24]; /* as messages have it */
        int (*run)(int argc, char **argv);
    } commands[] = {{"backbone init", init}, {"backbone inspect", inspect}, {"backbone convert", convert}, {"backbone generate", generate}, {"backbone eval", evaluate}};
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++) {
        char name[sizeof commands[i].name];
        memcpy(name, commands[i].name, sizeof name);
        if (strcmp(argv[1], name + strlen("backbone ")) != 0) continue;
        argv[1] = name;
        return commands[i].run(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        fputs(HELP, stdout);
        return 0;
    }
    return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "give init, inspect, convert, generate or eval; see cllm4rec backbone --help");
}
