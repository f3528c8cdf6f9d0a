/*
 * store_sqlite_file.h -- the file of the embedded store: lock, schema, statements.
 *
 * One process owns the file while it holds an exclusive flock on `<path>.lock`.
 */
#ifndef XF_SHIFTER_STORE_SQLITE_FILE_H
#define XF_SHIFTER_STORE_SQLITE_FILE_H

#include "config/base/error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

struct xf_sqlite_file {
    sqlite3 *db;
    char *path;
    int lock_fd;
    dev_t device; /* of the file as opened: a file replaced by another is not written */
    ino_t inode;
};

/* Makes file and schema, takes the lock, and writes once to see that it can. */
XF_NODISCARD int xf_sqlite_file_open(const char *path, struct xf_sqlite_file *ret,
                                     struct xf_error *err);
void xf_sqlite_file_close(struct xf_sqlite_file *file); /* accepts a half-opened one */
/* Whether `path` no longer names the file that is open. */
bool xf_sqlite_file_moved(const struct xf_sqlite_file *file);
/* Writes a row that means nothing; 0 when the file took it, else SQLite's code. */
int xf_sqlite_file_probe(struct xf_sqlite_file *file);

#endif
