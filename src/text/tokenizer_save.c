/* Writing a tokenizer as the files that text/tokenizer_vocab.c and text/tokenizer_json.c read. */
#include <json-c/json.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "text/tokenizer_parts.h"

/* A file in the making. Its first failure stays; what is said after it goes nowhere. */
typedef struct writer {
    cllm__out *out;
    cllm_status status;
    cllm_error *err;
} writer;

static cllm_status begin(writer *w, const char *folder, const char *name, cllm_error *err) {
    char *path = cllm__path_join(folder, name);
    if (path == NULL) return cllm__fail_nomem(err);
    *w = (writer){.err = err};
    cllm_status status = cllm__out_create(&w->out, path, err);
    cllm__free(path);
    return status;
}

static cllm_status end(writer *w) {
    if (w->status == CLLM_OK) return cllm__out_commit(w->out, w->err);
    cllm__out_abort(w->out);
    return w->status;
}

static void say(writer *w, const char *text) {
    if (w->status == CLLM_OK) w->status = cllm__out_write(w->out, text, strlen(text), w->err);
}

static void say_number(writer *w, size_t number) {
    if (w->status == CLLM_OK) w->status = cllm__out_printf(w->out, w->err, "%zu", number);
}

static void say_flag(writer *w, const char *key, bool value) {
    say(w, key);
    say(w, value ? "true" : "false");
}

