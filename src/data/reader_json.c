/* Interactions as JSON lines or Python literals: Amazon's and Yelp's reviews, and others of the same kind. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "data/reader_internal.h"

struct json_object *cllm__json_value(struct json_object *object, cllm__column column, const char *wanted,
                                     const char **cached) {
    struct json_object *value = NULL;
    if (wanted != NULL) return json_object_object_get_ex(object, wanted, &value) ? value : NULL;
    if (*cached != NULL && json_object_object_get_ex(object, *cached, &value)) return value;
    for (const char *const *name = cllm__column_names(column); *name != NULL; name++) {
        if (json_object_object_get_ex(object, *name, &value)) {
            *cached = *name;
            return value;
        }
    }
    return NULL;
}

cllm_status cllm__row_json_open(cllm__row_reader *reader, cllm_error *err) {
    const char *text;
    size_t length;
    CLLM_TRY(cllm__stream_peek(reader->stream, 4096, &text, &length, err));
    const char *syntax = cllm__record_recognise(text, length) == CLLM_RECORD_PYTHON ? "Python literals" : "JSON lines";
    snprintf(reader->described, sizeof reader->described, "%s", syntax);
    return cllm__record_parser_create(&reader->parser, err);
}

/* Says which of the known layouts the first row has. */
static void describe(cllm__row_reader *reader) {
    const char *user = reader->keys[CLLM__COLUMN_USER], *item = reader->keys[CLLM__COLUMN_ITEM], *layout = "";
    if (user == NULL || item == NULL || strchr(reader->described, ':') != NULL) return;
    struct json_object *value;
    if (strcmp(user, "reviewerID") == 0) {
        bool later = json_object_object_get_ex(reader->object, "verified", &value) ||
                     json_object_object_get_ex(reader->object, "style", &value);
        layout = later ? "Amazon 2018 " : "Amazon 2014 ";
    } else if (strcmp(item, "parent_asin") == 0) {
        layout = "Amazon 2023 ";
    } else if (strcmp(item, "business_id") == 0) {
        layout = "Yelp ";
    }
    char syntax[64];
    snprintf(syntax, sizeof syntax, "%.40s", reader->described);
    snprintf(reader->described, sizeof reader->described, "%s%s: user = %s, item = %s", layout, syntax, user, item);
}

/* The key that was asked for, NULL for the usual ones. */
static const char *wanted_key(const cllm__row_reader *reader, cllm__column column) {
    const char *wanted = reader->options.columns[column];
    if (wanted != NULL && reader->options.side_file && !json_object_object_get_ex(reader->object, wanted, NULL))
        return NULL;
    return wanted;
}

cllm_status cllm__row_json_id(cllm__row_reader *reader, cllm__column column, const char **id, size_t *length,
                              cllm__bad_row *bad, cllm_error *err) {
    cllm__bad_row reason = column == CLLM__COLUMN_USER ? CLLM__BAD_USER : CLLM__BAD_ITEM;
    const char *wanted = wanted_key(reader, column), *name = cllm__column_name(column);
    struct json_object *value = cllm__json_value(reader->object, column, wanted, &reader->keys[column]);
    switch (json_object_get_type(value)) {
    case json_type_string:
    case json_type_int:
        *id = json_object_get_string(value);
        *length = (size_t)(value == NULL                                  ? 0
                           : json_object_is_type(value, json_type_string) ? json_object_get_string_len(value)
                                                                          : (int)strlen(*id));
        return CLLM_OK;
    case json_type_null:
        if (wanted != NULL) {
            return cllm__row_refuse(reader, reason, bad, err, "the row has no '%s', which is to name the %s: correct it",
                                    wanted, name);
        }
        return cllm__row_refuse(reader, reason, bad, err,
                                "the row has no %s under any of the usual keys (%s, %s, …): correct it, name "
                                "the key with --%s-col",
                                name, cllm__column_names(column)[0], cllm__column_names(column)[1], name);
    default:
        return cllm__row_refuse(reader, reason, bad, err,
                                "the %s is %s instead of a string: correct the row, name another key with "
                                "--%s-col",
                                name, json_type_to_name(json_object_get_type(value)), name);
    }
}

