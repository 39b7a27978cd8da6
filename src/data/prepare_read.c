/* Reading: all files, in their order, into the spools. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "data/prepare_internal.h"
#include "formats/html.h"

static const uint64_t SPOOL_LIMIT = (uint64_t)1 << 43; /* what a row's offset can hold */

/* ---- Texts ---- */

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cleans text[0 … *length) in place; the result begins at *text. */
static void clean_text(cllm__preparing *p, char **text, size_t *length, uint64_t *changed) {
    if (*length == 0) return;
    if (!p->options->raw_text && cllm__html_clean(*text, length)) ++*changed;
    for (char *nul = *text; (nul = memchr(nul, '\0', (size_t)(*text + *length - nul))) != NULL;) *nul = ' ';
    while (*length > 0 && is_space((*text)[*length - 1])) --*length;
    while (*length > 0 && is_space(**text)) {
        ++*text;
        --*length;
    }
}

static cllm_status spool_text(cllm__preparing *p, const char *text, size_t length, cllm_error *err) {
    CLLM_TRY(cllm__spool_write_length(p->texts, length, err));
    return cllm__spool_write(p->texts, text, length, err);
}

/* ---- Sources ---- */

static cllm_status add_source(cllm__preparing *p, const char *role, const char *path, const cllm__row_reader *reader,
                              uint64_t rows, cllm_error *err) {
    CLLM_TRY(CLLM_GROW(p->sources, p->sources_capacity, p->n_sources + 1, err));
    cllm__source source = {.role = role, .path = path, .rows = rows, .compression = cllm__row_reader_compression(reader)};
    strncpy(source.format, cllm__row_reader_format(reader), sizeof source.format - 1);
    struct stat info;
    if (strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        source.bytes = (uint64_t)info.st_size;
        CLLM_TRY(cllm__hash_file(path, &source.hash, err));
        source.hashed = true;
    } else {
        source.bytes = (uint64_t)cllm__row_reader_position(reader);
    }
    p->sources[p->n_sources++] = source;
    const char *packing = strcmp(source.compression, "plain") == 0 ? "" : source.compression;
    cllm__log(p->host, CLLM_LOG_INFO, "%s: %s%s%s; %llu rows", strcmp(path, "-") == 0 ? "standard input" : path, packing,
              packing[0] == '\0' ? "" : ", ", source.format, (unsigned long long)rows);
    return CLLM_OK;
}

/* Counts a malformed row; CLLM_OK while they are tolerated. */
static cllm_status tolerate(cllm__preparing *p, cllm_status status, cllm__bad_row bad, const cllm_error *why,
                            cllm_error *err) {
    p->bad[bad]++;
    if (++p->bad_total <= p->options->max_bad_rows) {
        cllm__log(p->host, CLLM_LOG_DEBUG, "tolerated: %s", why->message);
        return CLLM_OK;
    }
    if (err != NULL) {
        *err = *why;
        if (p->options->max_bad_rows > 0)
            cllm__error_prefix(err, "more than %llu bad rows", (unsigned long long)p->options->max_bad_rows);
    }
    return status;
}

/* What goes on during every file: a meter, and the caller's wish to stop. */
typedef struct watch {
    cllm__meter meter;
    uint64_t rows;
} watch;

static watch watch_begin(const cllm__preparing *p, const cllm__row_reader *reader) {
    return (watch){.meter = cllm__meter_begin(p->host, "read", "MB", cllm__row_reader_size(reader) / 1e6)};
}

static cllm_status watch_row(const cllm__preparing *p, watch *w, const cllm__row_reader *reader, cllm_error *err) {
    if (w->rows++ % 256 != 0) return CLLM_OK;
    cllm__meter_update(&w->meter, cllm__row_reader_position(reader) / 1e6, NULL);
    return cllm__check_cancelled(p->host, err);
}

static void watch_end(watch *w, const cllm__row_reader *reader) {
    cllm__meter_end(&w->meter, cllm__row_reader_position(reader) / 1e6, NULL);
}

/* ---- Item and user files ---- */

/* A record of the fields: kind + 1, length, bytes; …; 0. */
static cllm_status spool_fields(cllm__preparing *p, cllm__field_row *row, uint64_t *where, cllm_error *err) {
    *where = cllm__spool_size(p->texts) + 1;
    bool changed = false;
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) {
        char *text = row->fields[k].text;
        size_t length = row->fields[k].length;
        uint64_t one = 0;
        clean_text(p, &text, &length, &one);
        changed = changed || one > 0;
        if (length == 0) continue;
        unsigned char kind = (unsigned char)(k + 1);
        CLLM_TRY(cllm__spool_write(p->texts, &kind, 1, err));
        CLLM_TRY(spool_text(p, text, length, err));
    }
    p->html_fields += changed;
    return cllm__spool_write(p->texts, "", 1, err);
}

