#include "text/words.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "formats/utf8.h"

enum {
    SHORT = 48,            /* symbols up to which the plain search is faster than the heap */
    CACHE_ENTRIES = 16384, /* a power of two; 1 MiB */
    CACHED_BYTES = 22,
    CACHED_IDS = 10,
    KEEP = 1 << 16 /* elements that a scratch array may keep between words */
};

/* One cache line. A word has one place, which the last that came there holds. */
typedef struct cached {
    uint8_t length, count; /* length 0 = empty */
    char word[CACHED_BYTES];
    int32_t ids[CACHED_IDS];
} cached;

struct cllm__words {
    const cllm__bpe *bpe;
    cllm__word_rules rules;
    cached *cache;
    char *letters; /* for ignore_merges */
    size_t letters_capacity;
    /* A linked list of symbols for long words, and a heap of rank << 32 | position. */
    int32_t *ids, *before, *after;
    size_t ids_capacity, before_capacity, after_capacity;
    uint64_t *heap;
    size_t heap_capacity, heap_count;
};

cllm_status cllm__words_create(cllm__words **out, const cllm__bpe *bpe, cllm__word_rules rules, cllm_error *err) {
    cllm__words *words;
    CLLM_TRY(CLLM_NEW(words, 1, err));
    words->bpe = bpe;
    words->rules = rules;
    words->cache = cllm__zalloc(CACHE_ENTRIES, sizeof *words->cache);
    if (words->cache == NULL) {
        cllm__free(words);
        return cllm__fail_nomem(err);
    }
    *out = words;
    return CLLM_OK;
}

static void give_back(cllm__words *words) {
    cllm__free(words->ids);
    cllm__free(words->before);
    cllm__free(words->after);
    cllm__free(words->heap);
    words->ids = words->before = words->after = NULL;
    words->heap = NULL;
    words->ids_capacity = words->before_capacity = words->after_capacity = words->heap_capacity = 0;
}

void cllm__words_free(cllm__words *words) {
    if (words == NULL) return;
    give_back(words);
    cllm__free(words->letters);
    cllm__free(words->cache);
    cllm__free(words);
}

/* In characters: a character's piece, else its bytes' pieces, else the unknown piece. */
static size_t first_characters(const cllm__words *words, const char *word, size_t length, int32_t *ids) {
    const cllm__bpe *bpe = words->bpe;
    size_t count = 0, size;
    bool unknown_before = false;
    for (size_t i = 0; i < length; i += size) {
        int32_t id = CLLM_NO_PIECE;
        bool fallback = true;
        size = 1;
        if (cllm__utf8_check(word + i, length - i < 4 ? length - i : 4) != 0) {
            cllm__utf8_get(word + i, &size);
            id = cllm__bpe_character(bpe, word + i, size);
        }
        for (size_t k = 0; k < size; k++) fallback = fallback && bpe->byte_id[(unsigned char)word[i + k]] != CLLM_NO_PIECE;
        bool unknown = id == CLLM_NO_PIECE && !fallback;
        if (unknown) id = unknown_before && words->rules.fuse_unknown ? CLLM_NO_PIECE : words->rules.unknown;
        else if (id == CLLM_NO_PIECE) {
            for (size_t k = 0; k < size; k++) ids[count++] = bpe->byte_id[(unsigned char)word[i + k]];
        }
        if (id != CLLM_NO_PIECE) ids[count++] = id;
        unknown_before = unknown;
    }
    return count;
}

/* The symbols that the merges begin with; at most `length`. */
static size_t first_symbols(const cllm__words *words, const char *word, size_t length, int32_t *ids) {
    if (words->bpe->characters) return first_characters(words, word, length, ids);
    size_t count = 0;
    bool unknown_before = false;
    for (size_t i = 0; i < length; i++) {
        int32_t id = words->bpe->byte_id[(unsigned char)word[i]];
        bool unknown = id == CLLM_NO_PIECE;
        if (unknown) id = words->rules.unknown;
        bool fused = unknown && unknown_before && words->rules.fuse_unknown;
        if (id != CLLM_NO_PIECE && !fused) ids[count++] = id;
        unknown_before = unknown;
    }
    return count;
}

/* Merges in place, each time the leftmost pair of the lowest rank; returns how many symbols remain. */
static size_t merge_short(const cllm__bpe *bpe, int32_t *ids, size_t count) {
    cllm__merge merges[SHORT];
    for (size_t i = 0; i + 1 < count; i++) merges[i] = cllm__bpe_merge(bpe, ids[i], ids[i + 1]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++) {
            if (merges[i].rank < merges[best].rank) best = i;
        }
        if (merges[best].rank == CLLM_NO_RANK) break;
        ids[best] = merges[best].id;
        count--;
        memmove(ids + best + 1, ids + best + 2, (count - best - 1) * sizeof *ids);
        memmove(merges + best, merges + best + 1, (count - best - 1) * sizeof *merges);
        if (best > 0) merges[best - 1] = cllm__bpe_merge(bpe, ids[best - 1], ids[best]);
        if (best + 1 < count) merges[best] = cllm__bpe_merge(bpe, ids[best], ids[best + 1]);
    }
    return count;
}

