/*
 * tenure_parts.h -- what the files of tenure share; nothing else includes it.
 */
#ifndef XF_SHIFTER_TENURE_PARTS_H
#define XF_SHIFTER_TENURE_PARTS_H

#include "shifter/control/control.h"
#include "shifter/plan/cutover.h"
#include "shifter/control/grid.h"
#include "shifter/store/lease.h"
#include "shifter/controller/tenure.h"

#define XF_TENURE_MAGIC         0x74656e75u
#define XF_COMMANDS_MAX         256u  /* waiting for their turn */
#define XF_WAITERS_MAX          512u  /* answered, waiting for their version to be in force */
#define XF_COMMAND_AGE_MS       10000 /* older ones are refused */
#define XF_WAIT_MS              5000  /* then a verb answers and names who lags */
#define XF_REVOKE_WAIT_MS       10000 /* then an abort in safe answers though nobody took it */
#define XF_RETRY_MS             250   /* between attempts at the store */
#define XF_CHECKPOINT_MS        1000
#define XF_LOOK_MS              1000 /* between looks at what the store has */
#define XF_FOLLOW_MS            3000 /* what was read of another's service is known for so long */
#define XF_ROSTER_VERSION_BYTES 48u

enum xf_tenure_phase {
    XF_TENURE_ASIDE,   /* another leads, or nobody yet */
    XF_TENURE_LOADING, /* reads are under way, or due again at retry_ms */
    XF_TENURE_LEADING,
};

enum xf_tenure_read {
    XF_READ_NONE,
    XF_READ_STATE,
    XF_READ_LOG,
    XF_READ_PROGRESS,
    XF_READ_JUDGE,
    XF_READ_TIME,
    XF_READ_ROSTER,
};

struct xf_pending_write {
    bool on;
    bool asked; /* the store has it; its answer will come */
    bool lost;  /* an answer got lost: the same write_id again at retry_ms */
    struct xf_decision decision;
    struct xf_version expected, next;
    char write_id[XF_UUID_TEXT_BYTES];
    char *document, *entry; /* texts */
    bool restored;
    bool final; /* into safe or finalizing: the roster must stand, a replica must have it */
    char why[XF_SENTENCE_BYTES]; /* it was lost */
    bool for_command;
    struct xf_message_command command; /* whose change this is */
};

struct xf_waiter {
    char request[XF_REQUEST_ID_BYTES];
    int exit_code;
    char message[XF_SENTENCE_BYTES];
    struct xf_version version;
    int64_t since_ms;
    uint64_t falls;            /* an abort's: the attempt whose weight 0 is waited for first */
    char green[XF_NAME_BYTES]; /* an abort's: tunnels that are left on it are told */
};

struct xf_tenure_during; /* tenure_during.c */

struct xf_tenure_blame {
    char proxy[XF_UUID_TEXT_BYTES];
    json_t *told; /* owned; judge_tally.h */
};

struct xf_tenure_sent { /* a signal: each cutover's begins with sequence 1 */
    unsigned sequence;  /* 0: none */
    char key[XF_CUTOVER_ID_BYTES];
};

struct xf_tenure {
    unsigned magic;
    struct xf_tenure_options options;
    struct xf_tenure_calls calls;
    const struct xf_config_service *service;
    char holder[XF_UUID_TEXT_BYTES];
    char name[XF_NAME_BYTES];
    uint64_t random;
    struct xf_lease *lease;
    enum xf_tenure_phase phase;
    enum xf_tenure_read reading; /* the read under way */
    bool read_log, read_progress, read_judge, read_time;
    bool read_roster; /* what is to be read next */
    int64_t retry_ms;

    /* what stands in the store, as far as known */
    struct xf_document *document;
    char *document_text;
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    bool holds_newer; /* the store was found older than this: it must be restored */
    bool looking;     /* the store was asked whether it still has what was written */
    int64_t looked_ms;
    char members[XF_ROSTER_VERSION_BYTES]; /* the roster's version as read; `?`: none */
    bool counting;                         /* it is being read, beside everything else */
    struct xf_version counted;             /* up to here everybody in the fleet is known */
    struct xf_version looked_from;
    struct xf_version found; /* what the store had instead: a restoring write expects it */

    /* tenure_follow.c */
    bool settled;   /* the store was heard before anything is led */
    bool foreign;   /* it holds another installation's state */
    bool following; /* the state is being read */
    int64_t asked_ms, followed_ms;

