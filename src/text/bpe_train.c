#include "text/bpe_train.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/host.h"
#include "text/letters.h"
#include "text/tokenizer_parts.h"

enum { BYTES = 256 };

/* ---- Words and their counts ---- */

typedef struct word {
    size_t start, length; /* in trainer->bytes, while training in run->symbols */
    uint64_t count;
} word;

struct cllm__bpe_trainer {
    cllm__tokenizer_parts parts; /* only the splitter */
    cllm__split_walk *walk;
    char *subject;
    size_t subject_capacity;
    char *bytes;
    size_t bytes_used, bytes_capacity;
    word *words;
    size_t word_count, word_capacity;
    size_t *slots; /* open addressing: index + 1, 0 = empty */
    size_t slot_count;
};

static size_t word_slot(const cllm__bpe_trainer *t, const char *bytes, size_t length) {
    size_t mask = t->slot_count - 1, slot = (size_t)cllm__hash(bytes, length) & mask;
    for (; t->slots[slot] != 0; slot = (slot + 1) & mask) {
        const word *w = &t->words[t->slots[slot] - 1];
        if (w->length == length && memcmp(t->bytes + w->start, bytes, length) == 0) break;
    }
    return slot;
}

static cllm_status rehash_words(cllm__bpe_trainer *t, size_t slot_count, cllm_error *err) {
    size_t *slots = cllm__zalloc(slot_count, sizeof *slots);
    if (slots == NULL) return cllm__fail_nomem(err);
    cllm__free(t->slots);
    t->slots = slots;
    t->slot_count = slot_count;
    for (size_t i = 0; i < t->word_count; i++) {
        t->slots[word_slot(t, t->bytes + t->words[i].start, t->words[i].length)] = i + 1;
    }
    return CLLM_OK;
}

static cllm_status count_word(cllm__bpe_trainer *t, const char *bytes, size_t length, cllm_error *err) {
    size_t slot = word_slot(t, bytes, length);
    if (t->slots[slot] != 0) {
        t->words[t->slots[slot] - 1].count++;
        return CLLM_OK;
    }
    if (t->word_count >= UINT32_MAX) return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "more than 2^32 different words");
    CLLM_TRY(CLLM_GROW(t->words, t->word_capacity, t->word_count + 1, err));
    CLLM_TRY(CLLM_GROW(t->bytes, t->bytes_capacity, t->bytes_used + length, err));
    if (2 * (t->word_count + 1) > t->slot_count) {
        CLLM_TRY(rehash_words(t, 2 * t->slot_count, err));
        slot = word_slot(t, bytes, length);
    }
    memcpy(t->bytes + t->bytes_used, bytes, length);
    t->words[t->word_count] = (word){t->bytes_used, length, 1};
    t->bytes_used += length;
    t->slots[slot] = ++t->word_count;
    return CLLM_OK;
}

cllm_status cllm__bpe_trainer_create(cllm__bpe_trainer **out, cllm_error *err) {
    cllm__bpe_trainer *t;
    CLLM_TRY(CLLM_NEW(t, 1, err));
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(cllm__tokenizer_parts_gpt2(&t->parts, err));
    CLLM_TRY_CLEAN(cllm__split_walk_create(&t->walk, t->parts.splitter, err));
    CLLM_TRY_CLEAN(rehash_words(t, 1024, err));
    *out = t;
    return CLLM_OK;
cleanup:
    cllm__bpe_trainer_free(t);
    return status;
}

void cllm__bpe_trainer_free(cllm__bpe_trainer *t) {
    if (t == NULL) return;
    cllm__split_walk_free(t->walk);
    cllm__tokenizer_parts_free(&t->parts);
    cllm__free(t->subject);
    cllm__free(t->bytes);
    cllm__free(t->words);
    cllm__free(t->slots);
    cllm__free(t);
}

cllm_status cllm__bpe_trainer_feed(cllm__bpe_trainer *t, const char *text, size_t length, cllm_error *err) {
    const char *subject;
    size_t begin, end;
    CLLM_TRY(cllm__subject(text, length, &t->subject, &t->subject_capacity, &subject, err));
    cllm__split_walk_begin(t->walk, subject, length);
    for (;;) {
        CLLM_TRY(cllm__split_walk_next(t->walk, &begin, &end, err));
        if (begin == end) return CLLM_OK;
        CLLM_TRY(count_word(t, text + begin, end - begin, err));
    }
}

