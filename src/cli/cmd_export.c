#include "cli.h"

int cmd_export(int argc, char **argv) {
    const char *output = NULL, *data = NULL, *backbone = NULL;
    bool force = false;
    const option_spec specs[] = {
        {"output", 'o', OPTION_TEXT, &output, "PATH", "a file that ends in .npz, or a folder for TSV files"},
        {"force", 'f', OPTION_FLAG, &force, NULL, "replace an existing export"},
        {"data", 0, OPTION_TEXT, &data, "DIR", "the data set, if it is not where it was"},
        {"backbone", 0, OPTION_TEXT, &backbone, "PATH", "the run's backbone, if it is not where it was"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "export RUN -o PATH [options]",
        .about = "Writes the vectors of users and items: users_collab, items_collab, users_content, items_content, with their ids.\n"
                 ".npz holds float32 arrays and user_ids, item_ids; a folder gets a TSV file for each: the id, then the values.",
        .examples = "  cllm4rec export runs/beauty -o beauty.npz\n",
        .min_arguments = 1,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    const char *run = arguments.values[0];
    text_list_free(&arguments);
    if (output == NULL) return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "no output: give -o PATH");
    cllm_error err = {0};
    cllm_model *model;
    if (cllm_model_open(&model, run, &(cllm_model_options){.dataset = data, .backbone = backbone}, &err) != CLLM_OK) return console_fail(argv[0], &err);
    cllm_status status = cllm_export(model, output, force, &err);
    size_t users = cllm_model_users(model), items = cllm_model_items(model);
    cllm_model_close(model);
    if (status != CLLM_OK) return console_fail(argv[0], &err);
    if (COMMON.json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "output", json_object_new_string(output));
        json_object_object_add(object, "users", json_object_new_int64((int64_t)users));
        json_object_object_add(object, "items", json_object_new_int64((int64_t)items));
        console_json(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(object);
    } else if (!COMMON.quiet) {
        printf("%s: vectors of %zu users and %zu items\n", output, users, items);
    }
    return 0;
}