    /* tenure_recover.c */
    int64_t created_ms, led_ms;
    bool unsure;         /* nobody has compared what was loaded with what the fleet knows */
    int64_t restored_ms; /* when this leader last wrote the state again; 0: never */
    bool doubted;        /* the store was found empty, damaged or older: the fleet is heard first */
    bool unreadable;     /* what stands there is not ours: written over only with what is known */
    bool log_differs;    /* the log's top is elsewhere than the state: it is read, and passed */
    uint64_t generation_met;     /* the largest seen anywhere */
    int64_t ahead_ms;            /* since when a member is ahead of what is known; 0: none is */
    struct xf_document *offered; /* the newest that a proxy offered; NULL: none */
    char *offered_text;
    struct xf_version offered_version;
    char offered_id[XF_UUID_TEXT_BYTES];

    struct xf_pending_write write;
    struct xf_message_command *commands[XF_COMMANDS_MAX];
    int64_t commands_ms[XF_COMMANDS_MAX];
    unsigned commands_first, commands_count;
    bool requeued; /* a command waits again because the state had changed under it */
    struct xf_waiter waiters[XF_WAITERS_MAX];
    unsigned waiters_count;

    struct xf_tenure_during *during;  /* owned; gates that are asked again and again; NULL: none */
    struct xf_message_command *gated; /* waits for its gates; NULL: none */
    bool gates_passed;
    json_t *gates_found; /* owned: what they found, for the log; NULL: nothing yet */

    struct { /* the gates before an automatic finalize */
        uint64_t attempts;
        int64_t ended_ms;
        char failed[XF_SENTENCE_BYTES];
    } automatic;

    struct { /* Kong's databases against the document's baseline */
        bool running;
        bool known; /* what follows is about `baseline` and `step_entry` */
        uint64_t attempts, step_entry;
        int64_t ended_ms;
        int64_t failed_ms; /* when the last look gave nothing at all; 0: it gave something */
        char *against;     /* owned: the baseline that it was held against */
        char *complete;    /* owned: that baseline with what it lacked; NULL: it lacked nothing */
        bool drifted, unseen;
        char sentence[XF_SENTENCE_BYTES];
    } drift;
    struct {                               /* a question that gates answer: preflight, drift */
        char request[XF_REQUEST_ID_BYTES]; /* empty: none */
        bool preflight;
        char *only; /* owned; NULL: all checks */
        bool baseline;
    } asked;

    struct { /* of finalize: which run this is about, and what is known of it */
        bool running;
        uint64_t attempts;
        unsigned index, runs;
        enum xf_action_found found;
        bool own;
        int64_t ended_ms;
        char sentence[XF_SENTENCE_BYTES];
    } action;

    struct xf_progress progress;
    int64_t checkpoint_ms;
    uint64_t kept_members, keeping_members; /* the roster's version that the checkpoint has */
    unsigned checkpoints_open;              /* asked for, not yet answered */
    bool refused;                           /* the store said no; until it takes something */
    int64_t refused_ms;
    bool was_ok;
    int64_t ok_wall_ms;

    int64_t grid_offset_ms; /* store's clock minus CLOCK_BOOTTIME */
    struct xf_grid grid;
    struct xf_judge judge;
    bool judging;
    char *judge_text;       /* the checkpoint, until a judge exists to load it into */
    uint64_t judge_attempt; /* the document's, of the judge */
    unsigned judge_verdict_attempt;
    uint64_t judge_step_entry;
    unsigned judge_weight;
    int64_t listens_since_ms;       /* since when the whole fleet is heard, as far as that counts */
    int64_t listened_at_ms;         /* the last look at it */
    struct xf_tenure_blame *blames; /* owned; the newest of each proxy */
    unsigned blames_count;

    int64_t journal_behind_ms; /* since when rows are missing; 0: none is */
    char journal_why[XF_SENTENCE_BYTES];

    struct xf_tenure_sent accepted;   /* the last signal that every receiver took */
    struct xf_tenure_sent delivering; /* whose delivery runs; sequence 0: none */
    struct xf_tenure_sent checked;    /* whose record the store was asked for */
    bool checking;                    /* its answer is due */
    int64_t published_ms;
};

static inline int64_t xf_tenure_now(const struct xf_tenure *tenure)
{
    return xf_clock_boottime_ms(tenure->options.clock);
}
static inline int64_t xf_tenure_store_time(const struct xf_tenure *tenure)
{
    return xf_tenure_now(tenure) + tenure->grid_offset_ms;
}

