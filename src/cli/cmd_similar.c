#include <string.h>

#include "cli.h"

static void print_json(const char *item, const char *text, const char *space, const cllm_answer *answer) {
    struct json_object *object = json_object_new_object(), *items = json_object_new_array();
    if (item != NULL) json_object_object_add(object, "item", json_object_new_string(item));
    else json_object_object_add(object, "text", json_object_new_string(text));
    json_object_object_add(object, "space", json_object_new_string(space));
    for (size_t i = 0; i < answer->count; i++) {
        struct json_object *one = json_object_new_object();
        json_object_object_add(one, "id", json_object_new_string(answer->items[i].item));
        json_object_object_add(one, "title", json_object_new_string(answer->items[i].title));
        json_object_object_add(one, "score", json_object_new_double(answer->items[i].score));
        json_object_array_add(items, one);
    }
    if (answer->reason[0] != '\0') json_object_object_add(object, "short", json_object_new_string(answer->reason));
    json_object_object_add(object, "items", items);
    puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

int cmd_similar(int argc, char **argv) {
    const char *item = NULL, *text = NULL, *space = NULL, *data = NULL, *backbone = NULL, *dtype = NULL, *backbone_dtype = NULL;
    size_t k = 10;
    int threads = 0;
    const option_spec specs[] = {
        {"item", 'i', OPTION_TEXT, &item, "ID", "an item of the data"},
        {"text", 0, OPTION_TEXT, &text, "TEXT", "words such as stand in descriptions"},
        {"top", 'k', OPTION_COUNT, &k, "N", "how many items (10)"},
        {"space", 0, OPTION_TEXT, &space, "NAME", "collab (default, for a text where tokens are composed of texts), content or both"},
        {"data", 0, OPTION_TEXT, &data, "DIR", "the data set, if it is not where it was"},
        {"backbone", 0, OPTION_TEXT, &backbone, "PATH", "the run's backbone, if it is not where it was"},
        {"dtype", 0, OPTION_TEXT, &dtype, "f32|bf16", "of matrix products (default: the run's)"},
        {"backbone-dtype", 0, OPTION_TEXT, &backbone_dtype, "f32|bf16|q8_0", "of the frozen matrices (default: the run's)"},
        {"threads", 't', OPTION_INT, &threads, "N", "default: all that this process may use"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "similar RUN (--item ID | --text TEXT) [options]",
        .about = "The k items most like an item or a text, by cosine of their vectors: rank, id, cosine, title. collab knows who bought\n"
                 "what, content what is written; both is the mean of the two cosines.",
        .examples = "  cllm4rec similar runs/beauty --item B00021DVCQ -k 5\n"
                    "  cllm4rec similar runs/beauty --text 'a gentle shampoo without perfume'\n",
        .min_arguments = 1,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    const char *run = arguments.values[0];
    text_list_free(&arguments);
    const int wrong = cllm_status_exit_code(CLLM_ERR_USAGE);
    if ((item == NULL) == (text == NULL)) return console_fail_text(argv[0], wrong, "give one of --item and --text");

    cllm_error err = {0};
    cllm_model *model;
    cllm_session *session;
    if (cllm_model_open(&model, run, &(cllm_model_options){data, dtype, backbone_dtype, backbone}, &err) != CLLM_OK) return console_fail(argv[0], &err);
    cllm_status status = cllm_session_open(&session, model, threads, &err);
    if (status == CLLM_OK) {
        cllm_answer answer;
        if (space == NULL) space = cllm_similar_space(session, text != NULL);
        status = cllm_similar(session, item, text, space, k, &answer, &err);
        if (status == CLLM_OK) {
            if (COMMON.json) print_json(item, text, space, &answer);
            for (size_t i = 0; i < answer.count && !COMMON.json; i++) {
                printf("%zu\t", i + 1);
                console_field(answer.items[i].item);
                printf("\t%.4f\t", answer.items[i].score);
                console_field(answer.items[i].title);
                putchar('\n');
            }
            if (answer.reason[0] != '\0' && !COMMON.quiet) fprintf(stderr, "%s\n", answer.reason);
            cllm_answer_free(&answer);
        }
        cllm_session_close(session);
    }
    cllm_model_close(model);
    return status == CLLM_OK ? 0 : console_fail(argv[0], &err);
}
