/* A backbone as the language model that it is: text that it goes on with, and how likely it finds a text. Both show that what
 * was opened is what it claims to be. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/run.h"
#include "backbone/checkpoint.h"
#include "backbone/decoder.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "formats/stream.h"
#include "kernels/gemm.h"
#include "model/heads.h"
#include "text/tokenizer.h"

typedef struct language_model {
    cllm__pool *pool;
    cllm__tokenizer *tokenizer;
    cllm__backbone *backbone;
    const cllm__backbone_info *info;
} language_model;

static cllm_status open_model(language_model *m, const char *path, const char *dtype_name, int threads, cllm_error *err) {
    cllm__dtype dtype;
    bool gguf;
    CLLM_TRY(cllm__backbone_dtype_parse(dtype_name, CLLM__F32, &dtype, err));
    CLLM_TRY(cllm__checkpoint_recognise(path, &gguf, err));
    CLLM_TRY(cllm__pool_create(&m->pool, threads, err));
    CLLM_TRY(cllm__tokenizer_open(&m->tokenizer, path, err));
    CLLM_TRY(cllm__backbone_open(&m->backbone, path, (cllm__backbone_options){.dtype = dtype, .words = cllm__tokenizer_size(m->tokenizer), .pool = m->pool}, err));
    m->info = cllm__backbone_info_of(m->backbone);
    if (cllm__tokenizer_size(m->tokenizer) <= m->info->vocabulary) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s': the tokenizer has %zu pieces, the model embeddings for %zu", path,
                      cllm__tokenizer_size(m->tokenizer), m->info->vocabulary);
}

static void close_model(language_model *m) {
    cllm__backbone_close(m->backbone);
    cllm__tokenizer_close(m->tokenizer);
    cllm__pool_free(m->pool);
}

/* ---- Going on ---- */

typedef struct generation {
    language_model model;
    cllm__tokens tokens;
    cllm__decoder *decoder;
    cllm__real *x, *h, *logits;
    int32_t *order; /* of the pieces, best first */
    cllm__rng rng;
} generation;

static void generation_free(generation *g) {
    cllm__decoder_free(g->decoder);
    cllm__tokens_free(&g->tokens);
    cllm__free(g->x);
    cllm__free(g->h);
    cllm__free(g->logits);
    cllm__free(g->order);
    close_model(&g->model);
}

static _Thread_local const cllm__real *t_logits; /* qsort takes no context */

static int by_logit(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (t_logits[x] != t_logits[y]) return t_logits[x] < t_logits[y] ? 1 : -1;
    return (x > y) - (x < y);
}

/* From the likeliest pieces that make up `top_p` of the probability, by their probabilities at this temperature. */
static int32_t sample(generation *g, size_t pieces, double temperature, double top_p) {
    for (size_t v = 0; v < pieces; v++) g->order[v] = (int32_t)v;
    t_logits = g->logits;
    qsort(g->order, pieces, sizeof *g->order, by_logit);
    double best = g->logits[g->order[0]], total = 0, kept = 0;
    for (size_t i = 0; i < pieces; i++) total += exp((g->logits[g->order[i]] - best) / temperature);
    size_t n = 0;
    while (n < pieces && (n == 0 || kept < top_p * total)) kept += exp((g->logits[g->order[n++]] - best) / temperature);
    double left = cllm__rng_uniform(&g->rng) * kept;
    for (size_t i = 0; i < n; i++) {
        left -= exp((g->logits[g->order[i]] - best) / temperature);
        if (left < 0) return g->order[i];
    }
    return g->order[n - 1];
}

static int32_t likeliest(const generation *g, size_t pieces) {
    size_t best = 0;
    for (size_t v = 1; v < pieces; v++)
        if (g->logits[v] > g->logits[best]) best = v;
    return (int32_t)best;
}

static cllm_status extend(generation *g, size_t first, cllm_error *err) {
    size_t C = g->model.info->width, rows = g->tokens.count - first;
    for (size_t t = 0; t < rows; t++) cllm__backbone_embed(g->model.backbone, g->tokens.ids[first + t], g->x + t * C);
    CLLM_TRY(cllm__decoder_extend(g->decoder, g->x, rows, g->h, err));
    return cllm__gemm_frozen(g->model.pool, g->logits, g->model.info->words, g->h, C, 1, cllm__backbone_head(g->model.backbone), NULL,
                             CLLM__GEMM_PLAIN, err);
}

