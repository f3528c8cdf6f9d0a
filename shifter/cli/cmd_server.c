/*
 * cmd_server.c -- `server`: the servers as this host sees them, and orders for one of them.
 *
 * The agent answers by itself; an order holds on this host until the next one, also over reloads.
 */
#include "config/base/text.h"
#include "shifter/cli/cli.h"
#include "shifter/cli/cmd_verbs.h"
#include "shifter/net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS  5000
#define PATH_BYTES 512
#define WEIGHT_MAX 1000u
#define USAGE_EXIT 2

/* The daemon's answer, owned by the caller; else an exit code, printed. */
static int call(const struct xf_cli *cli, const char *method, const char *path, const json_t *body,
                json_t **ret)
{
    struct xf_client_request request = {
        .method = method, .path = path, .body = body, .timeout_ms = ANSWER_MS};
    struct xf_client_answer answer;
    struct xf_error err = {0};
    if (xf_client_call(&cli->target, &request, &answer, &err) != 0) {
        return xf_cli_fail(&err);
    }
    if (answer.status != 200) {
        xf_cli_note("crossfade: %s", xf_cli_text(answer.body, "message", "the daemon refused"));
        int code = (int) xf_cli_number(answer.body, "exit", 1);
        xf_client_answer_release(&answer);
        return code != 0 ? code : 1;
    }
    *ret = json_incref(answer.body);
    xf_client_answer_release(&answer);
    return 0;
}

static int list(const struct xf_cli *cli)
{
    json_t *body = NULL;
    int result = call(cli, "GET", "/v1/servers", NULL, &body);
    if (result != 0) {
        return result;
    }
    if (cli->json) {
        xf_cli_print(body);
    } else {
        size_t i;
        json_t *server;
        printf("%-24s %-28s %-5s %6s %9s  %s\n", "cluster", "server", "", "weight", "in flight",
               "reason");
        json_array_foreach(json_object_get(body, "servers"), i, server)
        {
            printf("%-24s %-28s %-5s %6.0f %9.0f  %s\n", xf_cli_text(server, "cluster", "?"),
                   xf_cli_text(server, "address", "?"), xf_cli_true(server, "up") ? "up" : "down",
                   xf_cli_number(server, "weight", 0), xf_cli_number(server, "in_flight", 0),
                   xf_cli_text(server, "reason", ""));
        }
    }
    json_decref(body);
    return 0;
}

/* The cluster of an address that stands in one only; the caller frees it.  NULL: it was said why,
 * `*ret_code` is the exit code. */
static char *find_cluster(const struct xf_cli *cli, const char *address, int *ret_code)
{
    json_t *body = NULL;
    *ret_code = call(cli, "GET", "/v1/servers", NULL, &body);
    if (*ret_code != 0) {
        return NULL;
    }
    size_t i;
    unsigned count = 0;
    char *cluster = NULL;
    json_t *server;
    json_array_foreach(json_object_get(body, "servers"), i, server)
    {
        if (strcmp(xf_cli_text(server, "address", ""), address) == 0 && count++ == 0) {
            cluster = strdup(xf_cli_text(server, "cluster", ""));
        }
    }
    json_decref(body);
    if (count == 1 && cluster != NULL) {
        return cluster;
    }
    free(cluster);
    xf_cli_note(count > 1 ? "crossfade: %s stands in %u clusters; name one: CLUSTER ADDRESS"
                          : "crossfade: no cluster has a server %s on this host",
                address, count);
    *ret_code = USAGE_EXIT;
    return NULL;
}

static int order_in(const struct xf_cli *cli, const char *cluster_name, const char *address_text,
                    const char *word, json_t *arguments)
{
    char cluster[PATH_BYTES], address[PATH_BYTES], path[3 * PATH_BYTES];
    if (xf_url_escape(cluster_name, cluster, sizeof(cluster)) == NULL ||
        xf_url_escape(address_text, address, sizeof(address)) == NULL) {
        json_decref(arguments);
        xf_cli_note("crossfade: the names are too long");
        return USAGE_EXIT;
    }
    (void) snprintf(path, sizeof(path), "/v1/servers/%s/%s/%s", cluster, address, word);
    json_t *request = json_pack("{s:o}", "arguments", arguments);
    json_t *body = NULL;
    int result = call(cli, "POST", path, request, &body);
    if (result == 0 && cli->json) {
        xf_cli_print(body);
    } else if (result == 0) {
        printf("%s %s: %s, on this host\n", cluster_name, address_text, word);
    }
    json_decref(request);
    json_decref(body);
    return result;
}

/* Behind the word come [CLUSTER] ADDRESS, `names` words in all. */
static int order(const struct xf_cli *cli, unsigned names, const char *word, json_t *arguments)
{
    const char *address = cli->positional[names];
    if (names == 2) {
        return order_in(cli, cli->positional[1], address, word, arguments);
    }
    int result = 0;
    char *cluster = find_cluster(cli, address, &result);
    if (cluster == NULL) {
        json_decref(arguments);
        return result;
    }
    result = order_in(cli, cluster, address, word, arguments);
    free(cluster);
    return result;
}

int xf_cmd_server(int argc, char **argv)
{
    struct xf_cli cli;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH, 1, 4, &cli);
    if (result != 0) {
        return result;
    }
    const char *word = cli.positional[0];
    uint64_t weight;
    if (strcmp(word, "list") == 0 && cli.positionals == 1) {
        return list(&cli);
    }
    unsigned names = (unsigned) cli.positionals - 1;
    if ((strcmp(word, "drain") == 0 || strcmp(word, "ready") == 0) && (names == 1 || names == 2)) {
        return order(&cli, names, word, json_object());
    }
    if (strcmp(word, "weight") == 0 && (names == 2 || names == 3) &&
        xf_parse_uint(cli.positional[names], WEIGHT_MAX, &weight) && weight > 0) {
        return order(&cli, names - 1, word, json_pack("{s:I}", "weight", (json_int_t) weight));
    }
    xf_cli_note("crossfade: server list | drain [CLUSTER] ADDRESS | ready [CLUSTER] ADDRESS | "
                "weight [CLUSTER] ADDRESS 1..1000");
    return USAGE_EXIT;
}
