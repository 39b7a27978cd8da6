/* From a request to k items: whose history stands in the prompt, what may be recommended, and the ranking. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/model.h"
#include "base/alloc.h"

/* Bytes of scores that are held at once. */
enum { SCORE_BYTES = 64 << 20, MAX_CHUNK = 256 };

/* What is known about who asks. */
typedef struct asker {
    size_t user;      /* row, if known */
    bool known;
    size_t n_prompt;  /* session->prompt holds the history */
} asker;

static cllm_status refuse(cllm_answer *answer, cllm_status status, const char *format, ...) CLLM_PRINTF(3, 4);
static cllm_status refuse(cllm_answer *answer, cllm_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    answer->status = status;
    vsnprintf(answer->message, sizeof answer->message, format, args);
    va_end(args);
    return status;
}

static cllm_status push(cllm_session *s, asker *who, int32_t item, cllm_error *err) {
    CLLM_TRY(CLLM_GROW(s->prompt, s->prompt_capacity, who->n_prompt + 1, err));
    s->prompt[who->n_prompt++] = item;
    return CLLM_OK;
}

/* Rows that the filters of `prepare` dropped: seen, and for a user who fell out of the data set a history as well. */
typedef struct dropped_walk {
    cllm_session *session;
    asker *who;
    bool as_history, mark;
    cllm_status status;
} dropped_walk;

static void on_dropped(void *context, const char *item, bool liked) {
    dropped_walk *walk = context;
    size_t row;
    if (walk->status != CLLM_OK || !cllm__dataset_find_item(walk->session->model->run.dataset, item, &row)) return;
    if (walk->mark) walk->session->closed[row] = 1;
    if (walk->as_history && liked) walk->status = push(walk->session, walk->who, (int32_t)row, NULL);
}

static bool contains(const int32_t *items, size_t n, int32_t item) {
    for (size_t i = 0; i < n; i++) {
        if (items[i] == item) return true;
    }
    return false;
}

/* The history for the prompt, oldest first. */
static cllm_status gather_history(cllm_session *s, const cllm_request *request, asker *who, cllm_answer *answer, cllm_error *err) {
    const cllm__dataset *dataset = s->model->run.dataset;
    *who = (asker){0};
    who->known = request->user != NULL && cllm__dataset_find_user(dataset, request->user, &who->user);
    if (who->known) {
        const cllm__interactions *all = &s->model->history.matrix;
        const int32_t *items = cllm__row(all, who->user);
        for (size_t i = 0; i < cllm__row_count(all, who->user); i++) CLLM_TRY(push(s, who, items[i], err));
    } else if (request->user != NULL) {
        dropped_walk walk = {.session = s, .who = who, .as_history = true};
        CLLM_TRY(cllm__dataset_dropped(dataset, request->user, on_dropped, &walk, err));
        if (walk.status != CLLM_OK) return cllm__fail_nomem(err);
    }
    size_t unknown = 0;
    for (size_t i = 0; i < request->n_history; i++) {
        size_t item;
        if (!cllm__dataset_find_item(dataset, request->history[i], &item)) unknown++;
        else if (!contains(s->prompt, who->n_prompt, (int32_t)item)) CLLM_TRY(push(s, who, (int32_t)item, err));
    }
    if (who->n_prompt > 0 || who->known) return CLLM_OK;
    if (request->n_history > 0) return refuse(answer, CLLM_ERR_NOT_FOUND, "none of the %zu items of the history is known", unknown);
    if (request->user == NULL) return refuse(answer, CLLM_ERR_NOT_FOUND, "the history is empty: give the ids of items, or a user of the data");
    return refuse(answer, CLLM_ERR_NOT_FOUND, "user '%s' is not in the data: give a history of items instead", request->user);
}

/* ---- Candidates ---- */