static cllm_status prepare_generation(generation *g, const cllm_generate_options *o, size_t *prompt, cllm_error *err) {
    int32_t bos;
    CLLM_TRY(open_model(&g->model, o->backbone, o->dtype, o->threads, err));
    CLLM_TRY(cllm__tokenizer_choose_bos(g->model.tokenizer, CLLM_BOS_AUTO, &bos, err));
    if (bos >= 0) CLLM_TRY(cllm__tokens_add(&g->tokens, &bos, 1, err));
    CLLM_TRY(cllm__tokenizer_encode(g->model.tokenizer, o->prompt, strlen(o->prompt), &g->tokens, err));
    *prompt = g->tokens.count;
    const cllm__backbone_info *info = g->model.info;
    if (*prompt == 0) return cllm__fail(err, CLLM_ERR_USAGE, "the prompt is empty: give some text");
    if (*prompt > info->context || o->tokens > info->context - *prompt)
        return cllm__fail(err, CLLM_ERR_USAGE, "%zu tokens after a prompt of %zu: the backbone takes %zu in all", o->tokens, *prompt, info->context);
    CLLM_TRY(cllm__decoder_create(&g->decoder, g->model.backbone, *prompt + o->tokens, g->model.pool, err));
    CLLM_TRY(CLLM_NEW(g->x, *prompt * info->width, err));
    CLLM_TRY(CLLM_NEW(g->h, info->width, err));
    CLLM_TRY(CLLM_NEW(g->logits, info->words, err));
    CLLM_TRY(CLLM_NEW(g->order, info->words, err));
    g->rng = cllm__rng_make(o->seed, CLLM_RNG_PROMPT, 2, 0);
    return CLLM_OK;
}

static cllm_status generate(generation *g, const cllm_generate_options *o, char **text, size_t *length, cllm_error *err) {
    size_t prompt, pieces;
    CLLM_TRY(prepare_generation(g, o, &prompt, err));
    pieces = cllm__tokenizer_size(g->model.tokenizer);
    cllm__meter meter = cllm__meter_begin(&o->host, "generate", "tokens", (double)o->tokens);
    for (size_t n = 0, first = 0; n < o->tokens; n++) {
        CLLM_TRY(cllm__check_cancelled(&o->host, err));
        CLLM_TRY(extend(g, first, err));
        first = g->tokens.count;
        int32_t next = o->temperature > 0 ? sample(g, pieces, o->temperature, o->top_p) : likeliest(g, pieces);
        CLLM_TRY(cllm__tokens_add(&g->tokens, &next, 1, err));
        cllm__meter_update(&meter, (double)(n + 1), NULL);
    }
    cllm__meter_end(&meter, (double)o->tokens, NULL);
    return cllm__tokenizer_decode(g->model.tokenizer, g->tokens.ids + prompt, g->tokens.count - prompt, text, length, err);
}

cllm_status cllm_backbone_generate(const cllm_generate_options *o, char **text, size_t *length, cllm_error *err) {
    if (!(o->temperature >= 0) || !isfinite(o->temperature))
        return cllm__fail(err, CLLM_ERR_USAGE, "temperature %g: give 0 (the likeliest token) or more", o->temperature);
    if (o->temperature > 0 && !(o->top_p > 0 && o->top_p <= 1))
        return cllm__fail(err, CLLM_ERR_USAGE, "top-p %g: give a probability above 0, at most 1", o->top_p);
    generation g = {0};
    cllm_status status = generate(&g, o, text, length, err);
    generation_free(&g);
    return status;
}

/* ---- Scoring ---- */

enum { LINE_TOKENS = 512, PACKED_TOKENS = 2048 };

/* Lines are packed into passes of about PACKED_TOKENS tokens. */
typedef struct scoring {
    language_model model;
    cllm__stream *stream;
    cllm__pass *pass;
    cllm__heads heads;
    cllm__tokens line;
    int32_t ids[PACKED_TOKENS + LINE_TOKENS], targets[PACKED_TOKENS + LINE_TOKENS];
    size_t start[PACKED_TOKENS + 1], sequences, out[PACKED_TOKENS + LINE_TOKENS], n_out;
    cllm__real *x, *h;
    double nll[PACKED_TOKENS + LINE_TOKENS], sum;
    uint64_t lines, skipped, cut, tokens; /* cut: longer than the backbone takes */
} scoring;

static void scoring_free(scoring *s) {
    if (s == NULL) return;
    cllm__stream_close(s->stream);
    cllm__pass_free(s->pass);
    cllm__heads_free(&s->heads);
    cllm__tokens_free(&s->line);
    cllm__free(s->x);
    cllm__free(s->h);
    close_model(&s->model);
    cllm__free(s);
}

