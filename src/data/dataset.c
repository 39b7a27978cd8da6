#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/names.h"
#include "data/dataset_escape.h"
#include "data/dataset_manifest.h"
#include "formats/safetensors.h"
#include "formats/utf8.h"

struct cllm__dataset {
    char *path;
    cllm__manifest manifest;
    uint64_t hash;
    size_t n_users, n_items, n_texts;
    cllm__names *users, *items;
    cllm__safetensors *matrices, *index;
    cllm__interactions splits[CLLM__SPLITS];
    cllm__map texts, dropped;
    size_t dropped_begin; /* behind the header */
    const uint64_t *text_start;
    const uint8_t *text_kind, *text_split;
    const int32_t *text_user, *text_item;
    size_t *fields; /* [items × FIELD_KINDS]: number of the text + 1, 0 = none */
};

enum { FIELD_FIRST = CLLM__TEXT_TITLE, FIELD_KINDS = CLLM__TEXT_DESCRIPTION - CLLM__TEXT_TITLE + 1 };

/* ---- Opening: manifest and files ---- */

static cllm_status file_path(const cllm__dataset *d, cllm__dataset_file file, char **path, cllm_error *err) {
    *path = cllm__path_join(d->path, cllm__dataset_file_name(file));
    return *path == NULL ? cllm__fail_nomem(err) : CLLM_OK;
}

static cllm_status open_manifest(cllm__dataset *d, cllm_error *err) {
    char *path = cllm__path_join(d->path, CLLM__MANIFEST_NAME), *text = NULL;
    size_t length;
    if (path == NULL) return cllm__fail_nomem(err);
    cllm_status status;
    if (!cllm__path_is_folder(d->path)) {
        status =
            cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' is no folder: give a data set that 'cllm4rec prepare' made", d->path);
    } else if (!cllm__path_exists(path)) {
        status = cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' has no %s: give a data set that 'cllm4rec prepare' made",
                            d->path, CLLM__MANIFEST_NAME);
    } else {
        status = cllm__read_file(path, CLLM__MANIFEST_LIMIT, &text, &length, err);
    }
    if (status == CLLM_OK) status = cllm__manifest_parse(&d->manifest, text, length, path, err);
    if (status == CLLM_OK) d->hash = cllm__hash(text, length);
    cllm__free(text);
    cllm__free(path);
    return status;
}

/* Maps a file of the size that the manifest has. */
static cllm_status map_file(const cllm__dataset *d, cllm__dataset_file file, bool trust, cllm__map *map, cllm_error *err) {
    char *path;
    CLLM_TRY(file_path(d, file, &path, err));
    cllm_status status = cllm__map_open(map, path, err);
    if (status == CLLM_OK && map->size != d->manifest.files[file].bytes) {
        status = cllm__fail(err, CLLM_ERR_DATA,
                            "'%s' has %zu bytes where the manifest says %llu: the folder is damaged; prepare it again",
                            path, map->size, (unsigned long long)d->manifest.files[file].bytes);
    } else if (status == CLLM_OK && !trust && cllm__hash(map->data, map->size) != d->manifest.files[file].hash) {
        status = cllm__fail(err, CLLM_ERR_DATA,
                            "'%s' does not have the checksum that the manifest says: the folder is damaged; prepare it "
                            "again",
                            path);
    }
    cllm__free(path);
    return status;
}

static cllm_status damaged(const cllm__dataset *d, cllm__dataset_file file, cllm_error *err, const char *what,
                           uint64_t at) {
    return cllm__fail(err, CLLM_ERR_DATA, "'%s/%s', entry %llu: %s: the folder is damaged; prepare it again", d->path,
                      cllm__dataset_file_name(file), (unsigned long long)at, what);
}

/* Checks size and checksum, then opens it as safetensors. */
static cllm_status open_tensors(const cllm__dataset *d, cllm__dataset_file file, bool trust, cllm__safetensors **out,
                                cllm_error *err) {
    cllm__map map = {0};
    char *path = NULL;
    cllm_status status = map_file(d, file, trust, &map, err);
    cllm__map_close(&map);
    if (status == CLLM_OK) status = file_path(d, file, &path, err);
    if (status == CLLM_OK) status = cllm__safetensors_open(out, path, err);
    cllm__free(path);
    return status;
}

