#include <stdlib.h>

#include "cli.h"

/* Characters of a UTF-8 text, for columns. */
static int length_of(const char *text) {
    int length = 0;
    for (; *text != '\0'; text++) length += ((unsigned char)*text & 0xc0) != 0x80;
    return length;
}

static void print_cell(FILE *to, const char *text, int width) {
    fprintf(to, "%s%*s", text, width - length_of(text) + 2, "");
}

static const char *cell_at(struct json_object *row, size_t column) {
    struct json_object *cell = json_object_array_get_idx(row, column);
    return cell == NULL ? "" : json_object_get_string(cell);
}

static void print_results(FILE *to, const char *folder, struct json_object *results) {
    struct json_object *columns = json_at(results, "table/columns"), *rows = json_at(results, "table/rows");
    enum { MAX = 64 };
    int widths[MAX] = {0};
    size_t n = json_object_array_length(columns), n_rows = json_object_array_length(rows);
    if (n > MAX) n = MAX;
    for (size_t k = 0; k < n; k++) {
        widths[k] = length_of(json_text_at(json_object_array_get_idx(columns, k), "name", ""));
        for (size_t i = 0; i < n_rows; i++) {
            int length = length_of(cell_at(json_object_array_get_idx(rows, i), k));
            if (length > widths[k]) widths[k] = length;
        }
    }
    fprintf(to, "%s\n%s\n\n", json_text_at(results, "title", ""), json_text_at(results, "table/caption", ""));
    for (size_t k = 0; k < n; k++) print_cell(to, json_text_at(json_object_array_get_idx(columns, k), "name", ""), widths[k]);
    fputc('\n', to);
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < n; k++) print_cell(to, cell_at(json_object_array_get_idx(rows, i), k), widths[k]);
        fputc('\n', to);
    }
    fprintf(to, "\n%s\n\n%s/index.html, table.tsv, ablation.json\n", json_text_at(results, "conclusion", ""), folder);
}

/* "lambda: The strength of …", a line each, for the help; the caller frees. */
static char *list_studies(void) {
    char *json = NULL, *text = NULL;
    size_t size = 0;
    cllm_error err = {0};
    if (cllm_ablations(&json, &err) != CLLM_OK) return NULL;
    struct json_object *object = json_tokener_parse(json), *studies = json_at(object, "studies");
    FILE *to = open_memstream(&text, &size);
    if (to != NULL) {
        fprintf(to, "Answers a question about the method: trains and measures it in several ways that differ in one thing, on the same users with\n"
                    "the same seeds, and ends in a table, a page with figures, and a sentence. Without DATA a built-in shop is made. Ctrl-C or a\n"
                    "crash costs nothing: --resume goes on to the same table. The studies:\n\n");
        for (size_t i = 0; i < json_object_array_length(studies); i++) {
            struct json_object *study = json_object_array_get_idx(studies, i);
            fprintf(to, "  %-14s %s\n", json_text_at(study, "name", ""), json_text_at(study, "title", ""));
        }
        fclose(to);
    }
    json_object_put(object);
    cllm_text_free(json);
    return text;
}

int cmd_ablate(int argc, char **argv) {
    cllm_ablate_options options = {0};
    text_list set = {0}, arguments = {0};
    const option_spec specs[] = {
        {"output", 'o', OPTION_TEXT, &options.output, "DIR", "the study's folder"},
        {"scale", 0, OPTION_TEXT, &options.scale, "NAME", "smoke (a minute at most, shows that it works), small (default), full (the preset's whole schedule)"},
        {"seeds", 0, OPTION_POSITIVE, &options.seeds, "N", "runs of each arm (1; at full scale 3)"},
        {"split", 0, OPTION_TEXT, &options.split, "NAME", "test (default) or valid"},
        {"resume", 0, OPTION_FLAG, &options.resume, NULL, "go on with the study in -o"},
        {"force", 'f', OPTION_FLAG, &options.force, NULL, "replace what is there"},
        {NULL, 0, OPTION_GROUP, NULL, NULL, "Of every arm"},
        {"backbone", 0, OPTION_TEXT, &options.backbone, "PATH", "a GGUF file or Hugging Face folder (default: made of the data's words)"},
        {"backbone-dtype", 0, OPTION_TEXT, &options.backbone_dtype, "f32|bf16|q8_0", "of the frozen matrices"},
        {"dtype", 0, OPTION_TEXT, &options.dtype, "f32|bf16", "of matrix products (f32)"},
        {"set", 0, OPTION_LIST, &set, "NAME=VALUE", "a setting that all arms share, as for train"},
        {"threads", 't', OPTION_INT, &options.threads, "N", "default: all that this process may use"},
        COMMON_OPTIONS,
    };
    char *about = list_studies();
    const usage use = {
        .synopsis = "ablate STUDY [DATA...] -o DIR [options]      or: ablate --resume -o DIR",
        .about = about != NULL ? about : "",
        .examples = "  cllm4rec ablate lambda -o studies/lambda --scale smoke\n"
                    "  cllm4rec ablate lambda data/beauty data/toys -o studies/lambda --scale full\n",
        .min_arguments = 0,
        .max_arguments = 100,
    };
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    free(about);
    if (code >= 0) return code;
    if (arguments.count > 0) {
        options.study = arguments.values[0];
        options.datasets = arguments.values + 1;
        options.n_datasets = arguments.count - 1;
    }
    options.settings = set.values;
    options.n_settings = set.count;
    options.host = console_host();
    cllm_error err = {0};
    char *json = NULL;
    cllm_status status = cllm_ablate(&options, &json, &err);
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
