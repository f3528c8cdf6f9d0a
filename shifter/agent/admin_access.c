/*
 * admin_access.c -- see admin_access.h.
 *
 * The file of tokens is looked at with each request that brings one, and read anew when it is
 * another: a token that was removed opens nothing from then on.
 */
#include "shifter/agent/admin_access.h"

#include "config/base/log.h"
#include "shifter/agent/admin_answer.h"
#include "shifter/admin/admin_limit.h"
#include "shifter/agent/agent_state.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOGIN_LINES_PER_SECOND 5u

struct xf_admin_access {
    struct xf_tokens tokens;
    struct stat read; /* the file that they are of */
    bool known;       /* `tokens` is what that file holds */
    struct xf_admin_limit limit;
    struct xf_log_limit log;
};

struct xf_admin_access *xf_admin_access_create(void)
{
    return calloc(1, sizeof(struct xf_admin_access));
}

void xf_admin_access_destroy(struct xf_admin_access *access)
{
    free(access);
}

/* ---- names ---- */

bool xf_admin_host_is_ours(const char *host, const char *name)
{
    char asked[XF_ADMIN_TEXT_BYTES], own[XF_ADMIN_TEXT_BYTES] = "";
    unsigned char address[16];
    const char *begin = host[0] == '[' ? host + 1 : host;
    size_t length = strcspn(begin, host[0] == '[' ? "]" : ":");
    if (length >= sizeof(asked)) {
        return false;
    }
    memcpy(asked, begin, length);
    asked[length] = '\0';
    if (gethostname(own, sizeof(own) - 1) == 0 && strcasecmp(asked, own) == 0) {
        return true;
    }
    return strcasecmp(asked, "localhost") == 0 || strcasecmp(asked, name) == 0 ||
           inet_pton(AF_INET, asked, address) == 1 || inet_pton(AF_INET6, asked, address) == 1;
}

bool xf_admin_origin_is_host(const char *origin, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (unsigned i = 0; i < XF_COUNT(schemes); i++) {
        size_t length = strlen(schemes[i]);
        if (strncasecmp(origin, schemes[i], length) == 0) {
            return host[0] != '\0' && strcasecmp(origin + length, host) == 0;
        }
    }
    return false;
}

/* ---- tokens ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void read_tokens(struct xf_admin_access *access, const char *path)
{
    struct stat now;
    struct xf_error err = {0};
    char quoted[XF_LOG_QUOTE_BYTES];
    bool there = stat(path, &now) == 0;
    if (there && access->known && same_file(&now, &access->read)) {
        return;
    }
    access->tokens.count = 0;
    access->known = there && xf_tokens_load(path, &access->tokens, &err) == 0;
    if (!access->known) {
        access->tokens.count = 0;
        xf_log_limited(
            &access->log, LOGIN_LINES_PER_SECOND, XF_LOG_ERROR, "admin.tokens", "problem=%s",
            xf_log_quote(there ? err.message : "admin.tokens_file is not there", quoted));
    }
    access->read = now;
}

/* The secret behind `Bearer `; NULL: it is something else. */
static const char *bearer_of(const char *authorization)
{
    static const char scheme[] = "bearer ";
    if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0) {
        return NULL;
    }
    const char *secret = authorization + sizeof(scheme) - 1;
    return secret + strspn(secret, " ");
}

static void refuse(struct xf_admin_exchange *exchange, unsigned status, const char *message)
{
    if (status == 401) {
        xf_admin_header(exchange, "WWW-Authenticate: Bearer realm=\"crossfade\"");
    }
    xf_admin_answer_text(exchange, status, 8, message);
}

static void note_failure(struct xf_admin_access *access, const struct xf_admin_request *request,
                         int64_t now_ms)
{
    char text[INET6_ADDRSTRLEN] = "?";
    (void) inet_ntop(AF_INET6, request->address, text, sizeof(text));
    xf_admin_limit_failed(&access->limit, request->address, now_ms);
    xf_log_limited(&access->log, LOGIN_LINES_PER_SECOND, XF_LOG_WARNING, "admin.login_failed",
                   "from=%s", text);
}

