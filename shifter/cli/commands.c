/*
 * commands.c -- the table of commands, and the help made from it.
 */
#include "shifter/cli/command.h"

#include "shifter/cli/cmd_db.h"
#include "shifter/cli/cmd_host.h"
#include "shifter/cli/cmd_init.h"
#include "shifter/cli/cmd_kong.h"
#include "shifter/cli/cmd_plan.h"
#include "shifter/cli/cmd_preflight.h"
#include "shifter/cli/cmd_replay.h"
#include "shifter/cli/cmd_token.h"
#include "shifter/cli/cmd_verbs.h"

#include <stdio.h>
#include <string.h>

static int run_help(int argc, char **argv);

#define REACH_DETAILS                                                                              \
    "--service S where there are several; --socket PATH (or CROSSFADE_SOCKET), or --url URL "      \
    "with\n"                                                                                       \
    "--token-file FILE (https: --ca FILE, --certificate FILE --key FILE); -o json.  Options may "  \
    "stand before or after the verb."
#define CHANGE_DETAILS                                                                             \
    "Returns when the change is in force on every live proxy (--timeout, 1m).  --reason TEXT "     \
    "and\n"                                                                                        \
    "--actor WHO go to the log; --if-generation N and --if-step N refuse (exit 4) when "           \
    "something\n"                                                                                  \
    "else came first; --request UUID makes a repetition harmless.\n" REACH_DETAILS

#define DAEMON_DETAILS                                                                             \
    "--config FILE (default " XF_CONFIG_PATH_DEFAULT ").  SIGHUP reads it anew, SIGTERM ends "     \
    "after\n"                                                                                      \
    "what is in flight, a second one at once, SIGUSR1 opens the access log anew, SIGUSR2\n"        \
    "becomes the binary on disk (`reexec`).\n"                                                     \
    "--assume-live: without a store and a snapshot, serve the live cluster of the file.\n"         \
    "--allow-stale: serve a snapshot that is too old."