/* ---- Training ---- */

/* Words (by index) in which a pair was found. */
typedef struct places {
    uint32_t *words;
    size_t count, capacity;
} places;

typedef struct pair {
    uint64_t key;   /* left id << 32 | right id */
    uint64_t count; /* occurrences, weighted by the words' counts */
    size_t fresh;   /* 1 + its place in run->fresh, 0 = none */
} pair;

/* A candidate merge with the words that were known to hold the pair when it was made. As in Hugging Face's trainer, a
 * pair that comes up again later gets a second candidate with the new words only, and the count of a merged pair is not
 * taken back; both decide about rare ties. */
typedef struct candidate {
    uint64_t count, key;
    size_t pair;
    places places;
} candidate;

typedef struct run {
    int32_t *symbols; /* of all words */
    word *words;
    size_t word_count;
    pair *pairs;
    size_t pair_count, pair_capacity;
    size_t *slots; /* open addressing: index of pairs + 1 */
    size_t slot_count;
    candidate *heap; /* the largest count first, then the smallest key */
    size_t heap_count, heap_capacity;
    candidate *fresh; /* made by the current merge */
    size_t fresh_count, fresh_capacity;
    cllm__names *letters; /* index = id */
    char *joined;
    size_t joined_capacity;
    int32_t (*merges)[2];
    size_t merge_count, merge_capacity;
} run;

static void run_free(run *r) {
    cllm__free(r->symbols);
    cllm__free(r->words);
    cllm__free(r->pairs);
    cllm__free(r->slots);
    for (size_t i = 0; i < r->heap_count; i++) cllm__free(r->heap[i].places.words);
    cllm__free(r->heap);
    for (size_t i = 0; i < r->fresh_count; i++) cllm__free(r->fresh[i].places.words);
    cllm__free(r->fresh);
    cllm__names_free(r->letters);
    cllm__free(r->joined);
    cllm__free(r->merges);
}

static uint64_t key_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t pair_slot(const run *r, uint64_t key) {
    size_t mask = r->slot_count - 1, slot = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & mask;
    while (r->slots[slot] != 0 && r->pairs[r->slots[slot] - 1].key != key) slot = (slot + 1) & mask;
    return slot;
}

static cllm_status rehash_pairs(run *r, size_t slot_count, cllm_error *err) {
    size_t *slots = cllm__zalloc(slot_count, sizeof *slots);
    if (slots == NULL) return cllm__fail_nomem(err);
    cllm__free(r->slots);
    r->slots = slots;
    r->slot_count = slot_count;
    for (size_t i = 0; i < r->pair_count; i++) r->slots[pair_slot(r, r->pairs[i].key)] = i + 1;
    return CLLM_OK;
}

static cllm_status find_pair(run *r, uint64_t key, pair **out, cllm_error *err) {
    size_t slot = pair_slot(r, key);
    if (r->slots[slot] == 0) {
        CLLM_TRY(CLLM_GROW(r->pairs, r->pair_capacity, r->pair_count + 1, err));
        if (2 * (r->pair_count + 1) > r->slot_count) {
            CLLM_TRY(rehash_pairs(r, 2 * r->slot_count, err));
            slot = pair_slot(r, key);
        }
        r->pairs[r->pair_count] = (pair){.key = key};
        r->slots[slot] = ++r->pair_count;
    }
    *out = &r->pairs[r->slots[slot] - 1];
    return CLLM_OK;
}

/* One more occurrence, in this word; the words come in order. */
static cllm_status gain(run *r, uint64_t key, size_t in, cllm_error *err) {
    pair *p;
    CLLM_TRY(find_pair(r, key, &p, err));
    p->count += r->words[in].count;
    if (p->fresh == 0) {
        CLLM_TRY(CLLM_GROW(r->fresh, r->fresh_capacity, r->fresh_count + 1, err));
        r->fresh[r->fresh_count] = (candidate){.key = key, .pair = (size_t)(p - r->pairs)};
        p->fresh = ++r->fresh_count;
    }
    places *at = &r->fresh[p->fresh - 1].places;
    if (at->count != 0 && at->words[at->count - 1] == in) return CLLM_OK;
    CLLM_TRY(CLLM_GROW(at->words, at->capacity, at->count + 1, err));
    at->words[at->count++] = (uint32_t)in;
    return CLLM_OK;
}

