/* The tokenizer in a GGUF file's metadata, tokenizer.ggml.*, as llama.cpp's converter writes it. */
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
    return type == NORMAL;
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
    parts->prefix_space = space;
    return read_bos(s, parts, pre->add_bos, err);
}

/* ---- All of it ---- */

static cllm_status read_parts(source *s, cllm__tokenizer_parts *parts, cllm__bpe_builder *builder, cllm_error *err) {
    const cllm__gguf_text none = {"", 0};
    cllm__gguf_text model;
    parts->bos = CLLM_NO_PIECE;
    CLLM_TRY(cllm__gguf_string(s->file, KEY("model"), &none, &model, err));
    if (model.length == 0) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "no tokenizer in the file: " KEY("model") " is missing");
    if (!cllm__gguf_text_is(model, "gpt2")) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, KEY("model") " is '%s'; gpt2 (byte-level BPE) is read",
                          cllm__show(model.data, model.length).text);
    }
    CLLM_TRY(open_tokens(s, err));
    CLLM_TRY(read_byte_level(s, parts, builder, err));
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
