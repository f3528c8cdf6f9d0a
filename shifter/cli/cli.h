/*
 * cli.h -- what the commands that talk to the daemon share: options, calls, exit codes.
 *
 * Data goes to standard output, notes to standard error.  Every option may stand before or after
 * the verb; which ones a verb takes is in one table, so that help and parser cannot differ.
 */
#ifndef XF_SHIFTER_CLI_H
#define XF_SHIFTER_CLI_H

#include "config/base/error.h"
#include "shifter/net/client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define XF_CLI_POSITIONALS_MAX 8

/* Groups of options a verb may take. */
enum {
    XF_CLI_REACH = 1u << 0,    /* --socket --url --token-file --service -o */
    XF_CLI_CHANGE = 1u << 1,   /* --reason --actor --if-generation --if-step --timeout --request */
    XF_CLI_WAIT = 1u << 2,     /* --for --cutover --timeout */
    XF_CLI_START = 1u << 3,    /* --to --wait --timeout */
    XF_CLI_FORCE = 1u << 4,    /* --force */
    XF_CLI_FULL = 1u << 5,     /* --full */
    XF_CLI_RESUME = 1u << 6,   /* --of --at-once */
    XF_CLI_ABORT = 1u << 7,    /* --over --local */
    XF_CLI_FINALIZE = 1u << 8, /* --redo --skip */
    XF_CLI_DRAIN = 1u << 9,    /* --cluster --rate --now */
    XF_CLI_YES = 1u << 10,     /* --yes */
    XF_CLI_HISTORY = 1u << 11, /* --count --since --verify */
    XF_CLI_WATCH = 1u << 12,   /* --every */
    XF_CLI_LOCAL = 1u << 13,   /* --local */
    XF_CLI_GATES = 1u << 14,   /* --only -c */
    XF_CLI_PLAN = 1u << 15,    /* --rps -c */
};

struct xf_cli {
    struct xf_client_target target;
    const char *service; /* NULL until xf_cli_service() */
    bool json;
    const char *reason, *actor, *request;
    int64_t if_generation;     /* -1: not given */
    int64_t if_step;           /* -1: not given */
    int64_t timeout_ms;        /* -1: not given */
    const char *only, *config; /* NULL: not given */
    const char *wait_for, *cutover, *to, *of, *cluster, *rate;
    bool wait, force, full, at_once, local, now, yes, verify;
    int64_t over_ms;    /* -1: not given */
    int64_t redo, skip; /* -1: not given */
    int64_t count;      /* -1: not given */
    int64_t since_ms;   /* how far back; -1: not given */
    int64_t every_ms;   /* -1: not given */
    double rps;         /* 0: not given */
    char *positional[XF_CLI_POSITIONALS_MAX];
    int positionals;
    char actor_bytes[160], socket_bytes[4096], request_bytes[40], service_bytes[80];
};

/* Reads the arguments; prints what is wrong and returns 2, else 0. */
XF_NODISCARD int xf_cli_parse(int argc, char **argv, unsigned groups, int positionals_min,
                              int positionals_max, struct xf_cli *ret);

/* Whether `option` (as `--service`) takes a value: main.c moves options that stand before the verb
 * behind it. */
bool xf_cli_option_takes_value(const char *option, bool *ret_known);

/* Prints `err` on standard error and returns its exit code. */
int xf_cli_fail(const struct xf_error *err);
/* Prints a note on standard error. */
void xf_cli_note(const char *format, ...) XF_PRINTF(1, 2);

/* Finds the service: the one given, or the only one; else prints the list and returns 2 (or 7). */
XF_NODISCARD int xf_cli_service(struct xf_cli *cli);

/* GET /v1/services/SERVICE/WHAT.  0: *ret is owned by the caller; else an exit code, printed. */
XF_NODISCARD int xf_cli_get(const struct xf_cli *cli, const char *what, json_t **ret);
/* The same without a word when the daemon is away: -1 then, with `err`. */
XF_NODISCARD int xf_cli_try_get(const struct xf_cli *cli, const char *what, json_t **ret,
                                struct xf_error *err);

/* POST /v1/services/SERVICE/VERB with `arguments` (taken).  Prints the outcome; the exit code of
 * the reply.  `ret_reply` may be NULL; otherwise it is owned by the caller and may become NULL. */
int xf_cli_change(struct xf_cli *cli, const char *verb, json_t *arguments, json_t **ret_reply);
/* The same, but prints nothing where there is an answer: it is *ret, owned by the caller, NULL
 * where there is none.  The exit code of the reply. */
int xf_cli_ask(struct xf_cli *cli, const char *verb, json_t *arguments, json_t **ret);
/* For step, back, extend and approve: the step this command is about, as it stands now, unless
 * --if-step gave it; 0 or an exit code. */
XF_NODISCARD int xf_cli_pin_step(struct xf_cli *cli);

/* Waits as `crossfade wait` does; prints why it ended; the exit code. */
int xf_cli_wait(const struct xf_cli *cli, const char *wait_for, const char *cutover,
                int64_t timeout_ms);

/* Reads a plan's text from `path` (`-`: standard input), at most XF_PLAN_BYTES_MAX and one byte
 * more, terminated; the caller frees it.  NULL: what is wrong was printed. */
XF_NODISCARD char *xf_cli_read_plan(const char *path, size_t *ret_length);

/* Members of JSON objects with a fallback; never NULL. */
const char *xf_cli_text(const json_t *object, const char *key, const char *otherwise);
double xf_cli_number(const json_t *object, const char *key, double otherwise);
bool xf_cli_true(const json_t *object, const char *key);
/* Prints `value` to standard output, indented, with a line feed. */
void xf_cli_print(const json_t *value);

#endif
