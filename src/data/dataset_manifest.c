#include "data/dataset_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

static const char FORMAT[] = "cllm4rec dataset";

const char *cllm__dataset_file_name(cllm__dataset_file file) {
    static const char *const names[CLLM__DATASET_FILES] = {
        "interactions.safetensors", "users.tsv", "items.tsv", "texts.utf8", "texts.safetensors", "dropped.tsv"};
    return names[file];
}

cllm_status cllm__manifest_json_text(struct json_object *object, char **text, cllm_error *err) {
    size_t length;
    const char *json =
        json_object_to_json_string_length(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    char *copy = json == NULL ? NULL : cllm__alloc(length + 2, 1);
    if (copy == NULL) return cllm__fail_nomem(err);
    memcpy(copy, json, length);
    memcpy(copy + length, "\n", 2);
    *text = copy;
    return CLLM_OK;
}

/* ---- Parsing ---- */

typedef struct parsing {
    const char *name;
    cllm_error *err;
} parsing;

static cllm_status member(const parsing *p, struct json_object *object, const char *key, enum json_type type,
                          struct json_object **value) {
    if (!json_object_object_get_ex(object, key, value) || !json_object_is_type(*value, type)) {
        return cllm__fail(p->err, CLLM_ERR_DATA,
                          "'%s': no '%s' of type %s: the folder is no data set, or damaged; prepare it again", p->name, key,
                          json_type_to_name(type));
    }
    return CLLM_OK;
}

static cllm_status count_of(const parsing *p, struct json_object *object, const char *key, int64_t limit, uint64_t *count) {
    struct json_object *value;
    CLLM_TRY(member(p, object, key, json_type_int, &value));
    int64_t number = json_object_get_int64(value);
    if (number < 0 || number > limit) {
        return cllm__fail(p->err, CLLM_ERR_DATA,
                          "'%s': '%s' is %s, outside 0 … %lld: the file is damaged; prepare the data set again", p->name,
                          key, json_object_get_string(value), (long long)limit);
    }
    *count = (uint64_t)number;
    return CLLM_OK;
}

static cllm_status file_of(const parsing *p, struct json_object *files, cllm__dataset_file file, cllm__manifest *manifest) {
    struct json_object *entry, *value;
    const char *name = cllm__dataset_file_name(file);
    CLLM_TRY(member(p, files, name, json_type_object, &entry));
    CLLM_TRY(count_of(p, entry, "bytes", INT64_MAX / 2, &manifest->files[file].bytes));
    CLLM_TRY(member(p, entry, "xxh3", json_type_string, &value));
    const char *text = json_object_get_string(value);
    if (json_object_get_string_len(value) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return cllm__fail(p->err, CLLM_ERR_DATA,
                          "'%s': the checksum of '%s' is not 16 hexadecimal digits: the file is damaged; prepare the data "
                          "set again",
                          p->name, name);
    }
    manifest->files[file].hash = strtoull(text, NULL, 16);
    return CLLM_OK;
}

static cllm_status parse_object(const parsing *p, struct json_object *object, cllm__manifest *manifest) {
    struct json_object *value, *summary, *files;
    static const char *const splits[CLLM__SPLITS] = {"train", "valid", "test"};
    uint64_t version;
    CLLM_TRY(member(p, object, "format", json_type_string, &value));
    if (strcmp(json_object_get_string(value), FORMAT) != 0) {
        return cllm__fail(p->err, CLLM_ERR_DATA, "'%s' is no data set manifest: give a folder that 'cllm4rec prepare' made",
                          p->name);
    }
    CLLM_TRY(count_of(p, object, "version", INT32_MAX, &version));
    if (version != CLLM__DATASET_VERSION) {
        return cllm__fail(p->err, CLLM_ERR_UNSUPPORTED,
                          "'%s' has format version %llu, and this program reads version %d: prepare the data "
                          "set again",
                          p->name, (unsigned long long)version, CLLM__DATASET_VERSION);
    }
    CLLM_TRY(member(p, object, "summary", json_type_object, &summary));
    CLLM_TRY(count_of(p, summary, "users", INT32_MAX, &manifest->users));
    CLLM_TRY(count_of(p, summary, "items", INT32_MAX, &manifest->items));
    CLLM_TRY(count_of(p, summary, "texts", INT64_MAX / 64, &manifest->texts));
    for (int s = 0; s < CLLM__SPLITS; s++) CLLM_TRY(count_of(p, summary, splits[s], INT64_MAX / 64, &manifest->count[s]));
    CLLM_TRY(member(p, object, "files", json_type_object, &files));
    for (int f = 0; f < CLLM__DATASET_FILES; f++) CLLM_TRY(file_of(p, files, (cllm__dataset_file)f, manifest));
    manifest->summary = json_object_get(summary);
    return CLLM_OK;
}

cllm_status cllm__manifest_parse(cllm__manifest *manifest, const char *text, size_t length, const char *name,
                                 cllm_error *err) {
    if (length > CLLM__MANIFEST_LIMIT) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' has %zu bytes, too many for a manifest: prepare the data set again",
                          name, length);
    }
    struct json_tokener *tokener = json_tokener_new_ex(16);
    if (tokener == NULL) return cllm__fail_nomem(err);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)length);
    enum json_tokener_error code = json_tokener_get_error(tokener);
    size_t at = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    cllm__manifest result = {0};
    const parsing p = {name, err};
    cllm_status status;
    if (code != json_tokener_success) {
        const char *why = code == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(code);
        status =
            cllm__fail(err, CLLM_ERR_DATA, "'%s', byte %zu: not JSON: %s; prepare the data set again", name, at + 1, why);
    } else if (!json_object_is_type(object, json_type_object)) {
        status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is no data set manifest: give a folder that 'cllm4rec prepare' made",
                            name);
    } else {
        status = parse_object(&p, object, &result);
    }
    json_object_put(object);
    if (status == CLLM_OK) *manifest = result;
    return status;
}

/* ---- Printing ---- */

static bool add(struct json_object *object, const char *key, struct json_object *value) {
    if (object != NULL && value != NULL && json_object_object_add(object, key, value) == 0) return true;
    json_object_put(value);
    return false;
}

cllm_status cllm__manifest_print(const cllm__manifest *manifest, char **text, cllm_error *err) {
    struct json_object *object = json_object_new_object(), *files = json_object_new_object();
    bool good = files != NULL;
    for (int f = 0; f < CLLM__DATASET_FILES && good; f++) {
        struct json_object *entry = json_object_new_object();
        char hash[17];
        cllm__hash_text(manifest->files[f].hash, hash);
        good = add(entry, "bytes", json_object_new_int64((int64_t)manifest->files[f].bytes)) &&
               add(entry, "xxh3", json_object_new_string(hash));
        good = add(files, cllm__dataset_file_name((cllm__dataset_file)f), entry) && good;
    }
    good = good && add(object, "format", json_object_new_string(FORMAT)) &&
           add(object, "version", json_object_new_int(CLLM__DATASET_VERSION)) &&
           add(object, "summary", json_object_get(manifest->summary));
    good = add(object, "files", files) && good;
    cllm_status status = good ? cllm__manifest_json_text(object, text, err) : cllm__fail_nomem(err);
    json_object_put(object);
    return status;
}

void cllm__manifest_free(cllm__manifest *manifest) {
    json_object_put(manifest->summary);
    *manifest = (cllm__manifest){0};
}
