/*
 * cmd_token.c -- `crossfade token add|list|remove`: changes the file that admin.tokens_file names.
 *
 * Works on the file alone, without the daemon, which reads it anew when it has changed.  The token
 * is printed once and stands nowhere afterwards.
 */
#include "shifter/cli/cmd_token.h"

#include "config/base/clock.h"
#include "config/base/text.h"
#include "config/config.h"
#include "shifter/cli/cli.h"
#include "shifter/cli/cmd_host.h"
#include "shifter/cli/command.h"
#include "shifter/admin/token.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct wish {
    const char *config, *file, *name, *role;
    bool json;
    const char *word;     /* add, list, remove */
    const char *argument; /* the name that `remove` is given; NULL: none */
    char path[4096];
};

/* admin.tokens_file of the configuration, or --file. */
static int find_path(struct wish *wish)
{
    if (wish->file != NULL) {
        (void) snprintf(wish->path, sizeof(wish->path), "%s", wish->file);
        return 0;
    }
    struct xf_config *config = NULL;
    struct xf_problems problems = {0};
    int result = 0;
    if (xf_config_read(wish->config, &config, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        result = 2;
    } else if (config->admin.tokens_file == NULL) {
        xf_cli_note("crossfade: %s names no admin.tokens_file (or give --file FILE)", wish->config);
        result = 2;
    } else {
        (void) snprintf(wish->path, sizeof(wish->path), "%s", config->admin.tokens_file);
    }
    xf_problems_release(&problems);
    xf_config_destroy(config);
    return result;
}

/* The tokens there are; none where there is no file yet and `may_be_new`. */
static int load(const char *path, bool may_be_new, struct xf_tokens *ret, struct xf_error *err)
{
    if (xf_tokens_load(path, ret, err) == 0) {
        return 0;
    }
    if (may_be_new && errno == ENOENT) {
        ret->count = 0;
        return 0;
    }
    return -1;
}

static void choose_name(const struct wish *wish, char out[XF_TOKEN_NAME_BYTES])
{
    char random[XF_UUID_TEXT_BYTES];
    xf_uuid_make(random);
    if (wish->name != NULL) {
        (void) snprintf(out, XF_TOKEN_NAME_BYTES, "%s", wish->name);
    } else {
        (void) snprintf(out, XF_TOKEN_NAME_BYTES, "%s-%.8s", wish->role, random);
    }
}

static void print_added(const struct wish *wish, const char *name, const char *token)
{
    if (wish->json) {
        json_t *made = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "role", wish->role, "token",
                                 token, "file", wish->path);
        xf_cli_print(made);
        json_decref(made);
    } else {
        puts(token);
    }
    xf_cli_note("%s may do what a%s %s may; this is the only time that the token is shown", name,
                strcmp(wish->role, "viewer") == 0 ? "" : "n", wish->role);
}

static int add(const struct wish *wish)
{
    static struct xf_tokens tokens;
    struct xf_error err = {0};
    enum xf_admin_role role;
    char name[XF_TOKEN_NAME_BYTES], token[XF_TOKEN_BYTES];
    if (wish->role == NULL || !xf_admin_role_parse(wish->role, &role)) {
        xf_cli_note("crossfade token add: --role viewer|operator|admin is needed");
        return 2;
    }
    if (wish->name != NULL && !xf_token_name_valid(wish->name)) {
        xf_cli_note("crossfade token add: --name %s: letters, digits and . _ - @, at most 63",
                    wish->name);
        return 2;
    }
    choose_name(wish, name);
    int lock = xf_tokens_lock(wish->path, &err);
    if (lock < 0) {
        return xf_cli_fail(&err);
    }
    int result = load(wish->path, true, &tokens, &err);
    if (result == 0) {
        result =
            xf_tokens_add(&tokens, name, role, xf_clock_wall_ms(xf_clock_system()), token, &err);
    }
    if (result == 0) {
        result = xf_tokens_save(wish->path, &tokens, &err);
    }
    close(lock);
    if (result != 0) {
        return xf_cli_fail(&err);
    }
    print_added(wish, name, token);
    OPENSSL_cleanse(token, sizeof(token));
    return 0;
}

static int list(const struct wish *wish)
{
    static struct xf_tokens tokens;
    struct xf_error err = {0};
    if (load(wish->path, true, &tokens, &err) != 0) {
        return xf_cli_fail(&err);
    }
    json_t *all = json_array();
    for (unsigned i = 0; i < tokens.count; i++) {
        char time[XF_TIME_TEXT_BYTES];
        const struct xf_token *token = &tokens.list[i];
        const char *role = xf_admin_role_name(token->role);
        xf_format_time(token->created_ms, time);
        if (wish->json) {
            (void) json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "name", token->name,
                                                        "role", role, "created", time));
        } else {
            printf("%-32s %-9s %s\n", token->name, role, time);
        }
    }
    json_t *object = json_pack("{s:o}", "tokens", all);
    if (wish->json) {
        xf_cli_print(object);
    }
    json_decref(object);
    return 0;
}

static int take_away(const struct wish *wish)
{
    static struct xf_tokens tokens;
    struct xf_error err = {0};
    int lock = xf_tokens_lock(wish->path, &err);
    if (lock < 0) {
        return xf_cli_fail(&err);
    }
    int result = load(wish->path, false, &tokens, &err);
    if (result == 0 && !xf_tokens_remove(&tokens, wish->argument)) {
        result = XF_FAIL(&err, XF_E_FAILED, "there is no token named %s in %s", wish->argument,
                         wish->path);
    }
    if (result == 0) {
        result = xf_tokens_save(wish->path, &tokens, &err);
    }
    close(lock);
    if (result != 0) {
        return xf_cli_fail(&err);
    }
    printf("%s may do nothing more\n", wish->argument);
    return 0;
}

static bool read_options(int argc, char **argv, struct wish *ret)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"file", required_argument, NULL, 'f'},
        {"name", required_argument, NULL, 'n'},   {"role", required_argument, NULL, 'r'},
        {"output", required_argument, NULL, 'o'}, {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:o:", longs, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret->config = optarg;
            break;
        case 'f':
            ret->file = optarg;
            break;
        case 'n':
            ret->name = optarg;
            break;
        case 'r':
            ret->role = optarg;
            break;
        case 'o':
            ret->json = strcmp(optarg, "json") == 0;
            if (!ret->json && strcmp(optarg, "text") != 0) {
                return false;
            }
            break;
        default:
            return false;
        }
    }
    ret->word = optind < argc ? argv[optind++] : "";
    ret->argument = optind < argc ? argv[optind++] : NULL;
    return optind == argc;
}

int xf_cmd_token(int argc, char **argv)
{
    struct wish wish = {.config = XF_CONFIG_PATH_DEFAULT};
    if (!read_options(argc, argv, &wish)) {
        return xf_command_usage(xf_command_find("token"));
    }
    bool removal = strcmp(wish.word, "remove") == 0;
    bool known = removal || strcmp(wish.word, "add") == 0 || strcmp(wish.word, "list") == 0;
    if (!known || removal != (wish.argument != NULL)) {
        return xf_command_usage(xf_command_find("token"));
    }
    int result = find_path(&wish);
    if (result != 0) {
        return result;
    }
    return removal ? take_away(&wish) : strcmp(wish.word, "add") == 0 ? add(&wish) : list(&wish);
}
