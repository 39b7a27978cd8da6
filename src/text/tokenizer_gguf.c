/* The tokenizer in a GGUF file's metadata, tokenizer.ggml.*, as llama.cpp's converter writes it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/gguf.h"
#include "text/tokenizer_parts.h"

#define KEY(name) "tokenizer.ggml." name

/* tokenizer.ggml.token_type */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

/* What is read, while it is read. */
typedef struct source {
    const cllm__gguf *file;
    const cllm__gguf_value *tokens, *types; /* types: NULL if all are normal */
    size_t count;                           /* of tokens, without unused ones at the end */
} source;

/* What tokenizer.ggml.pre stands for. Each step sees the pieces of the one before it. */
typedef struct pre_tokenizer {
    const char *names[4];
    const char *patterns[2];
    bool nfc, ignore_merges, add_bos;
} pre_tokenizer;

#define LLAMA3_PATTERN(numbers) \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* NFC is not in the file: it is what the models of that name were trained with. */
static const pre_tokenizer pre_tokenizers[] = {
    {.names = {"gpt-2"}, .patterns = {cllm__gpt2_pattern}},
    {.names = {"smollm"}, .patterns = {"\\p{N}", cllm__gpt2_pattern}},
    {.names = {"qwen2", "deepseek-r1-qwen"}, .patterns = {LLAMA3_PATTERN("\\p{N}")}, .nfc = true},
    {.names = {"llama-bpe", "llama3", "llama-v3"},
     .patterns = {LLAMA3_PATTERN("\\p{N}{1,3}")},
     .ignore_merges = true,
     .add_bos = true},
};

/* ---- Tokens ---- */

static int64_t type_at(const source *s, size_t id) {
    return s->types == NULL ? NORMAL : cllm__gguf_integer_at(s->types, id);
}

static cllm_status open_tokens(source *s, cllm_error *err) {
    CLLM_TRY(cllm__gguf_array(s->file, KEY("tokens"), CLLM_GGUF_STRING, &s->tokens, err));
    if (s->tokens == NULL || s->tokens->count == 0 || s->tokens->count > INT32_MAX) {
        return cllm__fail(err, CLLM_ERR_DATA, KEY("tokens") " has no pieces, or too many");
    }
    CLLM_TRY(cllm__gguf_array(s->file, KEY("token_type"), CLLM_GGUF_I64, &s->types, err));
    if (s->types != NULL && s->types->count != s->tokens->count) {
        return cllm__fail(err, CLLM_ERR_DATA, "%llu " KEY("token_type") " for %llu " KEY("tokens"),
                          (unsigned long long)s->types->count, (unsigned long long)s->tokens->count);
    }
    s->count = (size_t)s->tokens->count;
    /* The converter fills the embedding's spare rows up with these. */
    while (s->count > 1 && type_at(s, s->count - 1) == UNUSED) s->count--;
    return CLLM_OK;
}

/* What text may be cut into. */
static bool is_text(int64_t type) {
    return type == NORMAL || type == BYTE;
}

static cllm_status read_tokens(const source *s, cllm__bpe_builder *builder, bool text, cllm_error *err) {
    cllm__gguf_strings at = cllm__gguf_strings_of(s->tokens);
    cllm__gguf_text token;
    for (size_t id = 0; id < s->count && cllm__gguf_next(&at, &token); id++) {
        if (is_text(type_at(s, id)) != text) continue;
        cllm_status status = text ? cllm__bpe_builder_piece(builder, token.data, token.length, (int32_t)id, err)
                                  : cllm__bpe_builder_marker(builder, token.data, token.length, (int32_t)id, err);
        if (status != CLLM_OK) {
            cllm__error_prefix(err, KEY("tokens"));
            return status;
        }
    }
    return CLLM_OK;
}