static cllm_status take_item(cllm__preparing *p, cllm__field_row *row, cllm_error *err) {
    size_t index, before = cllm__names_count(p->items);
    CLLM_TRY(cllm__names_add(p->items, row->id, row->id_length, &index, err));
    if (index < before) {
        p->field_duplicates++; /* the first line of an item counts */
        return CLLM_OK;
    }
    if (index >= INT32_MAX)
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' has more than 2^31 items: split it", p->options->items);
    CLLM_TRY(CLLM_GROW(p->item_fields, p->item_fields_capacity, index + 1, err));
    return spool_fields(p, row, &p->item_fields[index], err);
}

static cllm_status take_user(cllm__preparing *p, cllm__field_row *row, cllm_error *err) {
    size_t index;
    if (!cllm__names_find(p->users, row->id, row->id_length, &index)) {
        p->fields_unused++;
        return CLLM_OK;
    }
    if (p->user_fields[index] != 0) {
        p->field_duplicates++;
        return CLLM_OK;
    }
    return spool_fields(p, row, &p->user_fields[index], err);
}

static cllm_status read_field_rows(cllm__preparing *p, cllm__field_reader *reader, cllm__column id, uint64_t *rows,
                                   cllm_error *err) {
    cllm__row_reader *base = cllm__field_reader_base(reader);
    watch w = watch_begin(p, base);
    for (;;) {
        cllm__field_row row;
        cllm__bad_row bad;
        bool end;
        cllm_error why = {0};
        CLLM_TRY(watch_row(p, &w, base, err));
        cllm_status status = cllm__field_reader_next(reader, &row, &end, &bad, &why);
        if (status != CLLM_OK) {
            if (cllm__row_reader_failed(base)) {
                if (err != NULL) *err = why;
                return status;
            }
            CLLM_TRY(tolerate(p, status, bad, &why, err));
            continue;
        }
        if (end) break;
        CLLM_TRY(id == CLLM__COLUMN_ITEM ? take_item(p, &row, err) : take_user(p, &row, err));
        ++*rows;
    }
    watch_end(&w, base);
    return CLLM_OK;
}

static cllm_status read_fields(cllm__preparing *p, const char *path, cllm__column id, cllm_error *err) {
    cllm__field_reader *reader;
    uint64_t rows = 0;
    CLLM_TRY(cllm__field_reader_open(&reader, path, id, &p->row_options, err));
    cllm_status status = read_field_rows(p, reader, id, &rows, err);
    if (status == CLLM_OK && rows == 0) {
        status =
            cllm__fail(err, CLLM_ERR_DATA, "'%s' names no %ss: give a file with one a line", path, cllm__column_name(id));
    }
    if (status == CLLM_OK) {
        status =
            add_source(p, id == CLLM__COLUMN_ITEM ? "items" : "users", path, cllm__field_reader_base(reader), rows, err);
    }
    cllm__field_reader_close(reader);
    return status;
}

/* ---- Interactions and texts ---- */

static cllm_status number_of(cllm__names *names, const char *name, size_t length, const char *what, int32_t *number,
                             cllm_error *err) {
    size_t index;
    CLLM_TRY(cllm__names_add(names, name, length, &index, err));
    if (index >= INT32_MAX) return cllm__fail(err, CLLM_ERR_DATA, "the input has more than 2^31 %ss: split it", what);
    *number = (int32_t)index;
    return CLLM_OK;
}

static cllm_status take_row(cllm__preparing *p, cllm__row_in *in, cllm__split split, bool only_text, cllm_error *err) {
    const cllm_prepare_options *options = p->options;
    cllm__prow row = {.rating = in->has_rating ? (float)in->rating : NAN};
    if (only_text) { /* a text makes no user and no item */
        size_t user, item;
        if (!cllm__names_find(p->users, in->user, in->user_length, &user) ||
            !cllm__names_find(p->items, in->item, in->item_length, &item)) {
            p->texts_unused++;
            return CLLM_OK;
        }
        row.user = (int32_t)user;
        row.item = (int32_t)item;
    } else {
        CLLM_TRY(number_of(p->users, in->user, in->user_length, "user", &row.user, err));
        CLLM_TRY(number_of(p->items, in->item, in->item_length, "item", &row.item, err));
    }
    cllm__fate fate = CLLM__KEPT;
    if (options->has_min_rating && !only_text && in->rating < options->min_rating) fate = CLLM__LOW_RATING;
    else if ((size_t)row.item >= p->fixed_items) fate = CLLM__OUTSIDE_ITEMS;
    uint64_t offset = cllm__spool_size(p->texts);
    if (offset >= SPOOL_LIMIT) return cllm__fail(err, CLLM_ERR_DATA, "the texts are larger than 8 TB: split the input");
    cllm__prow_set_time(&row, in->has_time ? in->time : CLLM__NO_TIME);
    cllm__prow_set_where(&row, offset, split, fate, only_text);
    clean_text(p, &in->text, &in->text_length, &p->html_reviews);
    CLLM_TRY(spool_text(p, in->text, in->text_length, err));
    return cllm__spool_write(p->row_spool, &row, sizeof row, err);
}

