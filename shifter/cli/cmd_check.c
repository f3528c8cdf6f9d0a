/*
 * cmd_check.c -- `check`, `explain` and `version`: what can be said without a daemon.
 */
#include "config/config.h"
#include "config/yaml.h"
#include "proxy/proxy.h"
#include "shifter/admin/admin_tls.h"
#include "shifter/cli/cmd_host.h"
#include "shifter/cli/command.h"

#include <getopt.h>
#include <openssl/ssl.h>
#include <stdio.h>

static int check_admin(const struct xf_config *config, struct xf_problems *problems)
{
    SSL_CTX *context = NULL;
    struct xf_error err;
    if (xf_admin_tls_load(&config->admin.tls, &context, &err) != 0) {
        xf_problems_add(problems, 1, 1, false, "%s", err.message);
        return -1;
    }
    SSL_CTX_free(context);
    return 0;
}

static int check_file(const char *path)
{
    struct xf_config *config = NULL;
    struct xf_problems problems;
    struct xf_error err;
    int failed = xf_config_read(path, &config, &problems);
    if (failed == 0 && xf_tls_check(config, &err) != 0) {
        xf_problems_add(&problems, 1, 1, false, "%s", err.message);
        failed = -1;
    }
    failed = failed == 0 ? check_admin(config, &problems) : failed;
    xf_problems_print(&problems, stderr);
    if (failed == 0) {
        printf("%s: %u listener%s, %u service%s, %u cluster%s, %u worker%s\n", path,
               config->listeners_count, config->listeners_count == 1 ? "" : "s",
               config->services_count, config->services_count == 1 ? "" : "s",
               config->clusters_count, config->clusters_count == 1 ? "" : "s", config->workers,
               config->workers == 1 ? "" : "s");
    }
    xf_problems_release(&problems);
    xf_config_destroy(config);
    return failed == 0 ? 0 : 2;
}

int xf_cmd_check(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
    const struct xf_command *self = xf_command_find("check");
    const char *path = XF_CONFIG_PATH_DEFAULT;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option != 'c') {
            return xf_command_usage(self);
        }
        path = optarg;
    }
    if (optind != argc) {
        return xf_command_usage(self);
    }
    int result = check_file(path);
    return result != 0 ? result : xf_handover_check(path);
}

int xf_cmd_explain(int argc, char **argv)
{
    const char *near = NULL;
    const char *key = argc > 1 ? argv[1] : NULL;
    if (argc > 2) {
        return xf_command_usage(xf_command_find("explain"));
    }
    if (xf_config_explain(key, stdout, &near)) {
        return 0;
    }
    fprintf(stderr, "crossfade: no key `%s`%s%s%s\n", key, near != NULL ? "; did you mean `" : "",
            near != NULL ? near : "", near != NULL ? "`?" : "");
    return 2;
}

int xf_cmd_version(int argc, char **argv)
{
    (void) argv;
    if (argc > 1) {
        return xf_command_usage(xf_command_find("version"));
    }
    printf("crossfade %s\n", XF_VERSION);
    return 0;
}
