#include "text/tokenizer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/io.h"
#include "formats/gguf.h"
#include "formats/utf8.h"
#include "text/nfc.h"
#include "text/tokenizer_parts.h"

/* What one encoding thread writes to. Kept with the tokenizer between calls. */
struct cllm__text_scratch {
    cllm__text_scratch *next;
    cllm__split_walk *walk;
    cllm__words *words;
    char *subject, *text; /* text: with the prefix space */
    size_t subject_capacity, text_capacity;
    cllm__nfc nfc;
};

/* ---- Lists of tokens ---- */

void cllm__tokens_free(cllm__tokens *tokens) {
    cllm__free(tokens->ids);
    *tokens = (cllm__tokens){0};
}

cllm_status cllm__tokens_add(cllm__tokens *tokens, const int32_t *ids, size_t count, cllm_error *err) {
    if (count > tokens->capacity - tokens->count) {
        CLLM_TRY(CLLM_GROW(tokens->ids, tokens->capacity, tokens->count + count, err));
    }
    if (count != 0) memcpy(tokens->ids + tokens->count, ids, count * sizeof *ids);
    tokens->count += count;
    return CLLM_OK;
}

/* ---- Making and closing ---- */

void cllm__tokenizer_parts_free(cllm__tokenizer_parts *parts) {
    cllm__bpe_free(&parts->bpe);
    cllm__splitter_free(parts->splitter);
    for (size_t i = 0; i < parts->added_count; i++) cllm__free(parts->added[i].content);
    cllm__free(parts->added);
    *parts = (cllm__tokenizer_parts){0};
}

cllm_status cllm__tokenizer_parts_split(cllm__tokenizer_parts *parts, const char *const *patterns, size_t count,
                                        cllm_error *err) {
    cllm__split_step steps[CLLM_SPLIT_STEPS] = {{0}};
    cllm_status status = CLLM_OK;
    CLLM_ASSERT(count <= CLLM_SPLIT_STEPS);
    for (size_t i = 0; i < count; i++) {
        steps[i] = (cllm__split_step){.pattern = cllm__strdup(patterns[i]), .keep_matches = true, .keep_gaps = true};
        if (steps[i].pattern == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
    }
    status = cllm__splitter_create(&parts->splitter, steps, count, err);
cleanup:
    for (size_t i = 0; i < count; i++) cllm__free(steps[i].pattern);
    return status;
}

cllm_status cllm__tokenizer_parts_gpt2(cllm__tokenizer_parts *parts, cllm_error *err) {
    const char *pattern = cllm__gpt2_pattern;
    parts->rules = (cllm__word_rules){.unknown = CLLM_NO_PIECE};
    parts->bos = CLLM_NO_PIECE;
    return cllm__tokenizer_parts_split(parts, &pattern, 1, err);
}

static bool is_gpt2(const cllm__tokenizer_parts *p) {
    if (p->nfc || p->prefix != CLLM_PREFIX_NONE || p->bpe.characters || p->added_count != 0 || p->add_bos || p->rules.ignore_merges ||
        p->rules.unknown != CLLM_NO_PIECE || cllm__splitter_steps(p->splitter) != 1) {
        return false;
    }
    const cllm__split_step *step = cllm__splitter_step(p->splitter, 0);
    return !step->literal && step->keep_matches && step->keep_gaps && strcmp(step->pattern, cllm__gpt2_pattern) == 0;
}

/* Numbers go in little-endian order of bytes, texts with their NUL: the same on every machine. */
static void hash_number(cllm__hasher *hasher, uint64_t number) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(number >> 8 * i);
    cllm__hasher_add(hasher, bytes, sizeof bytes);
}

