#include "eval/tfidf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/names.h"

enum { FIRST_ROOM = 1 << 16, TEXTS_BETWEEN_LOOKS = 256 };

/* How often a word stands in an item's texts; the key is item · 2³² + word. */
typedef struct entry {
    uint64_t key;
    uint64_t count;
} entry;

typedef struct bag {
    cllm__names *words;
    entry *entries;
    size_t count, room;
} bag;

static int compare_entries(const void *a, const void *b) {
    uint64_t x = ((const entry *)a)->key, y = ((const entry *)b)->key;
    return (x > y) - (x < y);
}

/* Sorts the entries and adds up those of one key. */
static void merge(bag *b) {
    if (b->count == 0) return;
    qsort(b->entries, b->count, sizeof *b->entries, compare_entries);
    size_t kept = 0;
    for (size_t e = 1; e < b->count; e++) {
        if (b->entries[e].key == b->entries[kept].key) {
            b->entries[kept].count += b->entries[e].count;
        } else {
            b->entries[++kept] = b->entries[e];
        }
    }
    b->count = kept + 1;
}

/* A word of the text at hand. */
typedef struct reading {
    bag *into;
    int32_t item;
} reading;

static cllm_status add_word(void *context, const char *word, size_t length, cllm_error *err) {
    const reading *r = context;
    bag *b = r->into;
    size_t index;
    CLLM_TRY(cllm__names_add(b->words, word, length, &index, err));
    if (index > INT32_MAX) return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "more than %d different words", INT32_MAX);
    if (b->count == b->room) {
        merge(b);
        if (b->count >= b->room / 2) CLLM_TRY(CLLM_GROW(b->entries, b->room, b->room == 0 ? FIRST_ROOM : 2 * b->room, err));
    }
    b->entries[b->count++] = (entry){(uint64_t)r->item << 32 | index, 1};
    return CLLM_OK;
}

static cllm_status collect(bag *b, size_t n_items, const cllm__item_texts *texts, const cllm_host *host, cllm_error *err) {
    CLLM_TRY(cllm__names_create(&b->words, err));
    cllm__meter meter = cllm__meter_begin(host, "words", "texts", (double)texts->count);
    for (size_t t = 0; t < texts->count; t++) {
        int32_t item;
        const char *text;
        size_t length;
        if (t % TEXTS_BETWEEN_LOOKS == 0) CLLM_TRY(cllm__check_cancelled(host, err));
        cllm__meter_update(&meter, (double)t, NULL);
        if (!texts->get(texts->context, t, &item, &text, &length)) continue;
        if (item < 0 || (size_t)item >= n_items)
            return cllm__fail(err, CLLM_ERR_DATA, "text %zu is of item %d of %zu", t, item, n_items);
        reading r = {b, item};
        CLLM_TRY(cllm__each_word(text, length, add_word, &r, err));
    }
    cllm__meter_end(&meter, (double)texts->count, NULL);
    merge(b);
    return CLLM_OK;
}

/* From the merged entries to rows of length 1. `items_with` is [n_words]. */
static void weigh(cllm__tfidf *out, const bag *b, const uint64_t *items_with) {
    for (size_t e = 0; e < b->count; e++) {
        size_t item = (size_t)(b->entries[e].key >> 32);
        int32_t word = (int32_t)(uint32_t)b->entries[e].key;
        out->start[item + 1]++;
        out->words[e] = word;
        out->values[e] = cllm__word_weight(b->entries[e].count, log((double)out->n_items / (double)items_with[word]));
    }
    for (size_t w = 0; w < out->n_words; w++) out->lexicon.idf[w] = (float)log((double)out->n_items / (double)items_with[w]);
    for (size_t i = 0; i < out->n_items; i++) {
        out->start[i + 1] += out->start[i];
        cllm__to_unit_length(out->values + out->start[i], out->start[i + 1] - out->start[i]);
    }
}

cllm_status cllm__tfidf_create(cllm__tfidf *out, size_t n_items, const cllm__item_texts *texts, const cllm_host *host,
                               cllm_error *err) {
    cllm_status status;
    cllm__tfidf made = {.n_items = n_items};
    bag b = {0};
    uint64_t *items_with = NULL;
    CLLM_TRY_CLEAN(collect(&b, n_items, texts, host, err));
    made.n_words = cllm__names_count(b.words);
    CLLM_TRY_CLEAN(CLLM_NEW(items_with, made.n_words, err));
    CLLM_TRY_CLEAN(CLLM_NEW(made.start, n_items + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(made.words, b.count, err));
    CLLM_TRY_CLEAN(CLLM_NEW(made.values, b.count, err));
    CLLM_TRY_CLEAN(CLLM_NEW(made.lexicon.idf, made.n_words + 1, err));
    for (size_t e = 0; e < b.count; e++) items_with[(uint32_t)b.entries[e].key]++;
    weigh(&made, &b, items_with);
    made.lexicon.words = b.words;
    b.words = NULL;
    *out = made;
    made = (cllm__tfidf){0};
cleanup:
    cllm__tfidf_free(&made);
    cllm__free(items_with);
    cllm__free(b.entries);
    cllm__names_free(b.words);
    return status;
}

void cllm__tfidf_free(cllm__tfidf *tfidf) {
    cllm__free(tfidf->start);
    cllm__free(tfidf->words);
    cllm__free(tfidf->values);
    cllm__lexicon_free(&tfidf->lexicon);
    *tfidf = (cllm__tfidf){0};
}

/* The words that stay, under their new numbers. */
static cllm_status thin_lexicon(cllm__lexicon *lexicon, const int32_t *renamed, cllm_error *err) {
    cllm__names *kept;
    CLLM_TRY(cllm__names_create(&kept, err));
    for (size_t w = 0, count = cllm__names_count(lexicon->words); w < count; w++) {
        const char *word = cllm__names_get(lexicon->words, w);
        size_t index;
        if (renamed[w] < 0) continue;
        cllm_status status = cllm__names_add(kept, word, strlen(word), &index, err);
        if (status != CLLM_OK) {
            cllm__names_free(kept);
            return status;
        }
        lexicon->idf[index] = lexicon->idf[w];
    }
    cllm__names_free(lexicon->words);
    lexicon->words = kept;
    return CLLM_OK;
}

cllm_status cllm__tfidf_thin(cllm__tfidf *t, size_t least, cllm_error *err) {
    cllm_status status;
    size_t *items_with = NULL, kept_words = 0;
    int32_t *renamed = NULL;
    CLLM_TRY_CLEAN(CLLM_NEW(items_with, t->n_words + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(renamed, t->n_words + 1, err));
    for (uint64_t e = 0; e < t->start[t->n_items]; e++) items_with[t->words[e]]++;
    for (size_t w = 0; w < t->n_words; w++) renamed[w] = items_with[w] >= least ? (int32_t)kept_words++ : -1;
    CLLM_TRY_CLEAN(thin_lexicon(&t->lexicon, renamed, err));
    uint64_t to = 0;
    for (size_t i = 0; i < t->n_items; i++) {
        uint64_t first = t->start[i], end = t->start[i + 1];
        t->start[i] = to;
        for (uint64_t e = first; e < end; e++) {
            if (renamed[t->words[e]] < 0) continue;
            t->words[to] = renamed[t->words[e]];
            t->values[to++] = t->values[e];
        }
        cllm__to_unit_length(t->values + t->start[i], to - t->start[i]);
    }
    t->start[t->n_items] = to;
    t->n_words = kept_words;
cleanup:
    cllm__free(items_with);
    cllm__free(renamed);
    return status;
}
