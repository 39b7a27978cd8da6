#include "formats/record.h"

#include "format_test.h"

static cllm_error err;
static cllm__record_parser *parser;

/* What the text gives, printed as JSON. */
static void gives(cllm__record_syntax syntax, const char *text, const char *expected) {
    struct json_object *object;
    assert_ok(cllm__record_parse(parser, syntax, text, strlen(text), &object, &err));
    assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                        expected);
    json_object_put(object);
}

static void refuses(cllm__record_syntax syntax, const char *text, size_t length, const char *message) {
    struct json_object *object = NULL;
    assert_fails(cllm__record_parse(parser, syntax, text, length, &object, &err), CLLM_ERR_DATA, message);
    assert_null(object);
}
#define REFUSES(syntax, text, message) refuses(syntax, text, sizeof(text) - 1, message)

static void test_json(void **state) {
    (void)state;
    gives(CLLM_RECORD_AUTO, "{}", "{}");
    gives(CLLM_RECORD_AUTO, " \t{\"a\": 1, \"b\": -2.50, \"c\": [true, false, null, {\"d\": \"x\"}]} \r\n",
          "{\"a\":1,\"b\":-2.50,\"c\":[true,false,null,{\"d\":\"x\"}]}");
    gives(CLLM_RECORD_JSON, "{\"a\": \"caf\\u00e9 \\ud83d\\ude00 \\n \\\" \\/\"}", "{\"a\":\"café 😀 \\n \\\" /\"}");
    gives(CLLM_RECORD_JSON, "{\"a\": \"\\ud83d x\", \"b\": \"\\ude00\"}",
          "{\"a\":\"\xEF\xBF\xBD x\",\"b\":\"\xEF\xBF\xBD\"}");
    gives(CLLM_RECORD_AUTO, "{\"a\": 1, \"a\": 2}", "{\"a\":2}");
    gives(CLLM_RECORD_AUTO, "{\"a\": NaN, \"b\": [1, NaN, {\"c\": NaN}]}", "{\"a\":null,\"b\":[1,null,{\"c\":null}]}");
    gives(CLLM_RECORD_AUTO, "{\"unixReviewTime\": 1393545600, \"t\": 1588615855070}",
          "{\"unixReviewTime\":1393545600,\"t\":1588615855070}");
}

static void test_json_errors(void **state) {
    (void)state;
    REFUSES(CLLM_RECORD_AUTO, "", "column 1: a JSON object");
    REFUSES(CLLM_RECORD_AUTO, "  ", "a JSON object ({…}) is expected here");
    REFUSES(CLLM_RECORD_AUTO, "[1]", "column 1: a JSON object");
    REFUSES(CLLM_RECORD_AUTO, " \"x\"", "column 2: a JSON object");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": 1", "column 8: the line ends inside the JSON object");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": \"x", "the line ends inside the JSON object");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": 1} x", "column 10: ");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": 1}{\"b\": 2}", "column 9: ");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\" 1}", "column 6: this is not JSON");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": 01}", "this is not JSON");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": [1,]}", "column 10: this is not JSON");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": \"\xFF\"}", "this is not JSON");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": 1}\0x", "column 9: nothing more is expected");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\":\0 1}", "column 6: this is not JSON");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": 1, \"stars\": Infinity}", "the value of \"stars\" is an infinite number");
    REFUSES(CLLM_RECORD_AUTO, "{\"a\": [{\"b\": -1e999}]}", "the value of \"b\" is an infinite number");
    /* The parser is fit for use after all that. */
    gives(CLLM_RECORD_AUTO, "{\"a\": 1}", "{\"a\":1}");
}

static void test_depth(void **state) {
    (void)state;
    for (int syntax = CLLM_RECORD_JSON; syntax <= CLLM_RECORD_PYTHON; syntax++) {
        char text[1024];
        for (int depth = CLLM_RECORD_DEPTH - 2; depth <= 100; depth += depth < CLLM_RECORD_DEPTH + 2 ? 1 : 30) {
            size_t n = 0;
            for (int i = 0; i < depth; i++) n += (size_t)sprintf(text + n, "{'a':");
            n += (size_t)sprintf(text + n, "1");
            for (int i = 0; i < depth; i++) text[n++] = '}';
            struct json_object *object;
            cllm_status status = cllm__record_parse(parser, (cllm__record_syntax)syntax, text, n, &object, &err);
            if (depth < CLLM_RECORD_DEPTH) assert_int_equal(status, CLLM_OK);
            if (depth > CLLM_RECORD_DEPTH) {
                assert_int_equal(status, CLLM_ERR_DATA);
                assert_non_null(strstr(err.message, "nest"));
            }
            if (status == CLLM_OK) json_object_put(object);
        }
    }
}

