#include "model/text_states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/io.h"
#include "data/corpus.h"
#include "formats/safetensors.h"
#include "model/engine.h"

static const char FORMAT[] = "cllm4rec-text-states-1";
static const size_t MAX_TOKENS = 128;

cllm__text_states_options cllm__text_states_defaults(void) {
    return (cllm__text_states_options){.max_tokens = MAX_TOKENS, .bos = -1};
}

/* ---- Sequences ---- */

/* What goes through the backbone: sequence s has tokens[start[s] … start[s + 1]) and belongs to items[s], ascending. */
typedef struct sequences {
    int32_t *tokens, *items;
    size_t *start, count;
    struct {
        size_t tokens, items, start;
    } room;
} sequences;

static void sequences_free(sequences *q) {
    cllm__free(q->tokens);
    cllm__free(q->items);
    cllm__free(q->start);
}

static cllm_status add_tokens(sequences *q, const int32_t *ids, size_t n, cllm_error *err) {
    size_t end = q->start[q->count + 1];
    if (n == 0) return CLLM_OK;
    CLLM_TRY(CLLM_GROW(q->tokens, q->room.tokens, end + n, err));
    memcpy(q->tokens + end, ids, n * sizeof *ids);
    q->start[q->count + 1] = end + n;
    return CLLM_OK;
}

/* An open sequence behind the last one, to be filled by add_tokens. */
static cllm_status open_sequence(sequences *q, int32_t bos, cllm_error *err) {
    CLLM_TRY(CLLM_GROW(q->start, q->room.start, q->count + 2, err));
    CLLM_TRY(CLLM_GROW(q->items, q->room.items, q->count + 1, err));
    if (q->count == 0) q->start[0] = 0;
    q->start[q->count + 1] = q->start[q->count];
    return bos >= 0 ? add_tokens(q, &bos, 1, err) : CLLM_OK;
}

static size_t open_length(const sequences *q) {
    return q->start[q->count + 1] - q->start[q->count];
}

/* Cut at the context; one without a token of its own is dropped. */
static void close_sequence(sequences *q, int32_t item, size_t lead, size_t context) {
    size_t length = open_length(q);
    if (length <= lead) return;
    q->items[q->count] = item;
    if (length > context) q->start[q->count + 1] = q->start[q->count] + context;
    q->count++;
}

typedef struct gathering {
    const cllm__corpus *corpus;
    const size_t *of_item;   /* [n_items + 1] into `documents` */
    const size_t *documents; /* numbers of documents, by item, in the order of the corpus */
    const cllm__text_states_options *options;
    size_t context;
    cllm__tokens line_end;
} gathering;

static cllm_status add_fields(sequences *q, const gathering *g, size_t item, cllm_error *err) {
    size_t lead = g->options->bos >= 0;
    CLLM_TRY(open_sequence(q, g->options->bos, err));
    for (unsigned kind = CLLM__TEXT_TITLE; kind <= CLLM__TEXT_DESCRIPTION; kind++) {
        for (size_t k = g->of_item[item]; k < g->of_item[item + 1]; k++) {
            cllm__document document = cllm__corpus_at(g->corpus, g->documents[k]);
            if (document.kind != kind) continue;
            if (open_length(q) > lead) CLLM_TRY(add_tokens(q, g->line_end.ids, g->line_end.count, err));
            CLLM_TRY(add_tokens(q, document.tokens, document.count, err));
        }
    }
    close_sequence(q, (int32_t)item, lead, g->context);
    return CLLM_OK;
}

static cllm_status add_reviews(sequences *q, const gathering *g, size_t item, cllm_error *err) {
    size_t taken = 0;
    for (size_t k = g->of_item[item]; k < g->of_item[item + 1] && taken < g->options->reviews; k++) {
        cllm__document document = cllm__corpus_at(g->corpus, g->documents[k]);
        if (document.kind != CLLM__TEXT_REVIEW) continue;
        CLLM_TRY(open_sequence(q, g->options->bos, err));
        CLLM_TRY(add_tokens(q, document.tokens, document.count, err));
        close_sequence(q, (int32_t)item, g->options->bos >= 0, g->context);
        taken++;
    }
    return CLLM_OK;
}

/* Documents by item: a counting sort. */
static void sort_by_item(const cllm__corpus *corpus, size_t n_items, size_t *of_item, size_t *documents) {
    for (size_t k = 0; k < corpus->count; k++) of_item[(size_t)corpus->items[k] + 1]++;
    for (size_t i = 0; i < n_items; i++) of_item[i + 1] += of_item[i];
    for (size_t k = 0; k < corpus->count; k++) documents[of_item[corpus->items[k]]++] = k;
    for (size_t i = n_items; i > 0; i--) of_item[i] = of_item[i - 1];
    of_item[0] = 0;
}

