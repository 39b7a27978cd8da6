/* Choosing the instruction set. The choice is made once in a process, so each case runs in a child. */
#include "kernel_test.h"

#include <sys/wait.h>

#include "kernels/gemm.h"
#include "kernels/ops.h"
#include "kernels/ops_table.h"
#include "kernels/peak.h"

static const char *highest(void) {
    return cllm__ops_table_for("avx512") != NULL ? "avx512" : cllm__ops_table_for("avx2") != NULL ? "avx2" : "baseline";
}

/* What `name` may give at most on this CPU. */
static const char *lowered(const char *name) {
    return cllm__ops_table_for(name) != NULL ? name : highest();
}

/* Whether a child with this environment and this call of _set_isa ends up with `expected`. */
static bool child_has(const char *variable, const char *set, const char *expected) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (variable != NULL) setenv("CLLM4REC_ISA", variable, 1);
        else unsetenv("CLLM4REC_ISA");
        bool good = set == NULL || cllm__ops_set_isa(set, NULL) == CLLM_OK;
        good = good && strcmp(cllm__ops_isa(), expected) == 0;
        /* Too late now. */
        cllm_error err;
        good = good && cllm__ops_set_isa("baseline", &err) == CLLM_ERR_USAGE && strstr(err.message, "baseline") != NULL;
        if (strcmp(expected, "avx512") != 0) good = good && strcmp(cllm__gemm_isa(), expected) == 0 && !cllm__gemm_has_bf16();
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_true(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_choice(void **state) {
    (void)state;
    assert_true(child_has(NULL, NULL, highest()));
    assert_true(child_has("", NULL, highest()));
    assert_true(child_has("avx512", NULL, lowered("avx512")));
    assert_true(child_has("avx2", NULL, lowered("avx2")));
    assert_true(child_has("baseline", NULL, "baseline"));
    assert_true(child_has("nonsense", NULL, "baseline"));
    assert_true(child_has(NULL, "avx2", lowered("avx2")));
    assert_true(child_has(NULL, "baseline", "baseline"));
    /* The lower of the two wins. */
    assert_true(child_has("avx512", "baseline", "baseline"));
    assert_true(child_has("baseline", "avx512", "baseline"));
}

static void test_words(void **state) {
    cllm_error err;
    (void)state;
    assert_int_equal(cllm__ops_check_isa("avx2", &err), CLLM_OK);
    assert_int_equal(cllm__ops_check_isa("sse9", &err), CLLM_ERR_USAGE);
    assert_non_null(strstr(err.message, "sse9"));
    assert_int_equal(cllm__ops_set_isa("sse9", &err), CLLM_ERR_USAGE);
    assert_int_equal(cllm__ops_check_isa("", &err), CLLM_ERR_USAGE);
}

static void test_peaks(void **state) {
    (void)state;
    assert_true(cllm__peak_gflops(CLLM__F32, NULL) > 0);
    assert_true(cllm__peak_gflops(CLLM__BF16, NULL) > 0);
    assert_true(cllm__peak_bandwidth(NULL) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_choice), cmocka_unit_test(test_peaks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