static cllm_status hash_parts(const cllm__tokenizer_parts *p, uint64_t *hash, cllm_error *err) {
    cllm__hasher *hasher = cllm__hasher_new();
    if (hasher == NULL) return cllm__fail_nomem(err);
    hash_number(hasher, p->bpe.count);
    for (size_t id = 0; id < p->bpe.count; id++) {
        const char *letters = cllm__bpe_letters(&p->bpe, (int32_t)id);
        cllm__hasher_add(hasher, letters, strlen(letters) + 1);
    }
    hash_number(hasher, p->bpe.merge_count);
    for (size_t i = 0; i < p->bpe.merge_count; i++) {
        hash_number(hasher, (uint64_t)p->bpe.merges[i][0] << 32 | (uint64_t)p->bpe.merges[i][1]);
        if (p->bpe.ranks[i] != i) hash_number(hasher, p->bpe.ranks[i]);
    }
    hash_number(hasher, cllm__splitter_steps(p->splitter));
    for (size_t i = 0; i < cllm__splitter_steps(p->splitter); i++) {
        const cllm__split_step *step = cllm__splitter_step(p->splitter, i);
        hash_number(hasher, step->literal | step->keep_matches << 1 | step->keep_gaps << 2);
        cllm__hasher_add(hasher, step->pattern, strlen(step->pattern) + 1);
    }
    hash_number(hasher, p->rules.ignore_merges | p->rules.fuse_unknown << 1 | p->nfc << 2 | (uint64_t)p->prefix << 3 |
                            (uint64_t)p->bpe.characters << 5 | (uint64_t)p->bpe.byte_fallback << 6);
    hash_number(hasher, (uint64_t)(uint32_t)p->rules.unknown);
    *hash = cllm__hasher_end(hasher);
    return CLLM_OK;
}

cllm_status cllm__tokenizer_make(cllm__tokenizer **out, cllm__tokenizer_parts *parts, cllm_error *err) {
    cllm__tokenizer *t = cllm__zalloc(1, sizeof *t);
    if (t == NULL) {
        cllm__tokenizer_parts_free(parts);
        return cllm__fail_nomem(err);
    }
    t->parts = *parts;
    *parts = (cllm__tokenizer_parts){0};
    cllm_status status = CLLM_OK;
    t->gpt2 = is_gpt2(&t->parts);
    CLLM_TRY_CLEAN(hash_parts(&t->parts, &t->hash, err));
    CLLM_TRY_CLEAN(CLLM_NEW(t->idle, 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(t->lock, 1, err));
    if (pthread_mutex_init(t->lock, NULL) != 0) {
        cllm__free(t->lock);
        t->lock = NULL;
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_FAILED, "cannot make a lock"));
    }
    *out = t;
    return CLLM_OK;
cleanup:
    cllm__tokenizer_close(t);
    return status;
}

static void scratch_free(cllm__text_scratch *s) {
    cllm__split_walk_free(s->walk);
    cllm__words_free(s->words);
    cllm__free(s->subject);
    cllm__free(s->text);
    cllm__nfc_free(&s->nfc);
    cllm__free(s);
}

void cllm__tokenizer_close(cllm__tokenizer *t) {
    if (t == NULL) return;
    for (cllm__text_scratch *s = t->idle == NULL ? NULL : *t->idle, *next; s != NULL; s = next) {
        next = s->next;
        scratch_free(s);
    }
    cllm__free(t->idle);
    if (t->lock != NULL) pthread_mutex_destroy(t->lock);
    cllm__free(t->lock);
    cllm__tokenizer_parts_free(&t->parts);
    cllm__free(t);
}

static cllm_status open_vocab(cllm__tokenizer **out, const char *vocab_path, const char *merges_path, cllm_error *err) {
    char *vocab = NULL, *merges = NULL;
    size_t vocab_size, merges_size;
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(cllm__read_file(vocab_path, CLLM_TOKENIZER_FILE_LIMIT, &vocab, &vocab_size, err));
    CLLM_TRY_CLEAN(cllm__read_file(merges_path, CLLM_TOKENIZER_FILE_LIMIT, &merges, &merges_size, err));
    CLLM_TRY_CLEAN(cllm__tokenizer_from_vocab(out, vocab, vocab_size, merges, merges_size, vocab_path, merges_path, err));
cleanup:
    cllm__free(vocab);
    cllm__free(merges);
    return status;
}

static cllm_status open_json(cllm__tokenizer **out, const char *path, cllm_error *err) {
    char *json;
    size_t size;
    CLLM_TRY(cllm__read_file(path, CLLM_TOKENIZER_FILE_LIMIT, &json, &size, err));
    cllm_status status = cllm__tokenizer_from_json(out, json, size, path, err);
    cllm__free(json);
    return status;
}