/* Whether one of the entries of a list ("Beauty, Makeup, Face") is `value`, in any case; for "" whether it has none. */
static bool list_has(const char *list, const char *value) {
    size_t wanted = strlen(value), entries = 0;
    for (; *(list += strspn(list, " ,;|>")) != '\0'; entries++) {
        size_t length = strcspn(list, ",;|>");
        size_t trimmed = length;
        while (trimmed > 0 && list[trimmed - 1] == ' ') trimmed--;
        if (trimmed == wanted && strncasecmp(list, value, wanted) == 0) return true;
        list += length;
    }
    return wanted == 0 && entries == 0;
}

static cllm_status close_by_field(cllm_session *s, const cllm_condition *where, cllm_answer *answer) {
    const char *given = where->field != NULL ? where->field : "", *value = where->value != NULL ? where->value : "";
    bool brand = strcmp(given, "brand") == 0;
    if (!brand && strcmp(given, "category") != 0) return refuse(answer, CLLM_ERR_USAGE, "where '%s': give category or brand", given);
    for (size_t item = 0; item < s->model->collab.n_items; item++) {
        const char *field = cllm__dataset_item_field(s->model->run.dataset, item, brand ? CLLM__TEXT_BRAND : CLLM__TEXT_CATEGORIES);
        if (!(brand ? strcasecmp(field, value) == 0 : list_has(field, value))) s->closed[item] = 1;
    }
    return CLLM_OK;
}

static cllm_status close_candidates(cllm_session *s, const cllm_request *request, const asker *who, cllm_answer *answer, cllm_error *err) {
    const cllm_model *model = s->model;
    const cllm__dataset *dataset = model->run.dataset;
    size_t n_items = model->collab.n_items, item;
    memcpy(s->closed, model->hidden, n_items);
    if (request->allow != NULL) {
        memset(s->closed, 1, n_items);
        for (size_t i = 0; i < request->n_allow; i++) {
            if (cllm__dataset_find_item(dataset, request->allow[i], &item)) s->closed[item] = model->hidden[item];
        }
    }
    for (size_t i = 0; i < request->n_deny; i++) {
        if (cllm__dataset_find_item(dataset, request->deny[i], &item)) s->closed[item] = 1;
    }
    for (size_t i = 0; i < request->n_where; i++) CLLM_TRY(close_by_field(s, &request->where[i], answer));
    if (request->include_seen) return CLLM_OK;
    for (size_t i = 0; i < who->n_prompt; i++) s->closed[s->prompt[i]] = 1;
    if (request->user == NULL) return CLLM_OK;
    dropped_walk walk = {.session = s, .mark = true};
    return cllm__dataset_dropped(dataset, request->user, on_dropped, &walk, err);
}

static cllm_status rank(cllm_session *s, const cllm_request *request, float *scores, cllm_answer *answer, cllm_error *err) {
    const cllm_model *model = s->model;
    size_t n_items = model->collab.n_items, open = 0, count;
    for (size_t item = 0; item < n_items; item++) {
        if (s->closed[item]) scores[item] = -INFINITY;
        else open++;
    }
    size_t k = request->k < n_items ? request->k : n_items;
    CLLM_TRY(cllm__topk(&model->ties, scores, k, s->scratch, s->ranked, s->ranked_scores, &count, err));
    CLLM_TRY(CLLM_NEW(answer->items, count + 1, err));
    for (size_t i = 0; i < count; i++) {
        size_t item = (size_t)s->ranked[i];
        answer->items[i] = (cllm_recommendation){cllm_model_item_id(model, item), cllm_model_item_title(model, item), s->ranked_scores[i]};
    }
    answer->count = count;
    if (count < request->k) {
        snprintf(answer->reason, sizeof answer->reason, "only %zu of %zu items are left after what was seen, unknown or filtered out", open, n_items);
    }
    return CLLM_OK;
}

/* ---- Answering ---- */

