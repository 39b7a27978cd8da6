#include "formats/npz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/alloc.h"
#include "base/io.h"
#include "formats/npy.h"
#include "formats/utf8.h"

enum { PIECE = 1 << 20 };
/* Deflate makes at most this many bytes of one. A directory that claims more lies, and memory is not asked for. */
enum { DEFLATE_RATIO = 1032 };

typedef struct member {
    char *name; /* without ".npy" */
    zip_uint64_t index;
} member;

struct cllm__npz {
    char *path;
    cllm__map map;
    zip_t *zip;
    member *members; /* by name */
    size_t count;
};

static cllm_status zip_failed(const char *path, zip_error_t *error, cllm_error *err) {
    if (zip_error_code_zip(error) == ZIP_ER_MEMORY) return cllm__fail_nomem(err);
    return cllm__fail(err, CLLM_ERR_DATA, "'%s' cannot be read as .npz: %s", path, zip_error_strerror(error));
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const member *)a)->name, ((const member *)b)->name);
}

static cllm_status open_zip(cllm__npz *file, cllm_error *err) {
    CLLM_TRY(cllm__map_open(&file->map, file->path, err));
    if (file->map.size < 4 || memcmp(file->map.data, "PK", 2) != 0) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' is not an .npz file: it does not begin like a zip archive", file->path);
    }
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(file->map.data, file->map.size, 0, &error);
    if (source != NULL) file->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
    cllm_status status = CLLM_OK;
    if (file->zip == NULL) {
        status = zip_failed(file->path, &error, err);
        zip_source_free(source);
    }
    zip_error_fini(&error);
    return status;
}

static cllm_status list_members(cllm__npz *file, cllm_error *err) {
    size_t n = (size_t)zip_get_num_entries(file->zip, 0);
    CLLM_TRY(CLLM_NEW(file->members, n, err));
    for (size_t i = 0; i < n; i++) {
        const char *name = zip_get_name(file->zip, i, ZIP_FL_ENC_RAW);
        size_t length = name == NULL ? 0 : strlen(name);
        if (length < 4 || strcmp(name + length - 4, ".npy") != 0) continue;
        member *m = &file->members[file->count];
        m->name = cllm__strndup(name, length - 4);
        if (m->name == NULL) return cllm__fail_nomem(err);
        m->index = i;
        file->count++;
    }
    if (file->count > 0) qsort(file->members, file->count, sizeof *file->members, by_name);
    for (size_t i = 1; i < file->count; i++) {
        if (strcmp(file->members[i - 1].name, file->members[i].name) == 0) {
            return cllm__fail(err, CLLM_ERR_DATA, "'%s' holds two arrays '%.200s'", file->path, file->members[i].name);
        }
    }
    return CLLM_OK;
}

cllm_status cllm__npz_open(cllm__npz **out, const char *path, cllm_error *err) {
    cllm__npz *file;
    CLLM_TRY(CLLM_NEW(file, 1, err));
    file->path = cllm__strdup(path);
    cllm_status status = file->path == NULL ? cllm__fail_nomem(err) : open_zip(file, err);
    if (status == CLLM_OK) status = list_members(file, err);
    if (status != CLLM_OK) {
        cllm__npz_close(file);
        return status;
    }
    *out = file;
    return CLLM_OK;
}

void cllm__npz_close(cllm__npz *file) {
    if (file == NULL) return;
    if (file->zip != NULL) zip_discard(file->zip);
    cllm__map_close(&file->map);
    for (size_t i = 0; i < file->count; i++) cllm__free(file->members[i].name);
    cllm__free(file->members);
    cllm__free(file->path);
    cllm__free(file);
}

size_t cllm__npz_count(const cllm__npz *file) {
    return file->count;
}

const char *cllm__npz_name(const cllm__npz *file, size_t index) {
    CLLM_ASSERT(index < file->count);
    return file->members[index].name;
}

static const member *find(const cllm__npz *file, const char *name) {
    member key = {.name = (char *)(uintptr_t)name};
    return file->count == 0 ? NULL : bsearch(&key, file->members, file->count, sizeof key, by_name);
}

bool cllm__npz_has(const cllm__npz *file, const char *name) {
    return find(file, name) != NULL;
}

/* Exactly `size` bytes of the member. */
static cllm_status read_bytes(const cllm__npz *file, zip_file_t *stream, void *data, size_t size, cllm_error *err) {
    char *to = data;
    while (size > 0) {
        int refused = cllm__io_ask(CLLM_IO_READ, file->path);
        if (refused != 0) {
            errno = refused;
            return cllm__fail_errno(err, "cannot read '%s'", file->path);
        }
        zip_int64_t n = zip_fread(stream, to, size < PIECE ? size : PIECE);
        if (n < 0) return zip_failed(file->path, zip_file_get_error(stream), err);
        if (n == 0) return cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: an array ends too early", file->path);
        to += n;
        size -= (size_t)n;
    }
    return CLLM_OK;
}

