#include "data/batch.h"

#include <string.h>

#include "base/alloc.h"

void cllm__batch_clear(cllm__batch *batch, cllm__stage stage) {
    batch->stage = stage;
    batch->sequences = batch->n_out = batch->n_reg_users = batch->n_reg_items = batch->dropped_items = batch->n_joining = 0;
    batch->joint = false;
    batch->scratch.count = 0;
}

void cllm__batch_free(cllm__batch *batch) {
    cllm__free(batch->start);
    cllm__free(batch->tokens);
    cllm__free(batch->out_rows);
    cllm__free(batch->out_start);
    cllm__free(batch->targets);
    cllm__free(batch->target_start);
    cllm__free(batch->target_items);
    cllm__free(batch->reg_users);
    cllm__free(batch->reg_items);
    cllm__tokens_free(&batch->scratch);
    *batch = (cllm__batch){0};
}

size_t cllm__batch_rows(const cllm__batch *batch) {
    return batch->sequences > 0 ? batch->start[batch->sequences] : 0;
}

/* What an id of the extended vocabulary is. */
typedef enum token_kind { WORD, USER, ITEM, NOTHING } token_kind;

static token_kind kind_of(const cllm__id_space *space, int32_t id, int32_t *number) {
    if (id < 0) return NOTHING;
    if (id < space->vocab_rows) return WORD;
    *number = id - space->vocab_rows;
    if (*number < space->n_users) return USER;
    *number -= space->n_users;
    return *number < space->n_items ? ITEM : NOTHING;
}

/* Makes room for one more sequence, so that appending to it cannot fail halfway. */
static cllm_status reserve(cllm__batch *batch, size_t rows, size_t out, size_t target_items, size_t reg, cllm_error *err) {
    size_t s = batch->sequences, t = cllm__batch_rows(batch), targets = s > 0 ? batch->target_start[s] : 0;
    CLLM_TRY(CLLM_GROW(batch->start, batch->room.start, s + 2, err));
    CLLM_TRY(CLLM_GROW(batch->out_start, batch->room.out_start, s + 2, err));
    CLLM_TRY(CLLM_GROW(batch->target_start, batch->room.target_start, s + 2, err));
    CLLM_TRY(CLLM_GROW(batch->tokens, batch->room.tokens, t + rows, err));
    CLLM_TRY(CLLM_GROW(batch->out_rows, batch->room.out_rows, batch->n_out + out, err));
    CLLM_TRY(CLLM_GROW(batch->targets, batch->room.targets, batch->n_out + out, err));
    CLLM_TRY(CLLM_GROW(batch->target_items, batch->room.target_items, targets + target_items, err));
    CLLM_TRY(CLLM_GROW(batch->reg_users, batch->room.reg_users, batch->n_reg_users + reg, err));
    CLLM_TRY(CLLM_GROW(batch->reg_items, batch->room.reg_items, batch->n_reg_items + reg, err));
    if (s == 0) batch->start[0] = batch->out_start[0] = batch->target_start[0] = 0;
    return CLLM_OK;
}

static void append_rows(cllm__batch *batch, const int32_t *ids, size_t n) {
    size_t s = batch->sequences, t = batch->start[s];
    if (n > 0) memcpy(batch->tokens + t, ids, n * sizeof *ids); /* there may be no room for any */
    batch->start[s + 1] = t + n;
}

/* Closes the sequence that was being appended. */
static void end_sequence(cllm__batch *batch, size_t n_target_items) {
    size_t s = batch->sequences++;
    batch->out_start[s + 1] = batch->n_out;
    batch->target_start[s + 1] = batch->target_start[s] + n_target_items;
}

static bool contains(const int32_t *values, size_t n, int32_t value) {
    for (size_t i = 0; i < n; i++)
        if (values[i] == value) return true;
    return false;
}

/* Counts a token for the regulariser; with `once`, only if nothing since `users_from`, `items_from` is the same row. The lists
 * are a sequence's users and prompt items, or at most a history that fits in the context: short enough for a linear search
 * where rec asks for distinct items only. */
