#include "data/reader_fields.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "data/reader_internal.h"

struct cllm__field_reader {
    cllm__row_reader base;
    cllm__column id;
    const char *keys[CLLM__COLUMNS];
    size_t columns[CLLM__TEXT_KINDS], id_column;
    char *joined[CLLM__TEXT_KINDS]; /* JSON: the texts of a row */
    size_t capacity[CLLM__TEXT_KINDS];
};

/* Which column a kind of text stands in. */
static cllm__column column_of(cllm__text_kind kind) {
    static const cllm__column columns[CLLM__TEXT_KINDS] = {CLLM__COLUMN_TEXT,        CLLM__COLUMN_TITLE,
                                                           CLLM__COLUMN_BRAND,       CLLM__COLUMN_CATEGORIES,
                                                           CLLM__COLUMN_DESCRIPTION, CLLM__COLUMN_BIOGRAPHY};
    return columns[kind];
}

static bool has_kind(const cllm__field_reader *reader, cllm__text_kind kind) {
    if (reader->id == CLLM__COLUMN_USER) return kind == CLLM__TEXT_BIOGRAPHY;
    return kind >= CLLM__TEXT_TITLE && kind <= CLLM__TEXT_DESCRIPTION;
}

/* ---- Opening ---- */

static cllm_status choose_columns(cllm__field_reader *reader, cllm_error *err) {
    cllm__delimited *table = reader->base.table;
    const char *file = cllm__stream_name(reader->base.stream), *wanted = reader->base.options.columns[reader->id];
    const char *name = cllm__column_name(reader->id);
    size_t width;
    char list[400];
    const cllm__field *header = cllm__delimited_header(table, &width);
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) reader->columns[k] = SIZE_MAX;
    reader->id_column = SIZE_MAX;
    if (header == NULL) {
        /* The id, then one text: more would be a guess. */
        reader->id_column = 0;
        reader->columns[reader->id == CLLM__COLUMN_USER ? CLLM__TEXT_BIOGRAPHY : CLLM__TEXT_TITLE] = 1;
        snprintf(reader->base.described, sizeof reader->base.described, "%s between fields, no header",
                 cllm__delimited_separator_name(table));
        return CLLM_OK;
    }
    if (wanted != NULL) reader->id_column = cllm__delimited_column(table, wanted);
    for (const char *const *guess = cllm__column_names(reader->id); *guess != NULL && reader->id_column == SIZE_MAX;
         guess++) {
        reader->id_column = cllm__delimited_column(table, *guess);
    }
    if (reader->id_column == SIZE_MAX) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "%s:1: no column for the %s among '%s' (%s between them): name it with --%s-col, or give --sep",
                          file, name, cllm__list_header(table, list, sizeof list), cllm__delimited_separator_name(table),
                          name);
    }
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) {
        if (!has_kind(reader, (cllm__text_kind)k)) continue;
        const char *const *guess = cllm__column_names(column_of((cllm__text_kind)k));
        for (; *guess != NULL && reader->columns[k] == SIZE_MAX; guess++) {
            size_t found = cllm__delimited_column(table, *guess);
            if (found != reader->id_column) reader->columns[k] = found;
        }
    }
    char shown[CLLM__SHOWN];
    size_t size = sizeof reader->base.described;
    size_t used = (size_t)snprintf(
        reader->base.described, size, "%s%s between fields: %s = %s",
        reader->base.format == CLLM__FORMAT_RECBOLE ? "RecBole, " : "", cllm__delimited_separator_name(table), name,
        cllm__show_value(shown, header[reader->id_column].text, header[reader->id_column].length));
    for (int k = 0; k < CLLM__TEXT_KINDS && used < size; k++) {
        if (reader->columns[k] == SIZE_MAX) continue;
        const cllm__field *field = &header[reader->columns[k]];
        used += (size_t)snprintf(reader->base.described + used, size - used, ", %s = %s",
                                 cllm__column_name(column_of((cllm__text_kind)k)),
                                 cllm__show_value(shown, field->text, field->length));
    }
    return CLLM_OK;
}

