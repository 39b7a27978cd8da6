/*
 * Speed of the tokenizer and of the BPE trainer.
 *
 *   bench_tokenizer                   on text made up here, with a vocabulary trained on it
 *   bench_tokenizer FOLDER FILE       FOLDER's tokenizer on each line of FILE (plain, gz, zst or xz)
 *
 * Prints MB/s and tokens/s on one thread, the best of several passes, and the time for a word of 1 MiB without a space.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "formats/stream.h"
#include "text/bpe_train.h"

typedef struct lines {
    char *text;
    size_t used, capacity;
    size_t *end;
    size_t count, end_capacity;
} lines;

static void check(cllm_status status, const cllm_error *err) {
    if (status == CLLM_OK) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void add_line(lines *l, const char *text, size_t length) {
    cllm_error err;
    check(CLLM_GROW(l->text, l->capacity, l->used + length, &err), &err);
    check(CLLM_GROW(l->end, l->end_capacity, l->count + 1, &err), &err);
    memcpy(l->text + l->used, text, length);
    l->used += length;
    l->end[l->count++] = l->used;
}

static void read_lines(lines *l, const char *path) {
    cllm__stream *stream;
    cllm_error err;
    char *line;
    size_t length;
    check(cllm__stream_open(&stream, path, CLLM_ENCODING_BYTES, &err), &err);
    for (;;) {
        check(cllm__stream_line(stream, &line, &length, &err), &err);
        if (line == NULL) break;
        add_line(l, line, length);
    }
    cllm__stream_close(stream);
}

/* Words of 20,000 made of syllables; the n-th is chosen with a probability of about 1 / n, as in real texts. */
static void make_lines(lines *l, size_t bytes) {
    enum { WORDS = 20000, LETTERS = 16 };
    static const char *const syllables[] = {"ba", "tor", "in", "el", "sha", "ro", "ment", "ki", "us", "fa", "ling", "de"};
    char(*words)[LETTERS] = malloc(WORDS * sizeof *words), line[4096];
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    if (words == NULL) exit(1);
    for (size_t i = 0; i < WORDS; i++) {
        words[i][0] = '\0';
        for (uint64_t n = 1 + cllm__rng_below(&rng, 3); n > 0; n--) {
            strcat(words[i], syllables[cllm__rng_below(&rng, CLLM_LEN(syllables))]);
        }
    }
    while (l->used < bytes) {
        size_t used = 0;
        while (used < 500) {
            double u = cllm__rng_uniform(&rng);
            size_t word = (size_t)(WORDS * u * u * u * u);
            used += (size_t)snprintf(line + used, sizeof line - used, "%s%s", words[word],
                                     cllm__rng_below(&rng, 12) == 0 ? ", " : " ");
        }
        add_line(l, line, used - 1);
    }
    free(words);
}

static cllm__tokenizer *train(const lines *l) {
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *t;
    cllm_error err;
    double began = cllm__now();
    check(cllm__bpe_trainer_create(&trainer, &err), &err);
    for (size_t i = 0, start = 0; i < l->count; start = l->end[i++]) {
        check(cllm__bpe_trainer_feed(trainer, l->text + start, l->end[i] - start, &err), &err);
    }
    double fed = cllm__now();
    check(cllm__bpe_trainer_run(trainer, 2048, 2, NULL, &t, &err), &err);
    cllm__bpe_trainer_free(trainer);
    printf("train     %zu pieces on %.1f MB: counting words %.2f s, merging %.2f s\n", cllm__tokenizer_size(t),
           (double)l->used / 1e6, fed - began, cllm__now() - fed);
    return t;
}

static void encode(const cllm__tokenizer *t, const lines *l) {
    enum { PASSES = 5 };
    double best = 1e30;
    size_t tokens = 0;
    cllm__tokens ids = {0};
    cllm_error err;
    for (int pass = 0; pass < PASSES; pass++) {
        double began = cllm__now();
        tokens = 0;
        for (size_t i = 0, start = 0; i < l->count; start = l->end[i++]) {
            ids.count = 0;
            check(cllm__tokenizer_encode(t, l->text + start, l->end[i] - start, &ids, &err), &err);
            tokens += ids.count;
        }
        double seconds = cllm__now() - began;
        if (seconds < best) best = seconds;
    }
    cllm__tokens_free(&ids);
    printf("encode    %zu lines, %.1f MB, %zu tokens: %.2f s, %.1f MB/s, %.2f million tokens/s\n", l->count,
           (double)l->used / 1e6, tokens, best, (double)l->used / 1e6 / best, (double)tokens / 1e6 / best);
}

static void long_word(const cllm__tokenizer *t) {
    enum { LENGTH = 1 << 20 };
    cllm__rng rng = cllm__rng_make(2, CLLM_RNG_TEST, 0, 0);
    char *word = malloc(LENGTH);
    cllm__tokens ids = {0};
    cllm_error err;
    if (word == NULL) exit(1);
    for (size_t i = 0; i < LENGTH; i++) word[i] = (char)('a' + cllm__rng_below(&rng, 26));
    double began = cllm__now();
    check(cllm__tokenizer_encode(t, word, LENGTH, &ids, &err), &err);
    printf("long word 1 MiB of letters, %zu tokens: %.2f s\n", ids.count, cllm__now() - began);
    cllm__tokens_free(&ids);
    free(word);
}

int main(int argc, char **argv) {
    lines l = {0};
    cllm__tokenizer *t;
    cllm_error err;
    if (argc == 3) {
        check(cllm__tokenizer_open(&t, argv[1], &err), &err);
        read_lines(&l, argv[2]);
    } else {
        make_lines(&l, 10 * 1000 * 1000);
        t = train(&l);
    }
    encode(t, &l);
    long_word(t);
    cllm__tokenizer_close(t);
    cllm__free(l.text);
    cllm__free(l.end);
    return 0;
}