static cllm_status lose(run *r, uint64_t key, size_t in, cllm_error *err) {
    pair *p;
    CLLM_TRY(find_pair(r, key, &p, err));
    p->count -= r->words[in].count;
    return CLLM_OK;
}

static bool goes_before(const candidate *a, const candidate *b) {
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static void push(run *r, candidate value) {
    size_t at = r->heap_count++;
    for (; at > 0 && goes_before(&value, &r->heap[(at - 1) / 2]); at = (at - 1) / 2) r->heap[at] = r->heap[(at - 1) / 2];
    r->heap[at] = value;
}

/* Sinks `value` from the root, which is free. */
static void sink(run *r, candidate value) {
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < r->heap_count; at = child) {
        if (child + 1 < r->heap_count && goes_before(&r->heap[child + 1], &r->heap[child])) child++;
        if (!goes_before(&r->heap[child], &value)) break;
        r->heap[at] = r->heap[child];
    }
    r->heap[at] = value;
}

static candidate pop(run *r) {
    candidate top = r->heap[0], last = r->heap[--r->heap_count];
    if (r->heap_count != 0) sink(r, last);
    return top;
}

/* Moves the fresh candidates to the heap. */
static cllm_status push_fresh(run *r, cllm_error *err) {
    CLLM_TRY(CLLM_GROW(r->heap, r->heap_capacity, r->heap_count + r->fresh_count, err));
    for (size_t i = 0; i < r->fresh_count; i++) {
        candidate *c = &r->fresh[i];
        pair *p = &r->pairs[c->pair];
        c->count = p->count;
        p->fresh = 0;
        if (c->count != 0) push(r, *c);
        else cllm__free(c->places.words);
    }
    r->fresh_count = 0;
    return CLLM_OK;
}

/* The bytes as symbols, and their pairs. Ids 0 … 255 are the bytes in the order of their letters. */
static cllm_status begin(run *r, const cllm__bpe_trainer *t, cllm_error *err) {
    int32_t id_of_byte[BYTES];
    CLLM_TRY(cllm__names_create(&r->letters, err));
    for (uint32_t letter = 0; cllm__names_count(r->letters) < BYTES; letter++) {
        int byte = cllm__byte_of_letter(letter);
        if (byte < 0) continue;
        char letters[4], plain = (char)byte;
        size_t index;
        CLLM_TRY(cllm__names_add(r->letters, letters, cllm__letters_from_bytes(letters, &plain, 1), &index, err));
        id_of_byte[byte] = (int32_t)index;
    }
    CLLM_TRY(CLLM_NEW(r->symbols, t->bytes_used + 1, err));
    for (size_t i = 0; i < t->bytes_used; i++) r->symbols[i] = id_of_byte[(unsigned char)t->bytes[i]];
    CLLM_TRY(CLLM_NEW(r->words, t->word_count + 1, err));
    r->word_count = t->word_count;
    for (size_t i = 0; i < t->word_count; i++) r->words[i] = t->words[i];
    CLLM_TRY(rehash_pairs(r, 1024, err));
    for (size_t i = 0; i < r->word_count; i++) {
        const int32_t *symbols = r->symbols + r->words[i].start;
        for (size_t k = 0; k + 1 < r->words[i].length; k++) CLLM_TRY(gain(r, key_of(symbols[k], symbols[k + 1]), i, err));
    }
    return push_fresh(r, err);
}

/* Replaces left, right by `made` throughout a word, from the left, and counts what changes beside each replacement. */
static cllm_status merge_word(run *r, size_t in, int32_t left, int32_t right, int32_t made, cllm_error *err) {
    word *w = &r->words[in];
    int32_t *symbols = r->symbols + w->start;
    size_t kept = 0;
    for (size_t k = 0; k < w->length; k++) {
        if (symbols[k] != left || k + 1 == w->length || symbols[k + 1] != right) {
            symbols[kept++] = symbols[k];
            continue;
        }
        if (kept > 0) {
            CLLM_TRY(lose(r, key_of(symbols[kept - 1], left), in, err));
            CLLM_TRY(gain(r, key_of(symbols[kept - 1], made), in, err));
        }
        if (k + 2 < w->length) {
            CLLM_TRY(lose(r, key_of(right, symbols[k + 2]), in, err));
            CLLM_TRY(gain(r, key_of(made, symbols[k + 2]), in, err));
        }
        symbols[kept++] = made;
        k++;
    }
    w->length = kept;
    return CLLM_OK;
}

