#include "model/rollout.h"

#include <math.h>
#include <string.h>

#include "backbone/decoder.h"
#include "base/alloc.h"

/* One sequence that is followed. */
typedef struct beam {
    cllm__decoder *decoder;
    cllm__real *h;      /* [width] after its last token */
    int32_t *tokens;    /* [steps] that came out */
    uint8_t *out;       /* [n_items] nonzero: closed, or out already */
    double log_p, word_mass;
} beam;

/* A beam's next token. */
typedef struct candidate {
    size_t parent;
    int32_t token;
    double log_p, word_mass; /* the latter of this step alone */
} candidate;

struct cllm__rollout {
    const cllm__backbone *backbone;
    const cllm__backbone_info *info;
    const cllm__tables *tables;
    cllm__pool *pool;
    cllm__rollout_options options;
    cllm__weight *items;  /* packed */
    cllm__real *x;        /* [prompt_tokens × width] */
    cllm__real *logits;   /* [words + n_items], words only if joint */
    beam *now, *next;     /* [beams] */
    size_t live;          /* beams of `now` */
    candidate *chosen;    /* [beams] best first */
    size_t n_chosen;
};

static cllm_status create_beam(const cllm__rollout *r, beam *b, cllm_error *err) {
    CLLM_TRY(cllm__decoder_create(&b->decoder, r->backbone, r->options.prompt_tokens + r->options.steps, r->pool, err));
    CLLM_TRY(CLLM_NEW(b->h, r->info->width, err));
    CLLM_TRY(CLLM_NEW(b->tokens, r->options.steps, err));
    return CLLM_NEW(b->out, r->tables->n_items + 1, err);
}

static void free_beams(beam *beams, size_t n) {
    for (size_t i = 0; beams != NULL && i < n; i++) {
        cllm__decoder_free(beams[i].decoder);
        cllm__free(beams[i].h);
        cllm__free(beams[i].tokens);
        cllm__free(beams[i].out);
    }
    cllm__free(beams);
}

static cllm_status set_up(cllm__rollout *r, cllm__dtype dtype, cllm_error *err) {
    const cllm__rollout_options *o = &r->options;
    if (r->tables->width != r->info->width)
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the token tables have width %zu and the backbone %zu", r->tables->width, r->info->width);
    if (o->joint && cllm__backbone_head(r->backbone) == NULL)
        return cllm__fail(err, CLLM_ERR_USAGE, "the backbone was opened without its vocabulary head");
    CLLM_TRY(cllm__weight_pack(&r->items, r->tables->items, r->info->width, r->tables->n_items, true, dtype, r->pool, err));
    CLLM_TRY(CLLM_NEW(r->x, o->prompt_tokens * r->info->width, err));
    CLLM_TRY(CLLM_NEW(r->logits, r->info->words + r->tables->n_items, err));
    CLLM_TRY(CLLM_NEW(r->now, o->beams, err));
    CLLM_TRY(CLLM_NEW(r->next, o->beams, err));
    CLLM_TRY(CLLM_NEW(r->chosen, o->beams + 1, err));
    for (size_t i = 0; i < o->beams; i++) {
        CLLM_TRY(create_beam(r, &r->now[i], err));
        CLLM_TRY(create_beam(r, &r->next[i], err));
    }
    return CLLM_OK;
}

cllm_status cllm__rollout_create(cllm__rollout **out, const cllm__backbone *backbone, const cllm__tables *tables, cllm__dtype dtype,
                                 cllm__rollout_options options, cllm__pool *pool, cllm_error *err) {
    CLLM_ASSERT(options.steps >= 1 && options.beams >= 1 && options.prompt_tokens >= 1);
    cllm__rollout *r;
    CLLM_TRY(CLLM_NEW(r, 1, err));
    r->backbone = backbone;
    r->info = cllm__backbone_info_of(backbone);
    r->tables = tables;
    r->pool = pool;
    r->options = options;
    cllm_status status = set_up(r, dtype, err);
    if (status == CLLM_OK) *out = r;
    else cllm__rollout_free(r);
    return status;
}

void cllm__rollout_free(cllm__rollout *r) {
    if (r == NULL) return;
    free_beams(r->now, r->options.beams);
    free_beams(r->next, r->options.beams);
    cllm__weight_free(r->items);
    cllm__free(r->x);
    cllm__free(r->logits);
    cllm__free(r->chosen);
    cllm__free(r);
}

/* ---- One step ---- */

static cllm_status extend(cllm__rollout *r, beam *b, const int32_t *tokens, size_t n, cllm_error *err) {
    size_t width = r->info->width;
    for (size_t t = 0; t < n; t++) {
        const cllm__real *row = cllm__tables_row(r->tables, r->info->vocabulary, tokens[t]);
        if (row != NULL) memcpy(r->x + t * width, row, width * sizeof *row);
        else cllm__backbone_embed(r->backbone, tokens[t], r->x + t * width);
    }
    return cllm__decoder_extend(b->decoder, r->x, n, b->h, err);
}

/* Puts a candidate where it belongs among the chosen, of which there are at most as many as beams. */
static void offer(cllm__rollout *r, candidate c) {
    size_t at = r->n_chosen;
    while (at > 0 && r->chosen[at - 1].log_p < c.log_p) at--;
    if (at == r->options.beams) return;
    if (r->n_chosen < r->options.beams) r->n_chosen++;
    memmove(r->chosen + at + 1, r->chosen + at, (r->n_chosen - 1 - at) * sizeof *r->chosen);
    r->chosen[at] = c;
}