static void count_token(cllm__batch *batch, const cllm__id_space *space, int32_t id, bool users_once, bool items_once,
                        size_t users_from, size_t items_from) {
    int32_t number = 0;
    token_kind kind = kind_of(space, id, &number);
    if (kind == USER) {
        if (users_once && contains(batch->reg_users + users_from, batch->n_reg_users - users_from, number)) return;
        batch->reg_users[batch->n_reg_users++] = number;
    } else if (kind == ITEM) {
        if (items_once && contains(batch->reg_items + items_from, batch->n_reg_items - items_from, number)) return;
        batch->reg_items[batch->n_reg_items++] = number;
    }
}

static cllm_status check_prompt(const cllm__batch_rules *rules, const int32_t *prompt, size_t n, cllm_error *err) {
    int32_t number = 0;
    if (n == 0) return cllm__fail(err, CLLM_ERR_DATA, "the prompt is empty: its template needs at least one word or token");
    for (size_t i = 0; i < n; i++)
        if (kind_of(&rules->space, prompt[i], &number) == NOTHING)
            return cllm__fail(err, CLLM_ERR_DATA, "token %d at place %zu of a prompt is outside of the vocabulary", (int)prompt[i], i);
    return CLLM_OK;
}

static cllm_status too_long(const cllm__batch_rules *rules, size_t n, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_DATA, "a sequence of %zu tokens does not fit in the backbone's context of %zu", n, rules->context);
}

static bool may_stand_in_main(token_kind kind, bool collab, bool joint) {
    return kind == ITEM ? collab : kind == WORD && (joint || !collab);
}

cllm_status cllm__batch_add_tokens(cllm__batch *batch, const cllm__batch_rules *rules, const int32_t *prompt, size_t n_prompt,
                                   const int32_t *main, size_t n_main, cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_COLLAB || batch->stage == CLLM__STAGE_CONTENT);
    bool collab = batch->stage == CLLM__STAGE_COLLAB, map = rules->reg == CLLM__REG_MAP, joint = collab && rules->joint;
    CLLM_TRY(check_prompt(rules, prompt, n_prompt, err));
    if (n_main == 0) return cllm__fail(err, CLLM_ERR_DATA, "a sequence has no main tokens");
    if (n_prompt > rules->context || n_main > rules->context - n_prompt) return too_long(rules, n_prompt + n_main, err);
    int32_t number = 0;
    for (size_t i = 0; i < n_main; i++)
        if (!may_stand_in_main(kind_of(&rules->space, main[i], &number), collab, joint))
            return cllm__fail(err, CLLM_ERR_DATA, "token %d at place %zu of a main text is not %s", (int)main[i], i,
                              joint ? "an item or a word" : collab ? "an item" : "a word of the vocabulary");
    size_t predictions = n_main - (rules->predict_first ? 0 : 1);
    size_t rows = predictions == 0 ? 0 : n_prompt + n_main - 1;
    CLLM_TRY(reserve(batch, rows, predictions, 0, n_prompt + n_main, err));

    size_t s = batch->sequences, first = batch->start[s], users_from = batch->n_reg_users, items_from = batch->n_reg_items;
    if (rows == 0) {
        append_rows(batch, prompt, 0);
    } else {
        append_rows(batch, prompt, n_prompt);
        memcpy(batch->tokens + first + n_prompt, main, (n_main - 1) * sizeof *main);
        batch->start[s + 1] = first + rows;
    }
    for (size_t k = n_main - predictions; k < n_main; k++) {
        batch->out_rows[batch->n_out] = first + n_prompt + k - 1;
        bool item = kind_of(&rules->space, main[k], &number) == ITEM;
        batch->targets[batch->n_out++] = item ? number : joint ? rules->space.n_items + main[k] : main[k];
        batch->n_joining += joint && !item;
    }
    batch->joint = joint;
    for (size_t i = 0; i < n_prompt; i++)
        count_token(batch, &rules->space, prompt[i], map, map && !collab, users_from, items_from);
    for (size_t i = 0; collab && i < n_main; i++) count_token(batch, &rules->space, main[i], map, false, users_from, items_from);
    end_sequence(batch, 0);
    return CLLM_OK;
}