/* A vector's data, which must be there, of this length and aligned. */
static cllm_status vector(const cllm__safetensors *file, const char *name, cllm__st_dtype dtype, uint64_t length,
                          const void **data, cllm_error *err) {
    const cllm__tensor *tensor;
    CLLM_TRY(cllm__safetensors_require(file, name, dtype, 1, &length, &tensor, err));
    if (!cllm__tensor_aligned(tensor)) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "'%s': '%s' is not aligned: the file was not made by 'cllm4rec prepare'; prepare it again",
                          cllm__safetensors_path(file), name);
    }
    *data = tensor->data;
    return CLLM_OK;
}

/* ---- Opening: names ---- */

/* The first field of each line behind the header; `count` of them, all different. */
static cllm_status read_names(const cllm__dataset *d, cllm__dataset_file file, const cllm__map *map, size_t count,
                              cllm__names *names, cllm_error *err) {
    const char *text = (const char *)map->data, *line = text == NULL ? NULL : memchr(text, '\n', map->size);
    char *id = NULL;
    size_t capacity = 0, index, row = 0;
    cllm_status status = CLLM_OK;
    if (line == NULL || text[0] != '#') return damaged(d, file, err, "no header line", 0);
    const char *end = text + map->size;
    for (line++; line < end && status == CLLM_OK; row++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL) {
            status = damaged(d, file, err, "the last line has no end", row);
            break;
        }
        const char *tab = memchr(line, '\t', (size_t)(stop - line));
        size_t length = (size_t)((tab == NULL ? stop : tab) - line);
        status = CLLM_GROW(id, capacity, length + 1, err);
        if (status != CLLM_OK) break;
        length = cllm__unescape(id, line, length);
        if (length == SIZE_MAX || length == 0 || memchr(id, '\0', length) != NULL ||
            cllm__utf8_check(id, length) != length) {
            status = damaged(d, file, err, "not a raw id", row);
            break;
        }
        status = cllm__names_add(names, id, length, &index, err);
        if (status == CLLM_OK && index != row) status = damaged(d, file, err, "an id that stands there twice", row);
        line = stop + 1;
    }
    cllm__free(id);
    if (status == CLLM_OK && row != count) status = damaged(d, file, err, "not as many lines as the manifest says", row);
    return status;
}

static cllm_status open_names(cllm__dataset *d, cllm__dataset_file file, bool trust, size_t count, cllm__names **names,
                              cllm_error *err) {
    cllm__map map = {0};
    CLLM_TRY(cllm__names_create(names, err));
    cllm_status status = map_file(d, file, trust, &map, err);
    if (status == CLLM_OK) status = read_names(d, file, &map, count, *names, err);
    cllm__map_close(&map);
    return status;
}

/* ---- Opening: interactions ---- */

static cllm_status open_split(cllm__dataset *d, cllm__split split, cllm_error *err) {
    static const char *const names[CLLM__SPLITS] = {"train", "valid", "test"};
    cllm__interactions *matrix = &d->splits[split];
    uint64_t count = d->manifest.count[split];
    char name[32];
    const void *data;
    *matrix = (cllm__interactions){.n_users = d->n_users, .n_items = d->n_items, .count = (size_t)count};
    snprintf(name, sizeof name, "%s.start", names[split]);
    CLLM_TRY(vector(d->matrices, name, CLLM_ST_U64, d->n_users + 1, &data, err));
    matrix->start = data;
    snprintf(name, sizeof name, "%s.items", names[split]);
    CLLM_TRY(vector(d->matrices, name, CLLM_ST_I32, count, &data, err));
    matrix->items = data;
    snprintf(name, sizeof name, "%s.times", names[split]);
    if (cllm__safetensors_find(d->matrices, name) != NULL) {
        CLLM_TRY(vector(d->matrices, name, CLLM_ST_I64, count, &data, err));
        matrix->times = data;
    }
    snprintf(name, sizeof name, "%s.ratings", names[split]);
    if (cllm__safetensors_find(d->matrices, name) != NULL) {
        CLLM_TRY(vector(d->matrices, name, CLLM_ST_F32, count, &data, err));
        matrix->ratings = data;
    }
    if (matrix->start[0] != 0 || matrix->start[d->n_users] != count) {
        return damaged(d, CLLM__FILE_INTERACTIONS, err, "the users' rows do not cover the interactions", 0);
    }
    for (size_t u = 0; u < d->n_users; u++) {
        if (matrix->start[u + 1] < matrix->start[u])
            return damaged(d, CLLM__FILE_INTERACTIONS, err, "a user's row ends before it begins", u);
    }
    for (size_t i = 0; i < count; i++) {
        if (matrix->items[i] < 0 || (size_t)matrix->items[i] >= d->n_items) {
            return damaged(d, CLLM__FILE_INTERACTIONS, err, "an item that is none", i);
        }
    }
    return CLLM_OK;
}

