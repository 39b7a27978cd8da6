/* Templates: compiled, rendered, with concrete numbers, and from the configuration. */
#include <json-c/json.h>

#include "text/prompt.h"
#include "text_test.h"

enum { N = 50257 };

/* The ids of each default template that paper.md verified, with GPT-2's vocabulary. */
static void gpt2_templates(void **state) {
    (void)state;
    cllm__tokenizer *t = open_gpt2();
    cllm__prompts prompts;
    cllm_error err;
    cllm__tokens got = {0};
    const cllm__id_space space = {N, 10, 20};
    assert_ok(cllm__id_space_check(&space, t, &err), &err);
    assert_ok(cllm__prompts_compile(&prompts, t, NULL, &err), &err);
    const int32_t items[] = {3, 0, 19};
    size_t dropped = 99;
    assert_ok(cllm__prompt_render(&prompts.collab, &space, &(cllm__prompt_fill){.user = 7}, &got, NULL, &err), &err);
    assert_ids(&got, (const int32_t[]){N + 7, 468, 49236, 351}, 4);
    got.count = 0;
    assert_ok(cllm__prompt_render(&prompts.review, &space, &(cllm__prompt_fill){.user = 9, .item = 19}, &got, NULL, &err),
              &err);
    assert_ids(&got, (const int32_t[]){N + 9, 2630, 262, 1708, 2423, 329, N + 10 + 19, 25}, 8);
    got.count = 0;
    cllm__prompt_fill fill = {.user = 0, .items = items, .n_items = 3};
    assert_ok(cllm__prompt_render(&prompts.rec, &space, &fill, &got, &dropped, &err), &err);
    assert_ids(&got, (const int32_t[]){N, 468, 49236, 351, N + 13, N + 10, N + 29, 11, N, 481, 9427, 351}, 12);
    assert_int_equal(dropped, 0);
    cllm__tokens_free(&got);
    cllm__prompts_free(&prompts);
    cllm__tokenizer_close(t);
}

/* The published example, and what is no token in it. */
static void concrete(void **state) {
    (void)state;
    cllm__tokenizer *t = open_gpt2();
    cllm_error err;
    const cllm__id_space space = {N, 10, 20};
    static const struct {
        const char *text;
        int32_t ids[16];
        size_t count;
    } cases[] = {
        {"Hello, user_1! Have you seen item_2?", {15496, 11, 50258, 0, 8192, 345, 1775, 50269, 30}, 9},
        {"", {0}, 0},
        {"user_9", {N + 9}, 1},
        {"item_0 item_19  item_1", {N + 10, N + 29, N + 11}, 3}, /* lone spaces disappear */
        {"user_0user_1", {N, N + 1}, 2},
        {"user_0 \t\xc2\xa0\xe3\x80\x80", {N}, 1}, /* right-stripped, Unicode spaces too */
        {"user_10", {7220, 62, 940}, 3},           /* out of range */
        {"user_01", {7220, 62, 486}, 3},           /* not plain decimal */
        {"item_20", {9186, 62, 1238}, 3},
        {"user_99999999999999999999", {7220, 62, 24214, 24214, 24214, 24214, 24214}, 7},
        {"user_", {7220, 62}, 2},
        {"user_x", {7220, 62, 87}, 3},
        {"user_ 1", {7220, 62, 352}, 3},
        {"User_1", {12982, 62, 16}, 3},
        {"superuser_1", {16668, N + 1}, 2}, /* as the authors' expression has it */
    };
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        cllm__tokens got = {0};
        assert_ok(cllm__prompt_encode_concrete(t, &space, cases[i].text, strlen(cases[i].text), &got, &err), &err);
        if (got.count != cases[i].count) print_message("'%s'\n", cases[i].text);
        assert_ids(&got, cases[i].ids, cases[i].count);
        cllm__tokens_free(&got);
    }
    /* In ordinary text an id is text. */
    assert_encodes(t, "item_2", 9186, 62, 17);
    cllm__tokenizer_close(t);
}

