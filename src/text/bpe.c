#include "text/bpe.h"

#include <string.h>

#include "base/alloc.h"
#include "formats/utf8.h"
#include "text/letters.h"

struct cllm__bpe_builder {
    cllm__names *letters;
    bool characters, byte_fallback;
    size_t text_count; /* names that are no markers */
    int32_t *id_of_letters;
    size_t id_capacity;
    int32_t (*merges)[2]; /* as indices of letters */
    int32_t *results;
    bool *shared; /* a merge has the rank of the one before it */
    size_t merge_count, merge_capacity, result_capacity, shared_capacity;
    char *joined; /* for looking up a merge's result */
    size_t joined_capacity;
};

int32_t cllm__bpe_find(const cllm__bpe *bpe, const char *bytes, size_t length, char *scratch) {
    size_t index, written = cllm__letters_from_bytes(scratch, bytes, length);
    bool found = written != 0 && cllm__names_find(bpe->letters, scratch, written, &index);
    return found && index < bpe->text_count ? bpe->id_of_letters[index] : CLLM_NO_PIECE;
}

int32_t cllm__bpe_character(const cllm__bpe *bpe, const char *character, size_t length) {
    size_t index;
    if (length == 1) return bpe->ascii_id[(unsigned char)character[0]];
    bool found = cllm__names_find(bpe->letters, character, length, &index) && index < bpe->text_count;
    return found ? bpe->id_of_letters[index] : CLLM_NO_PIECE;
}

const char *cllm__bpe_letters(const cllm__bpe *bpe, int32_t id) {
    return cllm__names_get(bpe->letters, (size_t)bpe->letters_of_id[id]);
}

void cllm__bpe_free(cllm__bpe *bpe) {
    cllm__free(bpe->bytes);
    cllm__free(bpe->start);
    cllm__names_free(bpe->letters);
    cllm__free(bpe->id_of_letters);
    cllm__free(bpe->letters_of_id);
    cllm__free(bpe->slots);
    cllm__free(bpe->merges);
    cllm__free(bpe->ranks);
    *bpe = (cllm__bpe){0};
}

cllm_status cllm__bpe_builder_create(cllm__bpe_builder **out, cllm_error *err) {
    cllm__bpe_builder *builder;
    CLLM_TRY(CLLM_NEW(builder, 1, err));
    cllm_status status = cllm__names_create(&builder->letters, err);
    if (status != CLLM_OK) {
        cllm__free(builder);
        return status;
    }
    *out = builder;
    return CLLM_OK;
}

void cllm__bpe_builder_free(cllm__bpe_builder *builder) {
    if (builder == NULL) return;
    cllm__names_free(builder->letters);
    cllm__free(builder->id_of_letters);
    cllm__free(builder->merges);
    cllm__free(builder->results);
    cllm__free(builder->shared);
    cllm__free(builder->joined);
    cllm__free(builder);
}

void cllm__bpe_builder_characters(cllm__bpe_builder *builder, bool byte_fallback) {
    builder->characters = true;
    builder->byte_fallback = byte_fallback;
}

bool cllm__bpe_builder_has(const cllm__bpe_builder *builder, const char *letters, size_t length) {
    size_t index;
    return length != 0 && cllm__names_find(builder->letters, letters, length, &index);
}

void cllm__bpe_builder_share_rank(cllm__bpe_builder *builder) {
    CLLM_ASSERT(builder->merge_count > 1);
    builder->shared[builder->merge_count - 1] = true;
}

cllm__shown cllm__show(const char *text, size_t length) {
    enum { LONGEST = 40 };
    cllm__shown shown = {""};
    size_t used = 0, i = 0;
    for (int n = 0; i < length && n < LONGEST; n++) {
        size_t size = 1, left = length - i < 4 ? length - i : 4;
        /* Four bytes may break the character after this one, so only a break at once counts. */
        bool good = cllm__utf8_check(text + i, left) != 0;
        if (good) cllm__utf8_get(text + i, &size);
        bool control = good && size == 1 && ((unsigned char)text[i] < 0x20 || text[i] == 0x7F);
        if (!good || control) shown.text[used++] = '?';
        else {
            memcpy(shown.text + used, text + i, size);
            used += size;
        }
        i += size;
    }
    if (i < length) memcpy(shown.text + used, "...", 4);
    return shown;
}

