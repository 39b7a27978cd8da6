#include "cli.h"
#include "summary.h"

int cmd_doctor(int argc, char **argv) {
    const option_spec specs[] = {COMMON_OPTIONS};
    const usage use = {
        .synopsis = "doctor",
        .about = "Shows what this build and this machine are, and tests arithmetic, threads and text on it. Ends with 1 if a test fails.",
        .min_arguments = 0,
        .max_arguments = 0,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    text_list_free(&arguments);
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_doctor(&json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    struct json_object *report = json_tokener_parse(json), *checks = json_at(report, "checks");
    console_json(json);
    cllm_text_free(json);
    if (!COMMON.json) {
        char title[64];
        snprintf(title, sizeof title, "cllm4rec %s", json_text_at(report, "version", "?"));
        json_object_get(checks);
        json_object_object_del(report, "checks");
        json_object_object_del(report, "version");
        print_summary(stdout, title, json_object_to_json_string(report));
        for (size_t i = 0; checks != NULL && i < json_object_array_length(checks); i++) {
            struct json_object *check = json_object_array_get_idx(checks, i);
            printf("  %-4s %-14s %s\n", json_object_get_boolean(json_at(check, "ok")) ? "ok" : "BAD", json_text_at(check, "name", "?"),
                   json_text_at(check, "detail", ""));
        }
        json_object_put(checks);
    }
    bool ok = json_object_get_boolean(json_at(report, "ok"));
    json_object_put(report);
    return ok ? 0 : cllm_status_exit_code(CLLM_ERR_FAILED);
}
