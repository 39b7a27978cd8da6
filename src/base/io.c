#define _GNU_SOURCE /* renameat2-free, but nftw and asprintf-like helpers want XOPEN 700 */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static cllm__io_hook *g_hook;
static void *g_hook_user;

void cllm__io_set_hook(cllm__io_hook *hook, void *user) {
    g_hook = hook;
    g_hook_user = user;
}

int cllm__io_ask(cllm__io_op op, const char *path) {
    return g_hook == NULL ? 0 : g_hook(g_hook_user, op, path);
}

/* True, with errno set, if a test wants this operation to fail. */
static bool refused(cllm__io_op op, const char *path) {
    int code = cllm__io_ask(op, path);
    if (code == 0) return false;
    errno = code;
    return true;
}

/* ---- Paths ---- */

char *cllm__path_join(const char *folder, const char *name) {
    if (name[0] == '/') return cllm__strdup(name);
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = cllm__alloc(size, 1);
    if (path != NULL) snprintf(path, size, "%s%s%s", folder, folder[0] != '\0' && folder[strlen(folder) - 1] == '/' ? "" : "/", name);
    return path;
}

char *cllm__path_absolute(const char *path) {
    char *resolved = path == NULL ? NULL : realpath(path, NULL), *copy = resolved == NULL ? NULL : cllm__strdup(resolved);
    free(resolved);
    return copy;
}

bool cllm__path_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

bool cllm__path_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

cllm_status cllm__make_folders(const char *path, cllm_error *err) {
    char *copy = cllm__strdup(path);
    if (copy == NULL) return cllm__fail_nomem(err);
    cllm_status status = CLLM_OK;
    for (char *slash = copy + 1; status == CLLM_OK; slash++) {
        char c = *slash;
        if (c != '/' && c != '\0') continue;
        *slash = '\0';
        if ((refused(CLLM_IO_MKDIR, copy) || mkdir(copy, 0777) != 0) && !(errno == EEXIST && cllm__path_is_folder(copy))) {
            status = cllm__fail_errno(err, "cannot make the folder '%s'", copy);
        }
        *slash = c;
        if (c == '\0') break;
    }
    cllm__free(copy);
    return status;
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk) {
    (void)info, (void)flag, (void)walk;
    remove(path);
    return 0;
}

void cllm__remove_tree(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

cllm_status cllm__temporary_folder(char **path, cllm_error *err) {
    const char *base = getenv("TMPDIR");
    char *pattern = cllm__path_join(base != NULL && base[0] != '\0' ? base : "/tmp", "cllm4rec-XXXXXX");
    if (pattern == NULL) return cllm__fail_nomem(err);
    int refused = cllm__io_ask(CLLM_IO_MKDIR, pattern);
    if (refused != 0) errno = refused;
    if (refused != 0 || mkdtemp(pattern) == NULL) {
        cllm_status status = cllm__fail_errno(err, "cannot make the folder '%s' (TMPDIR names another place)", pattern);
        cllm__free(pattern);
        return status;
    }
    *path = pattern;
    return CLLM_OK;
}

/* fsync of the folder that holds `path`, so that a rename in it is on the disk. Without allocation: what was renamed is there, and
 * a want of memory must not say otherwise. */
static cllm_status sync_parent(const char *path, cllm_error *err) {
    char parent[PATH_MAX];
    size_t length = strlen(path);
    CLLM_ASSERT(length < sizeof parent); /* it was renamed, so the system took it */
    memcpy(parent, path, length + 1);
    while (length > 1 && parent[length - 1] == '/') parent[--length] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash == NULL) strcpy(parent, ".");
    else slash[slash == parent ? 1 : 0] = '\0';
    cllm_status status = CLLM_OK;
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || refused(CLLM_IO_FSYNC, parent) || fsync(fd) != 0) {
        status = cllm__fail_errno(err, "cannot flush the folder '%s' to disk", parent);
    }
    if (fd >= 0) close(fd);
    return status;
}

/* ---- Reading ---- */

static cllm_status open_read(const char *path, int *fd, struct stat *info, cllm_error *err) {
    *fd = refused(CLLM_IO_OPEN_READ, path) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return cllm__fail_errno(err, "cannot open '%s'", path);
    if (fstat(*fd, info) != 0) {
        cllm_status status = cllm__fail_errno(err, "cannot look at '%s'", path);
        close(*fd);
        return status;
    }
    if (S_ISDIR(info->st_mode)) {
        close(*fd);
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' is a folder, not a file", path);
    }
    return CLLM_OK;
}

