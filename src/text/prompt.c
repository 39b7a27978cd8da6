#include "text/prompt.h"

#include <string.h>

#include "base/alloc.h"
#include "formats/utf8.h"

/* What Python's str.rstrip() takes for white space, which is what the authors' tokenizer calls. */
static bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* The length without white space at the end. */
static size_t strip_right(const char *text, size_t length) {
    while (length > 0) {
        size_t begin = length - 1, size;
        while (begin > 0 && length - begin < 4 && ((unsigned char)text[begin] & 0xC0) == 0x80) begin--;
        if (cllm__utf8_check(text + begin, length - begin) != length - begin) break;
        if (!is_space(cllm__utf8_get(text + begin, &size)) || size != length - begin) break;
        length = begin;
    }
    return length;
}

/* A stretch of text between tokens; `first`: it begins the template. */
static cllm_status encode_piece(const cllm__tokenizer *tokenizer, const char *text, size_t length, bool first,
                                cllm__tokens *out, cllm_error *err) {
    length = strip_right(text, length);
    return first ? cllm__tokenizer_encode(tokenizer, text, length, out, err)
                 : cllm__tokenizer_encode_inner(tokenizer, text, length, out, err);
}

cllm_status cllm__id_space_check(const cllm__id_space *space, const cllm__tokenizer *tokenizer, cllm_error *err) {
    if (space->vocab_rows < 0 || space->n_users < 0 || space->n_items < 0 ||
        (int64_t)space->vocab_rows + space->n_users + space->n_items > INT32_MAX) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "%d vocabulary rows, %d users and %d items do not fit into token ids of 31 bits",
                          space->vocab_rows, space->n_users, space->n_items);
    }
    if ((size_t)space->vocab_rows < cllm__tokenizer_size(tokenizer)) {
        return cllm__fail(
            err, CLLM_ERR_MISMATCH,
            "the tokenizer has %zu pieces but the backbone only %d embedding rows; take the backbone's own tokenizer",
            cllm__tokenizer_size(tokenizer), space->vocab_rows);
    }
    return CLLM_OK;
}

/* ---- Templates ---- */

static const struct {
    const char *text;
    int32_t slot;
} placeholders[] = {{"user_{i}", CLLM_SLOT_USER}, {"item_{j}", CLLM_SLOT_ITEM}, {"{items}", CLLM_SLOT_ITEMS}};

/* The first placeholder at or after `text`; NULL if there is none. */
static const char *find_placeholder(const char *text, size_t *which) {
    const char *first = NULL;
    for (size_t i = 0; i < CLLM_LEN(placeholders); i++) {
        const char *at = strstr(text, placeholders[i].text);
        if (at != NULL && (first == NULL || at < first)) {
            first = at;
            *which = i;
        }
    }
    return first;
}

cllm_status cllm__prompt_compile(cllm__prompt *prompt, const cllm__tokenizer *tokenizer, const char *text,
                                 cllm_error *err) {
    cllm__prompt made = {0};
    cllm__tokens pattern = {0};
    cllm_status status = CLLM_OK;
    size_t which = 0;
    made.text = cllm__strdup(text);
    if (made.text == NULL) return cllm__fail_nomem(err);
    for (const char *at = text; *at != '\0';) {
        const char *found = find_placeholder(at, &which);
        size_t length = found == NULL ? strlen(at) : (size_t)(found - at);
        CLLM_TRY_CLEAN(encode_piece(tokenizer, at, length, at == text, &pattern, err));
        if (found == NULL) break;
        int32_t slot = placeholders[which].slot;
        CLLM_TRY_CLEAN(cllm__tokens_add(&pattern, &slot, 1, err));
        if (slot == CLLM_SLOT_USER) made.users++;
        else if (slot == CLLM_SLOT_ITEM) made.items_one++;
        else made.lists++;
        at = found + strlen(placeholders[which].text);
    }
    if (pattern.count == 0) CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "the template '%.100s' is empty", text));
    if (made.lists > 1) {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "the template '%.100s' has {items} %zu times; once is enough", text,
                                  made.lists));
    }
    made.pattern = pattern.ids;
    made.length = pattern.count;
    *prompt = made;
    return CLLM_OK;
cleanup:
    cllm__free(made.text);
    cllm__tokens_free(&pattern);
    return status;
}

void cllm__prompt_free(cllm__prompt *prompt) {
    cllm__free(prompt->text);
    cllm__free(prompt->pattern);
    cllm__tokens_free(&prompt->join);
    *prompt = (cllm__prompt){0};
}

static cllm_status check_number(const char *what, int32_t number, int32_t count, cllm_error *err) {
    if (number >= 0 && number < count) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_DATA, "%s %d is not one of the %d that there are", what, number, count);
}

/* How many list items go into the prompt: the last ones that fit. */
static cllm_status fit_items(const cllm__prompt *prompt, const cllm__prompt_fill *fill, size_t *kept, cllm_error *err) {
    size_t fixed = prompt->length - prompt->lists - (fill->user < 0 ? prompt->users : 0);
    *kept = prompt->lists == 0 ? 0 : fill->n_items;
    if (fill->max_tokens == 0) return CLLM_OK;
    if (fixed > fill->max_tokens) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "the prompt '%.100s' needs %zu tokens without any list, but there is room for %zu", prompt->text,
                          fixed, fill->max_tokens);
    }
    *kept = cllm__prompt_list_fit(prompt, fill->items, *kept, fill->max_tokens - fixed);
    return CLLM_OK;
}