static cllm_status add_piece(cllm__bpe_builder *builder, const char *letters, size_t length, int32_t id, cllm_error *err) {
    if (length == 0) return cllm__fail(err, CLLM_ERR_DATA, "piece %d is empty", id);
    if (memchr(letters, '\0', length) != NULL) {
        return cllm__fail(err, CLLM_ERR_DATA, "piece %d ('%s') contains a NUL character", id,
                          cllm__show(letters, length).text);
    }
    if (id < 0) {
        return cllm__fail(err, CLLM_ERR_DATA, "piece '%s' has the id %d; ids count from 0",
                          cllm__show(letters, length).text, id);
    }
    size_t before = cllm__names_count(builder->letters), index;
    CLLM_TRY(CLLM_GROW(builder->id_of_letters, builder->id_capacity, before + 1, err));
    CLLM_TRY(cllm__names_add(builder->letters, letters, length, &index, err));
    if (index < before && builder->id_of_letters[index] != id) {
        return cllm__fail(err, CLLM_ERR_DATA, "piece '%s' has two ids, %d and %d", cllm__show(letters, length).text,
                          builder->id_of_letters[index], id);
    }
    builder->id_of_letters[index] = id;
    return CLLM_OK;
}

cllm_status cllm__bpe_builder_piece(cllm__bpe_builder *builder, const char *letters, size_t length, int32_t id,
                                    cllm_error *err) {
    CLLM_ASSERT(builder->text_count == cllm__names_count(builder->letters));
    CLLM_TRY(add_piece(builder, letters, length, id, err));
    builder->text_count = cllm__names_count(builder->letters);
    return CLLM_OK;
}

cllm_status cllm__bpe_builder_marker(cllm__bpe_builder *builder, const char *content, size_t length, int32_t id,
                                     cllm_error *err) {
    return add_piece(builder, content, length, id, err);
}

static cllm_status find_part(const cllm__bpe_builder *builder, const char *part, size_t length, const char *role,
                             size_t *index, cllm_error *err) {
    if (length != 0 && memchr(part, '\0', length) == NULL && cllm__names_find(builder->letters, part, length, index)) {
        return CLLM_OK;
    }
    return cllm__fail(err, CLLM_ERR_DATA, "%s '%s' is not in the vocabulary; merges and vocabulary must belong together",
                      role, cllm__show(part, length).text);
}

cllm_status cllm__bpe_builder_merge(cllm__bpe_builder *builder, const char *left, size_t left_length, const char *right,
                                    size_t right_length, cllm_error *err) {
    size_t a, b, joined;
    CLLM_TRY(find_part(builder, left, left_length, "the merge's left part", &a, err));
    CLLM_TRY(find_part(builder, right, right_length, "the merge's right part", &b, err));
    CLLM_TRY(CLLM_GROW(builder->joined, builder->joined_capacity, left_length + right_length, err));
    memcpy(builder->joined, left, left_length);
    memcpy(builder->joined + left_length, right, right_length);
    CLLM_TRY(find_part(builder, builder->joined, left_length + right_length, "the merge's result", &joined, err));
    CLLM_TRY(CLLM_GROW(builder->merges, builder->merge_capacity, builder->merge_count + 1, err));
    CLLM_TRY(CLLM_GROW(builder->results, builder->result_capacity, builder->merge_count + 1, err));
    CLLM_TRY(CLLM_GROW(builder->shared, builder->shared_capacity, builder->merge_count + 1, err));
    builder->shared[builder->merge_count] = false;
    builder->merges[builder->merge_count][0] = (int32_t)a;
    builder->merges[builder->merge_count][1] = (int32_t)b;
    builder->results[builder->merge_count++] = (int32_t)joined;
    return CLLM_OK;
}