/* No pair twice, in whatever splits. */
static cllm_status check_pairs(const cllm__dataset *d, cllm_error *err) {
    int32_t *last; /* the last user + 1 that an item was seen with */
    CLLM_TRY(CLLM_NEW(last, d->n_items, err));
    cllm_status status = CLLM_OK;
    for (size_t u = 0; u < d->n_users && status == CLLM_OK; u++) {
        for (int s = 0; s < CLLM__SPLITS && status == CLLM_OK; s++) {
            const int32_t *items = cllm__row(&d->splits[s], u);
            for (size_t i = 0; i < cllm__row_count(&d->splits[s], u); i++) {
                if (last[items[i]] == (int32_t)u + 1) {
                    status = damaged(d, CLLM__FILE_INTERACTIONS, err, "a user has an item twice", u);
                    break;
                }
                last[items[i]] = (int32_t)u + 1;
            }
        }
    }
    cllm__free(last);
    return status;
}

/* ---- Opening: texts ---- */

static bool is_row(int32_t row, size_t count) {
    return row >= 0 && (size_t)row < count;
}

/* Owners and split as the kind has them. */
static bool is_owned(const cllm__dataset *d, size_t i) {
    int32_t user = d->text_user[i], item = d->text_item[i];
    switch ((cllm__text_kind)d->text_kind[i]) {
    case CLLM__TEXT_REVIEW: return is_row(user, d->n_users) && is_row(item, d->n_items) && d->text_split[i] < CLLM__SPLITS;
    case CLLM__TEXT_BIOGRAPHY: return is_row(user, d->n_users) && item == -1 && d->text_split[i] == CLLM__TRAIN;
    case CLLM__TEXT_TITLE:
    case CLLM__TEXT_BRAND:
    case CLLM__TEXT_CATEGORIES:
    case CLLM__TEXT_DESCRIPTION: return user == -1 && is_row(item, d->n_items) && d->text_split[i] == CLLM__TRAIN;
    default: return false;
    }
}

static cllm_status check_texts(cllm__dataset *d, bool trust, cllm_error *err) {
    const char *text = (const char *)d->texts.data;
    size_t size = d->texts.size;
    if (d->text_start[0] != 0 || d->text_start[d->n_texts] != size || (size > 0 && text[size - 1] != '\0')) {
        return damaged(d, CLLM__FILE_TEXT_INDEX, err, "the index does not cover the texts", 0);
    }
    if (!trust && cllm__utf8_check(text, size) != size)
        return damaged(d, CLLM__FILE_TEXTS, err, "not UTF-8", cllm__utf8_check(text, size));
    CLLM_TRY(CLLM_NEW(d->fields, d->n_items * FIELD_KINDS, err));
    for (size_t i = 0; i < d->n_texts; i++) {
        uint64_t begin = d->text_start[i], end = d->text_start[i + 1];
        if (end <= begin || end > size) return damaged(d, CLLM__FILE_TEXT_INDEX, err, "a text ends before it begins", i);
        if (!trust && text[end - 1] != '\0')
            return damaged(d, CLLM__FILE_TEXTS, err, "a text does not end where the index says", i);
        if (!is_owned(d, i)) return damaged(d, CLLM__FILE_TEXT_INDEX, err, "a text of no user or item", i);
        int kind = d->text_kind[i] - FIELD_FIRST;
        if (kind < 0 || kind >= FIELD_KINDS) continue;
        size_t *field = &d->fields[(size_t)d->text_item[i] * FIELD_KINDS + (size_t)kind];
        if (*field != 0) return damaged(d, CLLM__FILE_TEXT_INDEX, err, "an item has two texts of one kind", i);
        *field = i + 1;
    }
    return CLLM_OK;
}

/* Each review's pair stands in the split that the review names: a review of a held-out pair that calls itself one of training would
 * teach what is measured. Reviews are taken by user, so that each row of the matrices is walked once. */
