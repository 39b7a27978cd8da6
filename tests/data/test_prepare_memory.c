/*
 * Preparing streams: peak resident memory stays below 300 MB + 32 bytes an interaction however large the texts are. This
 * makes a review file of CLLM_TEST_MB megabytes (default 150; docs/PERFORMANCE.md has the figures for 2 GB), prepares it in
 * a process of its own and asks the system for that process's peak. For the small default the bound is tightened to 64 MB +
 * 32 bytes, far below the size of the file, so that holding the texts would fail it.
 */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/rng.h"
#include "data/prepare.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEASURABLE = 0 };
#else
enum { MEASURABLE = 1 };
#endif

/* Ten rows a user, reviews of 60 to 180 made-up words. */
static uint64_t generate(const char *path, uint64_t bytes) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    uint64_t rows = 0;
    static const char syllables[] = "balodirumesa";
    while ((uint64_t)ftello(file) < bytes) {
        uint64_t user = rows / 10;
        fprintf(file,
                "{\"reviewerID\": \"A%013llX\", \"asin\": \"B%09llu\", \"overall\": %d.0, \"unixReviewTime\": %llu, "
                "\"reviewText\": \"",
                (unsigned long long)(user * 2654435761u),
                (unsigned long long)(rows % 10 * 997 + cllm__rng_below(&rng, 997)), 1 + (int)cllm__rng_below(&rng, 5),
                1000000000ull + cllm__rng_below(&rng, 400000000));
        for (uint64_t words = 60 + cllm__rng_below(&rng, 120); words > 0; words--) {
            uint32_t bits = cllm__rng_u32(&rng);
            for (unsigned n = 1 + bits % 3; n > 0; n--) {
                bits >>= 3;
                fwrite(syllables + 2 * (bits % 6), 1, 2, file);
            }
            fputs(words % 9 == 0 ? ". " : words % 40 == 0 ? " &amp; " : " ", file);
        }
        fputs("\"}\n", file);
        rows++;
    }
    assert_int_equal(fclose(file), 0);
    return rows;
}

static void test_peak(void **state) {
    (void)state;
    if (!MEASURABLE) skip();
    const char *wanted = getenv("CLLM_TEST_MB");
    uint64_t megabytes = wanted == NULL ? 150 : strtoull(wanted, NULL, 10);
    char folder[] = "prepare-memory-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char input[64], output[64];
    snprintf(input, sizeof input, "%s/reviews.json", folder);
    snprintf(output, sizeof output, "%s/data", folder);
    uint64_t rows = generate(input, megabytes * 1000000);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const char *inputs[] = {input};
        cllm_prepare_options options = {.inputs = inputs, .n_inputs = 1, .output = output};
        cllm_error err = {0};
        cllm_status status = cllm__prepare(&options, NULL, &err);
        if (status != CLLM_OK) fprintf(stderr, "%s\n", err.message);
        _exit(status == CLLM_OK ? 0 : 1);
    }
    int code;
    struct rusage usage;
    assert_int_equal(wait4(child, &code, 0, &usage), child);
    cllm__remove_tree(folder);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
    uint64_t peak = (uint64_t)usage.ru_maxrss * 1024, base = megabytes >= 1000 ? 300000000 : 64000000,
             bound = base + 32 * rows;
    printf("%llu MB, %llu rows: peak %.1f MB, bound %.1f MB; %.1f s of CPU time\n", (unsigned long long)megabytes,
           (unsigned long long)rows, (double)peak / 1e6, (double)bound / 1e6,
           (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
               1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    assert_true(peak <= bound);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_peak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
