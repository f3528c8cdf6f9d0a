/*
 * commands.c -- the table of commands, and the help made from it.
 */
#include "shifter/command.h"

#include "shifter/cmd_host.h"
#include "shifter/cmd_kong.h"
#include "shifter/cmd_verbs.h"

#include <stdio.h>
#include <string.h>

static int run_help(int argc, char **argv);

#define REACH_DETAILS                                                                              \
    "--service S where there are several; --socket PATH (or CROSSFADE_SOCKET), or --url URL "      \
    "with\n"                                                                                       \
    "--token-file FILE; -o json.  Options may stand before or after the verb."
const struct xf_command xf_commands[] = {
    {"check", "[-c FILE]", "read and check a configuration file",
     "Prints every problem as FILE:LINE:COLUMN: MESSAGE.  Exit code 2 when there is one.",
     xf_cmd_check},
    {"explain", "[KEY]", "what a key of the configuration file means", NULL, xf_cmd_explain},
    {"status", "", "what is, on one page", REACH_DETAILS, xf_cmd_status},
    {"watch", "[--every DURATION]", "the same, live; piped: a line per change", REACH_DETAILS,
     xf_cmd_watch},
    {"why", "", "the last verdict and every hold, in words", REACH_DETAILS, xf_cmd_why},
    {"history", "[--count N] [--since DURATION] [--verify]", "the log: who did what, and why",
     REACH_DETAILS, xf_cmd_history},
    {"kong", "path FROM TO [--topology traditional|hybrid|dbless]",
     "Kong's upgrade path between two versions", NULL, xf_cmd_kong},
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