/* Checks the ids and fills letters_of_id. */
static cllm_status order_pieces(cllm__bpe *bpe, cllm_error *err) {
    CLLM_TRY(CLLM_NEW(bpe->letters_of_id, bpe->count, err));
    for (size_t i = 0; i < bpe->count; i++) bpe->letters_of_id[i] = CLLM_NO_PIECE;
    size_t beyond = 0; /* pieces with ids ≥ count: there must be as many holes below */
    for (size_t i = 0; i < bpe->count; i++) {
        int32_t id = bpe->id_of_letters[i];
        if ((size_t)id >= bpe->count) {
            beyond++;
            continue;
        }
        if (bpe->letters_of_id[id] != CLLM_NO_PIECE) {
            const char *one = cllm__bpe_letters(bpe, id), *two = cllm__names_get(bpe->letters, i);
            return cllm__fail(err, CLLM_ERR_DATA, "the id %d stands for two pieces, '%s' and '%s'", id,
                              cllm__show(one, strlen(one)).text, cllm__show(two, strlen(two)).text);
        }
        bpe->letters_of_id[id] = (int32_t)i;
    }
    for (size_t id = 0; beyond != 0 && id < bpe->count; id++) {
        if (bpe->letters_of_id[id] == CLLM_NO_PIECE) {
            return cllm__fail(err, CLLM_ERR_DATA, "the id %zu is missing; %zu pieces must have the ids 0 to %zu", id,
                              bpe->count, bpe->count - 1);
        }
    }
    return CLLM_OK;
}

/* The byte that "<0x0A>" stands for, or −1. */
static int byte_of_piece(const char *letters, size_t length) {
    static const char digits[] = "0123456789ABCDEF";
    if (length != 6 || memcmp(letters, "<0x", 3) != 0 || letters[5] != '>') return -1;
    const char *high = memchr(digits, letters[3], 16), *low = memchr(digits, letters[4], 16);
    return high == NULL || low == NULL ? -1 : (int)(16 * (high - digits) + (low - digits));
}

/* Writes the bytes that a piece stands for, at most `length`; returns how many. */
static size_t bytes_of_characters(cllm__bpe *bpe, int32_t id, const char *letters, size_t length, char *out) {
    bool text = (size_t)bpe->letters_of_id[id] < bpe->text_count;
    int byte = text && bpe->byte_fallback ? byte_of_piece(letters, length) : -1;
    if (text && length == 1 && (unsigned char)letters[0] < 0x80) bpe->ascii_id[(unsigned char)letters[0]] = id;
    if (byte >= 0) {
        bpe->byte_id[byte] = id;
        out[0] = (char)byte;
        return 1;
    }
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        bool space = text && length - i >= 3 && memcmp(letters + i, CLLM_SPACE_LETTER, 3) == 0;
        out[used++] = space ? ' ' : letters[i];
        i += space ? 3 : 1;
    }
    return used;
}

static cllm_status fill_bytes(cllm__bpe *bpe, cllm_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < bpe->count; i++) total += strlen(cllm__names_get(bpe->letters, i)) + 1;
    CLLM_TRY(CLLM_NEW(bpe->bytes, total, err));
    CLLM_TRY(CLLM_NEW(bpe->start, bpe->count + 1, err));
    for (size_t b = 0; b < CLLM_LEN(bpe->byte_id); b++) bpe->byte_id[b] = CLLM_NO_PIECE;
    for (size_t b = 0; b < CLLM_LEN(bpe->ascii_id); b++) bpe->ascii_id[b] = CLLM_NO_PIECE;
    size_t used = 0;
    for (size_t id = 0; id < bpe->count; id++) {
        const char *letters = cllm__bpe_letters(bpe, (int32_t)id);
        size_t length = strlen(letters), count;
        bpe->start[id] = used;
        if (bpe->characters) {
            count = bytes_of_characters(bpe, (int32_t)id, letters, length, bpe->bytes + used);
        } else if (cllm__letters_to_bytes(bpe->bytes + used, &count, letters, length)) {
            bool text = (size_t)bpe->letters_of_id[id] < bpe->text_count;
            if (count == 1 && text) bpe->byte_id[(unsigned char)bpe->bytes[used]] = (int32_t)id;
        } else {
            memcpy(bpe->bytes + used, letters, length);
            count = length;
        }
        used += count;
        bpe->bytes[used++] = '\0';
    }
    bpe->start[bpe->count] = used;
    return CLLM_OK;
}

