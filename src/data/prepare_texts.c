/* Writing the texts and the tables of users and items. */
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "data/dataset_escape.h"
#include "data/dataset_write.h"
#include "data/prepare_sort.h"
#include "data/prepare_write.h"
#include "text/splitter.h"

typedef struct index_entry {
    uint64_t start;
    int32_t user, item;
    uint8_t kind, split;
} index_entry;

struct cllm__text_writer {
    cllm__out *out;
    cllm__spool *index;
    cllm__splitter *splitter;
    cllm__split_walk *walk;
    uint64_t count, size;
};

void cllm__text_writer_free(cllm__text_writer *writer) {
    if (writer == NULL) return;
    cllm__out_abort(writer->out);
    cllm__spool_free(writer->index);
    cllm__split_walk_free(writer->walk);
    cllm__splitter_free(writer->splitter);
    cllm__free(writer);
}

cllm_status cllm__output_path(const cllm__preparing *p, const char *name, char **path, cllm_error *err) {
    *path = cllm__path_join(p->folder, name);
    return *path == NULL ? cllm__fail_nomem(err) : CLLM_OK;
}

static cllm_status create(cllm__preparing *p, cllm__dataset_file file, cllm__out **out, cllm_error *err) {
    char *path;
    CLLM_TRY(cllm__output_path(p, cllm__dataset_file_name(file), &path, err));
    cllm_status status = cllm__out_create(out, path, err);
    cllm__free(path);
    return status;
}

/* ---- One text ---- */