/* A number, or text that holds one, goes through `set`. */
typedef cllm_status set_value(cllm__row_reader *reader, cllm__row_in *row, const char *text, size_t length,
                              cllm__bad_row *bad, cllm_error *err);

static cllm_status read_scalar(cllm__row_reader *reader, cllm__row_in *row, cllm__column column, set_value *set,
                               cllm__bad_row *bad, cllm_error *err) {
    struct json_object *value = cllm__json_value(reader->object, column, wanted_key(reader, column), &reader->keys[column]);
    if (value == NULL) return CLLM_OK;
    const char *text = json_object_get_string(value);
    if (text == NULL) return cllm__fail_nomem(err);
    return set(reader, row, text, strlen(text), bad, err);
}

static cllm_status read_text(cllm__row_reader *reader, cllm__row_in *row, cllm__bad_row *bad, cllm_error *err) {
    struct json_object *value = cllm__json_value(reader->object, CLLM__COLUMN_TEXT, wanted_key(reader, CLLM__COLUMN_TEXT),
                                                 &reader->keys[CLLM__COLUMN_TEXT]);
    if (value == NULL) return CLLM_OK;
    if (json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array)) {
        return cllm__row_refuse(reader, CLLM__BAD_TEXT, bad, err,
                                "the text is %s instead of a string: correct the row, name another key "
                                "with --text-col",
                                json_type_to_name(json_object_get_type(value)));
    }
    const char *text = json_object_get_string(value);
    if (text == NULL) return cllm__fail_nomem(err);
    row->text_length =
        json_object_is_type(value, json_type_string) ? (size_t)json_object_get_string_len(value) : strlen(text);
    CLLM_TRY(CLLM_GROW(reader->text, reader->text_capacity, row->text_length + 1, err));
    memcpy(reader->text, text, row->text_length + 1);
    row->text = reader->text;
    return CLLM_OK;
}

cllm_status cllm__row_json_object(cllm__row_reader *reader, bool *end, cllm__bad_row *bad, cllm_error *err) {
    char *line;
    size_t length;
    do {
        CLLM_TRY(cllm__stream_line(reader->stream, &line, &length, err));
        if (line == NULL) {
            *end = true;
            return CLLM_OK;
        }
    } while (strspn(line, " \t\r") == length);
    json_object_put(reader->object);
    reader->object = NULL;
    cllm_error why = {0};
    cllm_status status = cllm__record_parse(reader->parser, CLLM_RECORD_AUTO, line, length, &reader->object, &why);
    if (status == CLLM_ERR_DATA) {
        return cllm__row_refuse(reader, CLLM__BAD_LINE, bad, err, "not a JSON object or Python dict: %s: correct the row",
                                why.message);
    }
    if (status != CLLM_OK && err != NULL) *err = why;
    return status;
}

cllm_status cllm__row_json_next(cllm__row_reader *reader, cllm__row_in *row, bool *end, cllm__bad_row *bad,
                                cllm_error *err) {
    CLLM_TRY(cllm__row_json_object(reader, end, bad, err));
    if (*end) return CLLM_OK;
    CLLM_TRY(cllm__row_json_id(reader, CLLM__COLUMN_USER, &row->user, &row->user_length, bad, err));
    CLLM_TRY(cllm__row_json_id(reader, CLLM__COLUMN_ITEM, &row->item, &row->item_length, bad, err));
    describe(reader);
    CLLM_TRY(read_scalar(reader, row, CLLM__COLUMN_RATING, cllm__row_set_rating, bad, err));
    CLLM_TRY(read_scalar(reader, row, CLLM__COLUMN_TIME, cllm__row_set_time, bad, err));
    return read_text(reader, row, bad, err);
}