static void refuse_for_now(struct xf_admin_exchange *exchange, int64_t wait_ms)
{
    char line[64];
    (void) snprintf(line, sizeof(line), "Retry-After: %d", (int) ((wait_ms + 999) / 1000));
    xf_admin_header(exchange, line);
    refuse(exchange, 429, "too many failed attempts from this address: wait, or use the socket");
}

/* Who the token says it is.  False: it was answered. */
static bool log_in(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                   struct xf_admin_request *request)
{
    struct xf_admin_access *access = agent->access;
    int64_t now_ms = xf_agent_now_ms(agent);
    int64_t wait_ms = xf_admin_limit_wait_ms(&access->limit, request->address, now_ms);
    const char *secret = bearer_of(request->authorization);
    const char *path = agent->config->admin.tokens_file;
    const struct xf_token *token = NULL;
    if (wait_ms > 0) {
        refuse_for_now(exchange, wait_ms);
        return false;
    }
    if (path != NULL && secret != NULL) {
        read_tokens(access, path);
        token = xf_tokens_find(&access->tokens, secret);
    }
    if (token == NULL) {
        note_failure(access, request, now_ms);
        refuse(exchange, 401, "this token opens nothing here");
        return false;
    }
    request->role = token->role;
    xf_agent_copy(request->who, sizeof(request->who), token->name);
    return true;
}

/* ---- all together ---- */

static bool from_here(const struct xf_admin_request *request)
{
    static const unsigned char six[16] = {[15] = 1};
    static const unsigned char four[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    return memcmp(request->address, six, sizeof(six)) == 0 ||
           memcmp(request->address, four, sizeof(four)) == 0;
}

static bool check_names(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                        const struct xf_admin_request *request)
{
    if (!xf_admin_host_is_ours(request->host, agent->config->proxy_name)) {
        refuse(exchange, 403, "Host must be an address, localhost, or this machine's name");
        return false;
    }
    if (request->origin[0] != '\0' && !xf_admin_origin_is_host(request->origin, request->host)) {
        refuse(exchange, 403, "Origin is another site's");
        return false;
    }
    return true;
}

static bool may(struct xf_admin_exchange *exchange, const struct xf_admin_request *request,
                enum xf_admin_role needed, const char *what)
{
    char message[XF_ADMIN_TEXT_BYTES];
    if (request->role >= needed) {
        return true;
    }
    (void) snprintf(message, sizeof(message), "not permitted: %s needs the role %s, and %s is %s",
                    what, xf_admin_role_name(needed), request->who,
                    xf_admin_role_name(request->role));
    refuse(exchange, 403, message);
    return false;
}

bool xf_admin_access_check(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                           struct xf_admin_request *request, enum xf_admin_role needed,
                           enum xf_admin_open open)
{
    if (request->local) { /* a browser comes through a forwarded socket: it must be our page */
        request->role = XF_ADMIN_ADMIN;
        return request->origin[0] == '\0' || check_names(agent, exchange, request);
    }
    bool comes_with_token = request->authorization[0] != '\0';
    if (open == XF_ADMIN_OPEN) {
        return true;
    }
    if (!(open == XF_ADMIN_OPEN_HERE && comes_with_token) &&
        !check_names(agent, exchange, request)) {
        return false; /* scrapers with a token may come by any name */
    }
    if (open == XF_ADMIN_OPEN_PAGE) {
        return true;
    }
    if (comes_with_token) {
        return log_in(agent, exchange, request) && may(exchange, request, needed, "this");
    }
    if (request->certified) {
        return may(exchange, request, needed, "this");
    }
    if (open == XF_ADMIN_OPEN_HERE && from_here(request)) {
        return true;
    }
    refuse(exchange, 401, "not permitted without a token: --token-file, or Authorization: Bearer");
    return false;
}

bool xf_admin_access_admin(struct xf_admin_exchange *exchange,
                           const struct xf_admin_request *request, const char *what)
{
    return may(exchange, request, XF_ADMIN_ADMIN, what);
}
