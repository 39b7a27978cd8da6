#include "api/json.h"

#include "fuzz_folder.h"

/* Lines as `sweep --rungs` takes them: what is accepted are one to eight ascending parts, the last of them 1, and the next that is missed is
 * the data set; what is refused says why. */
enum { MOST = 8 };

static bool are_parts(const char *text) {
    double before = 0;
    for (size_t n = 0; n < MOST; n++) {
        char *end;
        double part = strtod(text, &end);
        if (end == text || !(part > before && part <= 1)) return false;
        if (*end == '\0') return part == 1;
        if (*end != ',') return false;
        before = part;
        text = end + 1;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *rest = NULL;
    char output[160];
    snprintf(output, sizeof output, "%s/sweep", fuzz_folder());
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        const cllm_sweep_options options = {.dataset = "no-such-data", .space = "no-such-space", .output = output, .rungs = line, .threads = 1};
        cllm_error err = {0};
        cllm_status status = cllm_sweep(&options, NULL, &err);
        bool refused = status == CLLM_ERR_USAGE && strncmp(err.message, "rungs '", 7) == 0;
        FUZZ_CHECK(refused == !are_parts(line));
        FUZZ_CHECK(refused || (status == CLLM_ERR_NOT_FOUND && strstr(err.message, "no-such-data") != NULL));
    }
    free(text);
    return 0;
}
