/* The set of templates that a run uses, and its place in the configuration. */
#include <json-c/json.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "text/bpe.h"
#include "text/prompt.h"

typedef struct entry {
    const char *name, *text, *must, *may;
    size_t offset;
} entry;

static const entry entries[] = {
#define ENTRY(name, text, must, may) {#name, text, must, may, offsetof(cllm__prompts, name)},
    CLLM_PROMPT_LIST(ENTRY)
#undef ENTRY
};

const char *cllm__prompt_default(const char *name) {
    size_t i = 0;
    while (i < CLLM_LEN(entries) && strcmp(entries[i].name, name) != 0) i++;
    CLLM_ASSERT(i < CLLM_LEN(entries));
    return entries[i].text;
}

static cllm__prompt *prompt_of(cllm__prompts *prompts, const entry *e) {
    return (cllm__prompt *)((char *)prompts + e->offset);
}

/* Every template has the slots that its use fills, and no other. */
static cllm_status check_slots(const cllm__prompt *prompt, const entry *e, cllm_error *err) {
    const struct {
        char letter;
        size_t count;
        const char *name;
    } slots[] = {{'U', prompt->users, "user_{i}"}, {'I', prompt->items_one, "item_{j}"}, {'L', prompt->lists, "{items}"}};
    for (size_t i = 0; i < CLLM_LEN(slots); i++) {
        bool must = strchr(e->must, slots[i].letter) != NULL, may = must || strchr(e->may, slots[i].letter) != NULL;
        if (must && slots[i].count == 0) {
            return cllm__fail(err, CLLM_ERR_DATA, "the template '%.100s' needs %s", prompt->text, slots[i].name);
        }
        if (!may && slots[i].count != 0) {
            return cllm__fail(err, CLLM_ERR_DATA, "the template '%.100s' cannot have %s", prompt->text, slots[i].name);
        }
    }
    return CLLM_OK;
}

/* The template's text: the override if there is one. */
static cllm_status choose(const entry *e, const json_object *overrides, const char **text, cllm_error *err) {
    json_object *value;
    *text = e->text;
    if (overrides == NULL || !json_object_object_get_ex(overrides, e->name, &value)) return CLLM_OK;
    if (!json_object_is_type(value, json_type_string)) return cllm__fail(err, CLLM_ERR_DATA, "not a string");
    *text = json_object_get_string(value);
    if (strlen(*text) != (size_t)json_object_get_string_len(value)) {
        return cllm__fail(err, CLLM_ERR_DATA, "a NUL character in the template");
    }
    return CLLM_OK;
}

static cllm_status check_names(const json_object *overrides, cllm_error *err) {
    if (overrides == NULL) return CLLM_OK;
    if (!json_object_is_type(overrides, json_type_object)) {
        return cllm__fail(err, CLLM_ERR_DATA, "prompts: not an object of templates");
    }
    json_object_object_foreach(overrides, name, value) {
        bool known = false;
        (void)value;
        for (size_t i = 0; i < CLLM_LEN(entries); i++) known = known || strcmp(entries[i].name, name) == 0;
        if (!known) {
            return cllm__fail(err, CLLM_ERR_DATA,
                              "prompts: there is no template '%s'; the names are"
#define NAME(name, text, must, may) " " #name
                              CLLM_PROMPT_LIST(NAME),
#undef NAME
                              cllm__show(name, strlen(name)).text);
        }
    }
    return CLLM_OK;
}

cllm_status cllm__prompts_compile(cllm__prompts *prompts, const cllm__tokenizer *tokenizer, json_object *overrides,
                                  cllm_error *err) {
    cllm__prompts made;
    memset(&made, 0, sizeof made);
    CLLM_TRY(check_names(overrides, err));
    for (size_t i = 0; i < CLLM_LEN(entries); i++) {
        const char *text;
        cllm_status status = choose(&entries[i], overrides, &text, err);
        if (status == CLLM_OK) status = cllm__prompt_compile(prompt_of(&made, &entries[i]), tokenizer, text, err);
        if (status == CLLM_OK) status = check_slots(prompt_of(&made, &entries[i]), &entries[i], err);
        if (status != CLLM_OK) {
            cllm__error_prefix(err, "prompts.%s", entries[i].name);
            cllm__prompts_free(&made);
            return status;
        }
    }
    *prompts = made;
    return CLLM_OK;
}

