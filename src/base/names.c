#include "base/names.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

struct cllm__names {
    char *text; /* all names, each with its NUL */
    size_t text_used, text_capacity;
    size_t *start; /* of each name in text */
    size_t count, start_capacity;
    size_t *slots; /* open addressing, linear probing: index + 1, 0 = empty */
    size_t slot_count;
};

static size_t slot_of(const cllm__names *names, const char *name, size_t length) {
    size_t mask = names->slot_count - 1, slot = (size_t)cllm__hash(name, length) & mask;
    while (names->slots[slot] != 0) {
        const char *there = names->text + names->start[names->slots[slot] - 1];
        if (strncmp(there, name, length) == 0 && there[length] == '\0') break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static cllm_status rehash(cllm__names *names, size_t slot_count, cllm_error *err) {
    size_t *slots = cllm__zalloc(slot_count, sizeof *slots);
    if (slots == NULL) return cllm__fail_nomem(err);
    cllm__free(names->slots);
    names->slots = slots;
    names->slot_count = slot_count;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->text + names->start[i];
        names->slots[slot_of(names, name, strlen(name))] = i + 1;
    }
    return CLLM_OK;
}

cllm_status cllm__names_create(cllm__names **out, cllm_error *err) {
    cllm__names *names;
    CLLM_TRY(CLLM_NEW(names, 1, err));
    cllm_status status = rehash(names, 64, err);
    if (status != CLLM_OK) {
        cllm__free(names);
        return status;
    }
    *out = names;
    return CLLM_OK;
}

void cllm__names_free(cllm__names *names) {
    if (names == NULL) return;
    cllm__free(names->text);
    cllm__free(names->start);
    cllm__free(names->slots);
    cllm__free(names);
}

size_t cllm__names_count(const cllm__names *names) {
    return names->count;
}

cllm_status cllm__names_add(cllm__names *names, const char *name, size_t length, size_t *index, cllm_error *err) {
    CLLM_ASSERT(memchr(name, '\0', length) == NULL);
    size_t slot = slot_of(names, name, length);
    if (names->slots[slot] == 0) {
        CLLM_TRY(CLLM_GROW(names->text, names->text_capacity, names->text_used + length + 1, err));
        CLLM_TRY(CLLM_GROW(names->start, names->start_capacity, names->count + 1, err));
        if (2 * (names->count + 1) > names->slot_count) {
            CLLM_TRY(rehash(names, 2 * names->slot_count, err));
            slot = slot_of(names, name, length);
        }
        memcpy(names->text + names->text_used, name, length);
        names->text[names->text_used + length] = '\0';
        names->start[names->count] = names->text_used;
        names->text_used += length + 1;
        names->slots[slot] = ++names->count;
    }
    *index = names->slots[slot] - 1;
    return CLLM_OK;
}

bool cllm__names_find(const cllm__names *names, const char *name, size_t length, size_t *index) {
    size_t slot = slot_of(names, name, length);
    if (names->slots[slot] == 0) return false;
    *index = names->slots[slot] - 1;
    return true;
}

const char *cllm__names_get(const cllm__names *names, size_t index) {
    CLLM_ASSERT(index < names->count);
    return names->text + names->start[index];
}
