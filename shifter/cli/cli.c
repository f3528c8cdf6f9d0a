/*
 * cli.c -- options and calls that the commands share.
 */
#include "shifter/cli/cli.h"

#include "config/base/text.h"
#include "config/config.h"
#include "config/paths.h"
#include "shifter/net/url.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERB_MS_DEFAULT 60000 /* a change that is not in force by then: exit 124 */
#define SYSTEM_SOCKET   "/run/crossfade/admin.sock"
#define QUERY_MS        15000
#define ATTEMPTS_MS     500 /* pause between attempts to reach the daemon */
#define RATE_MAX        1e9

enum option_kind { TEXT, FLAG, NUMBER, DURATION, RATE, OUTPUT };

struct option_entry {
    const char *name;
    unsigned groups;
    enum option_kind kind;
    size_t at; /* where in struct xf_cli */
};

#define AT(member) offsetof(struct xf_cli, member)
static const struct option_entry options[] = {
    {"socket", XF_CLI_REACH, TEXT, AT(target.socket)},
    {"url", XF_CLI_REACH, TEXT, AT(target.url)},
    {"token-file", XF_CLI_REACH, TEXT, AT(target.token_file)},
    {"ca", XF_CLI_REACH, TEXT, AT(target.ca)},
    {"certificate", XF_CLI_REACH, TEXT, AT(target.certificate)},
    {"key", XF_CLI_REACH, TEXT, AT(target.key)},
    {"service", XF_CLI_REACH, TEXT, AT(service)},
    {"output", XF_CLI_REACH, OUTPUT, AT(json)},
    {"reason", XF_CLI_CHANGE, TEXT, AT(reason)},
    {"actor", XF_CLI_CHANGE, TEXT, AT(actor)},
    {"request", XF_CLI_CHANGE, TEXT, AT(request)},
    {"if-generation", XF_CLI_CHANGE, NUMBER, AT(if_generation)},
    {"if-step", XF_CLI_CHANGE, NUMBER, AT(if_step)},
    {"timeout", XF_CLI_CHANGE | XF_CLI_WAIT | XF_CLI_START, DURATION, AT(timeout_ms)},
    {"for", XF_CLI_WAIT, TEXT, AT(wait_for)},
    {"cutover", XF_CLI_WAIT, TEXT, AT(cutover)},
    {"to", XF_CLI_START, TEXT, AT(to)},
    {"wait", XF_CLI_START, FLAG, AT(wait)},
    {"force", XF_CLI_FORCE, FLAG, AT(force)},
    {"full", XF_CLI_FULL, FLAG, AT(full)},
    {"of", XF_CLI_RESUME, TEXT, AT(of)},
    {"at-once", XF_CLI_RESUME, FLAG, AT(at_once)},
    {"over", XF_CLI_ABORT, DURATION, AT(over_ms)},
    {"local", XF_CLI_LOCAL, FLAG, AT(local)},
    {"redo", XF_CLI_FINALIZE, NUMBER, AT(redo)},
    {"skip", XF_CLI_FINALIZE, NUMBER, AT(skip)},
    {"cluster", XF_CLI_DRAIN, TEXT, AT(cluster)},
    {"rate", XF_CLI_DRAIN, TEXT, AT(rate)},
    {"now", XF_CLI_DRAIN, FLAG, AT(now)},
    {"yes", XF_CLI_YES, FLAG, AT(yes)},
    {"count", XF_CLI_HISTORY, NUMBER, AT(count)},
    {"since", XF_CLI_HISTORY, DURATION, AT(since_ms)},
    {"verify", XF_CLI_HISTORY, FLAG, AT(verify)},
    {"only", XF_CLI_GATES, TEXT, AT(only)},
    {"config", XF_CLI_GATES | XF_CLI_PLAN, TEXT, AT(config)},
    {"rps", XF_CLI_PLAN, RATE, AT(rps)},
    {"every", XF_CLI_WATCH, DURATION, AT(every_ms)},
};
#undef AT

bool xf_cli_option_takes_value(const char *option, bool *ret_known)
{
    *ret_known = strcmp(option, "-o") == 0;
    if (*ret_known) {
        return true;
    }
    if (strncmp(option, "--", 2) != 0) {
        return false;
    }
    for (size_t i = 0; i < XF_COUNT(options); i++) {
        if (strcmp(options[i].name, option + 2) == 0) {
            *ret_known = true;
            return options[i].kind != FLAG;
        }
    }
    return false;
}

void xf_cli_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int xf_cli_fail(const struct xf_error *err)
{
    xf_cli_note("crossfade: %s", err->message);
    return xf_error_exit_code(err->code);
}

