/*
 * tenure.h -- one service and its leadership: loads the control state, decides, writes, tells.
 *
 * The core of the controller, without loop, bus or files: it is handed a store, a clock and a
 * roster, is ticked several times a second, and calls back what is to be published, answered or
 * delivered.  The simulation drives this very code.
 *
 *     lease --led--> load state, progress, judge --> lead: tick -> decide -> write -> publish
 *       ^                                              |
 *       +------------------- lost, FENCED -------------+   (STALE, LOG_…: load again)
 *
 * One write is under way at a time; a lost answer is retried with the same write_id, so that a
 * change happens once.  Commands wait in a short queue meanwhile.
 */
#ifndef XF_SHIFTER_TENURE_H
#define XF_SHIFTER_TENURE_H

#include "config/base/clock.h"
#include "config/config.h"
#include "shifter/agent/agent_snapshot.h"
#include "shifter/bus/bus_message.h"
#include "shifter/plan/document.h"
#include "shifter/control/roster.h"
#include "shifter/signal/signal.h"
#include "shifter/control/status.h"
#include "shifter/store/store.h"

#include <jansson.h>
#include <stdbool.h>

struct xf_journal;
struct xf_tenure;

enum xf_tenure_look { XF_LOOK_DRIFT, XF_LOOK_ASKED, XF_LOOKS };

struct xf_tenure_calls {
    void (*publish)(void *context, const struct xf_message_state *state);
    void (*reply)(void *context, const struct xf_message_reply *reply);
    /* A line for the log of the program; `entry` is the log's entry of a change, or NULL. */
    void (*note)(void *context, const char *service, const char *event, const char *text,
                 const json_t *entry);
    /* Deliver `record` from now on, as the plan says (NULL: to nobody); NULL: stop delivering.
     * Ask xf_tenure_signal_check before each attempt; tell xf_tenure_delivered at the end. */
    void (*deliver)(void *context, const char *service, const struct xf_signal_record *record,
                    const struct xf_plan *plan);
    void (*checked)(void *context, const char *service, bool stands);
    /* Run these gates (a plan's list as JSON) and tell xf_tenure_gates_done; `finalize`: they stand
     * before finalize, else before the start. */
    void (*gates)(void *context, const char *service, const char *gates_json, const char *from,
                  const char *to, bool finalize);
    /* Run these gates beside the former and tell xf_tenure_looked; one run for each purpose. */
    void (*look)(void *context, const char *service, enum xf_tenure_look purpose,
                 const char *gates_json, const char *from, const char *to);
    /* Run an action of finalize, or only verify it, and tell xf_tenure_action_done.  One at a time
     * a service; `action` lives until this returns. */
    void (*action)(void *context, const char *service, const struct xf_document *document,
                   const struct xf_plan_action *action, bool run);
    /* Run this one gate (as a list) and tell xf_tenure_during_done with these numbers; never while
     * the same one still runs.  NULL: no gate is asked during a cutover. */
    void (*during)(void *context, const char *service, unsigned index, uint64_t attempt,
                   const char *gates_json, const char *from, const char *to);
    /* Another service whose route names `cluster`; NULL: none. */
    const char *(*in_use_by)(void *context, const char *service, const char *cluster);
    /* A service (this one or another) that has signalled `cluster` and is not finalized. */
    const char *(*signalled_by)(void *context, const char *service, const char *cluster);
    void *context;
};

struct xf_tenure_options {
    const struct xf_config *config;
    unsigned service; /* index into the configuration */
    struct xf_store *store;
    const struct xf_clock *clock;
    struct xf_roster *roster;
    struct xf_journal *journal;             /* NULL: none */
    const struct xf_snapshot_service *copy; /* of an earlier run, read only here; NULL: none */
    const char *holder;                     /* uuid of this run of the process */
    const char *name;                       /* of this host, for people */
    uint64_t seed; /* of the random numbers: sticky seeds and write ids; 0: from the kernel */
};

/* Config, store, clock and roster outlive the tenure.  NULL: out of memory. */
XF_NODISCARD struct xf_tenure *xf_tenure_create(const struct xf_tenure_options *options,
                                                const struct xf_tenure_calls *calls);
/* Does what is due; every 50 to 100 ms. */
void xf_tenure_tick(struct xf_tenure *tenure);
/* A verb or a question; answered through `reply`, at once or later.  Borrows the command. */
void xf_tenure_command(struct xf_tenure *tenure, const struct xf_message_command *command);
void xf_tenure_samples(struct xf_tenure *tenure, const struct xf_message_samples *samples);
/* A document that a proxy saw and the store does not have. */
void xf_tenure_offer(struct xf_tenure *tenure, const struct xf_message_offer *offer);
/* Does the record stand, and do I lead?  Answered through `checked`, at once or later. */
void xf_tenure_signal_check(struct xf_tenure *tenure);
/* Every receiver took `sequence`. */
void xf_tenure_delivered(struct xf_tenure *tenure, unsigned sequence);
/* What the gates found: {passed, checks}, borrowed. */
void xf_tenure_gates_done(struct xf_tenure *tenure, const json_t *result);
void xf_tenure_looked(struct xf_tenure *tenure, enum xf_tenure_look purpose, const json_t *result);
/* How the action ended; the sentence is for people. */
void xf_tenure_action_done(struct xf_tenure *tenure, bool proven, const char *sentence);
void xf_tenure_during_done(struct xf_tenure *tenure, unsigned index, uint64_t attempt,
                           const json_t *result);
/* The document as stored, or NULL while it is not known; valid until the next call. */
const struct xf_document *xf_tenure_document(const struct xf_tenure *tenure);
/* The version of that document; 0.0.0: none. */
struct xf_version xf_tenure_version(const struct xf_tenure *tenure,
                                    char ret_write_id[XF_UUID_TEXT_BYTES]);
/* Whether it is led here, or was read from the store a moment ago. */
bool xf_tenure_knows(const struct xf_tenure *tenure);
bool xf_tenure_leads(const struct xf_tenure *tenure);
const char *xf_tenure_service(const struct xf_tenure *tenure);
/* From anywhere but a callback of the store. */
void xf_tenure_destroy(struct xf_tenure *tenure); /* accepts NULL */

#endif