cllm_status cllm__read_at(int fd, const char *path, void *data, size_t size, int64_t offset, cllm_error *err) {
    unsigned char *to = data;
    while (size > 0) {
        ssize_t n = refused(CLLM_IO_READ, path) ? -1 : pread(fd, to, size, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cllm__fail_errno(err, "cannot read '%s'", path);
        if (n == 0) return cllm__fail(err, CLLM_ERR_DATA, "'%s' ends too early, at byte %lld", path, (long long)offset);
        to += n;
        size -= (size_t)n;
        offset += n;
    }
    return CLLM_OK;
}

cllm_status cllm__read_file(const char *path, size_t limit, char **data, size_t *size, cllm_error *err) {
    int fd;
    struct stat info;
    CLLM_TRY(open_read(path, &fd, &info, err));
    cllm_status status;
    char *buffer = NULL;
    /* Read until the end rather than trust st_size: pipes and /proc have none. */
    size_t used = 0, capacity = 0;
    for (;;) {
        size_t want = used == 0 && info.st_size > 0 ? (size_t)info.st_size + 1 : 65536;
        CLLM_TRY_CLEAN(CLLM_GROW(buffer, capacity, used + want, err));
        ssize_t n = refused(CLLM_IO_READ, path) ? -1 : read(fd, buffer + used, capacity - used - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            status = cllm__fail_errno(err, "cannot read '%s'", path);
            goto cleanup;
        }
        if (n == 0) break;
        used += (size_t)n;
        if (used > limit) {
            status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is larger than %zu bytes, the limit for such a file", path, limit);
            goto cleanup;
        }
    }
    buffer[used] = '\0';
    *data = buffer;
    *size = used;
    buffer = NULL;
    status = CLLM_OK;
cleanup:
    cllm__free(buffer);
    close(fd);
    return status;
}

cllm_status cllm__map_open(cllm__map *map, const char *path, cllm_error *err) {
    int fd;
    struct stat info;
    CLLM_TRY(open_read(path, &fd, &info, err));
    cllm__map result = {0};
    cllm_status status = CLLM_OK;
    if (!S_ISREG(info.st_mode)) {
        status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is not a regular file and cannot be mapped", path);
    } else if (info.st_size > 0) {
        result.size = (size_t)info.st_size;
        void *data = mmap(NULL, result.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) status = cllm__fail_errno(err, "cannot map '%s'", path);
        else result.data = data;
    }
    close(fd);
    if (status == CLLM_OK) *map = result;
    return status;
}

void cllm__map_rest(const cllm__map *map) {
    if (map->data != NULL) madvise((void *)(uintptr_t)map->data, map->size, MADV_DONTNEED);
}

void cllm__map_close(cllm__map *map) {
    if (map->data != NULL) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (cllm__map){0};
}

/* ---- Writing one file ---- */

enum { OUT_BUFFER = 1 << 16 };

struct cllm__out {
    char *path, *temporary;
    int fd;
    size_t used;
    uint64_t size;
    cllm_error failure; /* the first one; status OK while there is none */
    char buffer[OUT_BUFFER];
};

static void out_free(cllm__out *out) {
    if (out->fd >= 0) close(out->fd);
    cllm__free(out->path);
    cllm__free(out->temporary);
    cllm__free(out);
}

#define TEMPORARY ".tmp-"

/* Opens and locks a temporary file. Where there are no locks it stays unlocked, and nobody can take it for a leftover either. */
static int create_locked(const char *temporary) {
    for (;;) {
        struct stat info;
        int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0) return fd;
        while (flock(fd, LOCK_EX) != 0 && errno == EINTR) {}
        if (fstat(fd, &info) != 0 || info.st_nlink > 0) return fd;
        close(fd); /* somebody removed it before it was locked */
    }
}

/* Removes temporary files of `path` whose writers were killed: nobody holds their lock. */
static void remove_leftovers(char *path) {
    char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    char kept = *name; /* cut off there, the path is the folder's */
    *name = '\0';
    DIR *folder = opendir(slash == NULL ? "." : path);
    *name = kept;
    size_t length = strlen(name), mark = strlen(TEMPORARY);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, name, length) != 0 || strncmp(entry->d_name + length, TEMPORARY, mark) != 0) continue;
        const char *rest = entry->d_name + length + mark;
        if (rest[0] == '\0' || rest[strspn(rest, "0123456789")] != '\0') continue;
        int fd = openat(dirfd(folder), entry->d_name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0) continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlinkat(dirfd(folder), entry->d_name, 0);
        close(fd);
    }
    if (folder != NULL) closedir(folder);
}

