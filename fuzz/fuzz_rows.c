#include "data/reader_fields.h"

#include "data/reader_internal.h"
#include "formats/utf8.h"
#include "fuzz.h"

static void check_id(const char *id, size_t length) {
    FUZZ_CHECK(length > 0 && length <= CLLM__ID_LIMIT && memchr(id, '\0', length) == NULL);
    FUZZ_CHECK(cllm__utf8_check(id, length) == length);
}

static void read_rows(const char *path, const cllm__row_options *options) {
    cllm__row_reader *reader;
    cllm_error err = {0};
    if (cllm__row_reader_open(&reader, path, options, &err) != CLLM_OK) {
        FUZZ_CHECK(err.message[0] != '\0');
        return;
    }
    for (size_t n = 0; n < 10000; n++) {
        cllm__row_in row;
        cllm__bad_row bad;
        bool end;
        cllm_status status = cllm__row_reader_next(reader, &row, &end, &bad, &err);
        if (status != CLLM_OK) {
            FUZZ_CHECK(err.message[0] != '\0' && (int)bad < (int)CLLM__BAD_ROWS);
            if (cllm__row_reader_failed(reader)) break;
            continue;
        }
        if (end) break;
        check_id(row.user, row.user_length);
        check_id(row.item, row.item_length);
        FUZZ_CHECK(!row.has_rating || (row.rating > -2e30 && row.rating < 2e30));
        FUZZ_CHECK(!row.has_time || (row.time > -((int64_t)1 << 46) && row.time < (int64_t)1 << 46));
        FUZZ_CHECK(cllm__utf8_check(row.text_length > 0 ? row.text : "", row.text_length) == row.text_length);
        (void)strlen(cllm__row_reader_place(reader));
    }
    cllm__row_reader_close(reader);
}

static void read_fields(const char *path, cllm__column id, const cllm__row_options *options) {
    cllm__field_reader *reader;
    cllm_error err = {0};
    if (cllm__field_reader_open(&reader, path, id, options, &err) != CLLM_OK) return;
    for (size_t n = 0; n < 10000; n++) {
        cllm__field_row row;
        cllm__bad_row bad;
        bool end;
        if (cllm__field_reader_next(reader, &row, &end, &bad, &err) != CLLM_OK) {
            if (cllm__row_reader_failed(cllm__field_reader_base(reader))) break;
            continue;
        }
        if (end) break;
        check_id(row.id, row.id_length);
        for (int k = 0; k < CLLM__TEXT_KINDS; k++) {
            if (row.fields[k].length > 0)
                FUZZ_CHECK(cllm__utf8_check(row.fields[k].text, row.fields[k].length) == row.fields[k].length);
        }
    }
    cllm__field_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    cllm__row_options options = {.delimited = cllm__delimited_defaults()};
    read_rows(path, &options);
    read_fields(path, CLLM__COLUMN_ITEM, &options);
    read_fields(path, CLLM__COLUMN_USER, &options);
    options.columns[CLLM__COLUMN_USER] = "2";
    options.columns[CLLM__COLUMN_ITEM] = "user";
    read_rows(path, &options);
    options.columns[CLLM__COLUMN_ITEM] = "18446744073709551617";
    read_rows(path, &options);
    options = (cllm__row_options){.delimited = cllm__delimited_defaults(), .format = CLLM__FORMAT_SEQUENCE};
    read_rows(path, &options);
    options =
        (cllm__row_options){.delimited = cllm__delimited_defaults(), .encoding = CLLM_ENCODING_LATIN1, .needs_text = true};
    read_rows(path, &options);
    return 0;
}
