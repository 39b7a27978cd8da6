/* tokenizer.json, as Hugging Face's tokenizers write it: BPE models, byte-level or as SentencePiece has them, and what can
 * stand around them. */
#include <string.h>

#include "base/alloc.h"
#include "text/json_read.h"
#include "text/tokenizer_parts.h"

/* The pre-tokeniser while it is read. */
typedef struct steps {
    cllm__split_step steps[CLLM_SPLIT_STEPS];
    size_t count;
    bool byte_level, metaspace;
    cllm__prefix prefix;
} steps;

/* The normaliser. `prepend`: U+2581 before the text; `replace`: for its spaces. */
typedef struct normalizing {
    bool nfc, prepend, replace;
} normalizing;

static const char *type_of(const json_object *object) {
    const char *type = cllm__json_text(object, "type");
    return type == NULL ? "(no type)" : type;
}

static json_object *member(const json_object *object, const char *key) {
    json_object *value = NULL;
    return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

static cllm_status unsupported(cllm_error *err, const char *what, const char *which) {
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%s '%s'; byte-level BPE tokenizers and those of SentencePiece's BPE are read", what,
                      cllm__show(which, strlen(which)).text);
}

/* ---- The model ---- */

static cllm_status read_vocab(cllm__bpe_builder *builder, const json_object *vocab, cllm_error *err) {
    if (!json_object_is_type(vocab, json_type_object)) {
        return cllm__fail(err, CLLM_ERR_DATA, "model.vocab is not an object of pieces and ids");
    }
    json_object_object_foreach(vocab, piece, value) {
        int32_t id;
        if (!cllm__json_id(value, &id)) {
            return cllm__fail(err, CLLM_ERR_DATA, "model.vocab: piece '%s' has no id from 0 to %d",
                              cllm__show(piece, strlen(piece)).text, INT32_MAX);
        }
        CLLM_TRY(cllm__bpe_builder_piece(builder, piece, strlen(piece), id, err));
    }
    return CLLM_OK;
}

/* "left right" or ["left", "right"] */
static cllm_status read_merge(cllm__bpe_builder *builder, json_object *merge, cllm_error *err) {
    if (json_object_is_type(merge, json_type_array) && json_object_array_length(merge) == 2) {
        json_object *left = json_object_array_get_idx(merge, 0), *right = json_object_array_get_idx(merge, 1);
        if (json_object_is_type(left, json_type_string) && json_object_is_type(right, json_type_string)) {
            return cllm__bpe_builder_merge(builder, json_object_get_string(left), (size_t)json_object_get_string_len(left),
                                           json_object_get_string(right), (size_t)json_object_get_string_len(right), err);
        }
    }
    if (json_object_is_type(merge, json_type_string)) {
        const char *text = json_object_get_string(merge);
        size_t length = (size_t)json_object_get_string_len(merge);
        const char *space = memchr(text, ' ', length);
        if (space != NULL) {
            return cllm__bpe_builder_merge(builder, text, (size_t)(space - text), space + 1,
                                           (size_t)(text + length - space - 1), err);
        }
    }
    return cllm__fail(err, CLLM_ERR_DATA, "neither \"left right\" nor [\"left\", \"right\"]");
}

/* Our own addition to the format: the rank of each merge, where merges share one; see cllm__tokenizer_save. */
static cllm_status read_rank(cllm__bpe_builder *builder, json_object *ranks, size_t i, cllm_error *err) {
    int32_t rank, before = -1;
    bool good = cllm__json_id(json_object_array_get_idx(ranks, i), &rank);
    if (good && i != 0) good = cllm__json_id(json_object_array_get_idx(ranks, i - 1), &before);
    if (!good || rank < before) return cllm__fail(err, CLLM_ERR_DATA, "model.ranks is not ascending");
    if (rank == before) cllm__bpe_builder_share_rank(builder);
    return CLLM_OK;
}

static cllm_status read_merges(cllm__bpe_builder *builder, json_object *merges, json_object *ranks, cllm_error *err) {
    if (!json_object_is_type(merges, json_type_array)) return cllm__fail(err, CLLM_ERR_DATA, "model.merges is not a list");
    if (ranks != NULL && (!json_object_is_type(ranks, json_type_array) ||
                          json_object_array_length(ranks) != json_object_array_length(merges))) {
        return cllm__fail(err, CLLM_ERR_DATA, "model.ranks is not a list as long as model.merges");
    }
    for (size_t i = 0; i < json_object_array_length(merges); i++) {
        cllm_status status = read_merge(builder, json_object_array_get_idx(merges, i), err);
        if (status == CLLM_OK && ranks != NULL) status = read_rank(builder, ranks, i, err);
        if (status != CLLM_OK) {
            cllm__error_prefix(err, "model.merges[%zu]", i);
            return status;
        }
    }
    return CLLM_OK;
}