uint64_t xf_tenure_random(struct xf_tenure *tenure);
void xf_tenure_uuid(struct xf_tenure *tenure, char out[XF_UUID_TEXT_BYTES]);
bool xf_tenure_store_ok(const struct xf_tenure *tenure);
/* What is known now; `start`: a plan that is about to begin, NULL otherwise. */
void xf_tenure_facts(struct xf_tenure *tenure, const struct xf_plan *start, struct xf_facts *ret);
void xf_tenure_publish(struct xf_tenure *tenure);
/* What a cluster carries through all proxies; its name may be empty. */
struct xf_tenure_held {
    uint64_t tunnels;
    uint64_t in_flight; /* tunnels included */
};
struct xf_tenure_held xf_tenure_held(const struct xf_tenure *tenure, const char *name);
void xf_tenure_load_again(struct xf_tenure *tenure);
/* A read of the load got no answer: it is asked again after a while. */
void xf_tenure_load_failed(struct xf_tenure *tenure, const char *what, const char *message);
void xf_tenure_note(struct xf_tenure *tenure, const char *event, const char *text);

/* tenure_write.c: takes the decision over; `command` (borrowed) is whose it is, or NULL. */
void xf_tenure_write(struct xf_tenure *tenure, struct xf_decision *decision,
                     const struct xf_message_command *command, bool restored);
void xf_tenure_write_tick(struct xf_tenure *tenure);
/* Gives the write up: its command is told `exit_code` and why. */
void xf_tenure_write_drop(struct xf_tenure *tenure, int exit_code, const char *why);

/* tenure_recover.c.  True while what the store has is in doubt: nothing is decided then. */
bool xf_tenure_recovering(struct xf_tenure *tenure);
/* The document that is known where the store has none; false: no memory. */
bool xf_tenure_recover_absent(struct xf_tenure *tenure);
void xf_tenure_recover_met(struct xf_tenure *tenure, uint64_t generation);
/* The next write restores, and expects what was loaded to stand in the store. */
void xf_tenure_recover_beyond(struct xf_tenure *tenure);
void xf_tenure_recover_release(struct xf_tenure *tenure);
/* Names who was silent when the state was restored, and still is. */
void xf_tenure_recover_facts(const struct xf_tenure *tenure, struct xf_facts *ret);

/* tenure_follow.c */
void xf_tenure_follow_tick(struct xf_tenure *tenure);
bool xf_tenure_may_lead(const struct xf_tenure *tenure);
/* Whether this state is another installation's; told once. */
bool xf_tenure_foreign(struct xf_tenure *tenure, const struct xf_version *version,
                       const struct xf_document *document);
/* Takes the document over as what stands in the store; false: no memory, it is gone. */
bool xf_tenure_keep(struct xf_tenure *tenure, const struct xf_store_state *state,
                    struct xf_document *document);
/* Begins with what an earlier run knew; `copy` may be NULL. */
void xf_tenure_remember(struct xf_tenure *tenure, const struct xf_snapshot_service *copy);

/* tenure_members.c: who is known, from the checkpoint and from the store's roster. */
void xf_tenure_members_recall(struct xf_tenure *tenure, const char *text);
char *xf_tenure_members_text(const struct xf_tenure *tenure); /* the checkpoint `progress` */
/* Forgets a member, by name or id, here and in the store's roster. */
void xf_tenure_members_forget(struct xf_tenure *tenure, const char *proxy);
/* Puts who is known into the document that is to be written; false: no memory. */
bool xf_tenure_members_keep(const struct xf_tenure *tenure, struct xf_document *document);
/* The state that is to be restored may name members whom nobody here has heard of: they are waited
 * for, unless it was written or led here, where all that came and went since was heard. */
void xf_tenure_members_expect(struct xf_tenure *tenure);
/* Reads the store's roster now, where it has one; `loading`: what follows waits for it. */
void xf_tenure_members_read(struct xf_tenure *tenure, bool loading);

/* tenure_command.c */
void xf_tenure_commands_tick(struct xf_tenure *tenure);
void xf_tenure_waiters_tick(struct xf_tenure *tenure);
void xf_tenure_wait_for(struct xf_tenure *tenure, const struct xf_message_command *command,
                        int exit_code, const char *message);
void xf_tenure_answer(struct xf_tenure *tenure, const char *request, int exit_code,
                      const char *message);