static cllm_status open_table(cllm__field_reader *reader, cllm_error *err) {
    const char *names[CLLM__COLUMN_NAMES_MAX + 1];
    cllm__delimited_options options = reader->base.options.delimited;
    options.names = names;
    options.n_names = cllm__column_all_names(names);
    if (reader->base.options.columns[reader->id] != NULL)
        names[options.n_names++] = reader->base.options.columns[reader->id];
    if (reader->base.format == CLLM__FORMAT_RECBOLE) {
        if (options.separator == NULL) options.separator = "\t";
        options.header = CLLM_HEADER_YES;
    }
    CLLM_TRY(cllm__delimited_open(&reader->base.table, reader->base.stream, &options, err));
    return choose_columns(reader, err);
}

static cllm_status open_reader(cllm__field_reader *reader, cllm_error *err) {
    cllm__row_reader *base = &reader->base;
    CLLM_TRY(cllm__stream_open(&base->stream, base->path, base->options.encoding, err));
    CLLM_TRY(cllm__row_side_options(base, err));
    CLLM_TRY(cllm__recognise(base->stream, &base->options.delimited, &base->format, err));
    if (base->format == CLLM__FORMAT_NPZ) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "'%s' is an .npz file, which has no texts: give the %s file as CSV, TSV or JSON lines",
                          base->path, cllm__column_name(reader->id));
    }
    if (base->format == CLLM__FORMAT_AMAZON) return cllm__row_json_open(base, err);
    if (base->format == CLLM__FORMAT_SEQUENCE) base->format = CLLM__FORMAT_DELIMITED;
    return open_table(reader, err);
}

cllm_status cllm__field_reader_open(cllm__field_reader **out, const char *path, cllm__column id,
                                    const cllm__row_options *options, cllm_error *err) {
    cllm__field_reader *reader;
    CLLM_TRY(CLLM_NEW(reader, 1, err));
    reader->base.options = *options;
    reader->base.options.side_file = true;
    reader->id = id;
    reader->base.path = cllm__strdup(path);
    cllm_status status = reader->base.path == NULL ? cllm__fail_nomem(err) : open_reader(reader, err);
    if (status != CLLM_OK) {
        cllm__field_reader_close(reader);
        return status;
    }
    *out = reader;
    return CLLM_OK;
}

void cllm__field_reader_close(cllm__field_reader *reader) {
    if (reader == NULL) return;
    cllm__row_reader_clear(&reader->base);
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) cllm__free(reader->joined[k]);
    cllm__free(reader);
}

cllm__row_reader *cllm__field_reader_base(cllm__field_reader *reader) {
    return &reader->base;
}

/* ---- JSON ---- */

typedef struct joiner {
    char **text;
    size_t *capacity, used;
    const char *between;
    const char *recent[16]; /* elements that stand in the list already: category lists repeat themselves */
    size_t n_recent;
} joiner;

static cllm_status join(joiner *j, struct json_object *value, bool *refused, cllm_error *err) {
    if (value == NULL) return CLLM_OK;
    if (json_object_is_type(value, json_type_object)) {
        *refused = true;
        return CLLM_OK;
    }
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            CLLM_TRY(join(j, json_object_array_get_idx(value, i), refused, err));
        return CLLM_OK;
    }
    const char *text = json_object_get_string(value);
    if (text == NULL) return cllm__fail_nomem(err);
    size_t length = json_object_is_type(value, json_type_string) ? (size_t)json_object_get_string_len(value) : strlen(text);
    if (length == 0) return CLLM_OK;
    for (size_t i = 0; i < CLLM_LEN(j->recent) && i < j->n_recent; i++) {
        if (strcmp(j->recent[i], text) == 0) return CLLM_OK;
    }
    j->recent[j->n_recent++ % CLLM_LEN(j->recent)] = text;
    size_t gap = j->used > 0 ? strlen(j->between) : 0;
    CLLM_TRY(CLLM_GROW(*j->text, *j->capacity, j->used + gap + length + 1, err));
    memcpy(*j->text + j->used, j->between, gap);
    memcpy(*j->text + j->used + gap, text, length);
    j->used += gap + length;
    (*j->text)[j->used] = '\0';
    return CLLM_OK;
}