static void test_python(void **state) {
    (void)state;
    /* A line as in Amazon's metadata files; the expectation is what Python's ast.literal_eval and json.dumps make of it. */
    gives(CLLM_RECORD_AUTO,
          "{'asin': 'B0001', 'related': {'also_bought': ['B2', u'B3'], 'viewed': []}, 'title': \"It's a lamp\", 'price': "
          "9.48, "
          "'salesRank': {'Toys & Games': 211836}, 'imUrl': 'http://x/y.jpg', 'brand': None, 'categories': [['Home', "
          "'Lamps']], 'ok': True, 'no': False}",
          "{\"asin\":\"B0001\",\"related\":{\"also_bought\":[\"B2\",\"B3\"],\"viewed\":[]},\"title\":\"It's a "
          "lamp\",\"price\":9.48,"
          "\"salesRank\":{\"Toys & "
          "Games\":211836},\"imUrl\":\"http://x/"
          "y.jpg\",\"brand\":null,\"categories\":[[\"Home\",\"Lamps\"]],\"ok\":true,\"no\":false}");
    gives(CLLM_RECORD_PYTHON, " {} ", "{}");
    gives(CLLM_RECORD_AUTO, "{u'a': (1, 2,), 'b': [], 'c': (), 'd': [3,],}", "{\"a\":[1,2],\"b\":[],\"c\":[],\"d\":[3]}");
    gives(CLLM_RECORD_AUTO, "{'a': -5, 'b': 12L, 'c': 1e-05, 'd': -1.5E+3, 'e': nan}",
          "{\"a\":-5,\"b\":12,\"c\":1e-05,\"d\":-1.5E+3,\"e\":null}");
    gives(CLLM_RECORD_AUTO, "{'a': 'x' \"y\" u'z' , 'b' 'c': 1}", "{\"a\":\"xyz\",\"bc\":1}");
    gives(CLLM_RECORD_AUTO, "{'a': 1, 'a': 2}", "{\"a\":2}");
}

static void test_python_strings(void **state) {
    (void)state;
    gives(CLLM_RECORD_AUTO, "{'a': 'q\\'q \\\"x\\\" \\\\ \\n\\t\\r\\a\\b\\f\\v \\q \\101\\7\\0018'}",
          "{\"a\":\"q'q \\\"x\\\" \\\\ \\n\\t\\r\\u0007\\b\\f\\u000b \\\\q A\\u0007\\u00018\"}");
    gives(CLLM_RECORD_AUTO, "{'a': u'caf\\xe9 \\u2019 \\U0001f600 \\ud83d\\ude00'}", "{\"a\":\"café ’ 😀 😀\"}");
    gives(CLLM_RECORD_AUTO, "{'a': u'\\ud83d \\ude00 \\ud83d\\u0041 \\U00110000 \\xc3\\xa9'}",
          "{\"a\":\"\xEF\xBF\xBD \xEF\xBF\xBD \xEF\xBF\xBD"
          "A \xEF\xBF\xBD Ã©\"}");
    /* Without a u: bytes of UTF-8 (Python 2's str), and Latin-1 where they are none. */
    gives(CLLM_RECORD_AUTO, "{'a': 'caf\\xc3\\xa9 \\xe2\\x80\\x99 \\xe9 \\xf0\\x9f\\x98\\x80 \\303\\251 \\xc3é'}",
          "{\"a\":\"café ’ é 😀 é Ãé\"}");
    gives(CLLM_RECORD_AUTO, "{'a': 'schon déjà', 'b': r'\\x41\\'', 'c': b'\\x41', 'd': Rb'\\n'}",
          "{\"a\":\"schon déjà\",\"b\":\"\\\\x41\\\\'\",\"c\":\"A\",\"d\":\"\\\\n\"}");
    gives(CLLM_RECORD_AUTO, "{'a': '', 'b': u'', '': ''}", "{\"a\":\"\",\"b\":\"\",\"\":\"\"}");
    struct json_object *object;
    assert_ok(cllm__record_parse(parser, CLLM_RECORD_AUTO, "{'a': 'x\\0y'}", 13, &object, &err));
    assert_int_equal(json_object_get_string_len(json_object_object_get(object, "a")), 3);
    json_object_put(object);
}