static int set_option(const struct option_entry *entry, char *value, struct xf_cli *cli)
{
    void *place = (char *) cli + entry->at;
    uint64_t number;
    switch (entry->kind) {
    case TEXT:
        *(const char **) place = value;
        return 0;
    case FLAG:
        *(bool *) place = true;
        return 0;
    case NUMBER:
        if (!xf_parse_uint(value, INT64_MAX, &number)) {
            xf_cli_note("crossfade: --%s %s: a whole number is needed", entry->name, value);
            return 2;
        }
        *(int64_t *) place = (int64_t) number;
        return 0;
    case DURATION:
        if (!xf_parse_duration_ms(value, (int64_t *) place)) {
            xf_cli_note("crossfade: --%s %s: a duration is needed, such as 250ms, 10s or 1h30m",
                        entry->name, value);
            return 2;
        }
        return 0;
    case RATE:
        if (!xf_parse_number(value, (double *) place) || *(double *) place <= 0 ||
            *(double *) place > RATE_MAX) {
            xf_cli_note("crossfade: --%s %s: a number above 0 is needed", entry->name, value);
            return 2;
        }
        return 0;
    case OUTPUT:
        if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0) {
            xf_cli_note("crossfade: -o %s: json or text", value);
            return 2;
        }
        *(bool *) place = strcmp(value, "json") == 0;
        return 0;
    }
    return 2;
}

static void fill_actor(struct xf_cli *cli)
{
    const char *sudo = getenv("SUDO_USER");
    char host[64] = "localhost";
    gethostname(host, sizeof(host) - 1);
    if (sudo != NULL && sudo[0] != '\0') {
        snprintf(cli->actor_bytes, sizeof(cli->actor_bytes), "%.60s@%.60s", sudo, host);
    } else {
        const struct passwd *user = getpwuid(getuid());
        if (user != NULL) {
            snprintf(cli->actor_bytes, sizeof(cli->actor_bytes), "%.60s@%.60s", user->pw_name,
                     host);
        } else {
            snprintf(cli->actor_bytes, sizeof(cli->actor_bytes), "%u@%.60s", (unsigned) getuid(),
                     host);
        }
    }
    cli->actor = cli->actor_bytes;
}

/* CROSSFADE_SOCKET, else this user's own default, else the one of the system's daemon. */
static void default_socket(struct xf_cli *cli)
{
    const char *socket = getenv("CROSSFADE_SOCKET");
    struct xf_paths paths;
    if (socket == NULL || socket[0] == '\0') {
        xf_paths_default(&paths);
        socket = access(paths.socket, F_OK) == 0 || access(SYSTEM_SOCKET, F_OK) != 0
                     ? paths.socket
                     : SYSTEM_SOCKET;
    }
    snprintf(cli->socket_bytes, sizeof(cli->socket_bytes), "%s", socket);
    cli->target.socket = cli->socket_bytes;
}

static void fill_defaults(struct xf_cli *cli)
{
    if (cli->actor == NULL) {
        fill_actor(cli);
    }
    if (cli->request == NULL) {
        xf_uuid_make(cli->request_bytes);
        cli->request = cli->request_bytes;
    }
    if (cli->target.socket == NULL) {
        default_socket(cli);
    }
}

int xf_cli_parse(int argc, char **argv, unsigned groups, int positionals_min, int positionals_max,
                 struct xf_cli *ret)
{
    struct option longs[XF_COUNT(options) + 1] = {0};
    const struct option_entry *entries[XF_COUNT(options)];
    int count = 0;
    for (size_t i = 0; i < XF_COUNT(options); i++) {
        if ((options[i].groups & groups) != 0) {
            entries[count] = &options[i];
            longs[count] = (struct option){
                .name = options[i].name,
                .has_arg = options[i].kind == FLAG ? no_argument : required_argument,
            };
            count++;
        }
    }
    *ret = (struct xf_cli){.if_generation = -1,
                           .if_step = -1,
                           .timeout_ms = -1,
                           .over_ms = -1,
                           .redo = -1,
                           .skip = -1,
                           .count = -1,
                           .since_ms = -1,
                           .every_ms = -1};
    optind = 1;
    opterr = 0;
    for (;;) {
        int index = -1;
        int option = getopt_long(argc, argv, ":o:c:", longs, &index);
        if (option == -1) {
            break;
        }
        int result;
        if (option == 0) {
            result = set_option(entries[index], optarg, ret);
        } else if (option == 'c' && (groups & (XF_CLI_GATES | XF_CLI_PLAN)) != 0) {
            ret->config = optarg;
            result = 0;
        } else if (option == 'o' && (groups & XF_CLI_REACH) != 0) {
            const struct option_entry output = {"output", XF_CLI_REACH, OUTPUT,
                                                offsetof(struct xf_cli, json)};
            result = set_option(&output, optarg, ret);
        } else {
            xf_cli_note(option == ':' ? "crossfade %s: %s needs a value"
                                      : "crossfade %s: unknown option %s (`crossfade help %s`)",
                        argv[0], argv[optind - 1], argv[0]);
            return 2;
        }
        if (result != 0) {
            return result;
        }
    }
    int given = argc - optind;
    if (given < positionals_min || given > positionals_max || given > XF_CLI_POSITIONALS_MAX) {
        xf_cli_note(given < positionals_min ? "crossfade %s: an argument is missing "
                                              "(`crossfade help %s`)"
                                            : "crossfade %s: too many arguments "
                                              "(`crossfade help %s`)",
                    argv[0], argv[0]);
        return 2;
    }
    for (int i = 0; i < given; i++) {
        ret->positional[ret->positionals++] = argv[optind + i];
    }
    fill_defaults(ret);
    return 0;
}