static cllm_status open_gguf(cllm__tokenizer **out, const char *path, cllm_error *err) {
    cllm__gguf *file;
    CLLM_TRY(cllm__gguf_open(&file, path, err));
    cllm_status status = cllm__tokenizer_from_gguf(out, file, err);
    cllm__gguf_close(file);
    return status;
}

cllm_status cllm__tokenizer_open(cllm__tokenizer **out, const char *path, cllm_error *err) {
    cllm__tokenizer *t = NULL;
    bool gguf = false;
    if (!cllm__path_is_folder(path)) {
        CLLM_TRY(cllm__gguf_recognise(path, &gguf, err));
        return gguf ? open_gguf(out, path, err) : open_json(out, path, err);
    }
    char *json = cllm__path_join(path, "tokenizer.json"), *vocab = cllm__path_join(path, "vocab.json"),
         *merges = cllm__path_join(path, "merges.txt");
    cllm_status status = CLLM_OK;
    if (json == NULL || vocab == NULL || merges == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
    bool whole = cllm__path_exists(json);
    if (whole) CLLM_TRY_CLEAN(open_json(&t, json, err));
    else if (cllm__path_exists(vocab) || cllm__path_exists(merges)) CLLM_TRY_CLEAN(open_vocab(&t, vocab, merges, err));
    else {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_NOT_FOUND,
                                  "'%s' holds no tokenizer: neither tokenizer.json nor vocab.json with merges.txt", path));
    }
    CLLM_TRY_CLEAN(cllm__tokenizer_read_config(t, path, !whole, err));
    t->gpt2 = is_gpt2(&t->parts);
    *out = t;
cleanup:
    if (status != CLLM_OK) cllm__tokenizer_close(t);
    cllm__free(json);
    cllm__free(vocab);
    cllm__free(merges);
    return status;
}

size_t cllm__tokenizer_size(const cllm__tokenizer *t) {
    return t->parts.bpe.count;
}

uint64_t cllm__tokenizer_hash(const cllm__tokenizer *t) {
    return t->hash;
}

size_t cllm__tokenizer_missing_bytes(const cllm__tokenizer *t) {
    size_t missing = 0;
    for (size_t b = 0; b < CLLM_LEN(t->parts.bpe.byte_id); b++) missing += t->parts.bpe.byte_id[b] == CLLM_NO_PIECE;
    return t->parts.rules.unknown == CLLM_NO_PIECE ? missing : 0;
}

int32_t cllm__tokenizer_bos(const cllm__tokenizer *t) {
    return t->parts.add_bos ? t->parts.bos : CLLM_NO_PIECE;
}

static const char *const bos_names[] = {[CLLM_BOS_AUTO] = "auto", [CLLM_BOS_ON] = "on", [CLLM_BOS_OFF] = "off"};

cllm_status cllm__bos_parse(const char *text, cllm__bos *bos, cllm_error *err) {
    for (size_t i = 0; i < CLLM_LEN(bos_names); i++) {
        if (strcmp(text == NULL ? "auto" : text, bos_names[i]) != 0) continue;
        *bos = (cllm__bos)i;
        return CLLM_OK;
    }
    return cllm__fail(err, CLLM_ERR_USAGE, "bos '%.40s': give auto, on or off", text);
}

const char *cllm__bos_name(cllm__bos bos) {
    return bos_names[bos];
}

cllm_status cllm__tokenizer_choose_bos(const cllm__tokenizer *t, cllm__bos bos, int32_t *id, cllm_error *err) {
    /* vocab.json and many a tokenizer.json do not say which one it is. */
    static const char *const usual[] = {"<s>", "<|begin_of_text|>", "<|endoftext|>"};
    int32_t found = bos == CLLM_BOS_ON ? t->parts.bos : bos == CLLM_BOS_AUTO ? cllm__tokenizer_bos(t) : CLLM_NO_PIECE;
    for (size_t i = 0; bos == CLLM_BOS_ON && found == CLLM_NO_PIECE && i < CLLM_LEN(usual); i++) {
        found = cllm__tokenizer_find(t, usual[i]);
    }
    if (bos == CLLM_BOS_ON && found == CLLM_NO_PIECE) {
        return cllm__fail(err, CLLM_ERR_USAGE, "the tokenizer has no token that begins a sequence; leave --bos on away");
    }
    *id = found;
    return CLLM_OK;
}

