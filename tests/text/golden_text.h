/* Tokenizers against digests of the ids that Hugging Face's gave: tests/golden/tokenizer_llama.json and tokenizer_nasty.json. */
#ifndef GOLDEN_TEXT_H
#define GOLDEN_TEXT_H

#include <json-c/json.h>

#include "text_test.h"

#define GOLDEN_FOLDER TEST_DATA "/golden/"

static inline size_t base64(const char *text, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t used = 0;
    unsigned bits = 0, have = 0;
    for (; *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (unsigned)(strchr(digits, *text) - digits);
        have += 6;
        if (have >= 8) out[used++] = (char)(bits >> (have -= 8));
    }
    return used;
}

static inline json_object *member(json_object *object, const char *key) {
    json_object *value = NULL;
    assert_true(json_object_object_get_ex(object, key, &value));
    return value;
}

static inline uint64_t hex(json_object *text) {
    return strtoull(json_object_get_string(text), NULL, 16);
}

static inline cllm__tokenizer *open_path(const char *path) {
    cllm__tokenizer *t = NULL;
    cllm_error err;
    assert_ok(cllm__tokenizer_open(&t, path, &err), &err);
    return t;
}

static inline cllm__tokenizer *open_golden(const char *name, const char *ending) {
    char path[1024];
    snprintf(path, sizeof path, GOLDEN_FOLDER "tokenizer_%s.%s", name, ending);
    return open_path(path);
}

static inline void check_one(const cllm__tokenizer *t, const char *text, size_t length, uint64_t wanted) {
    cllm__tokens got = {0};
    cllm_error err;
    char *exact = malloc(length + 1); /* so that reading too far is seen */
    exact = realloc(memcpy(exact, text, length), length == 0 ? 1 : length);
    assert_ok(cllm__tokenizer_encode(t, exact, length, &got, &err), &err);
    if (fnv_ids(FNV_START, got.ids, got.count) != wanted) {
        for (size_t i = 0; i < got.count; i++) print_message("%d ", got.ids[i]);
        fail_msg("'%.*s'", (int)length, text);
    }
    cllm__tokens_free(&got);
    free(exact);
}

/* The list of nasty texts, as far as it is UTF-8, and those of this test. */
static inline void check_nasty(const cllm__tokenizer *t, const char *name) {
    json_object *root = json_object_from_file(GOLDEN_FOLDER "tokenizer_llama.json"), *digests = member(member(root, name), "nasty");
    json_object *first_root = json_object_from_file(GOLDEN_FOLDER "tokenizer_nasty.json"), *first = member(first_root, "strings");
    json_object *more = member(root, "texts");
    size_t count = json_object_array_length(digests), old = count - json_object_array_length(more);
    assert_true(old > 90 && old < json_object_array_length(first));
    for (size_t i = 0; i < count; i++) {
        json_object *text = i < old ? member(json_object_array_get_idx(first, i), "text") : json_object_array_get_idx(more, i - old);
        char *bytes = malloc((size_t)json_object_get_string_len(text) + 1);
        size_t length = base64(json_object_get_string(text), bytes);
        check_one(t, bytes, length, hex(json_object_array_get_idx(digests, i)));
        free(bytes);
    }
    json_object_put(root);
    json_object_put(first_root);
}

#endif