static cllm_status next_object(cllm__field_reader *reader, cllm__field_row *row, bool *end, cllm__bad_row *bad,
                               cllm_error *err) {
    CLLM_TRY(cllm__row_json_object(&reader->base, end, bad, err));
    if (*end) return CLLM_OK;
    CLLM_TRY(cllm__row_json_id(&reader->base, reader->id, &row->id, &row->id_length, bad, err));
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) {
        if (!has_kind(reader, (cllm__text_kind)k)) continue;
        cllm__column column = column_of((cllm__text_kind)k);
        struct json_object *value = cllm__json_value(reader->base.object, column, NULL, &reader->keys[column]);
        joiner j = {.text = &reader->joined[k],
                    .capacity = &reader->capacity[k],
                    .between = k == CLLM__TEXT_CATEGORIES ? ", " : " "};
        bool refused = false;
        CLLM_TRY(join(&j, value, &refused, err));
        if (refused) {
            return cllm__row_refuse(&reader->base, CLLM__BAD_TEXT, bad, err,
                                    "'%s' holds an object instead of text: correct the row", reader->keys[column]);
        }
        row->fields[k] = (cllm__field){reader->joined[k], j.used};
    }
    if (strchr(reader->base.described, ':') == NULL) {
        size_t used = strlen(reader->base.described);
        const char *key = reader->base.keys[reader->id];
        snprintf(reader->base.described + used, sizeof reader->base.described - used, ": %s = %s",
                 cllm__column_name(reader->id), key == NULL ? reader->base.options.columns[reader->id] : key);
    }
    return CLLM_OK;
}

/* ---- Columns ---- */

static cllm_status next_record(cllm__field_reader *reader, cllm__field_row *row, bool *end, cllm__bad_row *bad,
                               cllm_error *err) {
    cllm__field *fields;
    size_t count;
    (void)bad;
    CLLM_TRY(cllm__delimited_next(reader->base.table, &fields, &count, err));
    if (fields == NULL) {
        *end = true;
        return CLLM_OK;
    }
    size_t width;
    if (cllm__delimited_header(reader->base.table, &width) == NULL && count > 2) {
        reader->base.failed = true;
        return cllm__fail(err, CLLM_ERR_DATA,
                          "%s: %zu columns and no header: begin the file with a line that names them, such as "
                          "#%s<TAB>%s",
                          cllm__row_reader_place(&reader->base), count, cllm__column_name(reader->id),
                          reader->id == CLLM__COLUMN_USER ? "biography" : "title<TAB>brand<TAB>categories<TAB>description");
    }
    row->id = fields[reader->id_column].text;
    row->id_length = fields[reader->id_column].length;
    for (int k = 0; k < CLLM__TEXT_KINDS; k++) {
        if (reader->columns[k] < count) row->fields[k] = fields[reader->columns[k]];
    }
    return CLLM_OK;
}

cllm_status cllm__field_reader_next(cllm__field_reader *reader, cllm__field_row *row, bool *end, cllm__bad_row *bad,
                                    cllm_error *err) {
    cllm__field_row found = {0};
    *bad = CLLM__BAD_LINE;
    *end = false;
    bool json = reader->base.format == CLLM__FORMAT_AMAZON;
    cllm_status status = json ? next_object(reader, &found, end, bad, err) : next_record(reader, &found, end, bad, err);
    if (status == CLLM_OK && !*end)
        status = cllm__row_check_id(&reader->base, found.id, found.id_length, reader->id, bad, err);
    if (status != CLLM_OK) {
        if (status != CLLM_ERR_DATA || cllm__stream_failed(reader->base.stream)) reader->base.failed = true;
        return status;
    }
    if (!*end) *row = found;
    return CLLM_OK;
}