static cllm_status gather_sequences(sequences *q, const cllm__corpus *corpus, const cllm__tokenizer *tokenizer,
                                    size_t n_items, size_t context, const cllm__text_states_options *options,
                                    cllm_error *err) {
    size_t *of_item = NULL, *documents = NULL;
    gathering g = {.corpus = corpus, .options = options, .context = context};
    cllm_status status;
    CLLM_TRY_CLEAN(CLLM_NEW(of_item, n_items + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(documents, corpus->count + 1, err));
    CLLM_TRY_CLEAN(cllm__tokenizer_encode_inner(tokenizer, "\n", 1, &g.line_end, err));
    sort_by_item(corpus, n_items, of_item, documents);
    g.of_item = of_item;
    g.documents = documents;
    for (size_t item = 0; item < n_items; item++) {
        CLLM_TRY_CLEAN(add_fields(q, &g, item, err));
        CLLM_TRY_CLEAN(add_reviews(q, &g, item, err));
    }
cleanup:
    cllm__tokens_free(&g.line_end);
    cllm__free(of_item);
    cllm__free(documents);
    return status;
}

static cllm_status read_sequences(sequences *q, const cllm__backbone_info *model, const cllm__tokenizer *tokenizer,
                                  const cllm__dataset *dataset, const cllm__text_states_options *options, cllm__pool *pool,
                                  const cllm_host *host, cllm_error *err) {
    cllm__prompts prompts = {0};
    cllm__corpus corpus = {0};
    cllm_status status;
    cllm__corpus_options texts = cllm__corpus_defaults(model->context);
    texts.kinds &= ~(1u << CLLM__TEXT_BIOGRAPHY);
    if (options->reviews == 0) texts.kinds &= ~(1u << CLLM__TEXT_REVIEW);
    texts.max_text_tokens = options->max_tokens > 0 ? options->max_tokens : MAX_TOKENS;
    /* The corpus leaves room for them; they are not used. */
    CLLM_TRY(cllm__prompts_compile(&prompts, tokenizer, NULL, err));
    CLLM_TRY_CLEAN(cllm__corpus_build(&corpus, dataset, tokenizer, &prompts, texts, pool, host, err));
    CLLM_TRY_CLEAN(gather_sequences(q, &corpus, tokenizer, cllm__dataset_items(dataset), model->context, options, err));
cleanup:
    cllm__corpus_free(&corpus);
    cllm__prompts_free(&prompts);
    return status;
}

/* ---- States ---- */

typedef struct work {
    const cllm__backbone *backbone;
    const cllm__backbone_info *model;
    const cllm__text_states_options *options;
    const sequences *sequences;
    cllm__pool *pool;
    cllm__pass *pass;
    /* of a group of sequences: */
    cllm__real *x, *h;
    size_t *start, *rows; /* 0, 1, …: all rows are read */
    size_t first, end;
    struct {
        size_t x, h, start, rows;
    } room;
    double *sum; /* [width] of the item at hand */
} work;

enum { EMBED_ROWS = 16 };

static void embed_task(void *context, size_t task, int worker) {
    (void)worker;
    work *w = context;
    const sequences *q = w->sequences;
    size_t base = q->start[w->first], count = q->start[w->end] - base;
    for (size_t t = task * EMBED_ROWS; t < count && t < (task + 1) * EMBED_ROWS; t++)
        cllm__backbone_embed(w->backbone, q->tokens[base + t], w->x + t * w->model->width);
}

/* The states of the sequences [first, end) into h. */
static cllm_status forward(work *w, cllm_error *err) {
    const sequences *q = w->sequences;
    size_t base = q->start[w->first], rows = q->start[w->end] - base, n = w->end - w->first, before = w->room.rows;
    CLLM_TRY(CLLM_GROW(w->x, w->room.x, rows * w->model->width, err));
    CLLM_TRY(CLLM_GROW(w->h, w->room.h, rows * w->model->width, err));
    CLLM_TRY(CLLM_GROW(w->start, w->room.start, n + 1, err));
    CLLM_TRY(CLLM_GROW(w->rows, w->room.rows, rows, err));
    for (size_t t = before; t < w->room.rows; t++) w->rows[t] = t;
    for (size_t s = 0; s <= n; s++) w->start[s] = q->start[w->first + s] - base;
    cllm__pool_run(w->pool, (rows + EMBED_ROWS - 1) / EMBED_ROWS, embed_task, w);
    return cllm__pass_forward(w->pass, (cllm__ragged){n, w->start}, w->x, w->rows, rows,
                              (cllm__forward_options){.layers = w->options->layers}, w->h, err);
}

/* The item's mean, once its last sequence is there. */
static void finish_item(work *w, size_t count, float *state) {
    size_t width = w->model->width;
    for (size_t c = 0; c < width; c++) state[c] = (float)(w->sum[c] / (double)count);
    memset(w->sum, 0, width * sizeof *w->sum);
}

static cllm_status compute(work *w, float *states, const cllm_host *host, cllm_error *err) {
    const sequences *q = w->sequences;
    size_t width = w->model->width, lead = w->options->bos >= 0, count = 0;
    size_t total = q->count > 0 ? q->start[q->count] : 0;
    cllm__meter meter = cllm__meter_begin(host, "text states", "tokens", (double)total);
    for (w->first = 0; w->first < q->count; w->first = w->end) {
        CLLM_TRY(cllm__check_cancelled(host, err));
        w->end = w->first + 1;
        while (w->end < q->count && q->start[w->end + 1] - q->start[w->first] <= CLLM__GROUP_ROWS) w->end++;
        CLLM_TRY(forward(w, err));
        for (size_t s = w->first; s < w->end; s++) {
            for (size_t t = q->start[s] + lead; t < q->start[s + 1]; t++, count++) {
                const cllm__real *h = w->h + (t - q->start[w->first]) * width;
                for (size_t c = 0; c < width; c++) w->sum[c] += (double)h[c];
            }
            if (s + 1 < q->count && q->items[s + 1] == q->items[s]) continue;
            finish_item(w, count, states + (size_t)q->items[s] * width);
            count = 0;
        }
        cllm__meter_update(&meter, (double)q->start[w->end], NULL);
    }
    cllm__meter_end(&meter, (double)total, NULL);
    return CLLM_OK;
}

static cllm_status compute_states(float *states, const cllm__backbone *backbone, const sequences *q,
                                  const cllm__text_states_options *options, cllm__pool *pool, const cllm_host *host,
                                  cllm_error *err) {
    work w = {
        .backbone = backbone, .model = cllm__backbone_info_of(backbone), .options = options, .sequences = q, .pool = pool};
    cllm_status status;
    CLLM_TRY_CLEAN(cllm__pass_create(&w.pass, backbone, pool, err));
    CLLM_TRY_CLEAN(CLLM_NEW(w.sum, w.model->width, err));
    CLLM_TRY_CLEAN(compute(&w, states, host, err));
cleanup:
    cllm__pass_free(w.pass);
    cllm__free(w.x);
    cllm__free(w.h);
    cllm__free(w.start);
    cllm__free(w.rows);
    cllm__free(w.sum);
    return status;
}

/* ---- On disk ---- */

static cllm_status hash_key(uint64_t *key, const cllm__backbone_info *model, const sequences *q, size_t n_items,
                            const cllm__text_states_options *options, cllm_error *err) {
    cllm__hasher *hasher = cllm__hasher_new();
    if (hasher == NULL) return cllm__fail_nomem(err);
    char text[256];
    size_t layers = options->layers > 0 ? options->layers : model->layers;
    int n = snprintf(text, sizeof text, "%s %016llx %zu %d %zu %s %zu %zu %d", FORMAT, (unsigned long long)model->hash,
                     layers, (int)model->dtype, sizeof(cllm__real), cllm__gemm_isa(), n_items, q->count, options->bos >= 0);
    cllm__hasher_add(hasher, text, (size_t)n);
    if (q->count > 0) {
        cllm__hasher_add(hasher, q->items, q->count * sizeof *q->items);
        cllm__hasher_add(hasher, q->start, (q->count + 1) * sizeof *q->start);
        cllm__hasher_add(hasher, q->tokens, q->start[q->count] * sizeof *q->tokens);
    }
    *key = cllm__hasher_end(hasher);
    return CLLM_OK;
}

typedef struct cache {
    char *folders[2], *paths[2]; /* in the order in which they are tried */
    size_t count;
    char key[17];
    uint64_t shape[2];
    size_t bytes;
} cache;

static void cache_free(cache *c) {
    for (size_t i = 0; i < CLLM_LEN(c->folders); i++) {
        cllm__free(c->folders[i]);
        cllm__free(c->paths[i]);
    }
}

/* Takes over `folder`, NULL for want of memory. */
static cllm_status add_folder(cache *c, char *folder, cllm_error *err) {
    char name[64];
    if (folder == NULL) return cllm__fail_nomem(err);
    snprintf(name, sizeof name, "text-states-%s.safetensors", c->key);
    c->folders[c->count] = folder;
    c->paths[c->count] = cllm__path_join(folder, name);
    return c->paths[c->count++] != NULL ? CLLM_OK : cllm__fail_nomem(err);
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static cllm_status find_folders(cache *c, const cllm__dataset *dataset, cllm_error *err) {
    const char *chosen = variable("CLLM4REC_CACHE"), *shared = variable("XDG_CACHE_HOME"), *home = variable("HOME");
    if (chosen != NULL) return add_folder(c, cllm__strdup(chosen), err);
    CLLM_TRY(add_folder(c, cllm__path_join(cllm__dataset_path(dataset), "cache"), err));
    if (shared != NULL) return add_folder(c, cllm__path_join(shared, "cllm4rec"), err);
    if (home != NULL) return add_folder(c, cllm__path_join(home, ".cache/cllm4rec"), err);
    return CLLM_OK;
}

/* The file's states, if it is what its name says. */
static cllm_status read_file(const cache *c, const char *path, float *states, cllm_error *err) {
    cllm__safetensors *file;
    const cllm__tensor *tensor;
    char checksum[17];
    CLLM_TRY(cllm__safetensors_open(&file, path, err));
    const char *format = cllm__safetensors_metadata(file, "format"), *key = cllm__safetensors_metadata(file, "key");
    const char *stored = cllm__safetensors_metadata(file, "checksum");
    cllm_status status = cllm__safetensors_require(file, "states", CLLM_ST_F32, 2, c->shape, &tensor, err);
    if (status == CLLM_OK && (format == NULL || strcmp(format, FORMAT) != 0 || key == NULL || strcmp(key, c->key) != 0))
        status = cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' holds no text states of this key", path);
    if (status == CLLM_OK) {
        cllm__hash_text(cllm__hash(tensor->data, tensor->bytes), checksum);
        if (stored == NULL || strcmp(stored, checksum) != 0)
            status = cllm__fail(err, CLLM_ERR_DATA, "'%s' does not have its checksum", path);
    }
    if (status == CLLM_OK) memcpy(states, tensor->data, tensor->bytes);
    cllm__safetensors_close(file);
    return status;
}

static cllm_status read_cache(const cache *c, float *states, bool *found, const cllm_host *host, cllm_error *err) {
    for (size_t i = 0; i < c->count && !*found; i++) {
        cllm_error problem = {0};
        if (!cllm__path_exists(c->paths[i])) continue;
        cllm_status status = read_file(c, c->paths[i], states, &problem);
        if (status == CLLM_ERR_NOMEM) return cllm__fail_nomem(err);
        *found = status == CLLM_OK;
        if (*found) cllm__log(host, CLLM_LOG_INFO, "text states from '%s'", c->paths[i]);
        else cllm__log(host, CLLM_LOG_WARN, "%s; computing the text states again", problem.message);
    }
    return CLLM_OK;
}

static cllm_status write_file(const cache *c, size_t place, const float *states, cllm_error *err) {
    char checksum[17];
    cllm__hash_text(cllm__hash(states, c->bytes), checksum);
    const char *metadata[] = {"format", FORMAT, "key", c->key, "checksum", checksum};
    cllm__tensor tensor = {.name = "states",
                           .dtype = CLLM_ST_F32,
                           .rank = 2,
                           .shape = {c->shape[0], c->shape[1]},
                           .data = states,
                           .bytes = c->bytes};
    CLLM_TRY(cllm__make_folders(c->folders[place], err));
    return cllm__safetensors_write(c->paths[place], &tensor, 1, metadata, 3, err);
}

/* A cache that cannot be written costs the next call some time, nothing else. */
static void write_cache(const cache *c, const float *states, const cllm_host *host) {
    cllm_error problem = {0};
    for (size_t i = 0; i < c->count; i++) {
        if (write_file(c, i, states, &problem) != CLLM_OK) continue;
        cllm__log(host, CLLM_LOG_INFO, "text states kept in '%s'", c->paths[i]);
        return;
    }
    cllm__log(host, CLLM_LOG_WARN, "the text states are not kept: %s", problem.message);
}

/* ---- Together ---- */

static cllm_status check(const cllm__backbone_info *model, const cllm__tokenizer *tokenizer,
                         const cllm__text_states_options *options, cllm_error *err) {
    if (options->layers > model->layers)
        return cllm__fail(err, CLLM_ERR_USAGE, "text states of layer %zu are asked for; the backbone has %zu",
                          options->layers, model->layers);
    if (cllm__tokenizer_size(tokenizer) > model->vocabulary)
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the tokenizer has %zu pieces, the backbone embeddings for %zu",
                          cllm__tokenizer_size(tokenizer), model->vocabulary);
    CLLM_ASSERT(options->bos < 0 || (size_t)options->bos < model->vocabulary);
    return CLLM_OK;
}

static void describe(cllm__text_states_info *info, const sequences *q, size_t n_items, size_t lead) {
    size_t with = 0;
    for (size_t s = 0; s < q->count; s++) with += s == 0 || q->items[s] != q->items[s - 1];
    info->texts = q->count;
    info->tokens = q->count > 0 ? q->start[q->count] - lead * q->count : 0;
    info->without = n_items - with;
}

static cllm_status get_states(float *states, const cllm__backbone *backbone, const sequences *q,
                              const cllm__dataset *dataset, const cllm__text_states_options *options,
                              cllm__text_states_info *info, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    const cllm__backbone_info *model = cllm__backbone_info_of(backbone);
    size_t n_items = cllm__dataset_items(dataset);
    cache c = {.shape = {n_items, model->width}, .bytes = n_items * model->width * sizeof *states};
    cllm_status status;
    CLLM_TRY(hash_key(&info->key, model, q, n_items, options, err));
    if (options->no_cache) return compute_states(states, backbone, q, options, pool, host, err);
    cllm__hash_text(info->key, c.key);
    CLLM_TRY_CLEAN(find_folders(&c, dataset, err));
    CLLM_TRY_CLEAN(read_cache(&c, states, &info->cached, host, err));
    if (!info->cached) {
        memset(states, 0, c.bytes);
        CLLM_TRY_CLEAN(compute_states(states, backbone, q, options, pool, host, err));
        write_cache(&c, states, host);
    }
cleanup:
    cache_free(&c);
    return status;
}

cllm_status cllm__text_states(float **states, const cllm__backbone *backbone, const cllm__tokenizer *tokenizer,
                              const cllm__dataset *dataset, cllm__text_states_options options, cllm__text_states_info *info,
                              cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    const cllm__backbone_info *model = cllm__backbone_info_of(backbone);
    size_t n_items = cllm__dataset_items(dataset);
    sequences q = {0};
    float *values = NULL;
    cllm__text_states_info told = {0};
    cllm_status status;
    CLLM_TRY(check(model, tokenizer, &options, err));
    CLLM_TRY_CLEAN(read_sequences(&q, model, tokenizer, dataset, &options, pool, host, err));
    CLLM_TRY_CLEAN(CLLM_NEW(values, n_items * model->width, err));
    describe(&told, &q, n_items, options.bos >= 0);
    CLLM_TRY_CLEAN(get_states(values, backbone, &q, dataset, &options, &told, pool, host, err));
    *states = values;
    if (info != NULL) *info = told;
cleanup:
    if (status != CLLM_OK) cllm__free(values);
    sequences_free(&q);
    return status;
}

cllm_status cllm__text_state(float *state, const cllm__backbone *backbone, const cllm__tokenizer *tokenizer,
                             const char *text, size_t length, cllm__text_states_options options, cllm__pool *pool,
                             cllm_error *err) {
    const cllm__backbone_info *model = cllm__backbone_info_of(backbone);
    size_t limit = options.max_tokens > 0 ? options.max_tokens : MAX_TOKENS;
    sequences q = {0};
    cllm__tokens tokens = {0};
    cllm_status status;
    CLLM_TRY(check(model, tokenizer, &options, err));
    CLLM_TRY_CLEAN(cllm__tokenizer_encode_main(tokenizer, text, length, false, limit, &tokens, err));
    CLLM_TRY_CLEAN(open_sequence(&q, options.bos, err));
    CLLM_TRY_CLEAN(add_tokens(&q, tokens.ids, tokens.count, err));
    close_sequence(&q, 0, options.bos >= 0, model->context);
    if (q.count == 0) CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_USAGE, "the text is empty: give some words"));
    CLLM_TRY_CLEAN(compute_states(state, backbone, &q, &options, pool, NULL, err));
cleanup:
    cllm__tokens_free(&tokens);
    sequences_free(&q);
    return status;
}