static cllm_status read_stream(const cllm__npz *file, zip_file_t *stream, const char *name, uint64_t size,
                               cllm__array *array, cllm_error *err) {
    unsigned char prefix[CLLM_NPY_PREFIX] = {0};
    size_t begin, length;
    if (size >= sizeof prefix) CLLM_TRY(read_bytes(file, stream, prefix, sizeof prefix, err));
    if (!cllm__npy_prefix(prefix, &begin, &length) || begin + length < sizeof prefix || begin + length > size) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': '%s.npy' is not a numpy array of version 1 to 3", file->path, name);
    }
    char *text;
    CLLM_TRY(CLLM_NEW(text, length, err));
    size_t early = sizeof prefix - begin; /* the text's bytes that were read with the prefix */
    memcpy(text, prefix + begin, early);
    cllm_status status = read_bytes(file, stream, text + early, length - early, err);
    if (status == CLLM_OK) {
        status = cllm__npy_parse(text, length, name, array, err);
        if (status != CLLM_OK && status != CLLM_ERR_NOMEM) cllm__error_prefix(err, "'%s'", file->path);
    }
    cllm__free(text);
    CLLM_TRY(status);
    uint64_t bytes = (uint64_t)array->count * array->item, have = size - begin - length;
    if (bytes != have) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': array '%s' has %llu bytes, but its header says %llu", file->path, name,
                          (unsigned long long)have, (unsigned long long)bytes);
    }
    if (bytes > 0) {
        array->data = cllm__alloc(bytes, 1);
        if (array->data == NULL) return cllm__fail_nomem(err);
        CLLM_TRY(read_bytes(file, stream, array->data, bytes, err));
    }
    char more; /* reading to the end makes libzip compare the check sum */
    zip_int64_t rest = zip_fread(stream, &more, 1);
    if (rest < 0) return zip_failed(file->path, zip_file_get_error(stream), err);
    return rest == 0
               ? CLLM_OK
               : cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: array '%s' is longer than it claims", file->path, name);
}

cllm_status cllm__npz_read(cllm__npz *file, const char *name, cllm__array *array, cllm_error *err) {
    const member *m = find(file, name);
    if (m == NULL) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' has no array '%s'", file->path, name);
    zip_stat_t info;
    zip_stat_init(&info);
    if (zip_stat_index(file->zip, m->index, 0, &info) != 0) return zip_failed(file->path, zip_get_error(file->zip), err);
    zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((info.valid & needed) != needed || info.encryption_method != ZIP_EM_NONE ||
        (info.comp_method != ZIP_CM_STORE && info.comp_method != ZIP_CM_DEFLATE)) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "'%s': array '%s' is encrypted or compressed in an unusual way: write it with "
                          "numpy.savez or savez_compressed",
                          file->path, name);
    }
    if (info.comp_size > file->map.size || info.size / DEFLATE_RATIO > info.comp_size) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: the size of array '%s' is impossible", file->path, name);
    }
    zip_file_t *stream = zip_fopen_index(file->zip, m->index, 0);
    if (stream == NULL) return zip_failed(file->path, zip_get_error(file->zip), err);
    cllm__array result = {0};
    cllm_status status = read_stream(file, stream, name, info.size, &result, err);
    zip_fclose(stream);
    if (status != CLLM_OK) {
        cllm__array_free(&result);
        return status;
    }
    *array = result;
    return CLLM_OK;
}

void cllm__array_free(cllm__array *array) {
    cllm__free(array->data);
    *array = (cllm__array){0};
}

cllm_status cllm__array_string(const cllm__array *array, size_t index, char **text, cllm_error *err) {
    CLLM_ASSERT(index < array->count && (array->type == CLLM_NPY_BYTES || array->type == CLLM_NPY_UNICODE));
    size_t width = array->type == CLLM_NPY_UNICODE ? array->item / 4 : array->item, used = 0;
    char *out = cllm__alloc(width + 1, 4);
    if (out == NULL) return cllm__fail_nomem(err);
    const unsigned char *item = (const unsigned char *)array->data + index * array->item;
    if (array->type == CLLM_NPY_BYTES) {
        while (used < width && item[used] != 0) used++;
        memcpy(out, item, used);
        if (cllm__utf8_check(out, used) < used) {
            cllm__free(out);
            return cllm__fail(err, CLLM_ERR_DATA, "string %zu of the array is not UTF-8", index);
        }
    } else {
        for (size_t i = 0; i < width; i++) {
            uint32_t c;
            memcpy(&c, item + 4 * i, sizeof c);
            if (c == 0) break;
            if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
                cllm__free(out);
                return cllm__fail(err, CLLM_ERR_DATA, "string %zu of the array holds 0x%x, which is no character", index,
                                  (unsigned)c);
            }
            used += cllm__utf8_put(out + used, c);
        }
    }
    out[used] = '\0';
    *text = out;
    return CLLM_OK;
}
