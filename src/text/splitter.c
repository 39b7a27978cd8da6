#include "text/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/alloc.h"

/* The last two alternatives leave the last of several spaces to the word that follows. */
const char cllm__gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

enum {
    PATTERN_LIMIT = 1 << 16,
    MATCH_LIMIT = 10 * 1000 * 1000, /* PCRE2's own default */
    HEAP_LIMIT = 64 * 1024          /* KiB, for the interpreter */
};

typedef struct step {
    cllm__split_step as_given;
    pcre2_code *code;
} step;

struct cllm__splitter {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    size_t count;
    step steps[CLLM_SPLIT_STEPS];
};

/* One step's place in the piece that it cuts: text[at … end) is still to do. */
typedef struct level {
    size_t begin, end, at;
    size_t match_begin, match_end; /* found, and not yet handed on, if match_end > at */
} level;

struct cllm__split_walk {
    const cllm__splitter *splitter;
    pcre2_match_data *found;
    const char *text;
    size_t length;
    bool started; /* the whole text was handed to the first step */
    level levels[CLLM_SPLIT_STEPS];
};

static void *take_memory(size_t size, void *user) {
    (void)user;
    return cllm__alloc(size, 1);
}

static void give_memory(void *block, void *user) {
    (void)user;
    cllm__free(block);
}

/* `\s` → `\p{White_Space}`, `\S` → `\P{White_Space}`. */
static cllm_status translate(const char *pattern, char **out, cllm_error *err) {
    static const char space[] = "\\p{White_Space}", other[] = "\\P{White_Space}";
    size_t length = strlen(pattern), used = 0;
    char *result = cllm__alloc(length / 2 * (sizeof space - 1) + length + 1, 1);
    if (result == NULL) return cllm__fail_nomem(err);
    for (size_t i = 0; i < length; i++) {
        if (pattern[i] == '\\' && (pattern[i + 1] == 's' || pattern[i + 1] == 'S')) {
            memcpy(result + used, pattern[i + 1] == 's' ? space : other, sizeof space - 1);
            used += sizeof space - 1;
            i++;
        } else {
            result[used++] = pattern[i];
            if (pattern[i] == '\\' && i + 1 < length) result[used++] = pattern[++i];
        }
    }
    result[used] = '\0';
    *out = result;
    return CLLM_OK;
}

static cllm_status compile(cllm__splitter *splitter, step *s, cllm_error *err) {
    const char *pattern = s->as_given.pattern;
    if (strlen(pattern) > PATTERN_LIMIT) {
        return cllm__fail(err, CLLM_ERR_DATA, "a pattern of %zu bytes; at most %d are taken", strlen(pattern),
                          PATTERN_LIMIT);
    }
    pcre2_compile_context *context = pcre2_compile_context_create(splitter->memory);
    if (context == NULL) return cllm__fail_nomem(err);
    char *translated = NULL;
    cllm_status status = s->as_given.literal ? CLLM_OK : translate(pattern, &translated, err);
    if (status == CLLM_OK) {
        uint32_t options =
            s->as_given.literal ? PCRE2_UTF | PCRE2_LITERAL : PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
        int code;
        PCRE2_SIZE offset;
        s->code = pcre2_compile((PCRE2_SPTR)(translated != NULL ? translated : pattern), PCRE2_ZERO_TERMINATED, options,
                                &code, &offset, context);
        if (s->code == NULL && code == PCRE2_ERROR_HEAP_FAILED) status = cllm__fail_nomem(err);
        else if (s->code == NULL) {
            char reason[128] = "";
            pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
            status = cllm__fail(err, CLLM_ERR_DATA, "the pattern '%.100s' cannot be used: %s", pattern, reason);
        }
    }
    cllm__free(translated);
    pcre2_compile_context_free(context);
    /* Without the compiler (a system that forbids it) the interpreter does the same, slower. */
    if (status == CLLM_OK) pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
    return status;
}

