/*
 * cmd_init.c -- `crossfade init canary` and `crossfade init kong`: a commented plan to begin with.
 */
#include "shifter/cli/cmd_init.h"

#include "shifter/cli/cli.h"
#include "shifter/cli/command.h"
#include "shifter/cli/preset.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int print_text(struct xf_text *text, FILE *stream)
{
    bool good = !text->failed && fputs(text->data, stream) >= 0 && fflush(stream) == 0;
    xf_text_release(text);
    if (!good) {
        xf_cli_note("crossfade init: the text could not be written");
    }
    return good ? 0 : 1;
}

static int init_canary(void)
{
    struct xf_text plan;
    xf_text_init(&plan, XF_PRESET_BYTES_MAX);
    xf_preset_canary(&plan);
    return print_text(&plan, stdout);
}

static int usage(const char *why)
{
    xf_cli_note("crossfade init: %s", why);
    return xf_command_usage(xf_command_find("init"));
}

static int parse_kong(int argc, char **argv, struct xf_preset_kong *ret)
{
    static const struct option longs[] = {{"from", required_argument, NULL, 'f'},
                                          {"to", required_argument, NULL, 't'},
                                          {"topology", required_argument, NULL, 'y'},
                                          {"database", required_argument, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    const char *database = NULL;
    bool from = false;
    bool to = false;
    int option;
    optind = 1;
    opterr = 0;
    *ret = (struct xf_preset_kong){.topology = XF_KONG_TRADITIONAL};
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (option == 'f' && xf_kong_version_parse(optarg, &ret->from)) {
            from = true;
        } else if (option == 't' && xf_kong_version_parse(optarg, &ret->to)) {
            to = true;
        } else if (option == 'd' &&
                   (strcmp(optarg, "clone") == 0 || strcmp(optarg, "shared") == 0)) {
            database = optarg;
        } else if (option != 'y' || !xf_kong_topology_parse(optarg, &ret->topology)) {
            return usage("unknown option or value; a version is written like 3.0 or 3.8.0.0");
        }
    }
    if (optind != argc || !from || !to) {
        return usage("--from and --to are needed");
    }
    if (database != NULL && ret->topology != XF_KONG_TRADITIONAL) {
        return usage("--database goes with --topology traditional: a hybrid has one database, "
                     "dbless none");
    }
    ret->shared = database != NULL && strcmp(database, "shared") == 0;
    return 0;
}

/* A plan is one hop of Kong's upgrade path. */
static int check_path(const struct xf_preset_kong *kong)
{
    struct xf_kong_path path;
    char names[2][XF_PRESET_NAME_BYTES];
    xf_kong_path_find(&kong->from, &kong->to, kong->topology, &path);
    if (path.possible && path.direct && !xf_preset_kong_names(kong, names[0], names[1])) {
        return usage("--from and --to are the same version");
    }
    for (unsigned i = 0; i < path.notes_count; i++) {
        xf_cli_note("# note: %s", path.notes[i]);
    }
    if (!path.possible) {
        xf_cli_note("crossfade init: Kong has no upgrade path there");
    } else if (!path.direct) {
        xf_cli_note("crossfade init: not in one hop; a plan for each of:");
        for (unsigned i = 0; i < path.hops_count; i++) {
            xf_cli_note("  %s", path.hops[i]);
        }
    }
    return path.possible && path.direct ? 0 : 1;
}

static int init_kong(int argc, char **argv)
{
    struct xf_preset_kong kong;
    struct xf_text plan;
    struct xf_text config;
    int result = parse_kong(argc, argv, &kong);
    if (result == 0) {
        result = check_path(&kong);
    }
    if (result != 0) {
        return result;
    }
    xf_text_init(&plan, XF_PRESET_BYTES_MAX);
    xf_text_init(&config, XF_PRESET_BYTES_MAX);
    xf_preset_kong_plan(&kong, &plan);
    xf_preset_kong_config(&kong, &config);
    result = print_text(&plan, stdout);
    int told = print_text(&config, stderr);
    return result != 0 ? result : told;
}

int xf_cmd_init(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "canary") == 0) {
        return init_canary();
    }
    if (argc >= 2 && strcmp(argv[1], "kong") == 0) {
        return init_kong(argc - 1, argv + 1);
    }
    return usage("canary or kong?");
}