static cllm_status check_review_pairs(const cllm__dataset *d, cllm_error *err) {
    size_t *next = NULL, *reviews = NULL;
    uint64_t *mark = NULL; /* of an item: 3 · (user + 1) + split of the user's pair with it */
    cllm_status status;
    CLLM_TRY_CLEAN(CLLM_NEW(next, d->n_users + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(reviews, d->n_texts, err));
    CLLM_TRY_CLEAN(CLLM_NEW(mark, d->n_items, err));
    for (size_t i = 0; i < d->n_texts; i++) {
        if (d->text_kind[i] == CLLM__TEXT_REVIEW) next[d->text_user[i] + 1]++;
    }
    for (size_t u = 0; u < d->n_users; u++) next[u + 1] += next[u];
    for (size_t i = 0; i < d->n_texts; i++) {
        if (d->text_kind[i] == CLLM__TEXT_REVIEW) reviews[next[d->text_user[i]]++] = i;
    }
    for (size_t u = 0, at = 0; u < d->n_users; u++) { /* next[u] is now where the user's reviews end */
        uint64_t stamp = 3 * ((uint64_t)u + 1);
        for (int s = 0; s < CLLM__SPLITS && at < next[u]; s++) {
            const int32_t *items = cllm__row(&d->splits[s], u);
            for (size_t i = 0; i < cllm__row_count(&d->splits[s], u); i++) mark[items[i]] = stamp + (uint64_t)s;
        }
        for (; at < next[u]; at++) {
            size_t i = reviews[at];
            if (mark[d->text_item[i]] == stamp + d->text_split[i]) continue;
            status = damaged(d, CLLM__FILE_TEXT_INDEX, err, "a review of a pair that is not in the review's split", i);
            goto cleanup;
        }
    }
cleanup:
    cllm__free(next);
    cllm__free(reviews);
    cllm__free(mark);
    return status;
}

static cllm_status open_texts(cllm__dataset *d, bool trust, cllm_error *err) {
    const void *data;
    CLLM_TRY(open_tensors(d, CLLM__FILE_TEXT_INDEX, trust, &d->index, err));
    CLLM_TRY(vector(d->index, "start", CLLM_ST_U64, d->n_texts + 1, &data, err));
    d->text_start = data;
    CLLM_TRY(vector(d->index, "kind", CLLM_ST_U8, d->n_texts, &data, err));
    d->text_kind = data;
    CLLM_TRY(vector(d->index, "split", CLLM_ST_U8, d->n_texts, &data, err));
    d->text_split = data;
    CLLM_TRY(vector(d->index, "user", CLLM_ST_I32, d->n_texts, &data, err));
    d->text_user = data;
    CLLM_TRY(vector(d->index, "item", CLLM_ST_I32, d->n_texts, &data, err));
    d->text_item = data;
    CLLM_TRY(map_file(d, CLLM__FILE_TEXTS, trust, &d->texts, err));
    CLLM_TRY(check_texts(d, trust, err));
    return check_review_pairs(d, err);
}

/* ---- Dropped rows ---- */

/* The line that begins at `at`: its user, item and mark; *next behind it. False for a line of another form. */
typedef struct dropped_line {
    const char *user, *item;
    size_t user_length, item_length, next;
    bool liked;
} dropped_line;

static bool parse_dropped(const cllm__dataset *d, size_t at, dropped_line *line) {
    const char *text = (const char *)d->dropped.data, *from = text + at, *end = memchr(from, '\n', d->dropped.size - at);
    if (end == NULL) return false;
    const char *first = memchr(from, '\t', (size_t)(end - from));
    const char *second = first == NULL ? NULL : memchr(first + 1, '\t', (size_t)(end - first - 1));
    if (second == NULL || second + 2 != end || (second[1] != '0' && second[1] != '1')) return false;
    *line = (dropped_line){
        from, first + 1, (size_t)(first - from), (size_t)(second - first - 1), (size_t)(end - text) + 1, second[1] == '1'};
    return true;
}

static cllm_status open_dropped(cllm__dataset *d, bool trust, cllm_error *err) {
    CLLM_TRY(map_file(d, CLLM__FILE_DROPPED, trust, &d->dropped, err));
    const char *text = (const char *)d->dropped.data, *end = text == NULL ? NULL : memchr(text, '\n', d->dropped.size);
    if (end == NULL || text[0] != '#') return damaged(d, CLLM__FILE_DROPPED, err, "no header line", 0);
    d->dropped_begin = (size_t)(end - text) + 1;
    if (trust) return CLLM_OK;
    char *before = NULL;
    size_t capacity = 0;
    cllm_status status = CLLM_OK;
    for (size_t at = d->dropped_begin, row = 0; at < d->dropped.size && status == CLLM_OK; row++) {
        dropped_line line;
        if (!parse_dropped(d, at, &line)) {
            status = damaged(d, CLLM__FILE_DROPPED, err, "not user, item and 0 or 1", row);
            break;
        }
        if (before != NULL && cllm__escape_compare(line.user, line.user_length, before) < 0) {
            status = damaged(d, CLLM__FILE_DROPPED, err, "users out of order", row);
            break;
        }
        status = CLLM_GROW(before, capacity, line.user_length + 1, err);
        if (status != CLLM_OK) break;
        size_t length = cllm__unescape(before, line.user, line.user_length);
        if (length == SIZE_MAX || memchr(before, '\0', length) != NULL) {
            status = damaged(d, CLLM__FILE_DROPPED, err, "not a raw id", row);
            break;
        }
        before[length] = '\0';
        at = line.next;
    }
    cllm__free(before);
    return status;
}

cllm_status cllm__dataset_dropped(const cllm__dataset *d, const char *user_id, cllm__dropped_visitor *visit, void *context,
                                  cllm_error *err) {
    const char *text = (const char *)d->dropped.data;
    size_t low = d->dropped_begin, high = d->dropped.size; /* both at line beginnings; the answer is in [low, high] */
    dropped_line line;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        while (middle > low && text[middle - 1] != '\n') middle--;
        if (!parse_dropped(d, middle, &line))
            return damaged(d, CLLM__FILE_DROPPED, err, "not user, item and 0 or 1", middle);
        if (cllm__escape_compare(line.user, line.user_length, user_id) < 0) low = line.next;
        else high = middle;
    }
    char *item = NULL;
    size_t capacity = 0;
    cllm_status status = CLLM_OK;
    for (size_t at = low; at < d->dropped.size && status == CLLM_OK; at = line.next) {
        if (!parse_dropped(d, at, &line)) {
            status = damaged(d, CLLM__FILE_DROPPED, err, "not user, item and 0 or 1", at);
            break;
        }
        if (cllm__escape_compare(line.user, line.user_length, user_id) != 0) break;
        status = CLLM_GROW(item, capacity, line.item_length + 1, err);
        if (status != CLLM_OK) break;
        size_t length = cllm__unescape(item, line.item, line.item_length);
        if (length == SIZE_MAX) {
            status = damaged(d, CLLM__FILE_DROPPED, err, "not a raw id", at);
            break;
        }
        item[length] = '\0';
        visit(context, item, line.liked);
    }
    cllm__free(item);
    return status;
}