static size_t item_length(const cllm__prompt *prompt, int32_t item) {
    return prompt->spelled == NULL ? 1 : (size_t)(prompt->spelled->start[item + 1] - prompt->spelled->start[item]);
}

size_t cllm__prompt_list_fit(const cllm__prompt *prompt, const int32_t *items, size_t n, size_t room) {
    size_t fit = 0;
    for (size_t used = 0; fit < n; fit++) {
        size_t more = item_length(prompt, items[n - 1 - fit]) + (fit > 0 ? prompt->join.count : 0);
        if (more > room - used) break;
        used += more;
    }
    return fit;
}

size_t cllm__prompt_list_length(const cllm__prompt *prompt, const int32_t *items, size_t n) {
    size_t length = n == 0 ? 0 : (n - 1) * prompt->join.count;
    for (size_t k = 0; k < n; k++) length += item_length(prompt, items[k]);
    return length;
}

int32_t *cllm__prompt_list(const cllm__prompt *prompt, int32_t first_item, const int32_t *items, size_t n, int32_t *out) {
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; k > 0 && i < prompt->join.count; i++) *out++ = prompt->join.ids[i];
        if (prompt->spelled == NULL) {
            *out++ = first_item + items[k];
            continue;
        }
        size_t length = item_length(prompt, items[k]);
        memcpy(out, prompt->spelled->ids + prompt->spelled->start[items[k]], length * sizeof *out);
        out += length;
    }
    return out;
}

cllm_status cllm__prompt_render(const cllm__prompt *prompt, const cllm__id_space *space, const cllm__prompt_fill *fill,
                                cllm__tokens *append_to, size_t *dropped, cllm_error *err) {
    size_t kept;
    if (prompt->users != 0 && fill->user >= 0) CLLM_TRY(check_number("user", fill->user, space->n_users, err));
    if (prompt->items_one != 0) CLLM_TRY(check_number("item", fill->item, space->n_items, err));
    for (size_t i = 0; i < fill->n_items && prompt->lists > 0; i++) CLLM_TRY(check_number("item", fill->items[i], space->n_items, err));
    CLLM_TRY(fit_items(prompt, fill, &kept, err));
    const int32_t *items = kept == 0 ? NULL : fill->items + (fill->n_items - kept);
    CLLM_TRY(CLLM_GROW(append_to->ids, append_to->capacity, append_to->count + prompt->length + cllm__prompt_list_length(prompt, items, kept), err));
    int32_t *out = append_to->ids + append_to->count, user = space->vocab_rows + fill->user,
            first_item = space->vocab_rows + space->n_users;
    for (size_t i = 0; i < prompt->length; i++) {
        int32_t id = prompt->pattern[i];
        if (id >= 0) *out++ = id;
        else if (id == CLLM_SLOT_ITEM) *out++ = first_item + fill->item;
        else if (id == CLLM_SLOT_USER && fill->user >= 0) *out++ = user;
        else if (id == CLLM_SLOT_ITEMS) out = cllm__prompt_list(prompt, first_item, items, kept, out);
    }
    append_to->count = (size_t)(out - append_to->ids);
    if (dropped != NULL) *dropped = prompt->lists == 0 ? 0 : fill->n_items - kept;
    return CLLM_OK;
}

/* ---- Concrete numbers ---- */

static size_t digits_at(const char *text, size_t length) {
    size_t count = 0;
    while (count < length && text[count] >= '0' && text[count] <= '9') count++;
    return count;
}

/* The number that `count` digits write, if it is below `limit` and has no leading zero; else −1. */
static int32_t plain_number(const char *digits, size_t count, int32_t limit) {
    int64_t number = 0;
    if (count > 1 && digits[0] == '0') return -1;
    for (size_t i = 0; i < count && number < limit; i++) number = 10 * number + (digits[i] - '0');
    return number < limit ? (int32_t)number : -1;
}

cllm_status cllm__prompt_encode_concrete(const cllm__tokenizer *tokenizer, const cllm__id_space *space, const char *text,
                                         size_t length, cllm__tokens *append_to, cllm_error *err) {
    enum { NAME = 5 };
    size_t before = append_to->count, done = 0, at = 0;
    cllm_status status = CLLM_OK;
    while (at < length) {
        bool user = length - at > NAME && memcmp(text + at, "user_", NAME) == 0;
        bool item = length - at > NAME && memcmp(text + at, "item_", NAME) == 0;
        size_t digits = user || item ? digits_at(text + at + NAME, length - at - NAME) : 0;
        if (digits == 0) {
            at++;
            continue;
        }
        CLLM_TRY_CLEAN(encode_piece(tokenizer, text + done, at - done, done == 0, append_to, err));
        int32_t number = plain_number(text + at + NAME, digits, user ? space->n_users : space->n_items);
        if (number >= 0) {
            int32_t id = space->vocab_rows + (user ? 0 : space->n_users) + number;
            CLLM_TRY_CLEAN(cllm__tokens_add(append_to, &id, 1, err));
        } else {
            CLLM_TRY_CLEAN(encode_piece(tokenizer, text + at, NAME + digits, at == 0, append_to, err));
        }
        at += NAME + digits;
        done = at;
    }
    CLLM_TRY_CLEAN(encode_piece(tokenizer, text + done, length - done, done == 0, append_to, err));
cleanup:
    if (status != CLLM_OK) append_to->count = before;
    return status;
}