const char *xf_cli_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : otherwise;
}

double xf_cli_number(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool xf_cli_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

void xf_cli_print(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    putchar('\n');
}

static int64_t exit_of_answer(const struct xf_client_answer *answer)
{
    const json_t *code = json_object_get(answer->body, "exit");
    if (json_is_integer(code)) {
        return json_integer_value(code);
    }
    return answer->status == 200 ? 0 : answer->status == 404 ? 2 : answer->status == 503 ? 7 : 1;
}

static int service_path(const struct xf_cli *cli, const char *what, char *out, size_t bytes)
{
    char escaped[200];
    if (xf_url_escape(cli->service, escaped, sizeof(escaped)) == NULL) {
        return -1;
    }
    int length = snprintf(out, bytes, "/v1/services/%s/%s", escaped, what);
    return length > 0 && (size_t) length < bytes ? 0 : -1;
}

int xf_cli_try_get(const struct xf_cli *cli, const char *what, json_t **ret, struct xf_error *err)
{
    char path[1024];
    if (service_path(cli, what, path, sizeof(path)) != 0) {
        return XF_FAIL(err, XF_E_USAGE, "--service %s: too long", cli->service);
    }
    struct xf_client_request request = {.method = "GET", .path = path, .timeout_ms = QUERY_MS};
    struct xf_client_answer answer;
    if (xf_client_call(&cli->target, &request, &answer, err) != 0) {
        return -1;
    }
    if (answer.status != 200 || answer.body == NULL) {
        enum xf_errcode code = answer.status == 404   ? XF_E_USAGE
                               : answer.status == 403 ? XF_E_DENIED
                               : answer.status == 401 ? XF_E_DENIED
                               : answer.status == 429 ? XF_E_DENIED
                               : answer.status == 503 ? XF_E_UNREACHABLE
                                                      : XF_E_FAILED;
        XF_FAIL(err, code, "%s",
                xf_cli_text(answer.body, "message",
                            answer.status == 404 ? "no such service"
                                                 : "the daemon gave no usable answer"));
        xf_client_answer_release(&answer);
        return -1;
    }
    *ret = json_incref(answer.body);
    xf_client_answer_release(&answer);
    return 0;
}

int xf_cli_get(const struct xf_cli *cli, const char *what, json_t **ret)
{
    struct xf_error err;
    return xf_cli_try_get(cli, what, ret, &err) == 0 ? 0 : xf_cli_fail(&err);
}

int xf_cli_service(struct xf_cli *cli)
{
    if (cli->service != NULL) {
        return 0;
    }
    struct xf_error err;
    struct xf_client_answer answer;
    struct xf_client_request request = {
        .method = "GET", .path = "/v1/services", .timeout_ms = QUERY_MS};
    if (xf_client_call(&cli->target, &request, &answer, &err) != 0) {
        return xf_cli_fail(&err);
    }
    const json_t *names = json_object_get(answer.body, "services");
    int result = 0;
    if (answer.status != 200 || !json_is_array(names)) {
        xf_cli_note("crossfade: %s",
                    xf_cli_text(answer.body, "message", "the daemon did not list its services"));
        result = answer.status == 401 || answer.status == 403 || answer.status == 429 ? 8 : 7;
    } else if (json_array_size(names) != 1) {
        xf_cli_note("crossfade: --service is needed; there are:");
        size_t i;
        json_t *name;
        json_array_foreach(names, i, name)
        {
            xf_cli_note("  %s", json_string_value(name));
        }
        result = 2;
    } else {
        snprintf(cli->service_bytes, sizeof(cli->service_bytes), "%s",
                 json_string_value(json_array_get(names, 0)));
        cli->service = cli->service_bytes;
    }
    xf_client_answer_release(&answer);
    return result;
}

static void print_names(const json_t *reply, const char *key, const char *note)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(reply, key), i, name)
    {
        xf_cli_note("%s: %s", note,
                    json_string_value(name) != NULL ? json_string_value(name) : "?");
    }
}