/* Markers as tokenizer.json lists them, so that the tokenizer can be written as one. */
static cllm_status list_markers(const source *s, cllm__tokenizer_parts *parts, cllm_error *err) {
    cllm__gguf_strings at = cllm__gguf_strings_of(s->tokens);
    cllm__gguf_text token;
    for (size_t id = 0; id < s->count && cllm__gguf_next(&at, &token); id++) {
        if (is_text(type_at(s, id))) continue;
        CLLM_TRY(CLLM_GROW(parts->added, parts->added_capacity, parts->added_count + 1, err));
        char *copy = cllm__strndup(token.data, token.length);
        if (copy == NULL) return cllm__fail_nomem(err);
        parts->added[parts->added_count++] =
            (cllm__added_token){copy, token.length, (int32_t)id, type_at(s, id) != USER_DEFINED};
    }
    return CLLM_OK;
}

static cllm_status read_bos(const source *s, cllm__tokenizer_parts *parts, bool add, cllm_error *err) {
    int64_t id, none = CLLM_NO_PIECE;
    CLLM_TRY(cllm__gguf_integer(s->file, KEY("bos_token_id"), CLLM_NO_PIECE, (int64_t)s->count - 1, &none, &id, err));
    CLLM_TRY(cllm__gguf_bool(s->file, KEY("add_bos_token"), &add, &parts->add_bos, err));
    if (parts->add_bos && id == CLLM_NO_PIECE) {
        return cllm__fail(err, CLLM_ERR_DATA, KEY("add_bos_token") " without a " KEY("bos_token_id"));
    }
    parts->bos = (int32_t)id;
    return CLLM_OK;
}

/* ---- Byte-level BPE: model = gpt2 ---- */

static cllm_status find_pre_tokenizer(const cllm__gguf *file, const pre_tokenizer **found, cllm_error *err) {
    const cllm__gguf_text none = {"", 0};
    cllm__gguf_text name, architecture;
    CLLM_TRY(cllm__gguf_string(file, KEY("pre"), &none, &name, err));
    CLLM_TRY(cllm__gguf_string(file, "general.architecture", &none, &architecture, err));
    /* Files from before there was a name. */
    bool unnamed = name.length == 0 || cllm__gguf_text_is(name, "default");
    if (unnamed && cllm__gguf_text_is(architecture, "gpt2")) name = (cllm__gguf_text){"gpt-2", 5};
    for (size_t i = 0; i < CLLM_LEN(pre_tokenizers); i++) {
        for (size_t k = 0; k < CLLM_LEN(pre_tokenizers[i].names) && pre_tokenizers[i].names[k] != NULL; k++) {
            if (!cllm__gguf_text_is(name, pre_tokenizers[i].names[k])) continue;
            *found = &pre_tokenizers[i];
            return CLLM_OK;
        }
    }
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                      KEY("pre") " is '%s'; gpt-2, smollm, qwen2 and llama-bpe are known. Take the model as a Hugging Face "
                                 "folder with its tokenizer.json",
                      cllm__show(name.data, name.length).text);
}

static cllm_status read_merges(const source *s, cllm__bpe_builder *builder, cllm_error *err) {
    const cllm__gguf_value *merges;
    CLLM_TRY(cllm__gguf_array(s->file, KEY("merges"), CLLM_GGUF_STRING, &merges, err));
    if (merges == NULL) return cllm__fail(err, CLLM_ERR_DATA, "no " KEY("merges"));
    cllm__gguf_strings at = cllm__gguf_strings_of(merges);
    cllm__gguf_text merge;
    for (size_t i = 0; cllm__gguf_next(&at, &merge); i++) {
        const char *space = memchr(merge.data, ' ', merge.length);
        size_t left = space == NULL ? 0 : (size_t)(space - merge.data);
        cllm_status status =
            space == NULL
                ? cllm__fail(err, CLLM_ERR_DATA, "'%s' is not two pieces with a space between them",
                             cllm__show(merge.data, merge.length).text)
                : cllm__bpe_builder_merge(builder, merge.data, left, space + 1, merge.length - left - 1, err);
        if (status != CLLM_OK) {
            cllm__error_prefix(err, KEY("merges") "[%zu]", i);
            return status;
        }
    }
    return CLLM_OK;
}