static void append(cllm__tokens *to, const cllm__tokenizer *t, const char *text) {
    cllm_error err;
    assert_ok(cllm__tokenizer_encode(t, text, strlen(text), to, &err), &err);
}

/* Without third-party data: the pattern is the pieces between the slots, right-stripped, each on its own. */
static void compiling(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(600);
    cllm__prompt prompt;
    cllm_error err;
    cllm__tokens wanted = {0};
    assert_ok(cllm__prompt_compile(&prompt, t, "Dear user_{i}, item_{j} item_{j}  and {items} , by user_{i}! \n", &err),
              &err);
    const int32_t slots[] = {CLLM_SLOT_USER, CLLM_SLOT_ITEM, CLLM_SLOT_ITEMS};
    append(&wanted, t, "Dear");
    assert_ok(cllm__tokens_add(&wanted, &slots[0], 1, &err), &err);
    append(&wanted, t, ",");
    assert_ok(cllm__tokens_add(&wanted, &slots[1], 1, &err), &err);
    assert_ok(cllm__tokens_add(&wanted, &slots[1], 1, &err), &err);
    append(&wanted, t, "  and");
    assert_ok(cllm__tokens_add(&wanted, &slots[2], 1, &err), &err);
    append(&wanted, t, " , by");
    assert_ok(cllm__tokens_add(&wanted, &slots[0], 1, &err), &err);
    append(&wanted, t, "!");
    const cllm__tokens pattern = {prompt.pattern, prompt.length, prompt.length};
    assert_ids(&pattern, wanted.ids, wanted.count);
    assert_int_equal(prompt.users, 2);
    assert_int_equal(prompt.items_one, 2);
    assert_int_equal(prompt.lists, 1);
    cllm__tokens_free(&wanted);
    cllm__prompt_free(&prompt);
    assert_fails(cllm__prompt_compile(&prompt, t, "", why), CLLM_ERR_DATA, "is empty");
    assert_fails(cllm__prompt_compile(&prompt, t, " \n", why), CLLM_ERR_DATA, "is empty");
    assert_fails(cllm__prompt_compile(&prompt, t, "{items} and {items}", why), CLLM_ERR_DATA, "2 times");
    /* Numbers in a template of the configuration stay text. */
    assert_ok(cllm__prompt_compile(&prompt, t, "user_3 {items}", &err), &err);
    assert_int_equal(prompt.users, 0);
    cllm__prompt_free(&prompt);
    cllm__tokenizer_close(t);
}