cllm_status cllm__batch_add_readout(cllm__batch *batch, const cllm__batch_rules *rules, const int32_t *prompt, size_t n_prompt,
                                    const int32_t *targets, size_t n_targets, cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_REC || batch->stage == CLLM__STAGE_PROMPT);
    bool rec = batch->stage == CLLM__STAGE_REC, map = rules->reg == CLLM__REG_MAP;
    CLLM_TRY(check_prompt(rules, prompt, n_prompt, err));
    if (n_prompt > rules->context) return too_long(rules, n_prompt, err);
    if (rec && n_targets == 0) return cllm__fail(err, CLLM_ERR_DATA, "a recommendation sequence has no target item");
    for (size_t i = 0; i < n_targets; i++)
        if (targets[i] < 0 || targets[i] >= rules->space.n_items)
            return cllm__fail(err, CLLM_ERR_DATA, "target item %d is not one of the %d items", (int)targets[i], (int)rules->space.n_items);
    CLLM_TRY(reserve(batch, n_prompt, 1, n_targets, n_prompt + n_targets, err));

    size_t s = batch->sequences, users_from = batch->n_reg_users, items_from = batch->n_reg_items;
    append_rows(batch, prompt, n_prompt);
    batch->out_rows[batch->n_out] = batch->start[s + 1] - 1;
    batch->targets[batch->n_out++] = 0;
    if (n_targets > 0) memcpy(batch->target_items + batch->target_start[s], targets, n_targets * sizeof *targets);
    if (rec) {
        for (size_t i = 0; i < n_prompt; i++) count_token(batch, &rules->space, prompt[i], map, map, users_from, items_from);
        int32_t first_item = rules->space.vocab_rows + rules->space.n_users;
        for (size_t i = 0; map && i < n_targets; i++)
            count_token(batch, &rules->space, first_item + targets[i], true, true, users_from, items_from);
    }
    end_sequence(batch, n_targets);
    return CLLM_OK;
}

/* ---- From users, histories and documents ---- */

static cllm_status check_items(const cllm__batch_rules *rules, const int32_t *items, size_t n, cllm_error *err) {
    for (size_t i = 0; i < n; i++)
        if (items[i] < 0 || items[i] >= rules->space.n_items)
            return cllm__fail(err, CLLM_ERR_DATA, "item %d at place %zu of a history is not one of the %d items", (int)items[i], i,
                              (int)rules->space.n_items);
    return CLLM_OK;
}

/* The scratch list as a sequence whose last `n` items are spelled: each is predicted, as an item, where its first piece would follow. */
static cllm_status add_spelled(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompt *prompt, size_t n_prompt, const int32_t *items,
                               size_t n, cllm_error *err) {
    const int32_t *ids = batch->scratch.ids;
    bool map = rules->reg == CLLM__REG_MAP;
    CLLM_TRY(check_prompt(rules, ids, n_prompt, err));
    if (n == 0) return cllm__fail(err, CLLM_ERR_DATA, "a sequence has no main tokens");
    size_t predictions = n - (rules->predict_first ? 0 : 1);
    size_t rows = predictions == 0 ? 0 : batch->scratch.count - cllm__prompt_list_length(prompt, items + n - 1, 1);
    CLLM_TRY(reserve(batch, rows, predictions, 0, n_prompt + n, err));

    size_t s = batch->sequences, first = batch->start[s], users_from = batch->n_reg_users, items_from = batch->n_reg_items, at = n_prompt;
    append_rows(batch, ids, rows);
    for (size_t k = 0; k < n; k++) {
        if (k >= n - predictions) {
            batch->out_rows[batch->n_out] = first + at - 1;
            batch->targets[batch->n_out++] = items[k];
        }
        at += cllm__prompt_list_length(prompt, items + k, 1) + prompt->join.count;
    }
    batch->joint = false;
    int32_t first_item = rules->space.vocab_rows + rules->space.n_users;
    for (size_t i = 0; i < n_prompt; i++) count_token(batch, &rules->space, ids[i], map, false, users_from, items_from);
    for (size_t k = 0; k < n; k++) count_token(batch, &rules->space, first_item + items[k], map, false, users_from, items_from);
    end_sequence(batch, 0);
    return CLLM_OK;
}