int32_t cllm__tokenizer_find(const cllm__tokenizer *t, const char *written) {
    size_t index;
    const cllm__bpe *bpe = &t->parts.bpe;
    return cllm__names_find(bpe->letters, written, strlen(written), &index) ? bpe->id_of_letters[index] : CLLM_NO_PIECE;
}

/* ---- Encoding ---- */

cllm_status cllm__subject(const char *text, size_t length, char **buffer, size_t *capacity, const char **subject,
                          cllm_error *err) {
    size_t good = cllm__utf8_check(text, length);
    if (good == length) {
        *subject = text;
        return CLLM_OK;
    }
    CLLM_TRY(CLLM_GROW(*buffer, *capacity, length, err));
    memcpy(*buffer, text, length);
    while (good < length) {
        (*buffer)[good++] = '\x01';
        good += cllm__utf8_check(text + good, length - good);
    }
    *subject = *buffer;
    return CLLM_OK;
}

static bool is_ascii(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x80) return false;
    }
    return true;
}

static bool begins_with(const char *text, size_t length, const char *what) {
    size_t size = strlen(what);
    return length >= size && memcmp(text, what, size) == 0;
}

/* *text with its prefix space, and with U+2581 for spaces where the pieces are written in characters. */
static cllm_status put_spaces(const cllm__tokenizer *t, cllm__text_scratch *s, cllm__prefix prefix, const char **text,
                              size_t *length, cllm_error *err) {
    bool characters = t->parts.bpe.characters;
    const char *space = characters ? CLLM_SPACE_LETTER : " ";
    bool begun = begins_with(*text, *length, " ") || begins_with(*text, *length, space);
    bool add = *length != 0 && (prefix == CLLM_PREFIX_ALWAYS || (prefix == CLLM_PREFIX_UNLESS_SPACE && !begun));
    if (!add && !characters) return CLLM_OK;
    size_t wide = characters ? 3 : 1, used = 0;
    if (*length > SIZE_MAX / 4) return cllm__fail_nomem(err);
    CLLM_TRY(CLLM_GROW(s->text, s->text_capacity, *length * wide + wide, err));
    if (add) {
        memcpy(s->text, space, wide);
        used = wide;
    }
    if (!characters) {
        memcpy(s->text + used, *text, *length);
        used += *length;
    }
    for (size_t i = 0; characters && i < *length; i++) {
        if ((*text)[i] != ' ') s->text[used++] = (*text)[i];
        else {
            memcpy(s->text + used, space, wide);
            used += wide;
        }
    }
    *text = s->text;
    *length = used;
    return CLLM_OK;
}

static cllm_status encode(const cllm__tokenizer *t, cllm__text_scratch *s, const char *text, size_t length,
                          cllm__prefix prefix, size_t max_tokens, cllm__tokens *out, cllm_error *err) {
    size_t first = out->count, begin, end;
    if (t->parts.nfc && !is_ascii(text, length)) {
        CLLM_TRY(cllm__nfc_run(&s->nfc, text, length, err));
        text = s->nfc.text;
        length = s->nfc.length;
    }
    CLLM_TRY(put_spaces(t, s, prefix, &text, &length, err));
    const char *subject;
    CLLM_TRY(cllm__subject(text, length, &s->subject, &s->subject_capacity, &subject, err));
    cllm__split_walk_begin(s->walk, subject, length);
    while (out->count - first < max_tokens) {
        CLLM_TRY(cllm__split_walk_next(s->walk, &begin, &end, err));
        if (begin == end) break;
        CLLM_TRY(cllm__words_encode(s->words, text + begin, end - begin, out, err));
    }
    if (out->count - first > max_tokens) out->count = first + max_tokens;
    return CLLM_OK;
}