/* The plan that a command brings; false: what is wrong was answered. */
bool xf_tenure_bring_plan(struct xf_tenure *tenure, const struct xf_message_command *command,
                          struct xf_plan **ret);
void xf_tenure_commands_drop(struct xf_tenure *tenure, int exit_code, const char *why);

/* tenure_gates.c.  True: `command` was answered, or waits for its gates. */
bool xf_tenure_gates_wait(struct xf_tenure *tenure, const struct xf_message_command *command,
                          const struct xf_plan *plan);
void xf_tenure_gates_drop(struct xf_tenure *tenure);
/* Adds to the entry of the command that waited, as `gates`, what they found. */
void xf_tenure_gates_explain(const struct xf_tenure *tenure, json_t *entry);
/* Begins an automatic finalize that has gates. */
void xf_tenure_gates_tick(struct xf_tenure *tenure, const struct xf_facts *facts);
void xf_tenure_gates_facts(const struct xf_tenure *tenure, struct xf_facts *ret);

/* tenure_drift.c */
void xf_tenure_drift_tick(struct xf_tenure *tenure, bool wanted);
void xf_tenure_drift_found(struct xf_tenure *tenure, const json_t *result);
void xf_tenure_drift_facts(const struct xf_tenure *tenure, struct xf_facts *ret);
/* Databases that the last look could not see, in words; NULL: none. */
const char *xf_tenure_drift_unseen(const struct xf_tenure *tenure);
void xf_tenure_drift_release(struct xf_tenure *tenure);

/* tenure_asked.c.  True: `command` is `preflight` or `drift`; it was answered, or will be. */
bool xf_tenure_asked(struct xf_tenure *tenure, const struct xf_message_command *command);
void xf_tenure_asked_done(struct xf_tenure *tenure, const json_t *result);

/* tenure_action.c */
void xf_tenure_action_run(struct xf_tenure *tenure); /* its start stands: run the hook */
void xf_tenure_action_tick(struct xf_tenure *tenure);
void xf_tenure_action_facts(const struct xf_tenure *tenure, struct xf_facts *ret);

/* tenure_view.c: `status`, `why`, `history`, `signal`; false: it is none of these. */
bool xf_tenure_question(struct xf_tenure *tenure, const struct xf_message_command *command);

/* tenure_journal.c: what only the journal needs of an entry; what the journal keeps waiting. */
void xf_tenure_journal_explain(struct xf_tenure *tenure, const struct xf_document *after,
                               const struct xf_version *next, json_t *entry);
void xf_tenure_journal_facts(struct xf_tenure *tenure, struct xf_facts *ret);

/* tenure_judge.c */
void xf_tenure_judge_tick(struct xf_tenure *tenure);
/* After every change of the document. */
void xf_tenure_judge_follow(struct xf_tenure *tenure);
void xf_tenure_judge_facts(const struct xf_tenure *tenure, struct xf_facts *ret);

/* Each tick: whether the whole fleet has been heard for long enough to know a green that fails
 * (facts.judge_listened); anew when somebody was silent. */
bool xf_tenure_judge_listen(struct xf_tenure *tenure, const struct xf_fleet *fleet);

/* The checkpoint's text; NULL: no judge, or no memory. */
char *xf_tenure_judge_save(const struct xf_tenure *tenure);
/* Adds to an entry's verdict, as `proof`, what recomputes it. */
void xf_tenure_judge_explain(const struct xf_tenure *tenure, json_t *entry);

/* tenure_blame.c */
void xf_tenure_blame_take(struct xf_tenure *tenure, const struct xf_message_samples *samples);
void xf_tenure_blame_drop(struct xf_tenure *tenure);
/* xf_tally_explain over the fleet, for what the last verdict was about; NULL: nothing. */
json_t *xf_tenure_blame(const struct xf_tenure *tenure);

/* tenure_during.c */
void xf_tenure_during_tick(struct xf_tenure *tenure);
void xf_tenure_during_facts(const struct xf_tenure *tenure, struct xf_facts *ret);
void xf_tenure_during_drop(struct xf_tenure *tenure);

/* tenure_signal.c */
void xf_tenure_signal_tick(struct xf_tenure *tenure);
/* Begins from what the document says was taken. */
void xf_tenure_signal_lead(struct xf_tenure *tenure);
/* The largest sequence of the document's own key that every receiver took; 0: none. */
unsigned xf_tenure_signal_accepted(const struct xf_tenure *tenure);
void xf_tenure_signal_record(const struct xf_document *document, struct xf_signal_record *ret);

#endif