/* As a JSON string. */
static void quote_length(writer *w, const char *text, size_t length) {
    if (w->status != CLLM_OK) return;
    json_object *string = json_object_new_string_len(text, (int)length);
    size_t size = 0;
    const char *quoted =
        string == NULL
            ? NULL
            : json_object_to_json_string_length(string, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
    w->status = quoted == NULL ? cllm__fail_nomem(w->err) : cllm__out_write(w->out, quoted, size, w->err);
    json_object_put(string);
}

static void quote(writer *w, const char *text) {
    quote_length(w, text, strlen(text));
}

static void say_vocab(writer *w, const cllm__bpe *bpe) {
    bool first = true;
    say(w, "{");
    for (size_t id = 0; id < bpe->count; id++) {
        if ((size_t)bpe->letters_of_id[id] >= bpe->text_count) continue;
        if (!first) say(w, ",");
        first = false;
        quote(w, cllm__bpe_letters(bpe, (int32_t)id));
        say(w, ":");
        say_number(w, id);
    }
    say(w, "}");
}

static void say_merges(writer *w, const cllm__bpe *bpe) {
    for (size_t i = 0; i < bpe->merge_count; i++) {
        say(w, i == 0 ? "[" : ",\n[");
        quote(w, cllm__bpe_letters(bpe, bpe->merges[i][0]));
        say(w, ",");
        quote(w, cllm__bpe_letters(bpe, bpe->merges[i][1]));
        say(w, "]");
    }
}

static void say_byte_level(writer *w, bool prefix_space, bool regex) {
    say_flag(w, "{\"type\":\"ByteLevel\",\"add_prefix_space\":", prefix_space);
    say_flag(w, ",\"trim_offsets\":true,\"use_regex\":", regex);
    say(w, "}");
}

static void say_split(writer *w, const cllm__split_step *step) {
    bool isolated = step->keep_matches && step->keep_gaps;
    say(w, step->literal ? "{\"type\":\"Split\",\"pattern\":{\"String\":" : "{\"type\":\"Split\",\"pattern\":{\"Regex\":");
    quote(w, step->pattern);
    say(w, isolated ? "},\"behavior\":\"Isolated\"" : "},\"behavior\":\"Removed\"");
    say_flag(w, ",\"invert\":", step->keep_matches && !isolated);
    say(w, "}");
}

static void say_normalizer(writer *w, const cllm__tokenizer_parts *parts) {
    if (!parts->bpe.characters) {
        say(w, parts->nfc ? "{\"type\":\"NFC\"}" : "null");
        return;
    }
    say(w, "{\"type\":\"Sequence\",\"normalizers\":[");
    if (parts->nfc) say(w, "{\"type\":\"NFC\"},");
    if (parts->prefix == CLLM_PREFIX_ALWAYS) {
        say(w, "{\"type\":\"Prepend\",\"prepend\":\"" CLLM_SPACE_LETTER "\"},");
    }
    say(w, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" CLLM_SPACE_LETTER "\"}]}");
}

/* In characters; a Metaspace that only puts the space before the text. */
static void say_character_splits(writer *w, const cllm__tokenizer_parts *parts) {
    size_t count = cllm__splitter_steps(parts->splitter);
    bool space = parts->prefix == CLLM_PREFIX_UNLESS_SPACE;
    if (count == 0 && !space) {
        say(w, "null");
        return;
    }
    say(w, "{\"type\":\"Sequence\",\"pretokenizers\":[");
    if (space) {
        say(w, "{\"type\":\"Metaspace\",\"replacement\":\"" CLLM_SPACE_LETTER
               "\",\"prepend_scheme\":\"first\",\"split\":false}");
    }
    for (size_t i = 0; i < count; i++) {
        if (space || i != 0) say(w, ",");
        say_split(w, cllm__splitter_step(parts->splitter, i));
    }
    say(w, "]}");
}

static void say_pre_tokenizer(writer *w, const cllm__tokenizer_parts *parts) {
    if (parts->bpe.characters) {
        say_character_splits(w, parts);
        return;
    }
    size_t count = cllm__splitter_steps(parts->splitter);
    const cllm__split_step *last = count == 0 ? NULL : cllm__splitter_step(parts->splitter, count - 1);
    bool regex = last != NULL && !last->literal && last->keep_matches && last->keep_gaps &&
                 strcmp(last->pattern, cllm__gpt2_pattern) == 0;
    size_t splits = count - (regex ? 1 : 0);
    if (splits != 0) say(w, "{\"type\":\"Sequence\",\"pretokenizers\":[");
    for (size_t i = 0; i < splits; i++) {
        say_split(w, cllm__splitter_step(parts->splitter, i));
        say(w, ",");
    }
    say_byte_level(w, parts->prefix == CLLM_PREFIX_UNLESS_SPACE, regex);
    if (splits != 0) say(w, "]}");
}

static void say_decoder(writer *w, const cllm__tokenizer_parts *parts) {
    if (!parts->bpe.characters) {
        say_byte_level(w, false, true);
        return;
    }
    say(w, "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"" CLLM_SPACE_LETTER
           "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}");
    if (parts->prefix != CLLM_PREFIX_NONE) {
        say(w, ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}");
    }
    say(w, "]}");
}

/* Only where merges share ranks, as those of SentencePiece's scores do. Others ignore it, and break ties by the order. */
static void say_ranks(writer *w, const cllm__bpe *bpe) {
    if (bpe->merge_count == 0 || bpe->ranks[bpe->merge_count - 1] == bpe->merge_count - 1) return;
    say(w, ",\n\"ranks\":[");
    for (size_t i = 0; i < bpe->merge_count; i++) {
        if (i != 0) say(w, ",");
        say_number(w, bpe->ranks[i]);
    }
    say(w, "]");
}

static void say_added(writer *w, const cllm__tokenizer_parts *parts) {
    for (size_t i = 0; i < parts->added_count; i++) {
        const cllm__added_token *added = &parts->added[i];
        say(w, i == 0 ? "{\"id\":" : ",{\"id\":");
        say_number(w, (size_t)added->id);
        say(w, ",\"content\":");
        quote_length(w, added->content, added->length);
        say_flag(w, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":",
                 added->special);
        say(w, "}");
    }
}

static void say_post_processor(writer *w, const cllm__tokenizer_parts *parts) {
    if (!parts->add_bos) {
        if (parts->bpe.characters) say(w, "null");
        else say_byte_level(w, false, true);
        return;
    }
    const char *bos = cllm__bpe_letters(&parts->bpe, parts->bos);
    say(w, "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":");
    quote(w, bos);
    say(w, ",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_"
           "id\":0}},"
           "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{");
    quote(w, bos);
    say(w, ":{\"id\":");
    quote(w, bos);
    say(w, ",\"ids\":[");
    say_number(w, (size_t)parts->bos);
    say(w, "],\"tokens\":[");
    quote(w, bos);
    say(w, "]}}}");
}

static void say_whole(writer *w, const cllm__tokenizer_parts *parts) {
    say(w, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n\"added_tokens\":[");
    say_added(w, parts);
    say(w, "],\n\"normalizer\":");
    say_normalizer(w, parts);
    say(w, ",\n\"pre_tokenizer\":");
    say_pre_tokenizer(w, parts);
    say(w, ",\n\"post_processor\":");
    say_post_processor(w, parts);
    say(w, ",\n\"decoder\":");
    say_decoder(w, parts);
    say(w, ",\n\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    if (parts->rules.unknown == CLLM_NO_PIECE) say(w, "null");
    else quote(w, cllm__bpe_letters(&parts->bpe, parts->rules.unknown));
    say_flag(w, ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":", parts->rules.fuse_unknown);
    say_flag(w, ",\"byte_fallback\":", parts->bpe.byte_fallback);
    say_flag(w, ",\"ignore_merges\":", parts->rules.ignore_merges);
    say(w, ",\n\"vocab\":");
    say_vocab(w, &parts->bpe);
    say(w, ",\n\"merges\":[");
    say_merges(w, &parts->bpe);
    say(w, "]");
    say_ranks(w, &parts->bpe);
    say(w, "}}\n");
}

cllm_status cllm__tokenizer_save(const cllm__tokenizer *t, const char *folder, cllm_error *err) {
    writer w;
    const cllm__bpe *bpe = &t->parts.bpe;
    if (!t->gpt2) {
        CLLM_TRY(begin(&w, folder, "tokenizer.json", err));
        say_whole(&w, &t->parts);
        return end(&w);
    }
    CLLM_TRY(begin(&w, folder, "vocab.json", err));
    say_vocab(&w, bpe);
    CLLM_TRY(end(&w));
    CLLM_TRY(begin(&w, folder, "merges.txt", err));
    say(&w, "#version: 0.2\n");
    for (size_t i = 0; i < bpe->merge_count; i++) {
        say(&w, cllm__bpe_letters(bpe, bpe->merges[i][0]));
        say(&w, " ");
        say(&w, cllm__bpe_letters(bpe, bpe->merges[i][1]));
        say(&w, "\n");
    }
    return end(&w);
}