/* Offers what may come next in one beam: of the softmax over items, or words and items, what is not ruled out. */
static cllm_status offer_next(cllm__rollout *r, size_t parent, cllm_error *err) {
    const beam *b = &r->now[parent];
    size_t words = r->options.joint ? r->info->words : 0, n_items = r->tables->n_items, width = r->info->width;
    const int32_t first_item = (int32_t)(r->info->vocabulary + r->tables->n_users);
    if (words > 0) {
        CLLM_TRY(cllm__gemm_frozen(r->pool, r->logits, words, b->h, width, 1, cllm__backbone_head(r->backbone), NULL, CLLM__GEMM_PLAIN, err));
    }
    CLLM_TRY(cllm__gemm_frozen(r->pool, r->logits + words, n_items, b->h, width, 1, r->items, NULL, CLLM__GEMM_PLAIN, err));
    double most = -INFINITY, sum = 0, of_words = 0;
    for (size_t i = 0; i < words + n_items; i++) most = r->logits[i] > most ? (double)r->logits[i] : most;
    for (size_t i = 0; i < words + n_items; i++) {
        double share = exp((double)r->logits[i] - most);
        sum += share;
        if (i < words) of_words += share;
    }
    double norm = b->log_p - most - log(sum);
    for (size_t i = 0; i < words + n_items; i++) {
        if (i >= words && b->out[i - words] && !r->options.free) continue;
        int32_t token = i < words ? (int32_t)i : first_item + (int32_t)(i - words);
        offer(r, (candidate){parent, token, (double)r->logits[i] + norm, of_words / sum});
    }
    return CLLM_OK;
}

static bool joins(const cllm__rollout_options *o, int32_t token) {
    for (size_t i = 0; i < o->n_join; i++) {
        if (o->join[i] == token) return true;
    }
    return false;
}

/* Makes the chosen the beams of the next step. The last one that goes on from a parent takes the parent's decoder. */
static cllm_status follow(cllm__rollout *r, size_t step, cllm_error *err) {
    size_t n_items = r->tables->n_items;
    const int32_t first_item = (int32_t)(r->info->vocabulary + r->tables->n_users);
    for (size_t i = 0; i < r->n_chosen; i++) {
        candidate c = r->chosen[i];
        beam *from = &r->now[c.parent], *to = &r->next[i];
        bool last = true;
        for (size_t later = i + 1; later < r->n_chosen; later++) last = last && r->chosen[later].parent != c.parent;
        if (last) {
            cllm__decoder *taken = from->decoder;
            from->decoder = to->decoder;
            to->decoder = taken;
        } else {
            cllm__decoder_copy(to->decoder, from->decoder);
        }
        memcpy(to->tokens, from->tokens, step * sizeof *to->tokens);
        memcpy(to->out, from->out, n_items);
        to->tokens[step] = c.token;
        to->log_p = c.log_p;
        to->word_mass = from->word_mass + (joins(&r->options, c.token) ? 0 : c.word_mass);
        if (c.token >= first_item) to->out[c.token - first_item] = 1;
        if (step + 1 < r->options.steps) CLLM_TRY(extend(r, to, &c.token, 1, err));
    }
    beam *swap = r->now;
    r->now = r->next;
    r->next = swap;
    r->live = r->n_chosen;
    return CLLM_OK;
}

/* ---- ---- */

/* The best beam's tokens as a list of items, and what the others were. */
static size_t list_items(const cllm__rollout *r, size_t steps, uint8_t *out, int32_t *items, cllm__rollout_tally *tally) {
    const beam *best = &r->now[0];
    const int32_t first_item = (int32_t)(r->info->vocabulary + r->tables->n_users);
    size_t count = 0;
    for (size_t t = 0; t < steps; t++) {
        int32_t item = best->tokens[t] - first_item;
        if (item < 0 && joins(&r->options, best->tokens[t])) continue;
        tally->outputs++;
        if (item < 0) tally->words++;
        else if (out[item]) tally->repeats++;
        else items[count++] = item;
        if (item >= 0) out[item] = 1;
    }
    tally->word_mass += best->word_mass;
    return count;
}

cllm_status cllm__rollout_run(cllm__rollout *r, const int32_t *prompt, size_t n, const uint8_t *closed, int32_t *items, size_t *count,
                              cllm__rollout_tally *tally, cllm_error *err) {
    const cllm__rollout_options *o = &r->options;
    if (n < 1 || n > o->prompt_tokens)
        return cllm__fail(err, CLLM_ERR_USAGE, "a prompt of %zu tokens where there is room for 1 to %zu", n, o->prompt_tokens);
    beam *first = &r->now[0];
    size_t step = 0;
    cllm__decoder_rewind(first->decoder, 0);
    memcpy(first->out, closed, r->tables->n_items);
    first->log_p = first->word_mass = 0;
    r->live = 1;
    CLLM_TRY(extend(r, first, prompt, n, err));
    for (; step < o->steps; step++) {
        r->n_chosen = 0;
        for (size_t b = 0; b < r->live; b++) CLLM_TRY(offer_next(r, b, err));
        if (r->n_chosen == 0) break; /* no item is left */
        CLLM_TRY(follow(r, step, err));
    }
    uint8_t *out = r->next[0].out; /* free now */
    memcpy(out, closed, r->tables->n_items);
    *count = list_items(r, step, out, items, tally);
    return CLLM_OK;
}
