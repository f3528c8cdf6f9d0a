/*
 * command.h -- the table of commands: one file per command (cmd_*.c), one line each here.
 *
 * main.c picks the command by its name, and help, completion and the documentation are made from
 * the same table.
 */
#ifndef XF_SHIFTER_COMMAND_H
#define XF_SHIFTER_COMMAND_H

struct xf_command {
    const char *name;
    const char *arguments;             /* as in the help: `FILE [--wait]` */
    const char *summary;               /* one line */
    const char *details;               /* further lines of `crossfade help NAME`; may be NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit code */
};

/* Ends with an entry whose name is NULL; defined in commands.c. */
extern const struct xf_command xf_commands[];

/* Prints the usage of `command` on standard error; returns exit code 2. */
int xf_command_usage(const struct xf_command *command);
const struct xf_command *xf_command_find(const char *name); /* NULL where there is none */

#endif