cllm_status cllm__out_create(cllm__out **result, const char *path, cllm_error *err) {
    cllm__out *out;
    CLLM_TRY(CLLM_NEW(out, 1, err));
    out->fd = -1;
    size_t size = strlen(path) + 32;
    out->path = cllm__strdup(path);
    out->temporary = cllm__alloc(size, 1);
    if (out->path == NULL || out->temporary == NULL) {
        out_free(out);
        return cllm__fail_nomem(err);
    }
    snprintf(out->temporary, size, "%s" TEMPORARY "%ld", path, (long)getpid());
    remove_leftovers(out->path);
    if (refused(CLLM_IO_CREATE, path) || (out->fd = create_locked(out->temporary)) < 0) {
        cllm_status status = cllm__fail_errno(err, "cannot write '%s'", path);
        if (status == CLLM_ERR_NOT_FOUND) { /* the folder is missing, not what was asked for */
            status = CLLM_ERR_IO;
            if (err != NULL) err->status = status;
        }
        out_free(out);
        return status;
    }
    *result = out;
    return CLLM_OK;
}

static cllm_status out_fail(cllm__out *out, cllm_error *err) {
    if (err != NULL) *err = out->failure;
    return out->failure.status;
}

static void write_all(cllm__out *out, const char *data, size_t size) {
    while (size > 0 && out->failure.status == CLLM_OK) {
        ssize_t n = refused(CLLM_IO_WRITE, out->path) ? -1 : write(out->fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            cllm_status ignored = cllm__fail_errno(&out->failure, "cannot write '%s'", out->path);
            (void)ignored;
            return;
        }
        data += n;
        size -= (size_t)n;
    }
}

cllm_status cllm__out_write(cllm__out *out, const void *data, size_t size, cllm_error *err) {
    if (size > OUT_BUFFER - out->used) {
        write_all(out, out->buffer, out->used);
        out->used = 0;
    }
    if (size > OUT_BUFFER) {
        write_all(out, data, size);
    } else if (size > 0) {
        memcpy(out->buffer + out->used, data, size);
        out->used += size;
    }
    out->size += size;
    return out->failure.status == CLLM_OK ? CLLM_OK : out_fail(out, err);
}

cllm_status cllm__out_printf(cllm__out *out, cllm_error *err, const char *format, ...) {
    char small[512], *text = small;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) return cllm__fail(err, CLLM_ERR_FAILED, "cannot format a line of '%s'", out->path);
    if ((size_t)n >= sizeof small) {
        text = cllm__alloc((size_t)n + 1, 1);
        if (text == NULL) return cllm__fail_nomem(err);
        va_start(args, format);
        vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
    }
    cllm_status status = cllm__out_write(out, text, (size_t)n, err);
    if (text != small) cllm__free(text);
    return status;
}

cllm_status cllm__out_patch(cllm__out *out, uint64_t offset, const void *data, size_t size, cllm_error *err) {
    CLLM_ASSERT(offset <= out->size && size <= out->size - offset);
    write_all(out, out->buffer, out->used);
    out->used = 0;
    const char *from = data;
    while (size > 0 && out->failure.status == CLLM_OK) {
        ssize_t n = refused(CLLM_IO_WRITE, out->path) ? -1 : pwrite(out->fd, from, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            cllm_status ignored = cllm__fail_errno(&out->failure, "cannot write '%s'", out->path);
            (void)ignored;
            break;
        }
        from += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return out->failure.status == CLLM_OK ? CLLM_OK : out_fail(out, err);
}

uint64_t cllm__out_size(const cllm__out *out) {
    return out->size;
}

cllm_status cllm__out_commit(cllm__out *out, cllm_error *err) {
    write_all(out, out->buffer, out->used);
    cllm_status status = out->failure.status;
    if (status != CLLM_OK) {
        status = out_fail(out, err);
    } else if (refused(CLLM_IO_FSYNC, out->path) || fsync(out->fd) != 0) {
        status = cllm__fail_errno(err, "cannot flush '%s' to disk", out->path);
    } else if (refused(CLLM_IO_RENAME, out->path) || rename(out->temporary, out->path) != 0) { /* while it is locked */
        status = cllm__fail_errno(err, "cannot rename '%s' to '%s'", out->temporary, out->path);
    } else {
        status = sync_parent(out->path, err);
        out_free(out);
        return status;
    }
    cllm__out_abort(out);
    return status;
}

void cllm__out_abort(cllm__out *out) {
    if (out == NULL) return;
    unlink(out->temporary);
    out_free(out);
}

cllm_status cllm__write_file(const char *path, const void *data, size_t size, cllm_error *err) {
    cllm__out *out;
    CLLM_TRY(cllm__out_create(&out, path, err));
    cllm_status status = cllm__out_write(out, data, size, err);
    if (status != CLLM_OK) {
        cllm__out_abort(out);
        return status;
    }
    return cllm__out_commit(out, err);
}

enum { BEGINNING = 4096 };

static bool begins_like(const cllm__map *map, const char *begin, const char *mark) {
    size_t length = strlen(mark);
    if (map->size < strlen(begin) || memcmp(map->data, begin, strlen(begin)) != 0) return false;
    for (size_t at = 0; at + length <= map->size && at + length <= BEGINNING; at++) {
        if (memcmp(map->data + at, mark, length) == 0) return true;
    }
    return false;
}

cllm_status cllm__file_check_kind(const char *path, bool force, const char *begin, const char *mark, cllm_error *err) {
    struct stat info;
    bool ours = false;
    if (!cllm__path_exists(path)) return CLLM_OK;
    if (!force) return cllm__fail(err, CLLM_ERR_EXISTS, "'%s' exists already: give another -o, or --force to replace it", path);
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        cllm__map map;
        CLLM_TRY(cllm__map_open(&map, path, err));
        ours = map.size == 0 || begins_like(&map, begin, mark);
        cllm__map_close(&map);
    }
    if (ours) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_EXISTS, "'%s' exists and is not of the kind that would replace it (it begins otherwise), so --force leaves it alone: give another -o", path);
}

