/*
 * agent_snapshot_writer.c -- the one thread of its process; a mutex guards the text it takes next.
 */
#include "shifter/agent/agent_snapshot_writer.h"

#include "shifter/agent/agent_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define END_MS 1000

struct xf_snapshot_writer {
    int dir_fd;
    const char *name;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    char *text;
    size_t length;
    bool busy, ending, ok;
    struct xf_error err;
};

static void *writer_main(void *arg)
{
    struct xf_snapshot_writer *writer = arg;
    pthread_mutex_lock(&writer->lock);
    while (writer->text != NULL || !writer->ending) {
        if (writer->text == NULL) {
            pthread_cond_wait(&writer->changed, &writer->lock);
            continue;
        }
        char *text = writer->text;
        size_t length = writer->length;
        writer->text = NULL;
        writer->busy = true;
        pthread_mutex_unlock(&writer->lock);

        struct xf_error err = {0};
        int result = xf_agent_file_replace(writer->dir_fd, writer->name, text, length, &err);
        free(text);

        pthread_mutex_lock(&writer->lock);
        writer->busy = false;
        writer->ok = result == 0;
        writer->err = err;
        pthread_cond_broadcast(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

struct xf_snapshot_writer *xf_snapshot_writer_create(int dir_fd, const char *name)
{
    struct xf_snapshot_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return NULL;
    }
    writer->dir_fd = dir_fd;
    writer->name = name;
    writer->ok = true;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&writer->thread, NULL, writer_main, writer) != 0) {
        pthread_cond_destroy(&writer->changed);
        pthread_mutex_destroy(&writer->lock);
        free(writer);
        return NULL;
    }
    return writer;
}

void xf_snapshot_writer_put(struct xf_snapshot_writer *writer, char *text, size_t length)
{
    pthread_mutex_lock(&writer->lock);
    free(writer->text);
    writer->text = text;
    writer->length = length;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

bool xf_snapshot_writer_ok(struct xf_snapshot_writer *writer, struct xf_error *err)
{
    pthread_mutex_lock(&writer->lock);
    bool ok = writer->ok;
    if (!ok && err != NULL) {
        *err = writer->err;
    }
    pthread_mutex_unlock(&writer->lock);
    return ok;
}

static struct timespec deadline_after(int ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long) (ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

bool xf_snapshot_writer_flush(struct xf_snapshot_writer *writer, int ms)
{
    struct timespec at = deadline_after(ms);
    pthread_mutex_lock(&writer->lock);
    int waited = 0;
    while ((writer->text != NULL || writer->busy) && waited == 0) {
        waited = pthread_cond_timedwait(&writer->changed, &writer->lock, &at);
    }
    bool done = writer->text == NULL && !writer->busy && writer->ok;
    pthread_mutex_unlock(&writer->lock);
    return done;
}

void xf_snapshot_writer_destroy(struct xf_snapshot_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    (void) xf_snapshot_writer_flush(writer, END_MS);
    pthread_mutex_lock(&writer->lock);
    writer->ending = true;
    bool stuck = writer->busy;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    if (stuck) {
        pthread_detach(writer->thread); /* the disk hangs: the process ends without it */
        return;
    }
    pthread_join(writer->thread, NULL);
    free(writer->text);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}
