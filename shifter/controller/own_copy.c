/*
 * own_copy.c -- see own_copy.h.
 */
#include "shifter/controller/own_copy.h"

#include "shifter/agent/agent_file.h"
#include "shifter/agent/agent_snapshot_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "shifter"
#define AGAIN_MS  1000 /* between attempts at a disk that takes nothing */

struct xf_own_copy {
    struct xf_snapshot found; /* of an earlier run */
    struct xf_snapshot_writer *writer;
    char holder[XF_UUID_TEXT_BYTES];
    struct xf_version put[XF_SERVICES_MAX]; /* of each tenure, as given to the disk last */
    int64_t put_ms;
};

static void read_file(struct xf_own_copy *copy, int dir_fd, char why[XF_ERROR_MESSAGE_BYTES])
{
    struct xf_error err = {0};
    char *text = NULL;
    size_t length = 0;
    if (xf_agent_file_read(dir_fd, FILE_NAME, XF_SNAPSHOT_BYTES_MAX, &text, &length, &err) != 0) {
        if (errno != ENOENT) {
            memcpy(why, err.message, sizeof(err.message));
        }
        return;
    }
    if (xf_snapshot_parse(text, length, &copy->found, &err) != 0) {
        memcpy(why, err.message, sizeof(err.message));
    }
    free(text);
}

struct xf_own_copy *xf_own_copy_open(int dir_fd, const char *holder,
                                     char ret_why[XF_ERROR_MESSAGE_BYTES])
{
    struct xf_own_copy *copy = calloc(1, sizeof(*copy));
    if (copy == NULL) {
        return NULL;
    }
    ret_why[0] = '\0';
    (void) snprintf(copy->holder, sizeof(copy->holder), "%s", holder);
    copy->writer = xf_snapshot_writer_create(dir_fd, FILE_NAME);
    if (copy->writer == NULL) {
        xf_own_copy_close(copy);
        return NULL;
    }
    read_file(copy, dir_fd, ret_why);
    return copy;
}

const struct xf_snapshot_service *xf_own_copy_find(const struct xf_own_copy *copy,
                                                   const char *service)
{
    for (unsigned i = 0; i < copy->found.services_count; i++) {
        if (strcmp(copy->found.services[i].document->service, service) == 0) {
            return &copy->found.services[i];
        }
    }
    return NULL;
}

static void write_file(struct xf_own_copy *copy, struct xf_tenure *const *tenures, unsigned count,
                       int64_t wall_ms)
{
    struct xf_snapshot_service services[XF_SERVICES_MAX];
    struct xf_snapshot snapshot = {.saved_ms = wall_ms, .services = services};
    size_t length = 0;
    memcpy(snapshot.proxy, copy->holder, sizeof(snapshot.proxy));
    for (unsigned i = 0; i < count; i++) {
        struct xf_snapshot_service *service = &services[snapshot.services_count];
        *service = (struct xf_snapshot_service){0};
        service->version = xf_tenure_version(tenures[i], service->write_id);
        /* The writer of the text only reads it. */
        service->document = (struct xf_document *) (uintptr_t) xf_tenure_document(tenures[i]);
        snapshot.services_count += service->version.generation > 0 ? 1 : 0;
    }
    char *text = snapshot.services_count > 0 ? xf_snapshot_format(&snapshot, &length) : NULL;
    if (text != NULL) {
        xf_snapshot_writer_put(copy->writer, text, length);
    }
}

void xf_own_copy_save(struct xf_own_copy *copy, struct xf_tenure *const *tenures, unsigned count,
                      int64_t wall_ms)
{
    char write_id[XF_UUID_TEXT_BYTES];
    bool due = !xf_snapshot_writer_ok(copy->writer, NULL) &&
               (wall_ms - copy->put_ms >= AGAIN_MS || wall_ms < copy->put_ms);
    for (unsigned i = 0; i < count; i++) {
        struct xf_version version = xf_tenure_version(tenures[i], write_id);
        due = due || xf_version_compare(&version, &copy->put[i]) != 0;
        copy->put[i] = version;
    }
    if (due) {
        copy->put_ms = wall_ms;
        write_file(copy, tenures, count, wall_ms);
    }
}

bool xf_own_copy_ok(struct xf_own_copy *copy, struct xf_error *err)
{
    return xf_snapshot_writer_ok(copy->writer, err);
}

void xf_own_copy_close(struct xf_own_copy *copy)
{
    if (copy != NULL) {
        xf_snapshot_writer_destroy(copy->writer);
        xf_snapshot_release(&copy->found);
        free(copy);
    }
}