/* The word that takes the place of another: the same for the same word. */
static int32_t random_word(const cllm__tokenizer *tokenizer, int32_t word, uint64_t seed) {
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_PROMPT, 3, (uint64_t)word);
    return (int32_t)cllm__rng_below(&rng, cllm__tokenizer_size(tokenizer));
}

static cllm_status shape_one(cllm__prompt *prompt, const cllm__tokenizer *tokenizer, const cllm__prompt_shape *shape, cllm_error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < prompt->length; i++) {
        int32_t id = prompt->pattern[i];
        if (id == CLLM_SLOT_USER && shape->without_user) continue;
        if (id >= 0 && shape->hard_words == CLLM__HARD_WORDS_NONE) continue;
        if (id >= 0 && shape->hard_words == CLLM__HARD_WORDS_RANDOM) id = random_word(tokenizer, id, shape->seed);
        prompt->pattern[kept++] = id;
    }
    if (kept <= prompt->lists) {
        return cllm__fail(err, CLLM_ERR_USAGE, "without words and without a user token nothing is left of the template '%.100s'", prompt->text);
    }
    prompt->length = kept;
    if (shape->without_user) prompt->users = 0;
    if (shape->join == NULL) return CLLM_OK;
    return cllm__tokenizer_encode_inner(tokenizer, shape->join, strlen(shape->join), &prompt->join, err);
}

/* "12, 57, 103" */
static cllm_status spell_lists(cllm__prompts *prompts, const cllm__tokenizer *tokenizer, size_t count, cllm_error *err) {
    CLLM_TRY(CLLM_NEW(prompts->numbers, 1, err));
    CLLM_TRY(cllm__numbers_create(prompts->numbers, tokenizer, " ", count, err));
    prompts->collab.spelled = prompts->rec.spelled = prompts->numbers;
    return CLLM_OK;
}

cllm_status cllm__prompts_shape(cllm__prompts *prompts, const cllm__tokenizer *tokenizer, cllm__prompt_shape shape, cllm_error *err) {
    if (shape.spelled > 0) {
        if (shape.join == NULL) shape.join = ",";
        CLLM_TRY(spell_lists(prompts, tokenizer, shape.spelled, err));
    }
    CLLM_TRY(shape_one(&prompts->collab, tokenizer, &shape, err));
    return shape_one(&prompts->rec, tokenizer, &shape, err);
}

cllm_status cllm__prompts_begin(cllm__prompts *prompts, int32_t bos, cllm_error *err) {
    for (size_t i = 0; bos >= 0 && i < CLLM_LEN(entries); i++) {
        cllm__prompt *prompt = prompt_of(prompts, &entries[i]);
        int32_t *pattern = cllm__alloc(prompt->length + 1, sizeof *pattern);
        if (pattern == NULL) return cllm__fail_nomem(err);
        pattern[0] = bos;
        memcpy(pattern + 1, prompt->pattern, prompt->length * sizeof *pattern);
        cllm__free(prompt->pattern);
        prompt->pattern = pattern;
        prompt->length++;
    }
    return CLLM_OK;
}

void cllm__prompts_free(cllm__prompts *prompts) {
    for (size_t i = 0; i < CLLM_LEN(entries); i++) cllm__prompt_free(prompt_of(prompts, &entries[i]));
    if (prompts->numbers != NULL) cllm__numbers_free(prompts->numbers);
    cllm__free(prompts->numbers);
    prompts->numbers = NULL;
}

cllm_status cllm__prompts_to_json(const cllm__prompts *prompts, json_object **object, cllm_error *err) {
    json_object *made = json_object_new_object();
    bool good = made != NULL;
    for (size_t i = 0; good && i < CLLM_LEN(entries); i++) {
        const cllm__prompt *prompt = (const cllm__prompt *)((const char *)prompts + entries[i].offset);
        json_object *text = json_object_new_string(prompt->text);
        good = text != NULL && json_object_object_add(made, entries[i].name, text) == 0;
        if (!good) json_object_put(text);
    }
    if (!good) {
        json_object_put(made);
        return cllm__fail_nomem(err);
    }
    *object = made;
    return CLLM_OK;
}