static json_t *change_body(const struct xf_cli *cli, json_t *arguments)
{
    json_t *body = json_pack("{s:s, s:s, s:o}", "request", cli->request, "actor", cli->actor,
                             "arguments", arguments != NULL ? arguments : json_object());
    if (body == NULL) {
        return NULL;
    }
    if (cli->reason != NULL) {
        json_object_set_new(body, "reason", json_string(cli->reason));
    }
    if (cli->if_generation >= 0) {
        json_object_set_new(body, "if_generation", json_integer(cli->if_generation));
    }
    if (cli->if_step >= 0) {
        json_object_set_new(body, "if_step", json_integer(cli->if_step));
    }
    return body;
}

/* Sends once, and again with the same request id when the connection broke: the daemon answers a
 * known id with its first answer, so that trying again is safe. */
static int send_change(const struct xf_cli *cli, const char *path, const json_t *body,
                       struct xf_client_answer *ret, struct xf_error *err)
{
    int64_t limit_ms = cli->timeout_ms >= 0 ? cli->timeout_ms : VERB_MS_DEFAULT;
    struct xf_client_request request = {
        .method = "POST", .path = path, .body = body, .timeout_ms = limit_ms};
    for (int attempt = 0;; attempt++) {
        int result = xf_client_call(&cli->target, &request, ret, err);
        bool broke = result != 0 && err->code == XF_E_UNREACHABLE;
        if (!broke || attempt == 3) {
            return result;
        }
        usleep(ATTEMPTS_MS * 1000);
    }
}

int xf_cli_ask(struct xf_cli *cli, const char *verb, json_t *arguments, json_t **ret)
{
    char path[1024];
    struct xf_error err;
    json_t *body = change_body(cli, arguments);
    *ret = NULL;
    if (body == NULL || service_path(cli, verb, path, sizeof(path)) != 0) {
        json_decref(body);
        xf_cli_note("crossfade: an argument is not UTF-8 or too long");
        return 2;
    }
    struct xf_client_answer answer;
    int sent = send_change(cli, path, body, &answer, &err);
    json_decref(body);
    if (sent != 0) {
        if (err.code == XF_E_TIMED_OUT) {
            xf_cli_note("crossfade: unknown whether it happened: look at `crossfade status`, or "
                        "repeat with --request %s",
                        cli->request);
        }
        return xf_cli_fail(&err);
    }
    int result = (int) exit_of_answer(&answer);
    *ret = answer.body != NULL ? json_incref(answer.body) : json_object();
    xf_client_answer_release(&answer);
    return result;
}

int xf_cli_change(struct xf_cli *cli, const char *verb, json_t *arguments, json_t **ret_reply)
{
    json_t *reply = NULL;
    int result = xf_cli_ask(cli, verb, arguments, &reply);
    if (reply != NULL) {
        const char *message = xf_cli_text(reply, "message", "");
        if (cli->json && json_object_size(reply) > 0) {
            xf_cli_print(reply);
        } else if (result == 0) {
            puts(message);
        } else {
            xf_cli_note("crossfade: %s", message[0] != '\0' ? message : "the daemon refused");
        }
        print_names(reply, "lagging", "not yet in force on");
        print_names(reply, "silent", "silent, not counted as live");
    }
    if (ret_reply != NULL) {
        *ret_reply = reply;
    } else {
        json_decref(reply);
    }
    return result;
}

int xf_cli_pin_step(struct xf_cli *cli)
{
    if (cli->if_step >= 0) {
        return 0;
    }
    json_t *status = NULL;
    int result = xf_cli_get(cli, "status", &status);
    if (result != 0) {
        return result;
    }
    const json_t *index = json_object_get(json_object_get(status, "step"), "index");
    if (json_is_integer(index)) {
        cli->if_step = json_integer_value(index);
    }
    json_decref(status);
    return 0;
}

char *xf_cli_read_plan(const char *path, size_t *ret_length)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = file != NULL ? malloc(XF_PLAN_BYTES_MAX + 2) : NULL;
    if (text == NULL) {
        xf_cli_note("crossfade: %s: %s", path, strerror(errno));
    } else {
        size_t length = fread(text, 1, XF_PLAN_BYTES_MAX + 1, file); /* one more shows an excess */
        text[length] = '\0';
        *ret_length = length;
        if (ferror(file)) {
            xf_cli_note("crossfade: %s: cannot be read: is it a file?", path);
            free(text);
            text = NULL;
        }
    }
    if (file != NULL && file != stdin) {
        fclose(file);
    }
    return text;
}