static cllm_status read_rows(cllm__preparing *p, cllm__row_reader *reader, cllm__split split, bool only_text,
                             uint64_t *rows, cllm_error *err) {
    watch w = watch_begin(p, reader);
    for (;;) {
        cllm__row_in row;
        cllm__bad_row bad;
        bool end;
        cllm_error why = {0};
        CLLM_TRY(watch_row(p, &w, reader, err));
        cllm_status status = cllm__row_reader_next(reader, &row, &end, &bad, &why);
        if (status != CLLM_OK) {
            if (cllm__row_reader_failed(reader)) {
                if (err != NULL) *err = why;
                return status;
            }
            p->rows_read += !only_text;
            CLLM_TRY(tolerate(p, status, bad, &why, err));
            continue;
        }
        if (end) break;
        CLLM_TRY(take_row(p, &row, split, only_text, err));
        p->rows_read += !only_text;
        ++*rows;
    }
    watch_end(&w, reader);
    return CLLM_OK;
}

/* A matrix without an item file fixes the universe itself: its columns. */
static cllm_status fix_universe(cllm__preparing *p, const char *path, size_t width, cllm_error *err) {
    if (width == SIZE_MAX || p->options->items != NULL) return CLLM_OK;
    if (p->fixed_items != SIZE_MAX && p->fixed_items != width) {
        return cllm__fail(err, CLLM_ERR_MISMATCH,
                          "'%s' has %zu columns where the matrix before has %zu: give matrices of one width, or "
                          "--items",
                          path, width, p->fixed_items);
    }
    if (cllm__names_count(p->users) > 0) return CLLM_OK;
    for (size_t i = 0; i < width; i++) {
        char number[24];
        int32_t index;
        int n = snprintf(number, sizeof number, "%zu", i);
        CLLM_TRY(number_of(p->items, number, (size_t)n, "item", &index, err));
    }
    p->fixed_items = width;
    return CLLM_OK;
}

static cllm_status read_interactions(cllm__preparing *p, const char *role, const char *path, cllm__split split,
                                     cllm_error *err) {
    cllm__row_reader *reader;
    cllm__row_options options = p->row_options;
    bool only_text = strcmp(role, "texts") == 0;
    uint64_t rows = 0;
    options.needs_text = only_text;
    options.needs_rating = options.needs_rating && !only_text;
    options.side_file = only_text;
    /* With --texts, --text-col names the column of that file. */
    if (!only_text && p->options->texts != NULL) options.columns[CLLM__COLUMN_TEXT] = NULL;
    CLLM_TRY(cllm__row_reader_open(&reader, path, &options, err));
    cllm_status status = CLLM_OK;
    size_t width = cllm__row_reader_width(reader);
    if (only_text && width != SIZE_MAX) {
        status = cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                            "'%s' is an .npz file, which has no texts: give TSV or JSON lines of user, item, text", path);
    }
    if (status == CLLM_OK && !only_text) status = fix_universe(p, path, width, err);
    if (status == CLLM_OK) status = read_rows(p, reader, split, only_text, &rows, err);
    if (status == CLLM_OK && rows == 0 && p->bad_total == 0) {
        status = cllm__fail(err, CLLM_ERR_DATA, "'%s' has no rows: give a file with at least one", path);
    }
    if (status == CLLM_OK) status = add_source(p, role, path, reader, rows, err);
    cllm__row_reader_close(reader);
    return status;
}

cllm_status cllm__preparing_read(cllm__preparing *p, cllm_error *err) {
    const cllm_prepare_options *options = p->options;
    bool files = options->split == CLLM_SPLIT_FILES;
    if (options->items != NULL) {
        CLLM_TRY(read_fields(p, options->items, CLLM__COLUMN_ITEM, err));
        p->fixed_items = cllm__names_count(p->items);
        p->row_options.items = p->items;
    }
    for (size_t i = 0; i < options->n_inputs; i++) {
        CLLM_TRY(read_interactions(p, files ? "train" : "input", options->inputs[i], CLLM__TRAIN, err));
    }
    if (options->valid != NULL) CLLM_TRY(read_interactions(p, "valid", options->valid, CLLM__VALID, err));
    if (options->test != NULL) CLLM_TRY(read_interactions(p, "test", options->test, CLLM__TEST, err));
    if (options->texts != NULL) CLLM_TRY(read_interactions(p, "texts", options->texts, CLLM__TRAIN, err));
    if (options->users != NULL) {
        CLLM_TRY(CLLM_NEW(p->user_fields, cllm__names_count(p->users), err));
        CLLM_TRY(read_fields(p, options->users, CLLM__COLUMN_USER, err));
    }
    return CLLM_OK;
}
