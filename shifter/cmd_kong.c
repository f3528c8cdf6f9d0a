/*
 * cmd_kong.c -- `crossfade kong path FROM TO`: Kong's upgrade path, before anybody plans on it.
 */
#include "shifter/cmd_kong.h"

#include "shifter/cli.h"
#include "shifter/kong_version.h"

#include <getopt.h>
#include <stdio.h>
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

int xf_cmd_kong(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "path") == 0) {
        return kong_path(argc - 1, argv + 1);
    }
    xf_cli_note("crossfade kong: `path FROM TO` is what there is (`crossfade help kong`)");
    return 2;
}