static cllm_status read_byte_level(const source *s, cllm__tokenizer_parts *parts, cllm__bpe_builder *builder,
                                   cllm_error *err) {
    const pre_tokenizer *pre = NULL;
    CLLM_TRY(find_pre_tokenizer(s->file, &pre, err));
    size_t steps = pre->patterns[1] == NULL ? 1 : 2;
    CLLM_TRY(cllm__tokenizer_parts_split(parts, pre->patterns, steps, err));
    parts->nfc = pre->nfc;
    CLLM_TRY(read_tokens(s, builder, true, err));
    CLLM_TRY(read_merges(s, builder, err));
    CLLM_TRY(read_tokens(s, builder, false, err));
    CLLM_TRY(cllm__bpe_builder_finish(builder, &parts->bpe, err));
    parts->rules = (cllm__word_rules){.ignore_merges = pre->ignore_merges, .unknown = CLLM_NO_PIECE};
    const bool no = false;
    bool space;
    CLLM_TRY(cllm__gguf_bool(s->file, KEY("add_space_prefix"), &no, &space, err));
    parts->prefix = space ? CLLM_PREFIX_UNLESS_SPACE : CLLM_PREFIX_NONE;
    return read_bos(s, parts, pre->add_bos, err);
}

/* ---- SentencePiece's BPE: model = llama ---- */

enum { PIECE_LIMIT = 256 }; /* bytes; SentencePiece's own limit is 16 characters unless it is told otherwise */

/* A way to put a piece together: text[0 … left) and the rest. */
typedef struct joint {
    double score;
    int32_t id;
    uint32_t left;
} joint;

typedef struct joints {
    joint *all;
    size_t count, capacity;
    cllm__gguf_text *texts; /* by id */
} joints;

static int compare_joints(const void *a, const void *b) {
    const joint *one = a, *two = b;
    if (one->score != two->score) return one->score > two->score ? -1 : 1;
    if (one->id != two->id) return one->id < two->id ? -1 : 1;
    return one->left < two->left ? -1 : one->left > two->left;
}

/* Every way to cut the piece between two characters so that both parts are pieces. */
static cllm_status find_joints(joints *j, const cllm__bpe_builder *builder, int32_t id, double score, cllm_error *err) {
    cllm__gguf_text piece = j->texts[id];
    if (piece.length > PIECE_LIMIT) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "piece %d has %zu bytes; at most %d are taken", id, piece.length,
                          PIECE_LIMIT);
    }
    for (size_t left = 1; left < piece.length; left++) {
        if (((unsigned char)piece.data[left] & 0xC0) == 0x80) continue;
        if (!cllm__bpe_builder_has(builder, piece.data, left)) continue;
        if (!cllm__bpe_builder_has(builder, piece.data + left, piece.length - left)) continue;
        CLLM_TRY(CLLM_GROW(j->all, j->capacity, j->count + 1, err));
        j->all[j->count++] = (joint){score, id, (uint32_t)left};
    }
    return CLLM_OK;
}

/* SentencePiece merges the neighbours whose piece has the best score, of equal ones the leftmost: that is a list of merges,
 * in which those of one score share a rank. Byte pieces are never made from text. */
static cllm_status merges_from_scores(const source *s, joints *j, cllm__bpe_builder *builder, cllm_error *err) {
    const cllm__gguf_value *scores;
    CLLM_TRY(cllm__gguf_array(s->file, KEY("scores"), CLLM_GGUF_F64, &scores, err));
    if (scores == NULL || scores->count != s->tokens->count) {
        return cllm__fail(err, CLLM_ERR_DATA, KEY("scores") " is missing, or not as long as " KEY("tokens"));
    }
    CLLM_TRY(CLLM_NEW(j->texts, s->count, err));
    cllm__gguf_strings at = cllm__gguf_strings_of(s->tokens);
    for (size_t id = 0; id < s->count && cllm__gguf_next(&at, &j->texts[id]); id++) {
        double score = cllm__gguf_number_at(scores, id);
        if (isnan(score)) return cllm__fail(err, CLLM_ERR_DATA, KEY("scores") "[%zu] is not a number", id);
        if (type_at(s, id) == NORMAL) CLLM_TRY(find_joints(j, builder, (int32_t)id, score, err));
    }
    if (j->count != 0) qsort(j->all, j->count, sizeof *j->all, compare_joints);
    for (size_t i = 0; i < j->count; i++) {
        cllm__gguf_text piece = j->texts[j->all[i].id];
        size_t left = j->all[i].left;
        CLLM_TRY(cllm__bpe_builder_merge(builder, piece.data, left, piece.data + left, piece.length - left, err));
        if (i != 0 && j->all[i].score == j->all[i - 1].score) cllm__bpe_builder_share_rank(builder);
    }
    return CLLM_OK;
}

