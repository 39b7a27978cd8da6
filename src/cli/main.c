#include <string.h>

#include "cli.h"

const command COMMANDS[] = {
    {"demo", "everything below on a built-in shop, in about two minutes", cmd_demo},
    {"prepare", "read reviews or interactions, filter, split: makes a data set folder", cmd_prepare},
    {"inspect", "show the summary of a data set or run folder", cmd_inspect},
    {"train", "train CLLM4Rec on a data set: makes a run folder", cmd_train},
    {"ablate", "answer a question about the method: train and measure it in several ways", cmd_ablate},
    {"sweep", "search settings by validation: random draws, successive halving", cmd_sweep},
    {"eval", "rank all items for held-out rows, beside simple baselines", cmd_eval},
    {"baseline", "tune simple models on a data set and measure them alone", cmd_baseline},
    {"report", "one HTML file that shows what runs found", cmd_report},
    {"recommend", "the best items for a user, a file of users, or a bare history", cmd_recommend},
    {"similar", "the items most like an item or a text", cmd_similar},
    {"export", "write user and item vectors as .npz or TSV", cmd_export},
    {"tokenize", "show the token ids of a text or a template", cmd_tokenize},
    {"backbone", "language models: make a random one, look at one, convert one", cmd_backbone},
    {"bench", "this machine's peak, and the main steps beside their floors", cmd_bench},
    {"doctor", "what this build and machine are, and a self-test", cmd_doctor},
    {NULL, NULL, NULL},
};

/* What was printed must have arrived: a full disk is a failure. */
static int finish(const char *name, int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    if (code != 0) return code;
    return console_fail_text(name, cllm_status_exit_code(CLLM_ERR_IO),
                             "cannot write the output: standard output is full or closed (make room there, or send it elsewhere)");
}

static void print_commands(FILE *to) {
    fprintf(to,
            "cllm4rec %s: recommendation with a frozen language model\n\n"
            "Usage: cllm4rec COMMAND [options]       (cllm4rec COMMAND --help)\n\n"
            "Commands:\n",
            cllm_version());
    for (const command *c = COMMANDS; c->name != NULL; c++) fprintf(to, "  %-10s %s\n", c->name, c->summary);
    fputs("\nFirst steps:\n"
          "  cllm4rec demo\n"
          "  cllm4rec prepare reviews.json.gz -o data/mine\n"
          "  cllm4rec train data/mine -o runs/mine\n"
          "  cllm4rec eval runs/mine\n"
          "  cllm4rec recommend runs/mine --user ID -k 10\n",
          to);
}

int main(int argc, char **argv) {
    use_best_blas_kernels(argv);
    if (argc < 2) {
        print_commands(stderr);
        return cllm_status_exit_code(CLLM_ERR_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_commands(stdout);
        return finish(argv[1], 0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("cllm4rec %s\n", cllm_version());
        return finish(argv[1], 0);
    }
    for (const command *c = COMMANDS; c->name != NULL; c++) {
        if (strcmp(c->name, argv[1]) == 0) return finish(c->name, c->run(argc - 1, argv + 1));
    }
    return console_fail_text(argv[1], cllm_status_exit_code(CLLM_ERR_USAGE), "no such command; cllm4rec --help lists them");
}