/* ---- Writing a folder ---- */

static char *sibling(const char *path, const char *suffix) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t size = length + strlen(suffix) + 32;
    char *result = cllm__alloc(size, 1);
    if (result != NULL) snprintf(result, size, "%.*s.%s-%ld", (int)length, path, suffix, (long)getpid());
    return result;
}

/* "", "." and "..", and paths that end in them: what they name cannot be moved aside, which would be found out at the end of the work. */
static bool has_no_name(const char *path) {
    size_t end = strlen(path), begin;
    while (end > 0 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';) begin--;
    return end == begin || (path[begin] == '.' && (end - begin == 1 || (end - begin == 2 && path[begin + 1] == '.')));
}

static bool is_empty_folder(const char *path) {
    DIR *folder = opendir(path);
    bool empty = folder != NULL;
    for (struct dirent *entry; empty && (entry = readdir(folder)) != NULL;) empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (folder != NULL) closedir(folder);
    return empty;
}

/* --force replaces a folder with the file, or an empty one. */
static cllm_status check_kind(const char *path, const char *mark, cllm_error *err) {
    char *file = cllm__path_join(path, mark);
    if (file == NULL) return cllm__fail_nomem(err);
    bool ours = cllm__path_exists(file) || is_empty_folder(path);
    cllm__free(file);
    if (ours) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_EXISTS, "'%s' exists and is not of the kind that would replace it (it has no %s), so --force leaves it alone: give another -o",
                      path, mark);
}

cllm_status cllm__folder_begin(const char *path, bool force, const char *mark, char **temporary, cllm_error *err) {
    if (has_no_name(path)) return cllm__fail(err, CLLM_ERR_USAGE, "output '%s': give -o a folder's name, such as 'new' or '../new'", path);
    if (cllm__path_exists(path) && !force) {
        return cllm__fail(err, CLLM_ERR_EXISTS, "'%s' exists already: give another -o, or --force to replace it", path);
    }
    if (mark != NULL && cllm__path_exists(path)) CLLM_TRY(check_kind(path, mark, err));
    char *name = sibling(path, "tmp");
    if (name == NULL) return cllm__fail_nomem(err);
    cllm__remove_tree(name);
    cllm_status status = cllm__make_folders(name, err);
    if (status != CLLM_OK) {
        cllm__free(name);
        return status;
    }
    *temporary = name;
    return CLLM_OK;
}

cllm_status cllm__folder_commit(const char *temporary, const char *path, cllm_error *err) {
    char *old = sibling(path, "old");
    if (old == NULL) return cllm__fail_nomem(err);
    cllm_status status = CLLM_OK;
    bool replaces = cllm__path_exists(path);
    if (replaces) {
        cllm__remove_tree(old);
        if (refused(CLLM_IO_RENAME, path) || rename(path, old) != 0) status = cllm__fail_errno(err, "cannot move '%s' aside", path);
    }
    if (status == CLLM_OK) {
        if (refused(CLLM_IO_RENAME, path) || rename(temporary, path) != 0) {
            status = cllm__fail_errno(err, "cannot rename '%s' to '%s'", temporary, path);
            if (replaces && rename(old, path) != 0) { /* nothing more can be done: the old folder is kept under `old` */
            }
        } else {
            status = sync_parent(path, err);
            if (replaces) cllm__remove_tree(old);
        }
    }
    cllm__free(old);
    return status;
}
