/*
 * cmd_kong.c -- `crossfade kong`: `path FROM TO`, Kong's upgrade path before anybody plans on it;
 * `drift PLAN`, what was changed in Kong's databases since the start.
 */
#include "shifter/cli/cmd_kong.h"

#include "shifter/cli/cli.h"
#include "shifter/gates/gate.h"
#include "shifter/gates/kong_version.h"
#include "shifter/plan/plan.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(const char *why)
{
    xf_cli_note("crossfade kong path: %s; usage: crossfade kong path FROM TO "
                "[--topology traditional|hybrid|dbless] [-o json]",
                why);
    return 2;
}

static void print_path_json(const struct xf_kong_path *path, const char *topology)
{
    json_t *hops = json_array();
    json_t *notes = json_array();
    for (unsigned i = 0; i < path->hops_count; i++) {
        json_array_append_new(hops, json_string(path->hops[i]));
    }
    for (unsigned i = 0; i < path->notes_count; i++) {
        json_array_append_new(notes, json_string(path->notes[i]));
    }
    json_t *answer = json_pack("{s:b, s:b, s:s, s:o, s:o}", "possible", path->possible, "direct",
                               path->direct, "topology", topology, "path", hops, "notes", notes);
    xf_cli_print(answer);
    json_decref(answer);
}

static void print_path(const struct xf_kong_path *path, const char *from, const char *topology)
{
    if (path->possible) {
        printf("%s (%s): %s", from, topology, path->direct ? "direct: " : "in steps: ");
        for (unsigned i = 0; i < path->hops_count; i++) {
            printf("%s%s", i == 0 ? "" : " -> ", path->hops[i]);
        }
        putchar('\n');
    } else {
        printf("%s (%s): not possible\n", from, topology);
    }
    for (unsigned i = 0; i < path->notes_count; i++) {
        printf("  note: %s\n", path->notes[i]);
    }
}

static int kong_path(int argc, char **argv)
{
    static const struct option longs[] = {{"topology", required_argument, NULL, 't'},
                                          {"output", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    enum xf_kong_topology topology = XF_KONG_TRADITIONAL;
    bool json = false;
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
        if (option == 't' && xf_kong_topology_parse(optarg, &topology)) {
            continue;
        }
        if (option == 'o' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "text") == 0)) {
            json = strcmp(optarg, "json") == 0;
            continue;
        }
        return usage("unknown option or value");
    }
    struct xf_kong_version from;
    struct xf_kong_version to;
    if (argc - optind != 2) {
        return usage("two versions are needed");
    }
    if (!xf_kong_version_parse(argv[optind], &from) ||
        !xf_kong_version_parse(argv[optind + 1], &to)) {
        return usage("a version is written like 3.0, 3.1.x or 3.8.0.0");
    }
    struct xf_kong_path path;
    xf_kong_path_find(&from, &to, topology, &path);
    if (json) {
        print_path_json(&path, xf_kong_topology_name(topology));
    } else {
        print_path(&path, argv[optind], xf_kong_topology_name(topology));
    }
    return path.possible ? 0 : 1;
}

/* ---- drift ---- */

static int count_changed(const json_t *database)
{
    return (int) json_array_size(json_object_get(database, "changed"));
}

static void print_drift(const json_t *answer)
{
    size_t i;
    json_t *database;
    json_array_foreach(json_object_get(answer, "databases"), i, database)
    {
        char problem[512];
        snprintf(problem, sizeof(problem), "%s", xf_cli_text(database, "problem", ""));
        xf_printable(problem);
        printf("%s: ", xf_cli_text(database, "database", "?"));
        if (problem[0] != '\0') {
            printf("not looked at: %s\n", problem);
        } else if (!xf_cli_true(answer, "baseline")) {
            printf("%zu configuration tables; no baseline to hold them against\n",
                   json_object_size(json_object_get(database, "tables")));
        } else if (count_changed(database) == 0) {
            printf("as it was at the start\n");
        } else {
            size_t k;
            json_t *table;
            printf("changed since the start:");
            json_array_foreach(json_object_get(database, "changed"), k, table)
            {
                printf(" %s", json_string_value(table) != NULL ? json_string_value(table) : "?");
            }
            putchar('\n');
        }
    }
}

/* The plan names the databases; the baseline is the running cutover's. */
static int kong_drift(int argc, char **argv)
{
    struct xf_cli cli;
    struct xf_plan *plan = NULL;
    struct xf_problems problems = {0};
    size_t length = 0;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH, 1, 1, &cli);
    if (result != 0) {
        return result;
    }
    char *text = xf_cli_read_plan(cli.positional[0], &length);
    if (text == NULL || xf_plan_parse(cli.positional[0], text, length, &plan, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        xf_problems_release(&problems);
        free(text);
        return 2;
    }
    xf_problems_release(&problems);
    json_t *reply = NULL;
    cli.service = plan->service;
    result = xf_cli_ask(&cli, "drift",
                        json_pack("{s:s, s:s}", "plan", text, "file", cli.positional[0]), &reply);
    const json_t *databases = json_object_get(reply, "databases");
    if (databases == NULL && reply != NULL) {
        xf_cli_note("crossfade: %s", xf_cli_text(reply, "message", "the daemon refused"));
    } else if (databases != NULL && cli.json) {
        json_t *answer =
            json_pack("{s:b, s:b, s:O}", "drifted", xf_cli_true(reply, "drifted"), "baseline",
                      xf_cli_true(reply, "baseline"), "databases", databases);
        xf_cli_print(answer);
        json_decref(answer);
    } else if (databases != NULL) {
        print_drift(reply);
    }
    json_decref(reply);
    xf_plan_destroy(plan);
    free(text);
    return result;
}

int xf_cmd_kong(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "path") == 0) {
        return kong_path(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "drift") == 0) {
        return kong_drift(argc - 1, argv + 1);
    }
    xf_cli_note("crossfade kong: `path FROM TO` or `drift PLAN` (`crossfade help kong`)");
    return 2;
}