/* The prompt of one request into the batch. What is wrong with the request alone is said in its answer too. */
static cllm_status add_request(cllm_session *s, const cllm_request *request, cllm_answer *answer, cllm_error *err) {
    asker who;
    if (request->k == 0) return refuse(answer, CLLM_ERR_USAGE, "k is 0: ask for at least one item");
    CLLM_TRY(gather_history(s, request, &who, answer, err));
    /* A user without training rows has a token that nothing was learnt for. */
    const cllm__interactions *train = cllm__dataset_interactions(s->model->run.dataset, CLLM__TRAIN);
    bool token = who.known && cllm__row_count(train, who.user) > 0;
    answer->new_user = !token;
    /* A visitor has no random order of his own: it stays as it was given. */
    cllm__order order = cllm__model_prompt_order(s->model);
    if (!who.known && order == CLLM__ORDER_RANDOM) order = CLLM__ORDER_TIME;
    cllm__prompt_order(s->prompt, s->prompt, who.n_prompt, order, s->model->run.config.seed, (int32_t)who.user);
    return cllm__batch_add_prompt(&s->batch, &s->rules, &s->model->run.prompts, token ? (int32_t)who.user : -1, s->prompt, who.n_prompt, err);
}

static cllm_status finish_request(cllm_session *s, const cllm_request *request, float *scores, cllm_answer *answer, cllm_error *err) {
    asker who;
    CLLM_TRY(gather_history(s, request, &who, answer, err));
    CLLM_TRY(close_candidates(s, request, &who, answer, err));
    return rank(s, request, scores, answer, err);
}

static cllm_status answer_chunk(cllm_session *s, const cllm_request *requests, size_t count, cllm_answer *answers, cllm_error *err) {
    size_t n_items = s->model->collab.n_items, asked = 0;
    cllm__batch_clear(&s->batch, CLLM__STAGE_PROMPT);
    for (size_t i = 0; i < count; i++) {
        cllm_status status = add_request(s, &requests[i], &answers[i], err);
        if (status != CLLM_OK && answers[i].status == CLLM_OK) return status;
        if (status == CLLM_OK) asked++;
    }
    if (asked == 0) return CLLM_OK;
    CLLM_TRY(CLLM_GROW(s->scores, s->scores_capacity, asked * n_items, err));
    CLLM_TRY(cllm__engine_score(s->engine, &s->model->collab, &s->batch, s->scores, err));
    cllm__fusion fusion = cllm__model_fusion(s->model);
    CLLM_TRY(cllm__fusion_add(&fusion, &s->batch, &s->rules.space, s->scores, s->pool, err));
    for (size_t i = 0, row = 0; i < count; i++) {
        if (answers[i].status != CLLM_OK) continue;
        cllm_status status = finish_request(s, &requests[i], s->scores + row++ * n_items, &answers[i], err);
        if (status != CLLM_OK && answers[i].status == CLLM_OK) return status;
    }
    return CLLM_OK;
}

cllm_status cllm_recommend(cllm_session *s, const cllm_request *requests, size_t count, cllm_answer *answers, cllm_error *err) {
    size_t n_items = s->model->collab.n_items, chunk = SCORE_BYTES / (sizeof(float) * (n_items > 0 ? n_items : 1));
    chunk = chunk < 1 ? 1 : chunk > MAX_CHUNK ? MAX_CHUNK : chunk;
    memset(answers, 0, count * sizeof *answers);
    for (size_t first = 0; first < count; first += chunk) {
        size_t n = count - first < chunk ? count - first : chunk;
        cllm_status status = answer_chunk(s, requests + first, n, answers + first, err);
        if (status != CLLM_OK) {
            for (size_t i = 0; i < count; i++) cllm_answer_free(&answers[i]);
            return status;
        }
    }
    return CLLM_OK;
}

void cllm_answer_free(cllm_answer *answer) {
    cllm__free(answer->items);
    *answer = (cllm_answer){0};
}
