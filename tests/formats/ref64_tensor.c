/* In the double build values come through unrounded. */
#include "format_test.h"
#include "formats/safetensors.h"

static void test_to_real(void **state) {
    (void)state;
    cllm_error err;
    double values[3] = {0.1, -1e300, 0}, out[3];
    cllm__tensor t = {.name = "v", .dtype = CLLM_ST_F64, .rank = 1, .shape = {3}, .data = values, .bytes = sizeof values};
    assert_ok(cllm__tensor_to_real(&t, out, &err));
    assert_memory_equal(out, values, sizeof values);
    float single[2] = {0.1f, -3};
    t = (cllm__tensor){.name = "v", .dtype = CLLM_ST_F32, .rank = 1, .shape = {2}, .data = single, .bytes = sizeof single};
    assert_ok(cllm__tensor_to_real(&t, out, &err));
    assert_true(out[0] == (double)0.1f && out[1] == -3);
    t.dtype = CLLM_ST_I32;
    assert_fails(cllm__tensor_to_real(&t, out, &err), CLLM_ERR_MISMATCH, "tensor 'v' is I32");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_to_real)};
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