/* Long histories lose their first items, never the text around them. */
static void long_history(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(600);
    cllm__prompts prompts;
    cllm_error err;
    const cllm__id_space space = {1000, 5, 300};
    int32_t items[300];
    for (int i = 0; i < 300; i++) items[i] = 299 - i;
    assert_ok(cllm__prompts_compile(&prompts, t, NULL, &err), &err);
    const cllm__prompt *rec = &prompts.rec;
    size_t fixed = rec->length - 1, dropped, slot = 0;
    while (rec->pattern[slot] != CLLM_SLOT_ITEMS) slot++;
    cllm__tokens got = {0};
    for (size_t max = 0; max < 320; max++) {
        cllm__prompt_fill fill = {.user = 2, .items = items, .n_items = 300, .max_tokens = max};
        got.count = 0;
        if (max != 0 && max < fixed) {
            assert_fails(cllm__prompt_render(rec, &space, &fill, &got, &dropped, why), CLLM_ERR_DATA, "without any list");
            assert_int_equal(got.count, 0);
            continue;
        }
        size_t kept = max == 0 || max - fixed > 300 ? 300 : max - fixed;
        assert_ok(cllm__prompt_render(rec, &space, &fill, &got, &dropped, &err), &err);
        assert_int_equal(dropped, 300 - kept);
        assert_int_equal(got.count, fixed + kept);
        for (size_t i = 0; i < kept; i++) assert_int_equal(got.ids[slot + i], 1005 + (int32_t)(kept - 1 - i));
        for (size_t i = slot + 1; i < rec->length; i++) {
            assert_int_equal(got.ids[i - 1 + kept], rec->pattern[i] == CLLM_SLOT_USER ? 1002 : rec->pattern[i]);
        }
    }
    /* A visitor has no token: two fewer, and room for two more items. */
    cllm__prompt_fill visitor = {.user = -1, .items = items, .n_items = 300, .max_tokens = fixed};
    got.count = 0;
    assert_ok(cllm__prompt_render(rec, &space, &visitor, &got, &dropped, &err), &err);
    assert_int_equal(got.count, fixed);
    assert_int_equal(dropped, 298);
    for (size_t i = 0; i < got.count; i++) assert_true(got.ids[i] < 1000 || got.ids[i] >= 1005);
    /* No history at all. */
    visitor = (cllm__prompt_fill){.user = 0};
    got.count = 0;
    assert_ok(cllm__prompt_render(rec, &space, &visitor, &got, &dropped, &err), &err);
    assert_int_equal(got.count, fixed);
    assert_int_equal(dropped, 0);
    cllm__tokens_free(&got);
    cllm__prompts_free(&prompts);
    cllm__tokenizer_close(t);
}

static void numbers_out_of_range(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(600);
    cllm__prompts prompts;
    cllm_error err;
    const cllm__id_space space = {1000, 5, 7};
    assert_ok(cllm__prompts_compile(&prompts, t, NULL, &err), &err);
    cllm__tokens got = {0};
    const int32_t bad[] = {0, 7}, negative[] = {-1};
    const cllm__prompt_fill no_user = {.user = 5, .item = 0}, no_item = {.user = 0, .item = 7},
                            minus = {.user = 0, .item = -1}, in_list = {.user = 0, .items = bad, .n_items = 2},
                            below = {.items = negative, .n_items = 1};
    assert_fails(cllm__prompt_render(&prompts.review, &space, &no_user, &got, NULL, why), CLLM_ERR_DATA, "user 5");
    assert_fails(cllm__prompt_render(&prompts.review, &space, &no_item, &got, NULL, why), CLLM_ERR_DATA, "item 7");
    assert_fails(cllm__prompt_render(&prompts.review, &space, &minus, &got, NULL, why), CLLM_ERR_DATA, "item -1");
    assert_fails(cllm__prompt_render(&prompts.rec, &space, &in_list, &got, NULL, why), CLLM_ERR_DATA, "item 7");
    assert_fails(cllm__prompt_render(&prompts.rec, &space, &below, &got, NULL, why), CLLM_ERR_DATA, "item -1");
    assert_int_equal(got.count, 0);
    const cllm__id_space few = {599, 1, 1}, many = {INT32_MAX, 1, 1}, negative_space = {1000, -1, 1}, good = {600, 0, 0};
    assert_fails(cllm__id_space_check(&few, t, why), CLLM_ERR_MISMATCH, "600 pieces");
    assert_fails(cllm__id_space_check(&many, t, why), CLLM_ERR_DATA, "31 bits");
    assert_fails(cllm__id_space_check(&negative_space, t, why), CLLM_ERR_DATA, "-1 users");
    assert_ok(cllm__id_space_check(&good, t, &err), &err);
    cllm__prompts_free(&prompts);
    cllm__tokenizer_close(t);
}

