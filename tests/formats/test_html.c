#include "formats/html.h"

#include "format_test.h"

static void clean(const char *in, const char *expected) {
    /* In a block of exactly the text's size: no byte beyond it may be touched. */
    size_t length = strlen(in);
    char *text = malloc(length + 1);
    memcpy(text, in, length);
    bool changed = cllm__html_clean(text, &length);
    if (length != strlen(expected) || memcmp(text, expected, length) != 0) {
        fail_msg("\"%s\" became \"%.*s\", not \"%s\"", in, (int)length, text, expected);
    }
    assert_int_equal(changed, strcmp(in, expected) != 0);
    free(text);
}

static void test_entities(void **state) {
    (void)state;
    clean("", "");
    clean("Clean &amp; clear", "Clean & clear");
    clean("&lt;b&gt; &quot;x&quot; &apos;y&apos;", "<b> \"x\" 'y'");
    clean("&#39;&#x27;&#X2f;&#65;", "''/A");
    clean("a&nbsp;b", "a\xC2\xA0"
                      "b");
    clean("caf&eacute; &Eacute;t&eacute; &frac12; &yuml; &copy;", "café Été ½ ÿ ©");
    clean("&ndash;&mdash;&lsquo;&rsquo;&ldquo;&rdquo;&hellip;&euro;&trade;&bull;", "–—‘’“”…€™•");
    clean("&#128;&#150;&#x99;&#129;", "€–™\xC2\x81");
    clean("&#0;&#xD800;&#x110000;&#99999999999999999999;&#x10FFFF;",
          "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xF4\x8F\xBF\xBF");
    clean("&amp;lt;b&amp;gt;", "&lt;b&gt;"); /* one pass */
}

static void test_not_entities(void **state) {
    (void)state;
    clean("AT&T & co &unknown; &amp &; &#; &#x; &#12 &#xZ; &LT; &ampersand;",
          "AT&T & co &unknown; &amp &; &#; &#x; &#12 &#xZ; &LT; &ampersand;");
    clean("&", "&");
    clean("&#", "&#");
    clean("&#x", "&#x");
    clean("&averyveryverylongname;", "&averyveryverylongname;");
}

static void test_tags(void **state) {
    (void)state;
    clean("one<br>two<br/>three<BR />four", "one two three four");
    clean("one <br> two<br>\nthree", "one  two\nthree");
    clean("<p>first</p><p>second</p>", "first second");
    clean("a<br><br>b", "a b");
    clean("<b>bold</b>ly <i>go</i>", "boldly go");
    clean("<a href=\"http://x.y/?a=1&amp;b\">link</a>", "link");
    clean("<a title='5 > 3'>x</a>", "x");
    clean("<a title='never closed>x", "x");
    clean("<a title='b\"c>x</a> \"y\"", "x \"y\"");
    clean("<span class=a-size-base>t</span><div id=\"video\">u</div>", "t u");
    clean("a<!-- <b> -->b<!---->c", "abc");
    clean("<!DOCTYPE html><html><body>x</body></html>", "x");
    clean("<h1>t</h1>", "t");
    clean("a<br>&lt;b", "a <b");
    clean("a<p> b", "a b");
    clean("<br>a<b></b><hr>", "a");
}

static void test_not_tags(void **state) {
    (void)state;
    clean("3 < 4 and 5 > 4", "3 < 4 and 5 > 4");
    clean("I <3 it", "I <3 it");
    clean("<sigh> <grin> </sigh>", "<sigh> <grin> </sigh>");
    clean("a<b", "a<b");
    clean("<br", "<br");
    clean("<", "<");
    clean("</", "</");
    clean("<>", "<>");
    clean("<!-- open", "<!-- open");
    clean("x <!> y", "x <!> y");
    clean("<brr>", "<brr>");
    clean("&lt;br&gt;", "<br>");
    clean("<averyverylongelementname>", "<averyverylongelementname>");
}

static void test_every_element(void **state) {
    (void)state;
    /* The tables are searched by bisection, so their order counts: the first and last and some between. */
    static const char *const names[] = {"a",  "abbr", "b",    "body", "br", "em", "h6", "hr",
                                        "li", "ol",   "span", "sub",  "tt", "ul", "wbr"};
    for (size_t i = 0; i < CLLM_LEN(names); i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "x<%s>y</%s>z", names[i], names[i]);
        size_t length = (size_t)n;
        assert_true(cllm__html_clean(text, &length));
        assert_int_equal(text[0], 'x');
        assert_true(memchr(text, '<', length) == NULL);
    }
    static const char *const entities[] = {"&AElig;",      "Æ",     "&Omega;", "Ω",       "&aacute;", "á", "&zwnj;",
                                           "\xE2\x80\x8C", "&yen;", "¥",       "&szlig;", "ß"};
    for (size_t i = 0; i < CLLM_LEN(entities); i += 2) clean(entities[i], entities[i + 1]);
}

static void test_linear_time(void **state) {
    (void)state;
    /* Texts that would cost quadratic time if every '<' searched for its end anew: 4 MB each, over in an instant. */
    static const char *const units[] = {"<b ", "<!--", "<a x='", "<a x=\"y>", "&#", "<a x='> <a x=\"> "};
    for (size_t i = 0; i < CLLM_LEN(units); i++) {
        size_t unit = strlen(units[i]), length = (4 << 20) / unit * unit;
        char *text = malloc(length);
        for (size_t k = 0; k < length; k += unit) memcpy(text + k, units[i], unit);
        cllm__html_clean(text, &length);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entities), cmocka_unit_test(test_not_entities),  cmocka_unit_test(test_tags),
        cmocka_unit_test(test_not_tags), cmocka_unit_test(test_every_element), cmocka_unit_test(test_linear_time),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