/* The id of the piece that two pieces make: often new, but two ways can lead to one piece. */
static cllm_status join(run *r, int32_t left, int32_t right, int32_t *made, cllm_error *err) {
    const char *a = cllm__names_get(r->letters, (size_t)left), *b = cllm__names_get(r->letters, (size_t)right);
    size_t a_length = strlen(a), b_length = strlen(b), index;
    CLLM_TRY(CLLM_GROW(r->joined, r->joined_capacity, a_length + b_length, err));
    memcpy(r->joined, a, a_length);
    memcpy(r->joined + a_length, b, b_length);
    CLLM_TRY(cllm__names_add(r->letters, r->joined, a_length + b_length, &index, err));
    *made = (int32_t)index;
    CLLM_TRY(CLLM_GROW(r->merges, r->merge_capacity, r->merge_count + 1, err));
    r->merges[r->merge_count][0] = left;
    r->merges[r->merge_count++][1] = right;
    return CLLM_OK;
}

static cllm_status merge_all(run *r, size_t vocab_size, uint64_t min_frequency, const cllm_host *host, cllm_error *err) {
    cllm__meter meter = cllm__meter_begin(host, "vocabulary", "pieces", (double)vocab_size);
    while (cllm__names_count(r->letters) < vocab_size && r->heap_count != 0) {
        uint64_t now = r->pairs[r->heap[0].pair].count;
        if (r->heap[0].count != now) { /* other merges have taken some of its occurrences */
            candidate stale = r->heap[0];
            stale.count = now;
            sink(r, stale);
            continue;
        }
        if (now < 1 || now < min_frequency) break;
        CLLM_TRY(cllm__check_cancelled(host, err));
        candidate best = pop(r);
        int32_t left = (int32_t)(best.key >> 32), right = (int32_t)(best.key & UINT32_MAX), made;
        cllm_status status = join(r, left, right, &made, err);
        for (size_t i = 0; status == CLLM_OK && i < best.places.count; i++) {
            status = merge_word(r, best.places.words[i], left, right, made, err);
        }
        cllm__free(best.places.words);
        CLLM_TRY(status);
        CLLM_TRY(push_fresh(r, err));
        cllm__meter_update(&meter, (double)cllm__names_count(r->letters), NULL);
    }
    cllm__meter_end(&meter, (double)cllm__names_count(r->letters), NULL);
    return CLLM_OK;
}

static cllm_status make_tokenizer(const run *r, cllm__tokenizer **out, cllm_error *err) {
    cllm__tokenizer_parts parts = {0};
    cllm__bpe_builder *builder = NULL;
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(cllm__bpe_builder_create(&builder, err));
    for (size_t i = 0; i < cllm__names_count(r->letters); i++) {
        const char *letters = cllm__names_get(r->letters, i);
        CLLM_TRY_CLEAN(cllm__bpe_builder_piece(builder, letters, strlen(letters), (int32_t)i, err));
    }
    for (size_t i = 0; i < r->merge_count; i++) {
        const char *left = cllm__names_get(r->letters, (size_t)r->merges[i][0]),
                   *right = cllm__names_get(r->letters, (size_t)r->merges[i][1]);
        CLLM_TRY_CLEAN(cllm__bpe_builder_merge(builder, left, strlen(left), right, strlen(right), err));
    }
    CLLM_TRY_CLEAN(cllm__bpe_builder_finish(builder, &parts.bpe, err));
    CLLM_TRY_CLEAN(cllm__tokenizer_parts_gpt2(&parts, err));
    status = cllm__tokenizer_make(out, &parts, err);
cleanup:
    cllm__bpe_builder_free(builder);
    cllm__tokenizer_parts_free(&parts);
    return status;
}

cllm_status cllm__bpe_trainer_run(cllm__bpe_trainer *t, size_t vocab_size, uint64_t min_frequency, const cllm_host *host,
                                  cllm__tokenizer **out, cllm_error *err) {
    if (vocab_size < BYTES || vocab_size > INT32_MAX) {
        return cllm__fail(err, CLLM_ERR_USAGE, "a vocabulary of %zu pieces; it takes from %d to %d", vocab_size, BYTES,
                          INT32_MAX);
    }
    run r = {0};
    cllm_status status = begin(&r, t, err);
    if (status == CLLM_OK) status = merge_all(&r, vocab_size, min_frequency, host, err);
    if (status == CLLM_OK) status = make_tokenizer(&r, out, err);
    run_free(&r);
    return status;
}