static cllm_status check_model(const json_object *model, cllm_error *err) {
    if (!json_object_is_type(model, json_type_object)) return cllm__fail(err, CLLM_ERR_DATA, "no model in it");
    if (member(model, "type") != NULL && strcmp(type_of(model), "BPE") != 0) {
        return unsupported(err, "a model of type", type_of(model));
    }
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < CLLM_LEN(affixes); i++) {
        const char *affix = cllm__json_text(model, affixes[i]);
        if (affix != NULL && affix[0] != '\0') return unsupported(err, "a model with a", affixes[i]);
    }
    if (member(model, "dropout") != NULL) return unsupported(err, "a model with", "dropout");
    return CLLM_OK;
}

/* After all markers, so that one may be the unknown token; "" means none. */
static cllm_status read_unknown(cllm__tokenizer_parts *parts, const json_object *model, cllm_error *err) {
    const char *unknown = cllm__json_text(model, "unk_token");
    if (unknown == NULL || unknown[0] == '\0') return CLLM_OK;
    size_t index;
    if (!cllm__names_find(parts->bpe.letters, unknown, strlen(unknown), &index)) {
        return cllm__fail(err, CLLM_ERR_DATA, "model.unk_token '%s' is not in the vocabulary",
                          cllm__show(unknown, strlen(unknown)).text);
    }
    parts->rules.unknown = parts->bpe.id_of_letters[index];
    parts->rules.fuse_unknown = cllm__json_flag(model, "fuse_unk", false);
    return CLLM_OK;
}

/* ---- Added tokens ---- */

static cllm_status read_added_one(cllm__tokenizer_parts *parts, cllm__bpe_builder *builder, const json_object *added,
                                  cllm_error *err) {
    json_object *content = member(added, "content");
    int32_t id;
    if (!json_object_is_type(content, json_type_string) || !cllm__json_id(member(added, "id"), &id)) {
        return cllm__fail(err, CLLM_ERR_DATA, "no content or no id");
    }
    const char *text = json_object_get_string(content);
    size_t length = (size_t)json_object_get_string_len(content);
    CLLM_TRY(cllm__bpe_builder_marker(builder, text, length, id, err));
    CLLM_TRY(CLLM_GROW(parts->added, parts->added_capacity, parts->added_count + 1, err));
    char *copy = cllm__strndup(text, length);
    if (copy == NULL) return cllm__fail_nomem(err);
    parts->added[parts->added_count++] = (cllm__added_token){copy, length, id, cllm__json_flag(added, "special", false)};
    return CLLM_OK;
}

static cllm_status read_added(cllm__tokenizer_parts *parts, cllm__bpe_builder *builder, const json_object *list,
                              cllm_error *err) {
    if (list == NULL) return CLLM_OK;
    if (!json_object_is_type(list, json_type_array)) return cllm__fail(err, CLLM_ERR_DATA, "added_tokens is not a list");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const json_object *added = json_object_array_get_idx(list, i);
        cllm_status status = read_added_one(parts, builder, added, err);
        if (status != CLLM_OK) {
            cllm__error_prefix(err, "added_tokens[%zu]", i);
            return status;
        }
    }
    return CLLM_OK;
}

/* ---- Normaliser, pre-tokeniser, post-processor ---- */

enum { NESTING = 8 }; /* of a Sequence in a Sequence */

static bool is_space_letter(const char *text) {
    return text != NULL && strcmp(text, CLLM_SPACE_LETTER) == 0;
}

static cllm_status read_normalizer(normalizing *n, const json_object *normalizer, int depth, cllm_error *err) {
    if (normalizer == NULL) return CLLM_OK;
    const char *type = type_of(normalizer);
    const json_object *list = member(normalizer, "normalizers");
    if (strcmp(type, "NFC") == 0) {
        n->nfc = true;
        return CLLM_OK;
    }
    if (strcmp(type, "Prepend") == 0 && is_space_letter(cllm__json_text(normalizer, "prepend"))) {
        n->prepend = true;
        return CLLM_OK;
    }
    if (strcmp(type, "Replace") == 0 && is_space_letter(cllm__json_text(normalizer, "content"))) {
        const char *what = cllm__json_text(member(normalizer, "pattern"), "String");
        n->replace = what != NULL && strcmp(what, " ") == 0;
        if (n->replace) return CLLM_OK;
    }
    if (strcmp(type, "Sequence") != 0 || !json_object_is_type(list, json_type_array) || depth == NESTING) {
        return unsupported(err, "a normaliser of type", type);
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        CLLM_TRY(read_normalizer(n, json_object_array_get_idx(list, i), depth + 1, err));
    }
    return CLLM_OK;
}