cllm_status cllm__batch_add_collab(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts, int32_t user,
                                   const int32_t *items, size_t n, cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_COLLAB);
    CLLM_TRY(check_items(rules, items, n, err));
    cllm__tokens *ids = &batch->scratch;
    ids->count = 0;
    CLLM_TRY(cllm__prompt_render(&prompts->collab, &rules->space, &(cllm__prompt_fill){.user = user, .item = -1}, ids, NULL, err));
    size_t n_prompt = ids->count, dropped = 0;
    if (n_prompt >= rules->context) return too_long(rules, n_prompt + n, err);
    dropped = n - cllm__prompt_list_fit(&prompts->collab, items, n, rules->context - n_prompt);
    items += dropped;
    n -= dropped;
    size_t n_main = cllm__prompt_list_length(&prompts->collab, items, n);
    CLLM_TRY(CLLM_GROW(ids->ids, ids->capacity, n_prompt + n_main, err));
    cllm__prompt_list(&prompts->collab, rules->space.vocab_rows + rules->space.n_users, items, n, ids->ids + n_prompt);
    ids->count += n_main;
    if (prompts->collab.spelled != NULL) CLLM_TRY(add_spelled(batch, rules, &prompts->collab, n_prompt, items, n, err));
    else CLLM_TRY(cllm__batch_add_tokens(batch, rules, ids->ids, n_prompt, ids->ids + n_prompt, ids->count - n_prompt, err));
    batch->dropped_items += dropped;
    return CLLM_OK;
}

cllm_status cllm__batch_add_document(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts,
                                     const cllm__document *document, cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_CONTENT);
    cllm__tokens *ids = &batch->scratch;
    ids->count = 0;
    CLLM_TRY(cllm__prompt_render(cllm__prompts_of_text(prompts, document->kind), &rules->space,
                                 &(cllm__prompt_fill){.user = document->user, .item = document->item}, ids, NULL, err));
    size_t n_prompt = ids->count, n = document->count;
    if (n_prompt >= rules->context) return too_long(rules, n_prompt + n, err);
    if (n > rules->context - n_prompt) n = rules->context - n_prompt;
    return cllm__batch_add_tokens(batch, rules, ids->ids, n_prompt, document->tokens, n, err);
}

/* The recommendation prompt in the scratch list. */
static cllm_status render_rec(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts, int32_t user,
                              const int32_t *items, size_t n, size_t *dropped, cllm_error *err) {
    batch->scratch.count = 0;
    return cllm__prompt_render(&prompts->rec, &rules->space,
                               &(cllm__prompt_fill){.user = user, .item = -1, .items = items, .n_items = n, .max_tokens = rules->context},
                               &batch->scratch, dropped, err);
}

cllm_status cllm__batch_add_rec(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts, int32_t user,
                                const int32_t *items, size_t n, const int32_t *targets, size_t n_targets, cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_REC);
    size_t dropped = 0;
    CLLM_TRY(render_rec(batch, rules, prompts, user, items, n, &dropped, err));
    size_t items_from = batch->n_reg_items;
    CLLM_TRY(cllm__batch_add_readout(batch, rules, batch->scratch.ids, batch->scratch.count, targets, n_targets, err));
    batch->dropped_items += dropped;
    /* What is spelled is counted as if it were there: there is room, for an item takes a token at least. */
    int32_t first_item = rules->space.vocab_rows + rules->space.n_users;
    bool map = rules->reg == CLLM__REG_MAP;
    for (size_t i = dropped; prompts->rec.spelled != NULL && i < n; i++) count_token(batch, &rules->space, first_item + items[i], map, map, 0, items_from);
    return CLLM_OK;
}

cllm_status cllm__batch_add_prompt(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts, int32_t user,
                                   const int32_t *items, size_t n, cllm_error *err) {
    CLLM_ASSERT(batch->stage == CLLM__STAGE_PROMPT);
    size_t dropped = 0;
    CLLM_TRY(render_rec(batch, rules, prompts, user, items, n, &dropped, err));
    CLLM_TRY(cllm__batch_add_readout(batch, rules, batch->scratch.ids, batch->scratch.count, NULL, 0, err));
    batch->dropped_items += dropped;
    return CLLM_OK;
}