cllm_status cllm__splitter_create(cllm__splitter **out, const cllm__split_step *steps, size_t count, cllm_error *err) {
    if (count > CLLM_SPLIT_STEPS) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "a pre-tokeniser of %zu steps; at most %d are taken", count,
                          CLLM_SPLIT_STEPS);
    }
    cllm_status status = CLLM_OK;
    cllm__splitter *splitter;
    CLLM_TRY(CLLM_NEW(splitter, 1, err));
    splitter->memory = pcre2_general_context_create(take_memory, give_memory, NULL);
    splitter->limits = splitter->memory == NULL ? NULL : pcre2_match_context_create(splitter->memory);
    if (splitter->limits == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
    pcre2_set_match_limit(splitter->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(splitter->limits, HEAP_LIMIT);
    for (size_t i = 0; i < count; i++) {
        step *s = &splitter->steps[splitter->count++];
        s->as_given = steps[i];
        s->as_given.pattern = cllm__strdup(steps[i].pattern);
        if (s->as_given.pattern == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
        CLLM_TRY_CLEAN(compile(splitter, s, err));
    }
    *out = splitter;
    return CLLM_OK;
cleanup:
    cllm__splitter_free(splitter);
    return status;
}

void cllm__splitter_free(cllm__splitter *splitter) {
    if (splitter == NULL) return;
    for (size_t i = 0; i < splitter->count; i++) {
        pcre2_code_free(splitter->steps[i].code);
        cllm__free(splitter->steps[i].as_given.pattern);
    }
    pcre2_match_context_free(splitter->limits);
    pcre2_general_context_free(splitter->memory);
    cllm__free(splitter);
}

size_t cllm__splitter_steps(const cllm__splitter *splitter) {
    return splitter->count;
}

const cllm__split_step *cllm__splitter_step(const cllm__splitter *splitter, size_t index) {
    CLLM_ASSERT(index < splitter->count);
    return &splitter->steps[index].as_given;
}

cllm_status cllm__split_walk_create(cllm__split_walk **out, const cllm__splitter *splitter, cllm_error *err) {
    cllm__split_walk *walk;
    CLLM_TRY(CLLM_NEW(walk, 1, err));
    walk->splitter = splitter;
    walk->found = pcre2_match_data_create(1, splitter->memory);
    if (walk->found == NULL) {
        cllm__free(walk);
        return cllm__fail_nomem(err);
    }
    *out = walk;
    return CLLM_OK;
}

void cllm__split_walk_free(cllm__split_walk *walk) {
    if (walk == NULL) return;
    pcre2_match_data_free(walk->found);
    cllm__free(walk);
}

void cllm__split_walk_begin(cllm__split_walk *walk, const char *text, size_t length) {
    walk->text = text;
    walk->length = length;
    walk->started = false;
    memset(walk->levels, 0, walk->splitter->count * sizeof walk->levels[0]);
}

/* Looks for the step's next match at or after l->at; without one the match is empty at the piece's end. */
static cllm_status find(cllm__split_walk *walk, size_t index, level *l, cllm_error *err) {
    const step *s = &walk->splitter->steps[index];
    PCRE2_SPTR subject = (PCRE2_SPTR)walk->text + l->begin;
    size_t length = l->end - l->begin, from = l->at - l->begin;
    int result = pcre2_match(s->code, subject, length, from, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, walk->found,
                             walk->splitter->limits);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
        result = pcre2_match(s->code, subject, length, from, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY | PCRE2_NO_JIT,
                             walk->found, walk->splitter->limits);
    }
    if (result == PCRE2_ERROR_NOMATCH) {
        l->match_begin = l->match_end = l->end;
        return CLLM_OK;
    }
    if (result == PCRE2_ERROR_NOMEMORY) return cllm__fail_nomem(err);
    if (result < 0) {
        char reason[128] = "";
        pcre2_get_error_message(result, (PCRE2_UCHAR *)reason, sizeof reason);
        return cllm__fail(err, CLLM_ERR_DATA, "the tokenizer's pattern '%.100s' fails on this text: %s",
                          s->as_given.pattern, reason);
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(walk->found);
    /* \K in a look-around can move the ends anywhere; such a match is cut to what is still to do. */
    size_t begin = l->begin + span[0], end = l->begin + span[1];
    l->match_begin = begin < l->at ? l->at : begin;
    l->match_end = end < l->match_begin ? l->match_begin : end;
    if (l->match_end == l->match_begin) l->match_begin = l->match_end = l->end;
    return CLLM_OK;
}

/* The next piece that the first `count` steps make. The recursion is as deep as there are steps. */
static cllm_status next(cllm__split_walk *walk, size_t count, size_t *begin, size_t *end, cllm_error *err) {
    if (count == 0) {
        *begin = walk->started ? walk->length : 0;
        *end = walk->length;
        walk->started = true;
        return CLLM_OK;
    }
    level *l = &walk->levels[count - 1];
    const cllm__split_step *s = &walk->splitter->steps[count - 1].as_given;
    for (;;) {
        if (l->at == l->end) {
            CLLM_TRY(next(walk, count - 1, &l->begin, &l->end, err));
            l->at = l->match_end = l->begin;
            if (l->begin == l->end) {
                *begin = *end = l->end;
                return CLLM_OK;
            }
        }
        if (l->match_end <= l->at) CLLM_TRY(find(walk, count - 1, l, err));
        bool gap = l->at < l->match_begin;
        *begin = l->at;
        *end = l->at = gap ? l->match_begin : l->match_end;
        if (gap ? s->keep_gaps : s->keep_matches) return CLLM_OK;
    }
}

cllm_status cllm__split_walk_next(cllm__split_walk *walk, size_t *begin, size_t *end, cllm_error *err) {
    return next(walk, walk->splitter->count, begin, end, err);
}