static cllm_status read_characters(const source *s, cllm__tokenizer_parts *parts, cllm__bpe_builder *builder,
                                   cllm_error *err) {
    const bool yes = true;
    const int64_t none = CLLM_NO_PIECE;
    bool space;
    int64_t unknown;
    joints j = {0};
    cllm__bpe_builder_characters(builder, true);
    CLLM_TRY(cllm__tokenizer_parts_split(parts, NULL, 0, err));
    CLLM_TRY(read_tokens(s, builder, true, err));
    cllm_status status = merges_from_scores(s, &j, builder, err);
    cllm__free(j.all);
    cllm__free(j.texts);
    if (status != CLLM_OK) return status;
    CLLM_TRY(read_tokens(s, builder, false, err));
    CLLM_TRY(cllm__bpe_builder_finish(builder, &parts->bpe, err));
    CLLM_TRY(cllm__gguf_bool(s->file, KEY("add_space_prefix"), &yes, &space, err));
    parts->prefix = space ? CLLM_PREFIX_ALWAYS : CLLM_PREFIX_NONE;
    CLLM_TRY(cllm__gguf_integer(s->file, KEY("unknown_token_id"), none, (int64_t)s->count - 1, &none, &unknown, err));
    for (size_t id = 0; unknown == none && id < s->count; id++) {
        if (type_at(s, id) == UNKNOWN) unknown = (int64_t)id;
    }
    parts->rules = (cllm__word_rules){.fuse_unknown = true, .unknown = (int32_t)unknown};
    return read_bos(s, parts, true, err);
}

/* ---- All of it ---- */

static cllm_status read_parts(source *s, cllm__tokenizer_parts *parts, cllm__bpe_builder *builder, cllm_error *err) {
    const cllm__gguf_text none = {"", 0};
    cllm__gguf_text model;
    parts->bos = CLLM_NO_PIECE;
    CLLM_TRY(cllm__gguf_string(s->file, KEY("model"), &none, &model, err));
    if (model.length == 0) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "no tokenizer in the file: " KEY("model") " is missing");
    bool characters = cllm__gguf_text_is(model, "llama");
    if (!characters && !cllm__gguf_text_is(model, "gpt2")) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          KEY("model") " is '%s'; gpt2 (byte-level BPE) and llama (SentencePiece's BPE) are read",
                          cllm__show(model.data, model.length).text);
    }
    CLLM_TRY(open_tokens(s, err));
    if (characters) CLLM_TRY(read_characters(s, parts, builder, err));
    else CLLM_TRY(read_byte_level(s, parts, builder, err));
    return list_markers(s, parts, err);
}

cllm_status cllm__tokenizer_from_gguf(cllm__tokenizer **out, const cllm__gguf *file, cllm_error *err) {
    cllm__tokenizer_parts parts = {0};
    cllm__bpe_builder *builder;
    source s = {.file = file};
    CLLM_TRY(cllm__bpe_builder_create(&builder, err));
    cllm_status status = read_parts(&s, &parts, builder, err);
    if (status != CLLM_OK) cllm__error_prefix(err, "%s", cllm__gguf_path(file, 0));
    else status = cllm__tokenizer_make(out, &parts, err);
    cllm__bpe_builder_free(builder);
    cllm__tokenizer_parts_free(&parts);
    return status;
}