/* ---- Opening and closing ---- */

static cllm_status open_all(cllm__dataset *d, bool trust, cllm_error *err) {
    CLLM_TRY(open_manifest(d, err));
    d->n_users = (size_t)d->manifest.users;
    d->n_items = (size_t)d->manifest.items;
    d->n_texts = (size_t)d->manifest.texts;
    CLLM_TRY(open_names(d, CLLM__FILE_USERS, trust, d->n_users, &d->users, err));
    CLLM_TRY(open_names(d, CLLM__FILE_ITEMS, trust, d->n_items, &d->items, err));
    CLLM_TRY(open_tensors(d, CLLM__FILE_INTERACTIONS, trust, &d->matrices, err));
    for (int s = 0; s < CLLM__SPLITS; s++) CLLM_TRY(open_split(d, (cllm__split)s, err));
    CLLM_TRY(check_pairs(d, err));
    CLLM_TRY(open_texts(d, trust, err));
    return open_dropped(d, trust, err);
}

cllm_status cllm__dataset_open(cllm__dataset **out, const char *folder, bool trust, cllm_error *err) {
    cllm__dataset *d;
    CLLM_TRY(CLLM_NEW(d, 1, err));
    d->path = cllm__strdup(folder);
    cllm_status status = d->path == NULL ? cllm__fail_nomem(err) : open_all(d, trust, err);
    if (status != CLLM_OK) {
        cllm__dataset_close(d);
        return status;
    }
    *out = d;
    return CLLM_OK;
}