static void test_python_errors(void **state) {
    (void)state;
    REFUSES(CLLM_RECORD_PYTHON, "", "column 1: a dict");
    REFUSES(CLLM_RECORD_PYTHON, "['a']", "column 1: a dict");
    REFUSES(CLLM_RECORD_AUTO, "{'a': 1", "column 8: ',' or '}' is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': 'x", "column 7: this string is not closed");
    REFUSES(CLLM_RECORD_AUTO, "{'a': 'x\\", "column 10: the string is not closed");
    REFUSES(CLLM_RECORD_AUTO, "{'a' 1}", "column 6: ':' is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': }", "column 7: a value is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': [1 2]}", "column 10: ',' or ']' is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': (1 2)}", "column 10: ',' or ')' is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': [1}", "column 9: ',' or ']' is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{a: 1}", "column 2: a key in quotes or '}' is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{,}", "column 2: a key in quotes");
    REFUSES(CLLM_RECORD_AUTO, "{'a': 1} x", "column 10: nothing more is expected");
    REFUSES(CLLM_RECORD_AUTO, "{'a': none}", "column 7: a value is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': Nonesuch}", "column 7: a value is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': 1x}", "column 7: a value is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': --1}", "column 7: a value is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': 1.2.3}", "column 7: ");
    REFUSES(CLLM_RECORD_AUTO, "{'a': inf}", "column 7: a value is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': 1e999}", "column 7: this number is infinite");
    REFUSES(CLLM_RECORD_AUTO, "{'a': '\\xg0'}", "column 10: a hexadecimal digit of an escape is missing");
    REFUSES(CLLM_RECORD_AUTO, "{'a': u'\\u12'}", "a hexadecimal digit of an escape is missing");
    REFUSES(CLLM_RECORD_AUTO, "{'a': '\xFF'}", "column 8: byte 0xff is not UTF-8");
    REFUSES(CLLM_RECORD_AUTO, "{'a':\0 1}", "column 6: a value is expected here");
    REFUSES(CLLM_RECORD_AUTO, "{'a': __import__('os')}", "column 7: a value is expected here");
}

static void test_recognise(void **state) {
    (void)state;
    static const struct {
        const char *text;
        cllm__record_syntax syntax;
    } cases[] = {
        {"{\"a\": 1}", CLLM_RECORD_JSON}, {" { \"a\"", CLLM_RECORD_JSON},  {"{}", CLLM_RECORD_JSON},
        {"", CLLM_RECORD_JSON},           {"[", CLLM_RECORD_JSON},         {"{'a': 1}", CLLM_RECORD_PYTHON},
        {"{u'a'", CLLM_RECORD_PYTHON},    {"\t{ 'a'", CLLM_RECORD_PYTHON},
    };
    for (size_t i = 0; i < CLLM_LEN(cases); i++)
        assert_int_equal(cllm__record_recognise(cases[i].text, strlen(cases[i].text)), cases[i].syntax);
}

static cllm_status parse_python(cllm_error *e) {
    cllm__record_parser *p;
    static const char text[] = "{'a': 'some text that is longer than sixteen bytes \\xe9 \\xc3\\xa9'}";
    CLLM_TRY(cllm__record_parser_create(&p, e));
    struct json_object *object;
    cllm_status status = cllm__record_parse(p, CLLM_RECORD_AUTO, text, sizeof text - 1, &object, e);
    if (status == CLLM_OK) json_object_put(object);
    cllm__record_parser_free(p);
    return status;
}

static void test_allocation_failures(void **state) {
    (void)state;
    sweep_allocations(parse_python);
    cllm__record_parser_free(NULL);
}

int main(void) {
    if (cllm__record_parser_create(&parser, &err) != CLLM_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),      cmocka_unit_test(test_json_errors),         cmocka_unit_test(test_depth),
        cmocka_unit_test(test_python),    cmocka_unit_test(test_python_strings),      cmocka_unit_test(test_python_errors),
        cmocka_unit_test(test_recognise), cmocka_unit_test(test_allocation_failures),
    };
    int failed = cmocka_run_group_tests(tests, make_scratch, drop_scratch);
    cllm__record_parser_free(parser);
    return failed;
}
