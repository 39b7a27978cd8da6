#include "data/corpus.h"

#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"

cllm__corpus_options cllm__corpus_defaults(size_t context) {
    return (cllm__corpus_options){.kinds = (1u << CLLM__TEXT_KINDS) - 1, .split = CLLM__TRAIN, .max_text_tokens = 128, .context = context};
}

void cllm__corpus_free(cllm__corpus *corpus) {
    cllm__free(corpus->kinds);
    cllm__free(corpus->users);
    cllm__free(corpus->items);
    cllm__free(corpus->start);
    cllm__free(corpus->length);
    cllm__free(corpus->tokens);
    *corpus = (cllm__corpus){0};
}

cllm__document cllm__corpus_at(const cllm__corpus *corpus, size_t index) {
    CLLM_ASSERT(index < corpus->count);
    return (cllm__document){.kind = (cllm__text_kind)corpus->kinds[index],
                            .user = corpus->users[index],
                            .item = corpus->items[index],
                            .tokens = corpus->tokens + corpus->start[index],
                            .count = corpus->length[index]};
}

const cllm__prompt *cllm__prompts_of_text(const cllm__prompts *prompts, cllm__text_kind kind) {
    switch (kind) {
    case CLLM__TEXT_REVIEW: return &prompts->review;
    case CLLM__TEXT_TITLE: return &prompts->title;
    case CLLM__TEXT_BRAND: return &prompts->brand;
    case CLLM__TEXT_CATEGORIES: return &prompts->categories;
    case CLLM__TEXT_DESCRIPTION: return &prompts->description;
    case CLLM__TEXT_BIOGRAPHY: return &prompts->biography;
    }
    return NULL;
}

/* Texts are tokenised in rounds of TASKS × TEXTS, each task into a list of its own, and the lists are appended in order. */
enum { TASKS = 32, TEXTS = 32 };

typedef struct work {
    const cllm__dataset *dataset;
    const cllm__tokenizer *tokenizer;
    const cllm__corpus_options *options;
    const size_t *limits; /* of each kind's main text */
    const size_t *texts;  /* the round's texts */
    size_t n_texts;
    cllm__tokens tokens[TASKS];
    uint32_t length[TASKS * TEXTS];
    bool cut[TASKS * TEXTS];
    cllm_status status[TASKS];
    cllm_error errors[TASKS];
} work;

static cllm_status encode_one(work *w, size_t index, cllm__tokens *list, cllm_error *err) {
    cllm__text text = cllm__dataset_text(w->dataset, w->texts[index]);
    size_t before = list->count, limit = w->limits[text.kind];
    /* One token more than the limit shows whether anything was cut. */
    CLLM_TRY(cllm__tokenizer_encode_main(w->tokenizer, text.text, text.length, w->options->leading_space, limit + 1, list, err));
    size_t n = list->count - before;
    w->cut[index] = n > limit;
    if (n > limit) n = limit;
    list->count = before + n;
    w->length[index] = (uint32_t)n;
    return CLLM_OK;
}

static void encode_task(void *context, size_t task, int worker) {
    (void)worker;
    work *w = context;
    cllm__tokens *list = &w->tokens[task];
    list->count = 0;
    w->status[task] = CLLM_OK;
    size_t end = (task + 1) * TEXTS < w->n_texts ? (task + 1) * TEXTS : w->n_texts;
    for (size_t i = task * TEXTS; i < end; i++) {
        w->status[task] = encode_one(w, i, list, &w->errors[task]);
        if (w->status[task] != CLLM_OK) return;
    }
}

typedef struct rooms {
    size_t kinds, users, items, start, length, tokens;
} rooms;

/* Takes over one round's lists. */
static cllm_status append_round(cllm__corpus *corpus, rooms *room, const work *w, cllm_error *err) {
    size_t need = corpus->count + w->n_texts;
    CLLM_TRY(CLLM_GROW(corpus->kinds, room->kinds, need, err));
    CLLM_TRY(CLLM_GROW(corpus->users, room->users, need, err));
    CLLM_TRY(CLLM_GROW(corpus->items, room->items, need, err));
    CLLM_TRY(CLLM_GROW(corpus->start, room->start, need, err));
    CLLM_TRY(CLLM_GROW(corpus->length, room->length, need, err));
    for (size_t task = 0; task * TEXTS < w->n_texts; task++) {
        const cllm__tokens *list = &w->tokens[task];
        if (list->count == 0) continue;
        CLLM_TRY(CLLM_GROW(corpus->tokens, room->tokens, corpus->n_tokens + list->count, err));
        memcpy(corpus->tokens + corpus->n_tokens, list->ids, list->count * sizeof *list->ids);
        corpus->n_tokens += list->count;
    }
    size_t at = corpus->n_tokens;
    for (size_t i = 0; i < w->n_texts; i++) at -= w->length[i];
    for (size_t i = 0; i < w->n_texts; i++) {
        if (w->length[i] == 0) {
            corpus->skipped_empty++;
            continue;
        }
        cllm__text text = cllm__dataset_text(w->dataset, w->texts[i]);
        size_t k = corpus->count++;
        corpus->kinds[k] = (uint8_t)text.kind;
        corpus->users[k] = text.user;
        corpus->items[k] = text.item;
        corpus->start[k] = at;
        corpus->length[k] = w->length[i];
        corpus->cut += w->cut[i];
        at += w->length[i];
    }
    return CLLM_OK;
}

