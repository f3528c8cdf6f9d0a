/*
 * store_answer.h -- answers of a store that wait for the next turn of the loop.
 *
 * Both stores promise that a callback never runs inside the call that asked.  An answer is made
 * when its result is known, owns copies of what it hands out, and is delivered once, in order.
 */
#ifndef XF_SHIFTER_STORE_ANSWER_H
#define XF_SHIFTER_STORE_ANSWER_H

#include "config/base/list.h"
#include "shifter/store/store.h"

#include <event2/event.h>

#define XF_STORE_MESSAGE_BYTES 256

enum xf_answer_kind {
    XF_ANSWER_DONE,
    XF_ANSWER_STATE,
    XF_ANSWER_LEASE,
    XF_ANSWER_LOG,
    XF_ANSWER_TEXT,
};

/* Whom to tell: the caller's function and context, whatever its kind. */
struct xf_store_asker {
    enum xf_answer_kind kind;
    union {
        xf_store_done *done;
        xf_store_got_state *state;
        xf_store_got_lease *lease;
        xf_store_got_log *log;
        xf_store_got_text *text;
    } call;
    void *context;
};

struct xf_store_answer {
    struct xf_list node;
    struct xf_store_asker asker;
    enum xf_store_result result;
    char message[XF_STORE_MESSAGE_BYTES];
    struct xf_store_state state; /* state.document is `text` */
    struct xf_store_lease lease;
    struct xf_store_entry *entries; /* owned, each entry text too */
    size_t entries_count;
    char *text; /* owned: the document, or the text */
};

struct xf_store_answers {
    struct xf_list waiting;
    struct event *deliver;
};

XF_NODISCARD int xf_store_answers_init(struct xf_store_answers *answers, struct event_base *loop);
/* Delivers what waits, then releases; accepts what was never initialised (zeroes). */
void xf_store_answers_release(struct xf_store_answers *answers);

/* An empty answer for `asker`.  Without memory NULL, and the asker was told LOST at once: the one
 * case in which a callback runs inside the call. */
struct xf_store_answer *xf_store_answer_create(const struct xf_store_asker *asker);
/* Copies one entry of the log; false without memory. */
XF_NODISCARD bool xf_store_answer_add_entry(struct xf_store_answer *answer, uint64_t generation,
                                            uint64_t revision, const char *write_id,
                                            const char *entry, size_t entry_bytes);
/* Takes `answer`; it is delivered in the next turn of the loop.  `format` NULL: no message. */
void xf_store_answer_give(struct xf_store_answers *answers, struct xf_store_answer *answer,
                          enum xf_store_result result, const char *format, ...) XF_PRINTF(4, 5);
/* Makes and gives an answer that holds nothing but its result. */
void xf_store_answer_plain(struct xf_store_answers *answers, const struct xf_store_asker *asker,
                           enum xf_store_result result, const char *format, ...) XF_PRINTF(4, 5);
void xf_store_answer_destroy(struct xf_store_answer *answer); /* accepts NULL */

#endif
