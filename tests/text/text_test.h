/* What the text tests share. */
#ifndef TEXT_TEST_H
#define TEXT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"
#include "text/bpe_train.h"
#include "text/tokenizer.h"

#define GPT2_FOLDER TEST_SHARED_DATA "/gpt2-tokenizer"

static inline void assert_ok(cllm_status status, const cllm_error *err) {
    if (status != CLLM_OK) fail_msg("%s", err->message);
}

/* The call, which has `why` for its cllm_error, fails with this status and says `words`. */
#define assert_fails(call, wanted, words) \
    do { \
        cllm_error err_ = {0}, *why = &err_; \
        cllm_status status_ = (call); \
        if (status_ != (wanted)) fail_msg("%s: status %d (%s), not %d", #call, status_, err_.message, (wanted)); \
        if (strstr(err_.message, (words)) == NULL) fail_msg("%s: '%s' does not say '%s'", #call, err_.message, (words)); \
    } while (0)

/* GPT-2's vocabulary is not ours to commit. */
static inline cllm__tokenizer *open_gpt2(void) {
    cllm__tokenizer *t = NULL;
    cllm_error err;
    if (!cllm__path_is_folder(GPT2_FOLDER)) {
        print_message("no %s\n", GPT2_FOLDER);
        skip();
    }
    assert_ok(cllm__tokenizer_open(&t, GPT2_FOLDER, &err), &err);
    return t;
}

/* Feeds the lines of a file of tests/golden. */
static inline void feed_golden(cllm__bpe_trainer *trainer, const char *name) {
    char path[1024], *data;
    size_t size;
    cllm_error err;
    snprintf(path, sizeof path, "%s/golden/%s", TEST_DATA, name);
    assert_ok(cllm__read_file(path, 1 << 24, &data, &size, &err), &err);
    for (char *line = data, *end; line < data + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(data + size - line));
        if (end == NULL) end = data + size;
        assert_ok(cllm__bpe_trainer_feed(trainer, line, (size_t)(end - line), &err), &err);
    }
    cllm__free(data);
}

/* A small tokenizer of our own text: every byte and some merges. */
static inline cllm__tokenizer *train_small(size_t vocab_size) {
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *t;
    cllm_error err;
    assert_ok(cllm__bpe_trainer_create(&trainer, &err), &err);
    feed_golden(trainer, "bpe_corpus.txt");
    assert_ok(cllm__bpe_trainer_run(trainer, vocab_size, 0, NULL, &t, &err), &err);
    cllm__bpe_trainer_free(trainer);
    return t;
}

/* FNV-1a over little-endian numbers and over bytes, as tools/golden/README.md defines the digests. */
#define FNV_START UINT64_C(0xcbf29ce484222325)
static inline uint64_t fnv_bytes(uint64_t hash, const void *data, size_t size) {
    for (size_t i = 0; i < size; i++) hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}
static inline uint64_t fnv_ids(uint64_t hash, const int32_t *ids, size_t count) {
    for (size_t i = 0; i <= count; i++) {
        uint32_t id = i < count ? (uint32_t)ids[i] : UINT32_MAX;
        unsigned char bytes[4] = {(unsigned char)id, (unsigned char)(id >> 8), (unsigned char)(id >> 16),
                                  (unsigned char)(id >> 24)};
        hash = fnv_bytes(hash, bytes, 4);
    }
    return hash;
}

static inline void assert_ids(const cllm__tokens *got, const int32_t *ids, size_t count) {
    bool same = got->count == count && (count == 0 || memcmp(got->ids, ids, count * sizeof *ids) == 0);
    if (same) return;
    for (size_t i = 0; i < got->count; i++) print_message("%d ", got->ids[i]);
    print_message("\n");
    for (size_t i = 0; i < count; i++) print_message("%d ", ids[i]);
    fail_msg("the first are not the second");
}

/* encode(text) = these ids */
#define assert_encodes(tokenizer, text, ...) \
    do { \
        const int32_t ids_[] = {__VA_ARGS__}; \
        cllm__tokens got_ = {0}; \
        cllm_error err_; \
        assert_ok(cllm__tokenizer_encode(tokenizer, text, sizeof(text) - 1, &got_, &err_), &err_); \
        assert_ids(&got_, ids_, sizeof ids_ / sizeof ids_[0]); \
        cllm__tokens_free(&got_); \
    } while (0)

/* A fresh folder below the working directory; the caller frees the name with free(). */
static inline char *scratch_folder(const char *name) {
    char *path = malloc(strlen(name) + 64);
    cllm_error err;
    sprintf(path, "scratch/text_%s_%ld", name, (long)getpid());
    cllm__remove_tree(path);
    assert_ok(cllm__make_folders(path, &err), &err);
    return path;
}

/* Saved, with `file` (or NULL) among the files, and opened again, it is the same tokenizer; `t` is closed. */
static inline cllm__tokenizer *reopened(cllm__tokenizer *t, const char *file) {
    char *folder = scratch_folder("saved"), path[512];
    cllm__tokenizer *again;
    cllm_error err;
    assert_ok(cllm__tokenizer_save(t, folder, &err), &err);
    snprintf(path, sizeof path, "%s/%s", folder, file == NULL ? "" : file);
    assert_true(cllm__path_exists(path));
    assert_ok(cllm__tokenizer_open(&again, folder, &err), &err);
    assert_int_equal(cllm__tokenizer_hash(t), cllm__tokenizer_hash(again));
    assert_int_equal(cllm__tokenizer_size(t), cllm__tokenizer_size(again));
    assert_int_equal(cllm__tokenizer_bos(t), cllm__tokenizer_bos(again));
    cllm__remove_tree(folder);
    free(folder);
    cllm__tokenizer_close(t);
    return again;
}

#endif