static cllm_status score_packed(scoring *s, cllm_error *err) {
    size_t C = s->model.info->width, rows = s->start[s->sequences];
    if (s->n_out == 0) return CLLM_OK;
    for (size_t t = 0; t < rows; t++) cllm__backbone_embed(s->model.backbone, s->ids[t], s->x + t * C);
    CLLM_TRY(cllm__pass_forward(s->pass, (cllm__ragged){s->sequences, s->start}, s->x, s->out, s->n_out, (cllm__forward_options){0}, s->h, err));
    CLLM_TRY(cllm__word_head(&s->heads, s->h, s->n_out, C, s->model.backbone, s->targets, 1, s->nll, NULL, err));
    for (size_t i = 0; i < s->n_out; i++) s->sum += s->nll[i];
    s->tokens += s->n_out;
    s->sequences = s->n_out = 0;
    return CLLM_OK;
}

/* A line's first token is given, the others are scored; a line of fewer than two says nothing and is counted as skipped. */
static cllm_status add_line(scoring *s, const char *text, size_t length, cllm_error *err) {
    s->line.count = 0;
    CLLM_TRY(cllm__tokenizer_encode_main(s->model.tokenizer, text, length, false, LINE_TOKENS, &s->line, err));
    size_t n = s->line.count < s->model.info->context ? s->line.count : s->model.info->context;
    s->lines++;
    s->skipped += n < 2;
    s->cut += n < s->line.count;
    if (n < 2) return CLLM_OK;
    size_t first = s->start[s->sequences];
    for (size_t t = 0; t < n; t++) {
        s->ids[first + t] = s->line.ids[t];
        if (t == 0) continue;
        s->out[s->n_out] = first + t - 1;
        s->targets[s->n_out++] = s->line.ids[t];
    }
    s->start[++s->sequences] = first + n;
    return first + n < PACKED_TOKENS ? CLLM_OK : score_packed(s, err);
}

static cllm_status score(scoring *s, const cllm_score_options *o, cllm_error *err) {
    CLLM_TRY(open_model(&s->model, o->backbone, o->dtype, o->threads, err));
    CLLM_TRY(cllm__stream_open(&s->stream, o->file, CLLM_ENCODING_BYTES, err));
    CLLM_TRY(cllm__pass_create(&s->pass, s->model.backbone, s->model.pool, err));
    CLLM_TRY(CLLM_NEW(s->x, (PACKED_TOKENS + LINE_TOKENS) * s->model.info->width, err));
    CLLM_TRY(CLLM_NEW(s->h, (PACKED_TOKENS + LINE_TOKENS) * s->model.info->width, err));
    s->heads = (cllm__heads){.dtype = CLLM__F32, .pool = s->model.pool};
    cllm__meter meter = cllm__meter_begin(&o->host, "score", "lines", (double)o->max_lines);
    while (o->max_lines == 0 || s->lines < o->max_lines) {
        char *line;
        size_t length;
        CLLM_TRY(cllm__check_cancelled(&o->host, err));
        CLLM_TRY(cllm__stream_line(s->stream, &line, &length, err));
        if (line == NULL) break;
        CLLM_TRY(add_line(s, line, length, err));
        cllm__meter_update(&meter, (double)s->lines, NULL);
    }
    CLLM_TRY(score_packed(s, err));
    cllm__meter_end(&meter, (double)s->lines, NULL);
    if (s->cut > 0) {
        cllm__log(&o->host, CLLM_LOG_WARN, "%llu lines are longer than the backbone's context of %zu tokens: the rest of them was not scored",
                  (unsigned long long)s->cut, s->model.info->context);
    }
    if (s->tokens == 0) return cllm__fail(err, CLLM_ERR_DATA, "'%s' has no line of two tokens or more", o->file);
    return CLLM_OK;
}

cllm_status cllm_backbone_score(const cllm_score_options *o, char **json, cllm_error *err) {
    scoring *s;
    CLLM_TRY(CLLM_NEW(s, 1, err));
    cllm_status status = score(s, o, err);
    if (status == CLLM_OK) {
        struct json_object *object = json_object_new_object();
        double mean = s->sum / (double)s->tokens;
        json_object_object_add(object, "lines", json_object_new_int64((int64_t)s->lines));
        json_object_object_add(object, "skipped", json_object_new_int64((int64_t)s->skipped));
        json_object_object_add(object, "tokens", json_object_new_int64((int64_t)s->tokens));
        json_object_object_add(object, "nll", json_object_new_double(mean));
        json_object_object_add(object, "perplexity", json_object_new_double(exp(mean)));
        status = cllm__json_to_text(object, json, err);
    }
    scoring_free(s);
    return status;
}