/* The variants of the templates collab and rec. */
static void shapes(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(600);
    cllm_error err;
    const cllm__id_space space = {1000, 5, 7};
    const int32_t items[] = {3, 0, 6};
    cllm__tokens plain = {0}, got = {0};
    cllm__prompts prompts;
    assert_ok(cllm__prompts_compile(&prompts, t, NULL, &err), &err);
    const cllm__prompt_fill fill = {.user = 4, .items = items, .n_items = 3};
    assert_ok(cllm__prompt_render(&prompts.rec, &space, &fill, &plain, NULL, &err), &err);
    cllm__prompts_free(&prompts);

    for (int words = 0; words < 3; words++) {
        for (int without_user = 0; without_user < 2; without_user++) {
            assert_ok(cllm__prompts_compile(&prompts, t, NULL, &err), &err);
            const cllm__prompt_shape shape = {.hard_words = words, .without_user = without_user == 1, .seed = 5};
            if (words == CLLM__HARD_WORDS_NONE && without_user == 1) {
                assert_fails(cllm__prompts_shape(&prompts, t, shape, why), CLLM_ERR_USAGE, "nothing is left of the template 'user_{i} has interacted with'");
                cllm__prompts_free(&prompts);
                continue;
            }
            assert_ok(cllm__prompts_shape(&prompts, t, shape, &err), &err);
            got.count = 0;
            assert_ok(cllm__prompt_render(&prompts.rec, &space, &fill, &got, NULL, &err), &err);
            size_t at = 0, other = 0, words_seen = 0;
            for (size_t i = 0; i < plain.count; i++) {
                int32_t id = plain.ids[i];
                if (id == 1004 && without_user == 1) continue;
                if (id < 1000 && words == CLLM__HARD_WORDS_NONE) continue;
                assert_true(at < got.count);
                if (id >= 1000 || words == CLLM__HARD_WORDS_TEMPLATE) assert_int_equal(got.ids[at], id);
                else assert_in_range(got.ids[at], 0, 599);
                words_seen += id < 1000;
                other += id < 1000 && got.ids[at] != id;
                for (size_t k = 0; k < i; k++) /* a word stands for the same word everywhere */
                    if (without_user == 0 && words == CLLM__HARD_WORDS_RANDOM && plain.ids[k] == id) assert_int_equal(got.ids[k], got.ids[at]);
                at++;
            }
            assert_int_equal(at, got.count);
            assert_true(words != CLLM__HARD_WORDS_RANDOM || 2 * other > words_seen);
            /* Texts keep their templates. */
            cllm__prompts others;
            assert_ok(cllm__prompts_compile(&others, t, NULL, &err), &err);
            assert_int_equal(prompts.review.length, others.review.length);
            assert_memory_equal(prompts.review.pattern, others.review.pattern, others.review.length * sizeof *others.review.pattern);
            cllm__prompts_free(&others);
            cllm__prompts_free(&prompts);
        }
    }

    /* Joined items, all and cut. */
    cllm__tokens joined = {0};
    assert_ok(cllm__tokenizer_encode_inner(t, " and", 4, &joined, &err), &err);
    assert_ok(cllm__prompts_compile(&prompts, t, NULL, &err), &err);
    assert_ok(cllm__prompts_shape(&prompts, t, (cllm__prompt_shape){.join = " and"}, &err), &err);
    size_t fixed = plain.count - 3, step = 1 + joined.count, dropped;
    for (size_t room = 0; room <= 3 + 2 * joined.count; room++) {
        cllm__prompt_fill cut = fill;
        cut.max_tokens = fixed + room;
        got.count = 0;
        assert_ok(cllm__prompt_render(&prompts.rec, &space, &cut, &got, &dropped, &err), &err);
        size_t kept = room == 0 ? 0 : (room - 1) / step + 1;
        assert_int_equal(dropped, 3 - kept);
        assert_int_equal(got.count, fixed + (kept == 0 ? 0 : kept + (kept - 1) * joined.count));
    }
    size_t first = 0;
    while (got.ids[first] != 1005 + 3) first++;
    assert_memory_equal(got.ids + first + 1, joined.ids, joined.count * sizeof *joined.ids);
    assert_int_equal(got.ids[first + step], 1005);
    assert_int_equal(got.ids[first + 2 * step], 1005 + 6);
    cllm__prompts_free(&prompts);
    cllm__tokens_free(&joined);
    cllm__tokens_free(&plain);
    cllm__tokens_free(&got);
    cllm__tokenizer_close(t);
}

