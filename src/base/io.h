/*
 * Files: reading, mapping, and writing so that nothing half-written is ever seen under its final name.
 *
 * Every system call that can fail for want of space or rights goes through cllm__io_hooks, so that tests can make it
 * fail at any point (root ignores mode bits, so permissions alone cannot show it).
 */
#ifndef CLLM_BASE_IO_H
#define CLLM_BASE_IO_H

#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

/* Tests only: asked before each operation; a nonzero answer is the errno that it shall fail with. */
typedef enum cllm__io_op {
    CLLM_IO_OPEN_READ,
    CLLM_IO_READ,
    CLLM_IO_CREATE,
    CLLM_IO_WRITE,
    CLLM_IO_FSYNC,
    CLLM_IO_RENAME,
    CLLM_IO_MKDIR
} cllm__io_op;
typedef int cllm__io_hook(void *user, cllm__io_op op, const char *path);
void cllm__io_set_hook(cllm__io_hook *hook, void *user);
/* errno to fail with, or 0; for code that makes its own system calls. */
int cllm__io_ask(cllm__io_op op, const char *path);

/* ---- Paths ---- */
/* "a/b", into a new string (cllm__free), or NULL when memory is short. An absolute `name` stands for itself. */
char *cllm__path_join(const char *folder, const char *name);
/* The path from the root, links followed (cllm__free); NULL if there is nothing there, or memory is short. `path` may be NULL. */
char *cllm__path_absolute(const char *path);
bool cllm__path_exists(const char *path);
bool cllm__path_is_folder(const char *path);
/* Makes the folder and its missing parents. */
CLLM_CHECK cllm_status cllm__make_folders(const char *path, cllm_error *err);
/* Removes a folder and what is in it; a missing one is fine. */
void cllm__remove_tree(const char *path);
/* Makes an empty folder under TMPDIR, /tmp without it; the caller removes it and frees *path. */
CLLM_CHECK cllm_status cllm__temporary_folder(char **path, cllm_error *err);

/* ---- Reading ---- */
/* The whole file, with a NUL after it that `size` does not count. The caller frees with cllm__free. A file of more than
 * `limit` bytes is refused. */
CLLM_CHECK cllm_status cllm__read_file(const char *path, size_t limit, char **data, size_t *size, cllm_error *err);

/* A read-only map of a file; an empty file has data = NULL. */
typedef struct cllm__map {
    const unsigned char *data;
    size_t size;
} cllm__map;
CLLM_CHECK cllm_status cllm__map_open(cllm__map *map, const char *path, cllm_error *err);
/* Gives back the memory of what was read; it is read from the file again when it is needed. */
void cllm__map_rest(const cllm__map *map);
void cllm__map_close(cllm__map *map);

/* pread() of exactly `size` bytes at `offset`. */
CLLM_CHECK cllm_status cllm__read_at(int fd, const char *path, void *data, size_t size, int64_t offset, cllm_error *err);

/* ---- Writing one file ---- */
/* Whether a file may be written to `path`. One that is there is replaced with `force` alone, and only if it is empty or of the kind that would
 * replace it: it begins with `begin` and has `mark` in its first 4096 bytes. Else CLLM_ERR_EXISTS. */
CLLM_CHECK cllm_status cllm__file_check_kind(const char *path, bool force, const char *begin, const char *mark, cllm_error *err);
/* A buffered writer to a temporary file beside `path`; only _commit (flush, fsync, rename, fsync of the folder) makes it
 * appear. After a failed write all later ones return the same failure. _abort (also after a failed commit) removes the
 * temporary file and frees; it accepts NULL. _commit frees in every case. What a killed process left of writing to the same
 * path goes when it is written to again. */
typedef struct cllm__out cllm__out;
CLLM_CHECK cllm_status cllm__out_create(cllm__out **out, const char *path, cllm_error *err);
CLLM_CHECK cllm_status cllm__out_write(cllm__out *out, const void *data, size_t size, cllm_error *err);
CLLM_CHECK cllm_status cllm__out_printf(cllm__out *out, cllm_error *err, const char *format, ...) CLLM_PRINTF(3, 4);
/* Overwrites bytes that were written before: [offset, offset + size) lies within cllm__out_size. For formats that put
 * sizes before the contents. */
CLLM_CHECK cllm_status cllm__out_patch(cllm__out *out, uint64_t offset, const void *data, size_t size, cllm_error *err);
/* Bytes written so far. */
uint64_t cllm__out_size(const cllm__out *out);
CLLM_CHECK cllm_status cllm__out_commit(cllm__out *out, cllm_error *err);
void cllm__out_abort(cllm__out *out);
/* The three in one. */
CLLM_CHECK cllm_status cllm__write_file(const char *path, const void *data, size_t size, cllm_error *err);

/* ---- Writing a folder ---- */
/* Makes an empty temporary folder beside `path` (caller frees *temporary with cllm__free). If `path` exists, `force`
 * allows its replacement at commit, otherwise CLLM_ERR_EXISTS. CLLM_ERR_USAGE for a path that ends in no name ("", ".", "..").
 * `mark`: a file that folders of this kind have. One that has it not, the data set that a run is trained on or a home folder say, is not
 * replaced with `force` either, unless it is empty; NULL: any is. */
CLLM_CHECK cllm_status cllm__folder_begin(const char *path, bool force, const char *mark, char **temporary, cllm_error *err);
/* fsyncs and renames the temporary folder to `path`; what was there goes. */
CLLM_CHECK cllm_status cllm__folder_commit(const char *temporary, const char *path, cllm_error *err);

#endif