const struct xf_command xf_commands[] = {
    {"serve", "[-c FILE] [--assume-live] [--allow-stale]", "run crossfade on this host",
     "Workers, agent, logger and the control plane.\n" DAEMON_DETAILS, xf_cmd_serve},
    {"shifter", "[-c FILE]", "run the control plane alone", DAEMON_DETAILS, xf_cmd_shifter},
    {"proxy", "[-c FILE] [--assume-live] [--allow-stale]", "run this host's proxy of a fleet",
     "Workers, agent and logger, without the control plane.\n" DAEMON_DETAILS, xf_cmd_proxy},
    {"reexec", "[--timeout DURATION]", "replace the running binary by the one on disk",
     "Sockets, connections and counters stay, and so does the pid; the workers of the old binary\n"
     "finish what they have (timeouts.shutdown), the new binary's take what comes.  SIGUSR2 asks "
     "for\n"
     "the same.  The new binary first checks the configuration and whether it can take over;\n"
     "where it cannot, nothing changes: exit code 1.\n" REACH_DETAILS,
     xf_cmd_reexec},
    {"check", "[-c FILE]", "read and check a configuration file",
     "Prints every problem as FILE:LINE:COLUMN: MESSAGE.  Exit code 2 when there is one.",
     xf_cmd_check},
    {"explain", "[KEY]", "what a key of the configuration file means", NULL, xf_cmd_explain},
    {"start", "FILE [--wait] | --to CLUSTER", "begin a cutover",
     "FILE is a plan; without one (--to) the cutover has a single step to 100 % and begins at 0,\n"
     "held by `operator`.  --wait: until finalized where the plan finalizes by itself, else safe,\n"
     "with the exit codes of `wait`; --timeout bounds the waiting.\n" CHANGE_DETAILS,
     xf_cmd_start},
    {"weight", "PERCENT [--force] [--local]", "set green's share, as 25% or 12.5%, and hold there",
     "Raising it under a verdict (errors, latency, router) needs --force; else exit code 3.\n"
     "--local: on this host's proxy alone, after 5 s without the store or 10 s without a "
     "leader.\n" CHANGE_DETAILS,
     xf_cmd_weight},
    {"step", "[--full]", "go to the next step now: ends its hold, approval and evidence",
     "Never ends errors, latency, drift, store or lag.  --full: to the last step; soak and drain\n"
     "remain.\n" CHANGE_DETAILS,
     xf_cmd_step},
    {"promote", "[--full]", "the same as step", NULL, xf_cmd_step},
    {"back", "", "go to the previous step, held", CHANGE_DETAILS, xf_cmd_back},
    {"extend", "DURATION", "make this step's hold longer", CHANGE_DETAILS, xf_cmd_extend},
    {"approve", "", "approve this step; may come before its hold is over", CHANGE_DETAILS,
     xf_cmd_approve},
    {"pause", "", "stop rising: hold `operator`", CHANGE_DETAILS, xf_cmd_pause},
    {"resume", "[REASON] [--of ACTOR] [--at-once]", "lift the holds that a person lifts, or one",
     "After a retreat the weight climbs again from the first step; --at-once: to the kept step.\n"
     "Another person's pause is lifted only with --of.\n" CHANGE_DETAILS,
     xf_cmd_resume},
    {"abort", "[--over DURATION] [--force] [--local]",
     "all traffic back to blue, now or over a time",
     "Returns when weight 0 is in force everywhere.  --force: also in safe; the signal is revoked\n"
     "first.  --local: on this host's proxy alone, after 5 s without the store or 10 s without a\n"
     "leader; the fleet follows when they meet again.\n" CHANGE_DETAILS,
     xf_cmd_abort},
    {"finalize", "[--redo N | --skip N]", "make green the live cluster: the cutover is over",
     "The plan's gates come first, then its actions; the point of no return lies between them.\n"
     "An action that could not be proven waits: --redo N runs it again, --skip N goes on "
     "without it.\n" CHANGE_DETAILS,
     xf_cmd_finalize},
    {"drain", "[--cluster CLUSTER] [--rate 20/s | --now]",
     "end the tunnels and answers that are left on a cluster",
     "WebSockets are told 1001 between two frames, other tunnels are closed; what is opened later\n"
     "is left alone.  Where nothing new goes to the cluster answers in progress end too, at a "
     "pace\n"
     "those of requests that are 5 s old, with --now all.  The cluster: the one that traffic has\n"
     "left, else --cluster.  The pace, for the whole fleet: --rate, else that of the plan or the\n"
     "configuration, else 20/s.  --now: at once.\n" CHANGE_DETAILS,
     xf_cmd_drain},
    {"fence", "up | down", "refuse, or let pass, changes through the services that follow this one",
     "For before a cutover, as while a database is cloned; `start` takes it over, and it ends "
     "with\n"
     "the cutover.\n" CHANGE_DETAILS,
     xf_cmd_fence},
    {"forget", "PROXY --yes", "a proxy that is gone for good no longer blocks the signal",
     CHANGE_DETAILS, xf_cmd_forget},
    {"status", "", "what is, on one page", REACH_DETAILS, xf_cmd_status},
    {"watch", "[--every DURATION]", "the same, live; piped: a line per change", REACH_DETAILS,
     xf_cmd_watch},
    {"why", "", "the last verdict and every hold, in words", REACH_DETAILS, xf_cmd_why},
    {"history", "[--count N] [--since DURATION]", "the log: who did what, and why", REACH_DETAILS,
     xf_cmd_history},
    {"wait", "--for weight=PERCENT|held|safe|finalized [--cutover ID] [--timeout DURATION]",
     "block until the cutover is that far",
     "Exit codes: 0 reached or passed, 3 a hold needs a person, 5 aborted, 124 time is up.\n"
     "Holds that end by themselves are waited through, and so is a daemon that "
     "restarts.\n" REACH_DETAILS,
     xf_cmd_wait},
    {"server", "list | drain|ready [CLUSTER] ADDRESS | weight [CLUSTER] ADDRESS 1..1000",
     "this host's servers, and orders for one of them",
     "`drain` sends it no new request, `ready` ends that; an order holds on this host "
     "only.  CLUSTER may be left out where one cluster alone has the address.\n" REACH_DETAILS,
     xf_cmd_server},
    {"token", "add --role viewer|operator|admin [--name NAME] | list | remove NAME",
     "who may use the admin port (admin.listen), and for what",
     "`add` prints the token, once: put it into a file for --token-file.  The file that\n"
     "admin.tokens_file names (of --config FILE, default " XF_CONFIG_PATH_DEFAULT "; or --file\n"
     "FILE) keeps only its hash, mode 0600; the daemon reads it anew when it has changed.\n"
     "viewer: reads.  operator: every verb but those of an admin: forget, --force, drain --now,\n"
     "finalize --skip.  -o json.",
     xf_cmd_token},
    {"init",
     "canary | kong --from V --to V [--topology traditional|hybrid|dbless] [--database "
     "clone|shared]",
     "print a commented plan to begin with",
     "canary: for unattended pipelines.  kong: one hop of Kong's upgrade path, with the `kong` "
     "gate\n"
     "filled in; the configuration it needs goes to standard error.",
     xf_cmd_init},
    {"kong", "path FROM TO [--topology traditional|hybrid|dbless] | drift PLAN",
     "Kong's upgrade path between two versions; what was changed in its databases",
     "drift: the configuration tables of the databases that PLAN's gates name, against the "
     "baseline\n"
     "taken at the start.  Exit code 1: something was changed.\n" REACH_DETAILS,
     xf_cmd_kong},
    {"plan", "FILE [-c FILE] [--rps N] [-o json]",
     "what a plan will do, when, and what could fail at worst; changes nothing",
     "The rate is --rps, else the running daemon's (--socket, or --url with --token-file; https:\n"
     "--ca FILE, --certificate FILE --key FILE).  -c: the plan must fit that configuration.",
     xf_cmd_plan},
    {"preflight", "PLAN [--only NAME,...] [-c FILE] [-o json]",
     "run a plan's gates and change nothing",
     "The daemon runs them; -c FILE: they run here, with that configuration.\n"
     "Exit code 0: no check failed with severity error; 1: one did.\n" REACH_DETAILS,
     xf_cmd_preflight},
    {"db", "migrate|status [-c FILE] [--user ROLE] [--password-file FILE] [-o json]",
     "the journal's schema in PostgreSQL: make it, or look",
     "migrate brings it to what this crossfade knows, all at once or not at all, and never back;\n"
     "one that is newer is refused (exit code 6).  --user: another role than journal.url's, which\n"
     "needs no right to change a schema; its password from --password-file, PGPASSWORD or a "
     "passfile.\n"
     "status: exit code 1 while migrations are missing.",
     xf_cmd_db},
    {"replay", "TRACE --schedule \"0:0;10000:0.01\" [KEY=VALUE ...] [-o json]",
     "judge a recorded run: what would the guard have said?",
     "TRACE is a CSV file (t_ms,cluster,result,latency_us) or crossfade's access log in JSON, "
     "whose\n"
     "clusters --blue and --green name; a log needs no schedule.  Keys: plan_ms, nsteps, blip_ms,\n"
     "floor, r0, r0_lat, pmax, p_ok, r1; shares are fractions.",
     xf_cmd_replay},
    {"version", "", "print the version", NULL, xf_cmd_version},
    {"help", "[COMMAND]", "this list, or one command in full", NULL, run_help},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct xf_command *xf_command_find(const char *name)
{
    for (const struct xf_command *command = xf_commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}

static void print_usage(FILE *stream, const struct xf_command *command)
{
    fprintf(stream, "usage: crossfade %s%s%s\n", command->name,
            command->arguments[0] != '\0' ? " " : "", command->arguments);
}

int xf_command_usage(const struct xf_command *command)
{
    print_usage(stderr, command);
    return 2;
}

static void print_list(void)
{
    printf("crossfade moves traffic from an old cluster to a new one, gradually, while watching.\n"
           "\n"
           "usage: crossfade COMMAND [ARGUMENTS]\n"
           "\n");
    for (const struct xf_command *command = xf_commands; command->name != NULL; command++) {
        printf("  %-10s %s\n", command->name, command->summary);
    }
    printf("\n`crossfade help COMMAND` tells more.\n");
}

static int run_help(int argc, char **argv)
{
    if (argc < 2) {
        print_list();
        return 0;
    }
    const struct xf_command *command = xf_command_find(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "crossfade: no command `%s`; `crossfade help` lists them\n", argv[1]);
        return 2;
    }
    print_usage(stdout, command);
    printf("\n%s\n", command->summary);
    if (command->details != NULL) {
        printf("\n%s\n", command->details);
    }
    return 0;
}