static void configuration(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(600);
    cllm__prompts prompts, again;
    cllm_error err;
    json_object *saved, *given = json_tokener_parse("{\"rec\":\"{items} then\",\"title\":\"Its name, item_{j}:\"}");
    assert_ok(cllm__prompts_compile(&prompts, t, given, &err), &err);
    assert_string_equal(prompts.rec.text, "{items} then");
    assert_string_equal(prompts.title.text, "Its name, item_{j}:");
    assert_string_equal(prompts.brand.text, "The brand of item_{j} is:");
    assert_ok(cllm__prompts_to_json(&prompts, &saved, &err), &err);
    assert_int_equal(json_object_object_length(saved), 8);
    assert_ok(cllm__prompts_compile(&again, t, saved, &err), &err);
    assert_string_equal(again.rec.text, prompts.rec.text);
    assert_string_equal(again.biography.text, "The biography of user_{i} is:");
    cllm__prompts_free(&again);
    cllm__prompts_free(&prompts);
    json_object_put(saved);
    json_object_put(given);
    static const struct {
        const char *json, *words;
    } wrong[] = {
        {"[]", "not an object"},
        {"{\"recc\":\"{items}\"}", "no template 'recc'; the names are collab review title"},
        {"{\"rec\":5}", "prompts.rec: not a string"},
        {"{\"rec\":null}", "prompts.rec: not a string"},
        {"{\"rec\":\"\"}", "prompts.rec: the template '' is empty"},
        {"{\"rec\":\"hello\"}", "prompts.rec: the template 'hello' needs {items}"},
        {"{\"rec\":\"{items} item_{j}\"}", "cannot have item_{j}"},
        {"{\"collab\":\"user_{i} {items}\"}", "prompts.collab: the template 'user_{i} {items}' cannot have {items}"},
        {"{\"review\":\"user_{i} says\"}", "needs item_{j}"},
        {"{\"title\":\"item_{j}\\u0000\"}", "prompts.title: a NUL"},
    };
    for (size_t i = 0; i < CLLM_LEN(wrong); i++) {
        json_object *object = json_tokener_parse(wrong[i].json);
        assert_fails(cllm__prompts_compile(&prompts, t, object, why), CLLM_ERR_DATA, wrong[i].words);
        json_object_put(object);
    }
    cllm__tokenizer_close(t);
}

static void allocation_failures(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(300);
    const cllm__id_space space = {300, 5, 7};
    for (size_t n = 1;; n++) {
        cllm__prompts prompts;
        cllm__tokens got = {0};
        cllm_error err;
        const int32_t item = 3;
        size_t made = cllm__alloc_count();
        cllm__alloc_fail_at(n, false);
        cllm_status status = cllm__prompts_compile(&prompts, t, NULL, &err);
        bool compiled = status == CLLM_OK;
        if (compiled) {
            const cllm__prompt_fill fill = {.user = 1, .items = &item, .n_items = 1};
            status = cllm__prompt_render(&prompts.rec, &space, &fill, &got, NULL, &err);
            if (status == CLLM_OK)
                status = cllm__prompt_encode_concrete(t, &space, "user_1 has item_2 for long", 26, &got, &err);
        }
        cllm__alloc_fail_at(0, false);
        made = cllm__alloc_count() - made;
        if (compiled) cllm__prompts_free(&prompts);
        cllm__tokens_free(&got);
        if (made < n) {
            assert_ok(status, &err);
            assert_true(n > 8);
            break;
        }
        assert_int_equal(status, CLLM_ERR_NOMEM);
    }
    cllm__tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_templates),
        cmocka_unit_test(concrete),
        cmocka_unit_test(compiling),
        cmocka_unit_test(long_history),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(shapes),
        cmocka_unit_test(configuration),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