static cllm_status add_step(steps *all, const char *pattern, bool literal, bool matches, bool gaps, cllm_error *err) {
    if (all->count == CLLM_SPLIT_STEPS) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "a pre-tokeniser of more than %d steps", CLLM_SPLIT_STEPS);
    }
    char *copy = cllm__strdup(pattern);
    if (copy == NULL) return cllm__fail_nomem(err);
    all->steps[all->count++] = (cllm__split_step){copy, literal, matches, gaps};
    return CLLM_OK;
}

static cllm_status read_split(steps *all, const json_object *split, cllm_error *err) {
    const json_object *pattern = member(split, "pattern");
    const char *behavior = cllm__json_text(split, "behavior");
    json_object *text = member(pattern, "Regex");
    bool literal = text == NULL, invert = cllm__json_flag(split, "invert", false);
    if (literal) text = member(pattern, "String");
    if (!json_object_is_type(text, json_type_string) || json_object_get_string_len(text) == 0 ||
        strlen(json_object_get_string(text)) != (size_t)json_object_get_string_len(text)) {
        return cllm__fail(err, CLLM_ERR_DATA, "pre_tokenizer: a Split without a pattern, or with a NUL character in it");
    }
    if (behavior == NULL || (strcmp(behavior, "Isolated") != 0 && strcmp(behavior, "Removed") != 0)) {
        return unsupported(err, "a Split with the behavior", behavior == NULL ? "(none)" : behavior);
    }
    bool isolated = strcmp(behavior, "Isolated") == 0;
    return add_step(all, json_object_get_string(text), literal, isolated || invert, isolated || !invert, err);
}

/* Spaces become U+2581, one is put before the text, and with `split` each begins a word. */
static cllm_status read_metaspace(steps *all, const json_object *metaspace, cllm_error *err) {
    const char *replacement = cllm__json_text(metaspace, "replacement"),
               *scheme = cllm__json_text(metaspace, "prepend_scheme");
    if (replacement != NULL && !is_space_letter(replacement)) return unsupported(err, "a Metaspace of", replacement);
    if (scheme == NULL) scheme = cllm__json_flag(metaspace, "add_prefix_space", true) ? "always" : "never";
    all->metaspace = true;
    all->prefix = strcmp(scheme, "never") == 0 ? CLLM_PREFIX_NONE : CLLM_PREFIX_UNLESS_SPACE;
    if (!cllm__json_flag(metaspace, "split", true)) return CLLM_OK;
    return add_step(all, CLLM_SPACE_LETTER "[^" CLLM_SPACE_LETTER "]*|[^" CLLM_SPACE_LETTER "]+", false, true, true, err);
}

static cllm_status read_pre_tokenizer(steps *all, const json_object *pre, int depth, cllm_error *err) {
    const char *type = type_of(pre);
    const json_object *list = member(pre, "pretokenizers");
    if (all->byte_level) return unsupported(err, "a pre-tokeniser after ByteLevel,", type);
    if (strcmp(type, "Split") == 0) return read_split(all, pre, err);
    if (strcmp(type, "Metaspace") == 0 && !all->metaspace && all->count == 0) return read_metaspace(all, pre, err);
    if (strcmp(type, "Digits") == 0) {
        bool individual = cllm__json_flag(pre, "individual_digits", false);
        return add_step(all, individual ? "\\p{N}" : "\\p{N}+", false, true, true, err);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        bool space = cllm__json_flag(pre, "add_prefix_space", true);
        all->byte_level = true;
        if (space && all->count != 0) return unsupported(err, "a ByteLevel after a split with", "add_prefix_space");
        if (space) all->prefix = CLLM_PREFIX_UNLESS_SPACE;
        return cllm__json_flag(pre, "use_regex", true) ? add_step(all, cllm__gpt2_pattern, false, true, true, err)
                                                       : CLLM_OK;
    }
    if (strcmp(type, "Sequence") != 0 || !json_object_is_type(list, json_type_array) || depth == NESTING) {
        return unsupported(err, "a pre-tokeniser of type", type);
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        CLLM_TRY(read_pre_tokenizer(all, json_object_array_get_idx(list, i), depth + 1, err));
    }
    return CLLM_OK;
}

