/* Item and user files: an id and its texts, row by row. Amazon's metadata (JSON lines or Python literals), CSV, TSV,
 * RecBole's .item and .user. */
#ifndef CLLM_DATA_READER_FIELDS_H
#define CLLM_DATA_READER_FIELDS_H

#include "data/dataset.h"
#include "data/reader_rows.h"

typedef struct cllm__field_row {
    const char *id; /* 1 … CLLM__ID_LIMIT bytes without NUL */
    size_t id_length;
    cllm__field fields[CLLM__TEXT_KINDS]; /* length 0: none; may be written to, may hold NUL bytes */
} cllm__field_row;

typedef struct cllm__field_reader cllm__field_reader;

/* `id` is CLLM__COLUMN_ITEM or CLLM__COLUMN_USER. Of the options only encoding, delimited and columns[id] count, as
 * for a side file. */
CLLM_CHECK cllm_status cllm__field_reader_open(cllm__field_reader **out, const char *path, cllm__column id,
                                               const cllm__row_options *options, cllm_error *err);
void cllm__field_reader_close(cllm__field_reader *reader); /* accepts NULL */
/* The rest as with cllm__row_reader. */
CLLM_CHECK cllm_status cllm__field_reader_next(cllm__field_reader *reader, cllm__field_row *row, bool *end,
                                               cllm__bad_row *bad, cllm_error *err);
/* The reader's common part, for format, compression, place, position and failure. */
cllm__row_reader *cllm__field_reader_base(cllm__field_reader *reader);

#endif