void cllm__dataset_close(cllm__dataset *d) {
    if (d == NULL) return;
    cllm__manifest_free(&d->manifest);
    cllm__names_free(d->users);
    cllm__names_free(d->items);
    cllm__safetensors_close(d->matrices);
    cllm__safetensors_close(d->index);
    cllm__map_close(&d->texts);
    cllm__map_close(&d->dropped);
    cllm__free(d->fields);
    cllm__free(d->path);
    cllm__free(d);
}

/* ---- Asking ---- */

size_t cllm__dataset_users(const cllm__dataset *d) {
    return d->n_users;
}

size_t cllm__dataset_items(const cllm__dataset *d) {
    return d->n_items;
}

const char *cllm__dataset_path(const cllm__dataset *d) {
    return d->path;
}

uint64_t cllm__dataset_hash(const cllm__dataset *d) {
    return d->hash;
}

const char *cllm__dataset_split_rule(const cllm__dataset *d) {
    struct json_object *rule;
    bool there = json_object_object_get_ex(d->manifest.summary, "split", &rule) && json_object_is_type(rule, json_type_string);
    return there ? json_object_get_string(rule) : "";
}

const cllm__interactions *cllm__dataset_interactions(const cllm__dataset *d, cllm__split split) {
    return &d->splits[split];
}

size_t cllm__dataset_texts(const cllm__dataset *d) {
    return d->n_texts;
}

cllm__text cllm__dataset_text(const cllm__dataset *d, size_t index) {
    CLLM_ASSERT(index < d->n_texts);
    uint64_t begin = d->text_start[index], end = d->text_start[index + 1];
    return (cllm__text){.kind = (cllm__text_kind)d->text_kind[index],
                        .split = (cllm__split)d->text_split[index],
                        .user = d->text_user[index],
                        .item = d->text_item[index],
                        .text = (const char *)d->texts.data + begin,
                        .length = (size_t)(end - begin - 1)};
}

const char *cllm__dataset_item_field(const cllm__dataset *d, size_t item, cllm__text_kind kind) {
    CLLM_ASSERT(item < d->n_items);
    int field = (int)kind - FIELD_FIRST;
    if (field < 0 || field >= FIELD_KINDS) return "";
    size_t text = d->fields[item * FIELD_KINDS + (size_t)field];
    return text == 0 ? "" : (const char *)d->texts.data + d->text_start[text - 1];
}

const char *cllm__dataset_user_id(const cllm__dataset *d, size_t user) {
    return cllm__names_get(d->users, user);
}

const char *cllm__dataset_item_id(const cllm__dataset *d, size_t item) {
    return cllm__names_get(d->items, item);
}

bool cllm__dataset_find_user(const cllm__dataset *d, const char *id, size_t *user) {
    return cllm__names_find(d->users, id, strlen(id), user);
}

bool cllm__dataset_find_item(const cllm__dataset *d, const char *id, size_t *item) {
    return cllm__names_find(d->items, id, strlen(id), item);
}

/* What prepare knew besides the contents, for people: a source file that is missing or strange is left out. */
static struct json_object *read_source(const cllm__dataset *d) {
    char *path = cllm__path_join(d->path, CLLM__SOURCE_NAME), *text = NULL;
    size_t length;
    struct json_object *source = NULL;
    if (path != NULL && cllm__path_exists(path) &&
        cllm__read_file(path, CLLM__MANIFEST_LIMIT, &text, &length, NULL) == CLLM_OK) {
        source = json_tokener_parse(text);
    }
    if (source != NULL && !json_object_is_type(source, json_type_object)) {
        json_object_put(source);
        source = NULL;
    }
    cllm__free(text);
    cllm__free(path);
    return source;
}

cllm_status cllm__dataset_summary(const cllm__dataset *d, char **json, cllm_error *err) {
    struct json_object *summary = NULL;
    if (json_object_deep_copy(d->manifest.summary, &summary, NULL) != 0) return cllm__fail_nomem(err);
    struct json_object *source = read_source(d);
    bool good = true;
    if (source != NULL) {
        json_object_object_foreach(source, key, value) {
            if (json_object_object_get_ex(summary, key, NULL)) continue; /* the manifest's word counts */
            good = good && json_object_object_add(summary, key, json_object_get(value)) == 0;
        }
    }
    cllm_status status = good ? cllm__manifest_json_text(summary, json, err) : cllm__fail_nomem(err);
    json_object_put(source);
    json_object_put(summary);
    return status;
}