static cllm_status run_round(cllm__corpus *corpus, rooms *room, work *w, cllm__pool *pool, cllm_error *err) {
    size_t tasks = (w->n_texts + TEXTS - 1) / TEXTS;
    cllm__pool_run(pool, tasks, encode_task, w);
    for (size_t task = 0; task < tasks; task++)
        if (w->status[task] != CLLM_OK) return cllm__fail(err, w->status[task], "%s", w->errors[task].message);
    return append_round(corpus, room, w, err);
}

/* Room for the main text of each kind. Prompts of texts have no lists, so a pattern's length is the prompt's. */
static cllm_status find_limits(size_t limits[CLLM__TEXT_KINDS], const cllm__prompts *prompts, const cllm__corpus_options *options,
                               cllm_error *err) {
    for (unsigned kind = 0; kind < CLLM__TEXT_KINDS; kind++) {
        if (!(options->kinds >> kind & 1u)) continue;
        const cllm__prompt *prompt = cllm__prompts_of_text(prompts, (cllm__text_kind)kind);
        if (prompt->length >= options->context)
            return cllm__fail(err, CLLM_ERR_DATA,
                              "the prompt '%s' has %zu tokens and leaves no room for a text in the backbone's context of %zu; shorten it",
                              prompt->text, prompt->length, options->context);
        limits[kind] = options->context - prompt->length;
        if (options->max_text_tokens > 0 && options->max_text_tokens < limits[kind]) limits[kind] = options->max_text_tokens;
    }
    return CLLM_OK;
}

/* Deals the main texts of one kind out anew: a permutation of the ranges, while kind, user and item stay. */
static cllm_status shuffle_texts(cllm__corpus *corpus, uint64_t seed, cllm_error *err) {
    size_t *of_kind = NULL, *order = NULL;
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(CLLM_NEW(of_kind, corpus->count, err));
    CLLM_TRY_CLEAN(CLLM_NEW(order, 2 * corpus->count, err));
    for (unsigned kind = 0; kind < CLLM__TEXT_KINDS; kind++) {
        size_t n = 0;
        for (size_t k = 0; k < corpus->count; k++)
            if (corpus->kinds[k] == kind) of_kind[n++] = k;
        for (size_t i = 0; i < n; i++) order[i] = of_kind[i];
        cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_BATCH_ORDER, UINT32_MAX, kind);
        cllm__rng_shuffle_size(&rng, order, n);
        for (size_t i = 0; i < n; i++) {
            size_t from = order[i];
            order[i] = corpus->start[from];
            order[corpus->count + i] = corpus->length[from];
        }
        for (size_t i = 0; i < n; i++) {
            corpus->start[of_kind[i]] = order[i];
            corpus->length[of_kind[i]] = (uint32_t)order[corpus->count + i];
        }
    }
cleanup:
    cllm__free(of_kind);
    cllm__free(order);
    return status;
}

static bool chosen(const cllm__text *text, const cllm__corpus_options *options) {
    return (options->kinds >> text->kind & 1u) && (options->all_splits || text->split == options->split);
}

cllm_status cllm__corpus_build(cllm__corpus *corpus, const cllm__dataset *dataset, const cllm__tokenizer *tokenizer,
                               const cllm__prompts *prompts, cllm__corpus_options options, cllm__pool *pool, const cllm_host *host,
                               cllm_error *err) {
    size_t limits[CLLM__TEXT_KINDS] = {0}, *texts = NULL, n_texts = cllm__dataset_texts(dataset);
    rooms room = {0};
    work *w = NULL;
    cllm_status status = CLLM_OK;
    CLLM_TRY(find_limits(limits, prompts, &options, err));
    CLLM_TRY_CLEAN(CLLM_NEW(w, 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(texts, TASKS * TEXTS, err));
    *w = (work){.dataset = dataset, .tokenizer = tokenizer, .options = &options, .limits = limits, .texts = texts};
    cllm__meter meter = cllm__meter_begin(host, "tokenise", "texts", (double)n_texts);
    for (size_t i = 0; i < n_texts; i++) {
        cllm__text text = cllm__dataset_text(dataset, i);
        if (chosen(&text, &options)) texts[w->n_texts++] = i;
        if (w->n_texts < TASKS * TEXTS && i + 1 < n_texts) continue;
        CLLM_TRY_CLEAN(cllm__check_cancelled(host, err));
        CLLM_TRY_CLEAN(run_round(corpus, &room, w, pool, err));
        w->n_texts = 0;
        cllm__meter_update(&meter, (double)(i + 1), NULL);
    }
    cllm__meter_end(&meter, (double)n_texts, NULL);
    if (options.shuffle_texts && corpus->count > 0) status = shuffle_texts(corpus, options.shuffle_seed, err);
cleanup:
    if (w != NULL)
        for (size_t task = 0; task < TASKS; task++) cllm__tokens_free(&w->tokens[task]);
    cllm__free(w);
    cllm__free(texts);
    return status;
}