/* Normaliser and pre-tokeniser; *characters: the pieces are written in characters. */
static cllm_status read_splitter(cllm__tokenizer_parts *parts, const json_object *root, bool *characters,
                                 cllm_error *err) {
    steps all = {.count = 0};
    normalizing n = {false, false, false};
    const json_object *pre = member(root, "pre_tokenizer");
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(read_normalizer(&n, member(root, "normalizer"), 0, err));
    if (pre != NULL || !n.replace) CLLM_TRY_CLEAN(read_pre_tokenizer(&all, pre, 0, err));
    *characters = n.replace || all.metaspace;
    if (all.byte_level && *characters) CLLM_TRY_CLEAN(unsupported(err, "U+2581 for spaces with", "ByteLevel"));
    if (!all.byte_level && !*characters) CLLM_TRY_CLEAN(unsupported(err, "a pre-tokeniser without", "ByteLevel"));
    if (n.prepend && !*characters) CLLM_TRY_CLEAN(unsupported(err, "a normaliser of type", "Prepend"));
    parts->nfc = n.nfc;
    parts->prefix = n.prepend ? CLLM_PREFIX_ALWAYS : all.prefix;
    CLLM_TRY_CLEAN(cllm__splitter_create(&parts->splitter, all.steps, all.count, err));
cleanup:
    for (size_t i = 0; i < all.count; i++) cllm__free(all.steps[i].pattern);
    return status;
}

/* The special token that a TemplateProcessing puts before the text. Other post-processors leave ids as they are. */
static void read_bos(cllm__tokenizer_parts *parts, const json_object *post, int depth) {
    const json_object *list = member(post, "processors");
    if (json_object_is_type(list, json_type_array) && depth < NESTING) {
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            read_bos(parts, json_object_array_get_idx(list, i), depth + 1);
        }
    }
    const json_object *single = member(post, "single");
    if (!json_object_is_type(single, json_type_array) || json_object_array_length(single) == 0) return;
    const char *name = cllm__json_text(member(json_object_array_get_idx(single, 0), "SpecialToken"), "id");
    const json_object *ids = name == NULL ? NULL : member(member(member(post, "special_tokens"), name), "ids");
    int32_t id;
    if (json_object_is_type(ids, json_type_array) && json_object_array_length(ids) == 1 &&
        cllm__json_id(json_object_array_get_idx(ids, 0), &id) && (size_t)id < parts->bpe.count) {
        parts->bos = id;
        parts->add_bos = true;
    }
}

/* ---- All of it ---- */

static cllm_status read_parts(cllm__tokenizer_parts *parts, cllm__bpe_builder *builder, const json_object *root,
                              cllm_error *err) {
    const json_object *model = member(root, "model");
    parts->rules.unknown = CLLM_NO_PIECE;
    parts->bos = CLLM_NO_PIECE;
    CLLM_TRY(check_model(model, err));
    bool characters = false, byte_fallback = cllm__json_flag(model, "byte_fallback", false);
    CLLM_TRY(read_splitter(parts, root, &characters, err));
    parts->rules.ignore_merges = cllm__json_flag(model, "ignore_merges", false);
    if (characters) cllm__bpe_builder_characters(builder, byte_fallback);
    if (byte_fallback && !characters) return unsupported(err, "a byte-level model with", "byte_fallback");
    if (characters && parts->rules.ignore_merges) return unsupported(err, "a model in characters with", "ignore_merges");
    CLLM_TRY(read_vocab(builder, member(model, "vocab"), err));
    CLLM_TRY(read_merges(builder, member(model, "merges"), member(model, "ranks"), err));
    CLLM_TRY(read_added(parts, builder, member(root, "added_tokens"), err));
    CLLM_TRY(cllm__bpe_builder_finish(builder, &parts->bpe, err));
    CLLM_TRY(read_unknown(parts, model, err));
    read_bos(parts, member(root, "post_processor"), 0);
    return CLLM_OK;
}

cllm_status cllm__tokenizer_from_json(cllm__tokenizer **out, const char *json, size_t size, const char *name,
                                      cllm_error *err) {
    json_object *root = NULL;
    cllm__tokenizer_parts parts = {0};
    cllm__bpe_builder *builder = NULL;
    CLLM_TRY(cllm__json_parse(json, size, name, &root, err));
    cllm_status status = cllm__bpe_builder_create(&builder, err);
    if (status == CLLM_OK) {
        status = read_parts(&parts, builder, root, err);
        if (status != CLLM_OK) cllm__error_prefix(err, "%s", name);
    }
    if (status == CLLM_OK) status = cllm__tokenizer_make(out, &parts, err);
    cllm__bpe_builder_free(builder);
    cllm__tokenizer_parts_free(&parts);
    json_object_put(root);
    return status;
}