static size_t slot_of(const cllm__bpe *bpe, uint64_t pair) {
    /* The same probing as cllm__bpe_merge. */
    size_t slot = (size_t)((pair * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & bpe->slot_mask;
    while (bpe->slots[slot].pair != pair && bpe->slots[slot].pair != UINT64_MAX) slot = (slot + 1) & bpe->slot_mask;
    return slot;
}

static cllm_status fill_merges(cllm__bpe *bpe, const cllm__bpe_builder *builder, cllm_error *err) {
    size_t slots = 16;
    while (slots < 2 * builder->merge_count + 2) slots *= 2;
    CLLM_TRY(CLLM_NEW(bpe->slots, slots, err));
    CLLM_TRY(CLLM_NEW(bpe->merges, builder->merge_count + 1, err));
    CLLM_TRY(CLLM_NEW(bpe->ranks, builder->merge_count + 1, err));
    bpe->slot_mask = slots - 1;
    for (size_t i = 0; i < slots; i++) bpe->slots[i] = (cllm__merge_slot){UINT64_MAX, {CLLM_NO_RANK, CLLM_NO_PIECE}};
    for (size_t i = 0; i < builder->merge_count; i++) {
        int32_t left = bpe->id_of_letters[builder->merges[i][0]], right = bpe->id_of_letters[builder->merges[i][1]];
        uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
        bpe->slots[slot_of(bpe, pair)] = (cllm__merge_slot){pair, {(uint32_t)i, bpe->id_of_letters[builder->results[i]]}};
    }
    /* A trainer can give a pair twice (when two ways lead to one piece); the later place is the one that counts. */
    size_t group = 0, last_group = 0;
    for (size_t i = 0; i < builder->merge_count; i++) {
        if (!builder->shared[i]) group = i;
        int32_t left = bpe->id_of_letters[builder->merges[i][0]], right = bpe->id_of_letters[builder->merges[i][1]];
        cllm__merge_slot *slot = &bpe->slots[slot_of(bpe, (uint64_t)(uint32_t)left << 32 | (uint32_t)right)];
        if (slot->merge.rank != i) continue;
        size_t made = bpe->merge_count++;
        uint32_t rank = made == 0 ? 0 : bpe->ranks[made - 1] + (group != last_group ? 1 : 0);
        last_group = group;
        slot->merge.rank = bpe->ranks[made] = rank;
        bpe->merges[made][0] = left;
        bpe->merges[made][1] = right;
    }
    return CLLM_OK;
}

cllm_status cllm__bpe_builder_finish(cllm__bpe_builder *builder, cllm__bpe *bpe, cllm_error *err) {
    cllm__bpe made = {.count = cllm__names_count(builder->letters),
                      .letters = builder->letters,
                      .characters = builder->characters,
                      .byte_fallback = builder->byte_fallback,
                      .text_count = builder->text_count,
                      .id_of_letters = builder->id_of_letters};
    builder->letters = NULL;
    builder->id_of_letters = NULL;
    cllm_status status = CLLM_OK;
    if (made.count == 0) CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "the vocabulary is empty"));
    if (made.count > INT32_MAX || builder->merge_count >= CLLM_NO_RANK / 2) {
        CLLM_TRY_CLEAN(
            cllm__fail(err, CLLM_ERR_DATA, "%zu pieces and %zu merges are too many", made.count, builder->merge_count));
    }
    CLLM_TRY_CLEAN(order_pieces(&made, err));
    CLLM_TRY_CLEAN(fill_bytes(&made, err));
    CLLM_TRY_CLEAN(fill_merges(&made, builder, err));
    *bpe = made;
    return CLLM_OK;
cleanup:
    cllm__bpe_free(&made);
    return status;
}
