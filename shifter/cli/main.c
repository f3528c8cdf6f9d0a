/*
 * main.c -- picks the command of the table and runs it.
 */
#include "shifter/cli/cli.h"
#include "shifter/cli/command.h"

#include <stdbool.h>
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

/* Options may stand before the verb: `crossfade --socket /x status` becomes
 * `crossfade status --socket /x`.  Returns the place of the verb, argc where there is none. */
static int verb_to_front(int argc, char **argv)
{
    int verb = 1;
    while (verb < argc && argv[verb][0] == '-') {
        bool known;
        bool takes_value = xf_cli_option_takes_value(argv[verb], &known);
        if (!known && strchr(argv[verb], '=') == NULL) {
            return 1; /* --help, or a mistake that run_unknown names */
        }
        verb += known && takes_value ? 2 : 1;
    }
    if (verb < argc) {
        char *name = argv[verb];
        memmove(&argv[2], &argv[1], (size_t) (verb - 1) * sizeof(argv[0]));
        argv[1] = name;
    }
    return verb < argc ? 1 : argc;
}

int main(int argc, char **argv)
{
    if (argc < 2 || verb_to_front(argc, argv) >= argc) {
        const struct xf_command *help = xf_command_find("help");
        help->run(1, argv);
        return 2;
    }
    const struct xf_command *command = xf_command_find(long_form(argv[1]));
    return command == NULL ? run_unknown(argv[1]) : command->run(argc - 1, argv + 1);
}
