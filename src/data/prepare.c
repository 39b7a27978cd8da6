#include "data/prepare.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "data/dataset_manifest.h"
#include "data/prepare_internal.h"

static cllm_status check_format(const char *name, cllm__row_format *format, cllm_error *err) {
    static const char *const names[] = {"auto", "amazon", "delimited", "recbole", "npz", "sequence"};
    for (size_t i = 0; i < CLLM_LEN(names); i++) {
        if (name == NULL || strcmp(name, names[i]) == 0) {
            *format = (cllm__row_format)i;
            return CLLM_OK;
        }
    }
    return cllm__fail(err, CLLM_ERR_USAGE, "no format '%s': give auto, amazon, delimited, recbole, npz or sequence", name);
}

/* Standard input can be read once. */
static cllm_status check_stdin(const cllm_prepare_options *o, cllm_error *err) {
    const char *const others[] = {o->valid, o->test, o->items, o->users, o->texts};
    size_t count = 0;
    for (size_t i = 0; i < o->n_inputs; i++) count += strcmp(o->inputs[i], "-") == 0;
    for (size_t i = 0; i < CLLM_LEN(others); i++) count += others[i] != NULL && strcmp(others[i], "-") == 0;
    return count > 1
               ? cllm__fail(err, CLLM_ERR_USAGE, "standard input ('-') can be read once only: give files for the others")
               : CLLM_OK;
}

/* Checks the options and turns them into what readers take. */
static cllm_status check_options(const cllm_prepare_options *o, cllm__row_options *rows, cllm_error *err) {
    if (o->n_inputs == 0 || o->inputs == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "no input: give at least one file");
    for (size_t i = 0; i < o->n_inputs; i++) {
        if (o->inputs[i] == NULL || o->inputs[i][0] == '\0')
            return cllm__fail(err, CLLM_ERR_USAGE, "input %zu has no name", i + 1);
    }
    if (o->output == NULL || o->output[0] == '\0') return cllm__fail(err, CLLM_ERR_USAGE, "no output folder: give -o DIR");
    if (o->split < CLLM_SPLIT_RATIO || o->split > CLLM_SPLIT_FILES) {
        return cllm__fail(err, CLLM_ERR_USAGE, "no split rule %d", (int)o->split);
    }
    bool parts = o->valid != NULL || o->test != NULL;
    if (o->split == CLLM_SPLIT_FILES && !parts) {
        return cllm__fail(err, CLLM_ERR_USAGE, "--train and --split files take the parts from files: give --valid, --test or both as well");
    }
    if (o->split != CLLM_SPLIT_FILES && parts) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "--valid and --test are for already split data: give --train for the training part, or "
                          "--split files");
    }
    if (o->has_min_rating && !isfinite(o->min_rating))
        return cllm__fail(err, CLLM_ERR_USAGE, "--min-rating must be a finite number");
    if (o->kcore < 0) return cllm__fail(err, CLLM_ERR_USAGE, "--kcore %d: give 0 (none) or more", o->kcore);
    *rows = (cllm__row_options){.delimited = cllm__delimited_defaults(), .needs_rating = o->has_min_rating};
    CLLM_TRY(check_format(o->format, &rows->format, err));
    if (o->encoding != NULL && !cllm__encoding_parse(o->encoding, &rows->encoding)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "no encoding '%s': give utf-8 or latin1", o->encoding);
    }
    rows->delimited.separator = o->separator;
    if (o->quote != 0) rows->delimited.quote = o->quote == CLLM_QUOTE_NOTHING ? CLLM_QUOTE_NONE : (unsigned char)o->quote;
    rows->delimited.header = o->header > 0 ? CLLM_HEADER_YES : o->header < 0 ? CLLM_HEADER_NO : CLLM_HEADER_AUTO;
    rows->columns[CLLM__COLUMN_USER] = o->user_column;
    rows->columns[CLLM__COLUMN_ITEM] = o->item_column;
    rows->columns[CLLM__COLUMN_RATING] = o->rating_column;
    rows->columns[CLLM__COLUMN_TIME] = o->time_column;
    rows->columns[CLLM__COLUMN_TEXT] = o->text_column;
    return check_stdin(o, err);
}

static void preparing_free(cllm__preparing *p) {
    cllm__names_free(p->users);
    cllm__names_free(p->items);
    cllm__spool_free(p->texts);
    cllm__spool_free(p->row_spool);
    cllm__free(p->item_fields);
    cllm__free(p->user_fields);
    cllm__free(p->clean);
    cllm__free(p->sources);
    cllm__free(p->rows);
    cllm__free(p->user_start);
    cllm__free(p->user_order);
    cllm__free(p->item_order);
    cllm__free(p->user_row);
    cllm__free(p->item_row);
    cllm__free(p->folder);
}

static void warn_about(const cllm__preparing *p) {
    static const struct {
        size_t count;
        const char *what;
    } notes[] = {
        {offsetof(cllm__preparing, outside), "rows have items that the item file does not have; they are set aside"},
        {offsetof(cllm__preparing, overlaps),
         "rows stand in more than one part; the earlier part (train, valid, test) keeps them"},
        {offsetof(cllm__preparing, bad_total), "malformed rows were left out"},
        {offsetof(cllm__preparing, texts_unused), "texts belong to no interaction and were left out"},
        {offsetof(cllm__preparing, field_duplicates), "lines of the item or user file repeat an id; the first one counts"},
    };
    for (size_t i = 0; i < CLLM_LEN(notes); i++) {
        uint64_t count = *(const uint64_t *)((const char *)p + notes[i].count);
        if (count > 0) cllm__log(p->host, CLLM_LOG_WARN, "%llu %s", (unsigned long long)count, notes[i].what);
    }
}

static cllm_status prepare_in(cllm__preparing *p, char **summary, cllm_error *err) {
    CLLM_TRY(cllm__names_create(&p->users, err));
    CLLM_TRY(cllm__names_create(&p->items, err));
    CLLM_TRY(cllm__spool_create(&p->texts, p->folder, "texts.tmp", err));
    CLLM_TRY(cllm__spool_create(&p->row_spool, p->folder, "input.tmp", err));
    CLLM_TRY(cllm__preparing_read(p, err));
    CLLM_TRY(cllm__preparing_group(p, err));
    CLLM_TRY(cllm__preparing_filter(p, err));
    warn_about(p);
    CLLM_TRY(cllm__preparing_write(p, summary, err));
    return cllm__check_cancelled(p->host, err);
}

cllm_status cllm__prepare(const cllm_prepare_options *options, char **summary_json, cllm_error *err) {
    cllm__preparing p = {.options = options, .host = &options->host, .fixed_items = SIZE_MAX, .began = cllm__now()};
    char *summary = NULL;
    CLLM_TRY(check_options(options, &p.row_options, err));
    CLLM_TRY(cllm__folder_begin(options->output, options->force, CLLM__MANIFEST_NAME, &p.folder, err));
    cllm_status status = prepare_in(&p, summary_json == NULL ? NULL : &summary, err);
    if (status == CLLM_OK) status = cllm__folder_commit(p.folder, options->output, err);
    if (status == CLLM_OK && summary_json != NULL) {
        *summary_json = summary;
        summary = NULL;
    }
    if (status != CLLM_OK) cllm__remove_tree(p.folder);
    cllm__free(summary);
    preparing_free(&p);
    return status;
}