static cllm_status scratch_take(const cllm__tokenizer *t, cllm__text_scratch **out, cllm_error *err) {
    pthread_mutex_lock(t->lock);
    cllm__text_scratch *s = *t->idle;
    if (s != NULL) *t->idle = s->next;
    pthread_mutex_unlock(t->lock);
    if (s == NULL) {
        CLLM_TRY(CLLM_NEW(s, 1, err));
        cllm_status status = cllm__split_walk_create(&s->walk, t->parts.splitter, err);
        if (status == CLLM_OK) status = cllm__words_create(&s->words, &t->parts.bpe, t->parts.rules, err);
        if (status != CLLM_OK) {
            scratch_free(s);
            return status;
        }
    }
    *out = s;
    return CLLM_OK;
}

/* A buffer that one huge text has made big goes; the others serve the next text. */
static void scratch_give(const cllm__tokenizer *t, cllm__text_scratch *s) {
    enum { KEEP = 1 << 18 };
    if (s->subject_capacity > KEEP) {
        cllm__free(s->subject);
        s->subject = NULL;
        s->subject_capacity = 0;
    }
    if (s->text_capacity > KEEP) {
        cllm__free(s->text);
        s->text = NULL;
        s->text_capacity = 0;
    }
    if (s->nfc.point_capacity > KEEP) cllm__nfc_free(&s->nfc);
    pthread_mutex_lock(t->lock);
    s->next = *t->idle;
    *t->idle = s;
    pthread_mutex_unlock(t->lock);
}

static cllm_status encode_with(const cllm__tokenizer *t, const char *text, size_t length, cllm__prefix prefix,
                               size_t max_tokens, cllm__tokens *append_to, cllm_error *err) {
    cllm__text_scratch *s;
    size_t before = append_to->count;
    CLLM_TRY(scratch_take(t, &s, err));
    cllm_status status = encode(t, s, text, length, prefix, max_tokens, append_to, err);
    if (status != CLLM_OK) append_to->count = before;
    scratch_give(t, s);
    return status;
}

cllm_status cllm__tokenizer_encode_main(const cllm__tokenizer *t, const char *text, size_t length, bool leading_space,
                                        size_t max_tokens, cllm__tokens *append_to, cllm_error *err) {
    cllm__prefix prefix = t->parts.prefix;
    if (leading_space && prefix == CLLM_PREFIX_NONE) prefix = CLLM_PREFIX_UNLESS_SPACE;
    return encode_with(t, text, length, prefix, max_tokens, append_to, err);
}

cllm_status cllm__tokenizer_encode(const cllm__tokenizer *t, const char *text, size_t length, cllm__tokens *append_to,
                                   cllm_error *err) {
    return encode_with(t, text, length, t->parts.prefix, SIZE_MAX, append_to, err);
}

cllm_status cllm__tokenizer_encode_inner(const cllm__tokenizer *t, const char *text, size_t length,
                                         cllm__tokens *append_to, cllm_error *err) {
    return encode_with(t, text, length, CLLM_PREFIX_NONE, SIZE_MAX, append_to, err);
}

/* ---- Decoding ---- */

const char *cllm__tokenizer_piece(const cllm__tokenizer *t, int32_t id, size_t *length) {
    const cllm__bpe *bpe = &t->parts.bpe;
    if (id < 0 || (size_t)id >= bpe->count) return NULL;
    *length = bpe->start[id + 1] - bpe->start[id] - 1;
    return bpe->bytes + bpe->start[id];
}

cllm_status cllm__tokenizer_decode(const cllm__tokenizer *t, const int32_t *ids, size_t count, char **text, size_t *length,
                                   cllm_error *err) {
    size_t total = 0, used = 0, size;
    for (size_t i = 0; i < count; i++) {
        if (cllm__tokenizer_piece(t, ids[i], &size) == NULL) {
            return cllm__fail(err, CLLM_ERR_DATA, "token %zu is %d, which is no piece of the vocabulary (0 to %zu)", i,
                              ids[i], t->parts.bpe.count - 1);
        }
        total += size;
    }
    char *result = cllm__alloc(total + 1, 1);
    if (result == NULL) return cllm__fail_nomem(err);
    for (size_t i = 0; i < count; i++) {
        const char *piece = cllm__tokenizer_piece(t, ids[i], &size);
        memcpy(result + used, piece, size);
        used += size;
    }
    result[used] = '\0';
    *text = result;
    *length = used;
    return CLLM_OK;
}