static void sift_down(uint64_t *heap, size_t count, size_t at) {
    uint64_t value = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

static void push(cllm__words *words, uint64_t value) {
    size_t at = words->heap_count++;
    while (at > 0 && words->heap[(at - 1) / 2] > value) {
        words->heap[at] = words->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    words->heap[at] = value;
}

static uint64_t pop(cllm__words *words) {
    uint64_t top = words->heap[0];
    words->heap[0] = words->heap[--words->heap_count];
    sift_down(words->heap, words->heap_count, 0);
    return top;
}

static cllm__merge merge_at(const cllm__words *words, int32_t at) {
    int32_t right = words->after[at];
    if (right < 0) return (cllm__merge){CLLM_NO_RANK, CLLM_NO_PIECE};
    return cllm__bpe_merge(words->bpe, words->ids[at], words->ids[right]);
}

static void offer(cllm__words *words, int32_t at) {
    uint32_t rank = merge_at(words, at).rank;
    if (rank != CLLM_NO_RANK) push(words, (uint64_t)rank << 32 | (uint32_t)at);
}

/* The same for many symbols, in words->ids. A merged symbol's right part gets the id CLLM_NO_PIECE. An entry of the heap is
 * stale when the pair at its place has another rank; with the same rank the pair there is as good as the one that was. */
static void merge_long(cllm__words *words, size_t count) {
    int32_t *ids = words->ids, *before = words->before, *after = words->after;
    for (size_t i = 0; i < count; i++) {
        before[i] = (int32_t)i - 1;
        after[i] = i + 1 < count ? (int32_t)i + 1 : -1;
    }
    words->heap_count = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        uint32_t rank = cllm__bpe_merge(words->bpe, ids[i], ids[i + 1]).rank;
        if (rank != CLLM_NO_RANK) words->heap[words->heap_count++] = (uint64_t)rank << 32 | (uint32_t)i;
    }
    for (size_t i = words->heap_count / 2; i-- > 0;) sift_down(words->heap, words->heap_count, i);
    while (words->heap_count != 0) {
        uint64_t top = pop(words);
        int32_t at = (int32_t)(top & UINT32_MAX);
        if (ids[at] == CLLM_NO_PIECE) continue;
        cllm__merge merge = merge_at(words, at);
        if (merge.rank == CLLM_NO_RANK || merge.rank != (uint32_t)(top >> 32)) continue;
        int32_t right = after[at];
        ids[at] = merge.id;
        ids[right] = CLLM_NO_PIECE;
        after[at] = after[right];
        if (after[at] >= 0) before[after[at]] = at;
        if (before[at] >= 0) offer(words, before[at]);
        offer(words, at);
    }
}

static cllm_status encode_long(cllm__words *words, const char *word, size_t length, cllm__tokens *append_to,
                               cllm_error *err) {
    if (length > INT32_MAX / 2) return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "a word of %zu bytes without a break", length);
    CLLM_TRY(CLLM_GROW(words->ids, words->ids_capacity, length, err));
    CLLM_TRY(CLLM_GROW(words->before, words->before_capacity, length, err));
    CLLM_TRY(CLLM_GROW(words->after, words->after_capacity, length, err));
    /* A merge takes one entry out and puts at most two in, and there are fewer merges than symbols. */
    CLLM_TRY(CLLM_GROW(words->heap, words->heap_capacity, 2 * length, err));
    size_t count = first_symbols(words, word, length, words->ids), kept = 0;
    merge_long(words, count);
    for (size_t i = 0; i < count; i++) {
        if (words->ids[i] != CLLM_NO_PIECE) words->ids[kept++] = words->ids[i];
    }
    return cllm__tokens_add(append_to, words->ids, kept, err);
}

cllm_status cllm__words_encode(cllm__words *words, const char *word, size_t length, cllm__tokens *append_to,
                               cllm_error *err) {
    cached *place = NULL;
    if (length <= CACHED_BYTES) {
        place = &words->cache[cllm__hash(word, length) % CACHE_ENTRIES];
        if (place->length == length && memcmp(place->word, word, length) == 0) {
            return cllm__tokens_add(append_to, place->ids, place->count, err);
        }
    }
    if (words->rules.ignore_merges) {
        CLLM_TRY(CLLM_GROW(words->letters, words->letters_capacity, 2 * length, err));
        int32_t id = cllm__bpe_find(words->bpe, word, length, words->letters);
        if (id != CLLM_NO_PIECE) return cllm__tokens_add(append_to, &id, 1, err);
    }
    if (length > SHORT) {
        cllm_status status = encode_long(words, word, length, append_to, err);
        if (words->heap_capacity > KEEP) give_back(words);
        return status;
    }
    int32_t ids[SHORT];
    size_t count = merge_short(words->bpe, ids, first_symbols(words, word, length, ids));
    if (place != NULL && count <= CACHED_IDS) {
        place->length = (uint8_t)length;
        place->count = (uint8_t)count;
        memcpy(place->word, word, length);
        memcpy(place->ids, ids, count * sizeof *ids);
    }
    return cllm__tokens_add(append_to, ids, count, err);
}
