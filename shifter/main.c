/*
 * main.c -- picks the command of the table and runs it.
 */
#include "shifter/command.h"

#include <stdio.h>
#include <string.h>

static int run_unknown(const char *name)
{
    fprintf(stderr, "crossfade: no command `%s`; `crossfade help` lists them\n", name);
    return 2;
}

/* `crossfade --help` and `crossfade --version` are what people type first. */
static const char *long_form(const char *word)
{
    static const struct {
        const char *option, *name;
    } forms[] = {{"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(word, forms[i].option) == 0) {
            return forms[i].name;
        }
    }
    return word;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        const struct xf_command *help = xf_command_find("help");
        help->run(1, argv);
        return 2;
    }
    const struct xf_command *command = xf_command_find(long_form(argv[1]));
    return command == NULL ? run_unknown(argv[1]) : command->run(argc - 1, argv + 1);
}
