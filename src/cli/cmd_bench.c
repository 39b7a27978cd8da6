#include "cli.h"

static void print_steps(FILE *to, struct json_object *steps, const char *title) {
    if (steps == NULL || json_object_array_length(steps) == 0) return;
    fprintf(to, "\n%s\n%-12s %-5s %-8s %12s %12s %7s %14s\n", title, "backbone", "dtype", "step", "seconds", "floor", "share", "sequences/s");
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        fprintf(to, "%-12.40s %-5s %-8s %12.5f %12.5f %6.1f%% %14.1f\n", json_text_at(step, "backbone", "?"), json_text_at(step, "dtype", "?"),
                json_text_at(step, "name", "?"), json_number_at(step, "seconds", 0), json_number_at(step, "floor", 0),
                100 * json_number_at(step, "share", 0), json_number_at(step, "sequences_per_second", 0));
    }
}

static void print_report(FILE *to, struct json_object *report) {
    fprintf(to, "peak: f32 %.1f GFLOP/s, bf16 %.1f GFLOP/s, memory %.1f GB/s; %s, %.0f threads\n", json_number_at(report, "peak/f32_gflops", 0),
            json_number_at(report, "peak/bf16_gflops", 0), json_number_at(report, "peak/memory_gb_s", 0), json_text_at(report, "isa", "?"),
            json_number_at(report, "threads", 0));
    print_steps(to, json_at(report, "steps"), "collab, content, rec: a training step of 20 users or texts; users: 256 prompts to items; one: a single one");
    print_steps(to, json_at(report, "ragged"), "content with texts of real, uneven lengths");
}

int cmd_bench(int argc, char **argv) {
    cllm_bench_options bench = {0};
    const option_spec specs[] = {
        {"backbone", 'm', OPTION_TEXT, &bench.backbone, "DIR|FILE", "default: GPT-2-124M's shape and the demo's, with random weights"},
        {"dtype", 0, OPTION_TEXT, &bench.dtype, "f32|bf16|q8_0", "default: f32, and bf16 where the CPU multiplies it; q8_0 with forward and backward"},
        {"step", 0, OPTION_TEXT, &bench.step, "NAME", "this one alone: collab, content, ragged, rec, users, one; or the backbone alone: forward, backward (both)"},
        {"threads", 't', OPTION_INT, &bench.threads, "N", "default: all that this process may use"},
        {"quick", 0, OPTION_FLAG, &bench.quick, NULL, "the demo's shape alone, each step once: shows that it works, not how fast"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "bench [options]",
        .about = "Measures this machine's peak (products in f32 and bf16, reading of memory) and, beside the floor that this peak allows,\n"
                 "the time of each kind of training step and of recommending. A share is floor / time; the peak is measured anew around each\n"
                 "repetition. Takes two minutes or three.",
        .examples = "  cllm4rec bench\n  cllm4rec bench --backbone gpt2 --dtype bf16 --step collab --json\n"
                    "  cllm4rec bench --backbone smollm2.gguf --step backward\n",
        .min_arguments = 0,
        .max_arguments = 0,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    text_list_free(&arguments);
    cllm_host host = console_host();
    cllm_error err = {0};
    char *json = NULL;
    if (cllm_bench(&bench, &host, &json, &err) != CLLM_OK) return console_fail(argv[0], &err);
    console_json(json);
    if (!COMMON.json) {
        struct json_object *report = json_tokener_parse(json);
        print_report(stdout, report);
        json_object_put(report);
    }
    cllm_text_free(json);
    return 0;
}
