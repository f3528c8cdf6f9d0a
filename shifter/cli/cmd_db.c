/*
 * cmd_db.c -- `crossfade db migrate|status`: the journal's schema, made and looked at without a
 * daemon.
 *
 * Blocks on the database, with libpq's time limits.  The role may be another one than the
 * daemon's, which needs no right to change a schema.
 */
#include "shifter/cli/cmd_db.h"

#include "config/config.h"
#include "shifter/cli/cli.h"
#include "shifter/cli/cmd_host.h"
#include "shifter/cli/command.h"
#include "shifter/journal/journal_conninfo.h"
#include "shifter/journal/journal_schema.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    const char *config, *user, *password_file;
    bool migrate, json;
};

static int read_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"user", required_argument, NULL, 'u'},
                                          {"password-file", required_argument, NULL, 'p'},
                                          {"output", required_argument, NULL, 'o'},
                                          {0}};
    int option;
    *ret = (struct arguments){.config = XF_CONFIG_PATH_DEFAULT};
    while ((option = getopt_long(argc, argv, "c:o:", longs, NULL)) != -1) {
        if (option == 'c') {
            ret->config = optarg;
        } else if (option == 'u') {
            ret->user = optarg;
        } else if (option == 'p') {
            ret->password_file = optarg;
        } else if (option == 'o' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "text") == 0)) {
            ret->json = strcmp(optarg, "json") == 0;
        } else {
            return 2;
        }
    }
    if (argc - optind != 1) {
        return 2;
    }
    ret->migrate = strcmp(argv[optind], "migrate") == 0;
    return ret->migrate || strcmp(argv[optind], "status") == 0 ? 0 : 2;
}

static int connect_journal(const struct xf_config *config, const struct arguments *arguments,
                           PGconn **ret, struct xf_error *err)
{
    struct xf_config_journal journal = config->journal;
    struct xf_conninfo conninfo;
    if (journal.url == NULL) {
        return XF_FAIL(err, XF_E_CONFIG, "%s has no journal: add `journal: {url: …}`",
                       config->file);
    }
    if (arguments->password_file != NULL || arguments->user != NULL) {
        journal.password_file = (char *) arguments->password_file;
    }
    if (xf_conninfo_read(&journal, arguments->user, &conninfo, err) != 0) {
        return -1;
    }
    PGconn *connection = xf_conninfo_connect(&conninfo);
    xf_conninfo_release(&conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        const char *why = connection != NULL ? PQerrorMessage(connection) : "out of memory";
        int result = XF_FAIL(err, XF_E_UNREACHABLE, "journal: %.*s", (int) strcspn(why, "\n"), why);
        PQfinish(connection);
        return result;
    }
    *ret = connection;
    return 0;
}

static void show(const struct arguments *arguments, int before, int now)
{
    if (arguments->json) {
        json_t *answer =
            json_pack("{s:i, s:i, s:i, s:b}", "schema", now, "known", XF_JOURNAL_SCHEMA, "applied",
                      now - before, "ok", now == XF_JOURNAL_SCHEMA);
        xf_cli_print(answer);
        json_decref(answer);
        return;
    }
    for (const struct xf_journal_migration *m = xf_journal_migrations; m->number != 0; m++) {
        printf("%d  %-40s %s\n", m->number, m->name,
               m->number > now      ? "missing"
               : m->number > before ? "applied now"
                                    : "applied");
    }
    printf("schema %d, this crossfade knows %d\n", now, XF_JOURNAL_SCHEMA);
}

static int run(const struct xf_config *config, const struct arguments *arguments,
               struct xf_error *err)
{
    PGconn *connection = NULL;
    int before = 0;
    if (connect_journal(config, arguments, &connection, err) != 0) {
        return -1;
    }
    int result = arguments->migrate ? xf_journal_schema_migrate(connection, &before, err)
                                    : xf_journal_schema_read(connection, &before, err);
    PQfinish(connection);
    if (result != 0) {
        return -1;
    }
    show(arguments, before, arguments->migrate ? XF_JOURNAL_SCHEMA : before);
    if (arguments->migrate || before == XF_JOURNAL_SCHEMA) {
        return 0;
    }
    return before > XF_JOURNAL_SCHEMA
               ? XF_FAIL(err, XF_E_REFUSED, "the schema is newer: use the newer crossfade")
               : XF_FAIL(err, XF_E_FAILED, "migrations are missing: run `crossfade db migrate`");
}

int xf_cmd_db(int argc, char **argv)
{
    struct arguments arguments;
    struct xf_config *config = NULL;
    struct xf_problems problems = {0};
    struct xf_error err;
    if (read_arguments(argc, argv, &arguments) != 0) {
        return xf_command_usage(xf_command_find("db"));
    }
    int result = xf_config_read(arguments.config, &config, &problems) == 0 ? 0 : 2;
    xf_problems_print(&problems, stderr);
    xf_problems_release(&problems);
    if (result == 0 && run(config, &arguments, &err) != 0) {
        result = xf_cli_fail(&err);
    }
    xf_config_destroy(config);
    return result;
}
