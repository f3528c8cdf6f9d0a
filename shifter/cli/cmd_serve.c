/*
 * cmd_serve.c -- `serve`, `proxy` and `shifter`: the daemon, whole or in parts.
 *
 * They differ only in what the supervisor is given to fork.
 */
#include "proxy/proxy.h"
#include "shifter/agent/agent.h"
#include "shifter/cli/cmd_host.h"
#include "shifter/cli/command.h"
#include "shifter/controller/controller.h"

#include <getopt.h>

static int run_daemon(int argc, char **argv, struct xf_supervisor_options *what)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"assume-live", no_argument, NULL, 'l'},
                                            {"allow-stale", no_argument, NULL, 's'},
                                            {0}};
    int option;
    what->arguments = argv;
    what->config_path = XF_CONFIG_PATH_DEFAULT;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            what->config_path = optarg;
            break;
        case 'l':
            what->assume_live = true;
            break;
        case 's':
            what->allow_stale = true;
            break;
        default:
            return xf_command_usage(xf_command_find(argv[0]));
        }
    }
    if (optind != argc) {
        return xf_command_usage(xf_command_find(argv[0]));
    }
    return xf_supervisor_run(what);
}

int xf_cmd_serve(int argc, char **argv)
{
    struct xf_supervisor_options what = {
        .agent_main = xf_agent_main, .shifter_main = xf_shifter_main, .workers = true};
    return run_daemon(argc, argv, &what);
}

int xf_cmd_shifter(int argc, char **argv)
{
    struct xf_supervisor_options what = {.shifter_main = xf_shifter_main};
    return run_daemon(argc, argv, &what);
}

int xf_cmd_proxy(int argc, char **argv)
{
    struct xf_supervisor_options what = {.agent_main = xf_agent_main, .workers = true};
    return run_daemon(argc, argv, &what);
}
