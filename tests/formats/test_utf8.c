#include "formats/utf8.h"

#include "format_test.h"

/* The definition, taken from RFC 3629 and computed the slow way: decode, then see that encoding gives the same bytes. */
static size_t reference_check(const unsigned char *s, size_t n) {
    size_t i = 0;
    while (i < n) {
        size_t size = s[i] < 0x80 ? 1 : s[i] >> 5 == 6 ? 2 : s[i] >> 4 == 14 ? 3 : s[i] >> 3 == 30 ? 4 : 0;
        if (size == 0 || i + size > n) return i;
        uint32_t c = size == 1 ? s[i] : s[i] & (0xFFu >> (size + 1));
        for (size_t k = 1; k < size; k++) {
            if (s[i + k] >> 6 != 2) return i;
            c = c << 6 | (s[i + k] & 0x3F);
        }
        size_t shortest = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (shortest != size || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return i;
        i += size;
    }
    return n;
}

static void test_check_all_short(void **state) {
    (void)state;
    /* Every pair of bytes, and every triple and quadruple with tails from the interesting values. */
    static const unsigned char tails[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                          0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF};
    unsigned char s[4];
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            s[0] = (unsigned char)a, s[1] = (unsigned char)b;
            assert_int_equal(cllm__utf8_check((char *)s, 2), reference_check(s, 2));
            for (size_t c = 0; c < sizeof tails; c++) {
                s[2] = tails[c];
                assert_int_equal(cllm__utf8_check((char *)s, 3), reference_check(s, 3));
                for (size_t d = 0; d < sizeof tails; d++) {
                    s[3] = tails[d];
                    assert_int_equal(cllm__utf8_check((char *)s, 4), reference_check(s, 4));
                }
            }
        }
    }
}

static void test_check_long(void **state) {
    (void)state;
    /* A bad byte at every place of a long text, so that the fast path over ASCII is crossed at every phase. */
    char text[70];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'x', sizeof text);
        assert_int_equal(cllm__utf8_check(text, sizeof text), sizeof text);
        text[at] = (char)0xE9;
        assert_int_equal(cllm__utf8_check(text, sizeof text), at);
    }
    assert_int_equal(cllm__utf8_check("", 0), 0);
    assert_int_equal(cllm__utf8_check("a\0b", 3), 3);
}

static void test_put_get(void **state) {
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        char bytes[4];
        size_t n = cllm__utf8_put(bytes, c), size;
        assert_int_equal(reference_check((unsigned char *)bytes, n), n);
        assert_int_equal(cllm__utf8_get(bytes, &size), c);
        assert_int_equal(size, n);
    }
}

static void test_latin1(void **state) {
    (void)state;
    char in[256 + 32], out[2 * sizeof in];
    memset(in, 'a', sizeof in);
    for (int i = 0; i < 256; i++) in[16 + i] = (char)i;
    size_t n = cllm__latin1_to_utf8(out, in, sizeof in), at = 0;
    assert_int_equal(n, sizeof in + 128);
    for (size_t i = 0; i < sizeof in; i++) {
        size_t size;
        assert_int_equal(cllm__utf8_get(out + at, &size), (unsigned char)in[i]);
        at += size;
    }
    assert_int_equal(at, n);
    assert_int_equal(cllm__latin1_to_utf8(out, "", 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_all_short),
        cmocka_unit_test(test_check_long),
        cmocka_unit_test(test_put_get),
        cmocka_unit_test(test_latin1),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