static uint64_t count_words(const char *text, size_t length) {
    uint64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < length; i++) {
        bool space = text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r');
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

/* A text that is too much for the pattern (it is no text then) counts as far as it went. */
static cllm_status count_tokens(cllm__text_writer *writer, const char *text, size_t length, uint64_t *tokens,
                                cllm_error *err) {
    size_t begin, end;
    cllm__split_walk_begin(writer->walk, text, length);
    for (;;) {
        cllm_status status = cllm__split_walk_next(writer->walk, &begin, &end, err);
        if (status == CLLM_ERR_DATA || (status == CLLM_OK && begin == end)) return CLLM_OK;
        if (status != CLLM_OK) return status;
        ++*tokens;
    }
}

static cllm_status write_text(cllm__text_writer *writer, cllm__written *written, index_entry entry, const char *text,
                              size_t length, cllm_error *err) {
    entry.start = writer->size;
    CLLM_TRY(cllm__out_write(writer->out, text, length, err));
    CLLM_TRY(cllm__out_write(writer->out, "", 1, err)); /* so that fields can be handed out as C strings */
    CLLM_TRY(cllm__spool_write(writer->index, &entry, sizeof entry, err));
    CLLM_TRY(count_tokens(writer, text, length, &written->tokens, err));
    written->words += count_words(text, length);
    written->kinds[entry.kind]++;
    written->texts++;
    writer->count++;
    writer->size += length + 1;
    return CLLM_OK;
}

/* The spool's next text into p->clean. */
static cllm_status read_text(cllm__preparing *p, size_t *length, cllm_error *err) {
    uint64_t size;
    CLLM_TRY(cllm__spool_read_length(p->texts, &size, err));
    CLLM_TRY(CLLM_GROW(p->clean, p->clean_capacity, (size_t)size + 1, err));
    CLLM_TRY(cllm__spool_read(p->texts, p->clean, (size_t)size, err));
    *length = (size_t)size;
    return CLLM_OK;
}

/* ---- Items and users ---- */

/* Fields of one item or user: to the texts, and those that people look for to the table. */
static cllm_status write_fields(cllm__preparing *p, cllm__text_writer *writer, cllm__written *written, uint64_t where,
                                index_entry owner, cllm__out *table, cllm_error *err) {
    int column = CLLM__TEXT_TITLE; /* the next one of the table */
    if (where > 0) CLLM_TRY(cllm__spool_seek(p->texts, where - 1, err));
    while (where > 0) {
        unsigned char kind;
        size_t length;
        CLLM_TRY(cllm__spool_read(p->texts, &kind, 1, err));
        if (kind == 0) break;
        CLLM_TRY(read_text(p, &length, err));
        owner.kind = (uint8_t)(kind - 1);
        CLLM_TRY(write_text(writer, written, owner, p->clean, length, err));
        if (owner.kind > CLLM__TEXT_CATEGORIES) continue;
        for (; column <= owner.kind; column++) CLLM_TRY(cllm__out_write(table, "\t", 1, err));
        CLLM_TRY(cllm__escape_write(table, p->clean, length, err));
    }
    for (; owner.item >= 0 && column <= CLLM__TEXT_CATEGORIES; column++) CLLM_TRY(cllm__out_write(table, "\t", 1, err));
    return cllm__out_write(table, "\n", 1, err);
}

/* Rows of the data set → numbers of appearance. */
static cllm_status invert(const int32_t *row_of_rank, const int32_t *order, size_t ranks, size_t rows, int32_t **numbers,
                          cllm_error *err) {
    CLLM_TRY(CLLM_NEW(*numbers, rows, err));
    for (size_t r = 0; r < ranks; r++) {
        if (row_of_rank[r] >= 0) (*numbers)[row_of_rank[r]] = order[r];
    }
    return CLLM_OK;
}

static cllm_status write_table(cllm__preparing *p, cllm__text_writer *writer, cllm__written *written, bool items,
                               cllm_error *err) {
    cllm_status status;
    cllm__out *table = NULL;
    int32_t *numbers = NULL;
    size_t rows = items ? p->items_kept : p->users_kept;
    const cllm__names *names = items ? p->items : p->users;
    const uint64_t *fields = items ? p->item_fields : p->user_fields;
    /* Items of an item file come first; those of the interactions alone have no fields. */
    size_t with_fields = fields == NULL ? 0 : !items ? cllm__names_count(names) : p->fixed_items;
    if (items) CLLM_TRY_CLEAN(invert(p->item_row, p->item_order, p->n_items, rows, &numbers, err));
    else CLLM_TRY_CLEAN(invert(p->user_row, p->user_order, p->n_users, rows, &numbers, err));
    CLLM_TRY_CLEAN(create(p, items ? CLLM__FILE_ITEMS : CLLM__FILE_USERS, &table, err));
    CLLM_TRY_CLEAN(cllm__out_printf(table, err, items ? "#item\ttitle\tbrand\tcategories\n" : "#user\n"));
    for (size_t row = 0; row < rows; row++) {
        if (row % 4096 == 0) CLLM_TRY_CLEAN(cllm__check_cancelled(p->host, err));
        size_t number = (size_t)numbers[row];
        const char *id = cllm__names_get(names, number);
        index_entry owner = {.user = items ? -1 : (int32_t)row, .item = items ? (int32_t)row : -1, .split = CLLM__TRAIN};
        CLLM_TRY_CLEAN(cllm__escape_write(table, id, strlen(id), err));
        CLLM_TRY_CLEAN(write_fields(p, writer, written, number < with_fields ? fields[number] : 0, owner, table, err));
    }
    status = cllm__out_commit(table, err);
    table = NULL;
cleanup:
    cllm__out_abort(table);
    cllm__free(numbers);
    return status;
}

/* ---- Reviews ---- */

static int by_where(const void *a, const void *b, const void *context) {
    (void)context;
    uint64_t x = cllm__prow_where(a), y = cllm__prow_where(b);
    return (x > y) - (x < y);
}

/* In the order of the input, so that the spool is read from front to back. */
static cllm_status write_reviews(cllm__preparing *p, cllm__text_writer *writer, cllm__written *written, cllm_error *err) {
    cllm__meter meter = cllm__meter_begin(p->host, "write texts", "rows", (double)p->count);
    cllm__sort(p->rows, p->count, sizeof *p->rows, by_where, NULL);
    for (size_t i = 0; i < p->count; i++) {
        const cllm__prow *row = &p->rows[i];
        size_t length;
        if (i % 256 == 0) {
            CLLM_TRY(cllm__check_cancelled(p->host, err));
            cllm__meter_update(&meter, (double)i, NULL);
        }
        if (cllm__prow_fate(row) != CLLM__KEPT) continue;
        CLLM_TRY(cllm__spool_seek(p->texts, cllm__prow_offset(row), err));
        CLLM_TRY(read_text(p, &length, err));
        if (length == 0) continue;
        index_entry entry = {.user = p->user_row[row->user],
                             .item = p->item_row[row->item],
                             .kind = CLLM__TEXT_REVIEW,
                             .split = (uint8_t)cllm__prow_split(row)};
        CLLM_TRY(write_text(writer, written, entry, p->clean, length, err));
    }
    cllm__meter_end(&meter, (double)p->count, NULL);
    return CLLM_OK;
}

cllm_status cllm__texts_write(cllm__preparing *p, cllm__text_writer **out, cllm__written *written, cllm_error *err) {
    cllm__text_writer *writer;
    const cllm__split_step step = {.pattern = (char *)cllm__gpt2_pattern, .keep_matches = true, .keep_gaps = true};
    cllm_status status;
    CLLM_TRY(CLLM_NEW(writer, 1, err));
    CLLM_TRY_CLEAN(cllm__splitter_create(&writer->splitter, &step, 1, err));
    CLLM_TRY_CLEAN(cllm__split_walk_create(&writer->walk, writer->splitter, err));
    CLLM_TRY_CLEAN(cllm__spool_create(&writer->index, p->folder, "index.tmp", err));
    CLLM_TRY_CLEAN(create(p, CLLM__FILE_TEXTS, &writer->out, err));
    CLLM_TRY_CLEAN(write_table(p, writer, written, true, err));
    CLLM_TRY_CLEAN(write_table(p, writer, written, false, err));
    CLLM_TRY_CLEAN(write_reviews(p, writer, written, err));
    status = cllm__out_commit(writer->out, err);
    writer->out = NULL;
cleanup:
    if (status == CLLM_OK) *out = writer;
    else cllm__text_writer_free(writer);
    return status;
}

/* ---- Index ---- */

cllm_status cllm__texts_write_index(cllm__preparing *p, cllm__text_writer *writer, cllm_error *err) {
    cllm_status status;
    size_t n = (size_t)writer->count;
    uint64_t *start = NULL;
    uint8_t *kind = NULL, *split = NULL;
    int32_t *user = NULL, *item = NULL;
    CLLM_TRY_CLEAN(CLLM_NEW(start, n + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(kind, n, err));
    CLLM_TRY_CLEAN(CLLM_NEW(split, n, err));
    CLLM_TRY_CLEAN(CLLM_NEW(user, n, err));
    CLLM_TRY_CLEAN(CLLM_NEW(item, n, err));
    CLLM_TRY_CLEAN(cllm__spool_seek(writer->index, 0, err));
    for (size_t i = 0; i < n; i++) {
        index_entry entry;
        CLLM_TRY_CLEAN(cllm__spool_read(writer->index, &entry, sizeof entry, err));
        start[i] = entry.start;
        kind[i] = entry.kind;
        split[i] = entry.split;
        user[i] = entry.user;
        item[i] = entry.item;
    }
    start[n] = writer->size;
    status = cllm__write_text_index(p->folder, &(cllm__text_index){n, start, kind, split, user, item}, err);
cleanup:
    cllm__free(start);
    cllm__free(kind);
    cllm__free(split);
    cllm__free(user);
    cllm__free(item);
    return status;
}
