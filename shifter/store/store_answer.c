/*
 * store_answer.c -- see store_answer.h.  Knows nothing of SQLite or Redis.
 */
#include "shifter/store/store_answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(const struct xf_store_asker *asker, const struct xf_store_answer *answer,
                 enum xf_store_result result, const char *message)
{
    bool there = result == XF_STORE_OK && answer != NULL;
    switch (asker->kind) {
    case XF_ANSWER_DONE:
        asker->call.done(asker->context, result, message);
        return;
    case XF_ANSWER_STATE:
        asker->call.state(asker->context, result, there ? &answer->state : NULL, message);
        return;
    case XF_ANSWER_LEASE:
        asker->call.lease(asker->context, result, there ? &answer->lease : NULL, message);
        return;
    case XF_ANSWER_LOG:
        asker->call.log(asker->context, result, there ? answer->entries : NULL,
                        there ? answer->entries_count : 0, message);
        return;
    case XF_ANSWER_TEXT:
        asker->call.text(asker->context, result, there ? answer->text : NULL, message);
        return;
    }
}

static void deliver_waiting(struct xf_store_answers *answers)
{
    struct xf_list now; /* what a callback asks meanwhile is answered in the next turn */
    xf_list_init(&now);
    while (!xf_list_empty(&answers->waiting)) {
        struct xf_list *node = answers->waiting.next;
        xf_list_remove(node);
        xf_list_append(&now, node);
    }
    while (!xf_list_empty(&now)) {
        struct xf_store_answer *answer = XF_CONTAINER_OF(now.next, struct xf_store_answer, node);
        xf_list_remove(&answer->node);
        tell(&answer->asker, answer, answer->result, answer->message);
        xf_store_answer_destroy(answer);
    }
}

static void on_deliver(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    deliver_waiting(arg);
}

int xf_store_answers_init(struct xf_store_answers *answers, struct event_base *loop)
{
    xf_list_init(&answers->waiting);
    answers->deliver = evtimer_new(loop, on_deliver, answers);
    return answers->deliver != NULL ? 0 : -1;
}

void xf_store_answers_release(struct xf_store_answers *answers)
{
    if (answers->deliver == NULL) {
        return;
    }
    while (!xf_list_empty(&answers->waiting)) {
        deliver_waiting(answers);
    }
    event_free(answers->deliver);
    answers->deliver = NULL;
}

struct xf_store_answer *xf_store_answer_create(const struct xf_store_asker *asker)
{
    struct xf_store_answer *answer = calloc(1, sizeof(*answer));
    if (answer == NULL) {
        tell(asker, NULL, XF_STORE_LOST, "out of memory");
        return NULL;
    }
    xf_list_init(&answer->node);
    answer->asker = *asker;
    return answer;
}

bool xf_store_answer_add_entry(struct xf_store_answer *answer, uint64_t generation,
                               uint64_t revision, const char *write_id, const char *entry,
                               size_t entry_bytes)
{
    size_t size = (answer->entries_count + 1) * sizeof(*answer->entries);
    struct xf_store_entry *grown = realloc(answer->entries, size);
    if (grown == NULL) {
        return false;
    }
    answer->entries = grown;
    char *text = strndup(entry, entry_bytes);
    if (text == NULL) {
        return false;
    }
    struct xf_store_entry *added = &grown[answer->entries_count++];
    *added = (struct xf_store_entry){.generation = generation, .revision = revision, .entry = text};
    snprintf(added->write_id, sizeof(added->write_id), "%s", write_id);
    return true;
}

static void give(struct xf_store_answers *answers, struct xf_store_answer *answer,
                 enum xf_store_result result, const char *format, va_list arguments)
{
    answer->result = result;
    answer->state.document = answer->text;
    if (format != NULL) {
        vsnprintf(answer->message, sizeof(answer->message), format, arguments);
    }
    xf_list_append(&answers->waiting, &answer->node);
    event_active(answers->deliver, EV_TIMEOUT, 0);
}

void xf_store_answer_give(struct xf_store_answers *answers, struct xf_store_answer *answer,
                          enum xf_store_result result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    give(answers, answer, result, format, arguments);
    va_end(arguments);
}

void xf_store_answer_plain(struct xf_store_answers *answers, const struct xf_store_asker *asker,
                           enum xf_store_result result, const char *format, ...)
{
    struct xf_store_answer *answer = xf_store_answer_create(asker);
    if (answer == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    give(answers, answer, result, format, arguments);
    va_end(arguments);
}

void xf_store_answer_destroy(struct xf_store_answer *answer)
{
    if (answer == NULL) {
        return;
    }
    for (size_t i = 0; i < answer->entries_count; i++) {
        free((char *) answer->entries[i].entry);
    }
    free(answer->entries);
    free(answer->text);
    free(answer);
}
