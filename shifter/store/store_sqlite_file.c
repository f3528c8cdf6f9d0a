/*
 * store_sqlite_file.c -- see store_sqlite_file.h.
 *
 * WAL with synchronous=FULL: a commit that was answered survives a power cut.  SQLite would open
 * a file that it may not write as read-only; here that is an error with a sentence.
 */
#include "shifter/store/store_sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION  1
#define BUSY_MS         250 /* a backup tool may hold the write lock this long */
#define WAL_PAGES_KEPT  "1000"
#define LOCK_TEXT_BYTES 32

static const char schema_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE state(service TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, revision INTEGER NOT NULL, write_id TEXT NOT NULL,"
    " document TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE log(service TEXT NOT NULL, generation INTEGER NOT NULL,"
    " revision INTEGER NOT NULL, write_id TEXT NOT NULL, at_ms INTEGER NOT NULL,"
    " entry TEXT NOT NULL, PRIMARY KEY(service, generation, revision)) WITHOUT ROWID;"
    "CREATE TABLE checkpoint(service TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,"
    " PRIMARY KEY(service, name)) WITHOUT ROWID;"
    "CREATE TABLE lease(service TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " beat INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE decommission(service TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE probe(id INTEGER PRIMARY KEY CHECK(id = 1), count INTEGER NOT NULL);"
    "INSERT INTO probe VALUES(1, 0);"
    "PRAGMA user_version = 1;"
    "COMMIT;";

/* Makes the folder of `path` where only the last part is missing; its absence shows later. */
static void make_parent(const char *path)
{
    char *copy = strdup(path);
    if (copy != NULL) {
        (void) mkdir(dirname(copy), 0700);
        free(copy);
    }
}

static int refuse_second(const char *path, int fd, struct xf_error *err)
{
    char pid[LOCK_TEXT_BYTES] = "";
    ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[got > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return XF_FAIL(err, XF_E_UNREACHABLE, "store %s is in use by pid %s: one process owns it", path,
                   pid[0] != '\0' ? pid : "(unknown)");
}

static int take_lock(struct xf_sqlite_file *file, struct xf_error *err)
{
    char name[4096];
    if (snprintf(name, sizeof(name), "%s.lock", file->path) >= (int) sizeof(name)) {
        return XF_FAIL(err, XF_E_CONFIG, "store %s: the path is too long", file->path);
    }
    file->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->lock_fd < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "store %s cannot be written: %s: %s", file->path, name,
                       strerror(errno));
    }
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return refuse_second(file->path, file->lock_fd, err);
        }
        return XF_FAIL(err, XF_E_SYSTEM, "store %s: lock: %s", file->path, strerror(errno));
    }
    char pid[LOCK_TEXT_BYTES];
    int length = snprintf(pid, sizeof(pid), "%d\n", (int) getpid());
    if (ftruncate(file->lock_fd, 0) != 0 || pwrite(file->lock_fd, pid, length, 0) != length) {
        return XF_FAIL(err, XF_E_SYSTEM, "store %s cannot be written: %s: %s", file->path, name,
                       strerror(errno));
    }
    return 0;
}

/* Opened once by hand: for its mode, its identity and a clear reason where it cannot be written.
 * Closed before SQLite opens it: closing would drop SQLite's own locks. */
static int touch_file(struct xf_sqlite_file *file, struct xf_error *err)
{
    int fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        return XF_FAIL(err, XF_E_SYSTEM, "store %s cannot be written: %s", file->path,
                       strerror(why));
    }
    close(fd);
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return 0;
}

static int read_schema_version(sqlite3 *db, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        *ret = sqlite3_column_int(statement, 0);
    } else {
        code = sqlite3_errcode(db);
    }
    sqlite3_finalize(statement);
    return code;
}

static int open_database(struct xf_sqlite_file *file, struct xf_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int version = 0;
    if (sqlite3_open_v2(file->path, &file->db, flags, NULL) != SQLITE_OK) {
        return XF_FAIL(err, XF_E_SYSTEM, "store %s cannot be opened: %s", file->path,
                       file->db != NULL ? sqlite3_errmsg(file->db) : "out of memory");
    }
    sqlite3_busy_timeout(file->db, BUSY_MS);
    if (sqlite3_exec(file->db,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "PRAGMA wal_autocheckpoint = " WAL_PAGES_KEPT ";"
                     "PRAGMA trusted_schema = OFF;",
                     NULL, NULL, NULL) != SQLITE_OK ||
        read_schema_version(file->db, &version) != SQLITE_OK) {
        return XF_FAIL(err, XF_E_SYSTEM, "store %s cannot be used: %s", file->path,
                       sqlite3_errmsg(file->db));
    }
    if (version > SCHEMA_VERSION) {
        return XF_FAIL(err, XF_E_CONFIG,
                       "store %s has schema %d, this crossfade knows %d: use the newer crossfade",
                       file->path, version, SCHEMA_VERSION);
    }
    if (version == 0 && sqlite3_exec(file->db, schema_sql, NULL, NULL, NULL) != SQLITE_OK) {
        return XF_FAIL(err, XF_E_SYSTEM, "store %s cannot be written: %s", file->path,
                       sqlite3_errmsg(file->db));
    }
    if (xf_sqlite_file_probe(file) != SQLITE_OK) {
        return XF_FAIL(err, XF_E_SYSTEM, "store %s cannot be written: %s", file->path,
                       sqlite3_errmsg(file->db));
    }
    return 0;
}

int xf_sqlite_file_open(const char *path, struct xf_sqlite_file *ret, struct xf_error *err)
{
    struct xf_sqlite_file file = {.lock_fd = -1, .path = strdup(path)};
    if (file.path == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", path);
    }
    make_parent(path);
    if (take_lock(&file, err) != 0 || touch_file(&file, err) != 0 ||
        open_database(&file, err) != 0) {
        xf_sqlite_file_close(&file);
        return -1;
    }
    *ret = file;
    return 0;
}

void xf_sqlite_file_close(struct xf_sqlite_file *file)
{
    sqlite3_close(file->db);
    file->db = NULL;
    if (file->lock_fd >= 0) {
        close(file->lock_fd); /* the lock file stays: removing it would let two lock two files */
        file->lock_fd = -1;
    }
    free(file->path);
    file->path = NULL;
}

bool xf_sqlite_file_moved(const struct xf_sqlite_file *file)
{
    struct stat status;
    return stat(file->path, &status) != 0 || status.st_dev != file->device ||
           status.st_ino != file->inode;
}

int xf_sqlite_file_probe(struct xf_sqlite_file *file)
{
    return sqlite3_exec(file->db, "UPDATE probe SET count = count + 1", NULL, NULL, NULL);
}
