/*
 * journal_conninfo.c -- see journal_conninfo.h.
 *
 * What is written in the URL goes before what crossfade wants, and that before service file,
 * environment and libpq's defaults.
 */
#include "shifter/journal/journal_conninfo.h"

#include "config/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_BYTES 1024
#define SESSION                                                                                    \
    "-c statement_timeout=10000 -c lock_timeout=5000 "                                             \
    "-c idle_in_transaction_session_timeout=10000 -c TimeZone=UTC -c client_min_messages=error"

static bool put(struct xf_conninfo *conninfo, const char *name, const char *value)
{
    unsigned i = 0;
    while (i < conninfo->count && strcmp(conninfo->names[i], name) != 0) {
        i++;
    }
    if (i == XF_CONNINFO_OPTIONS_MAX - 8) { /* room for host, hostaddr, port and the end */
        return false;
    }
    char *copy = strdup(value);
    if (i == conninfo->count) {
        conninfo->names[i] = strdup(name);
        conninfo->count++;
    }
    free(conninfo->values[i]);
    conninfo->values[i] = copy;
    return copy != NULL && conninfo->names[i] != NULL;
}

static const char *get(const struct xf_conninfo *conninfo, const char *name)
{
    for (unsigned i = 0; i < conninfo->count; i++) {
        if (strcmp(conninfo->names[i], name) == 0) {
            return conninfo->values[i];
        }
    }
    return NULL;
}

static void drop(struct xf_conninfo *conninfo, const char *name)
{
    for (unsigned i = 0; i < conninfo->count; i++) {
        if (strcmp(conninfo->names[i], name) == 0) {
            free(conninfo->names[i]);
            free(conninfo->values[i]);
            conninfo->count--;
            conninfo->names[i] = conninfo->names[conninfo->count];
            conninfo->values[i] = conninfo->values[conninfo->count];
            conninfo->names[conninfo->count] = NULL;
            conninfo->values[conninfo->count] = NULL;
            return;
        }
    }
}

static bool put_all(struct xf_conninfo *conninfo, const PQconninfoOption *options)
{
    bool ok = true;
    for (; ok && options != NULL && options->keyword != NULL; options++) {
        if (options->val != NULL && options->val[0] != '\0') {
            ok = put(conninfo, options->keyword, options->val);
        }
    }
    return ok;
}

/* libpq reads a service file only for PGSERVICE or while it connects; the hosts are needed now. */
static PQconninfoOption *read_defaults(const char *service)
{
    if (service == NULL) {
        return PQconndefaults();
    }
    char *before = getenv("PGSERVICE") != NULL ? strdup(getenv("PGSERVICE")) : NULL;
    setenv("PGSERVICE", service, 1);
    PQconninfoOption *options = PQconndefaults();
    if (before != NULL) {
        setenv("PGSERVICE", before, 1);
    } else {
        unsetenv("PGSERVICE");
    }
    free(before);
    return options;
}

static const char *find_option(const PQconninfoOption *options, const char *name)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, name) == 0) {
            return options->val;
        }
    }
    return NULL;
}

static bool put_layers(struct xf_conninfo *conninfo, const PQconninfoOption *url)
{
    PQconninfoOption *defaults = read_defaults(find_option(url, "service"));
    bool ok = defaults != NULL && put_all(conninfo, defaults) &&
              put(conninfo, "application_name", "crossfade") &&
              put(conninfo, "gssencmode", "disable") && put(conninfo, "connect_timeout", "5") &&
              put(conninfo, "tcp_user_timeout", "10000") && put_all(conninfo, url) &&
              put(conninfo, "client_encoding", "UTF8");
    PQconninfoFree(defaults);
    char options[1024];
    const char *own = get(conninfo, "options");
    (void) snprintf(options, sizeof(options), "%s %.700s", SESSION, own != NULL ? own : "");
    drop(conninfo, "service"); /* it has been read */
    drop(conninfo, "servicefile");
    return ok && put(conninfo, "options", options);
}

static int read_password(const char *path, struct xf_conninfo *conninfo, struct xf_error *err)
{
    char line[PASSWORD_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not stop the loop */
    ssize_t got = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (got < 0) {
        return XF_FAIL(err, XF_E_CONFIG, "journal: password_file %s: %s", path, strerror(why));
    }
    line[got] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    bool kept = got > 0 && put(conninfo, "password", line);
    explicit_bzero(line, sizeof(line));
    return kept ? 0 : XF_FAIL(err, XF_E_CONFIG, "journal: password_file %s: empty", path);
}

static bool is_address(const char *text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* The n-th part of a list with commas, or the last one there is; a list of one serves all. */
static void part_of(const char *list, unsigned n, char *out, size_t bytes)
{
    const char *part = list;
    for (; n > 0 && strchr(part, ',') != NULL; n--) {
        part = strchr(part, ',') + 1;
    }
    (void) snprintf(out, bytes, "%.*s", (int) strcspn(part, ","), part);
}

static void split_hosts(struct xf_conninfo *conninfo)
{
    const char *host = get(conninfo, "host");
    const char *port = get(conninfo, "port");
    const char *given = get(conninfo, "hostaddr");
    if (host == NULL || given != NULL) {
        return;
    }
    unsigned parts = 1;
    for (const char *p = strchr(host, ','); p != NULL; p = strchr(p + 1, ',')) {
        parts++;
    }
    conninfo->hosts_count = parts < XF_CONNINFO_HOSTS_MAX ? parts : XF_CONNINFO_HOSTS_MAX;
    for (unsigned i = 0; i < conninfo->hosts_count; i++) {
        part_of(host, i, conninfo->hosts[i].name, sizeof(conninfo->hosts[i].name));
        part_of(port != NULL ? port : "5432", i, conninfo->hosts[i].port,
                sizeof(conninfo->hosts[i].port));
        const char *name = conninfo->hosts[i].name;
        conninfo->hosts[i].lookup =
            name[0] != '\0' && name[0] != '/' && name[0] != '@' && !is_address(name);
    }
    drop(conninfo, "host");
    drop(conninfo, "port");
}

int xf_conninfo_read(const struct xf_config_journal *journal, const char *user,
                     struct xf_conninfo *ret, struct xf_error *err)
{
    struct xf_conninfo conninfo = {0};
    char *problem = NULL;
    PQconninfoOption *url = PQconninfoParse(journal->url, &problem);
    if (url == NULL) { /* libpq's own words may repeat the URL */
        PQfreemem(problem);
        return XF_FAIL(err, XF_E_CONFIG, "journal.url is not what PostgreSQL's libpq understands");
    }
    bool ok = put_layers(&conninfo, url) && (user == NULL || put(&conninfo, "user", user));
    PQconninfoFree(url);
    int result = ok ? 0 : XF_FAIL(err, XF_E_NO_MEMORY, "journal: out of memory");
    if (ok && journal->password_file != NULL) {
        result = read_password(journal->password_file, &conninfo, err);
    }
    if (result != 0) {
        xf_conninfo_release(&conninfo);
        return -1;
    }
    split_hosts(&conninfo);
    *ret = conninfo;
    return 0;
}

void xf_conninfo_release(struct xf_conninfo *conninfo)
{
    for (unsigned i = 0; i < conninfo->count; i++) {
        if (conninfo->names[i] != NULL && strcmp(conninfo->names[i], "password") == 0 &&
            conninfo->values[i] != NULL) {
            explicit_bzero(conninfo->values[i], strlen(conninfo->values[i]));
        }
        free(conninfo->names[i]);
        free(conninfo->values[i]);
    }
    *conninfo = (struct xf_conninfo){0};
}

void xf_conninfo_add(struct xf_conninfo *conninfo, unsigned host,
                     const struct sockaddr_storage *address)
{
    unsigned place = conninfo->addresses_count;
    if (place == XF_CONNINFO_ADDRESSES_MAX) {
        return;
    }
    conninfo->addresses[place].host = host;
    conninfo->addresses[place].text[0] = '\0';
    const void *bytes = NULL;
    if (address != NULL && address->ss_family == AF_INET) {
        bytes = &((const struct sockaddr_in *) address)->sin_addr;
    } else if (address != NULL && address->ss_family == AF_INET6) {
        bytes = &((const struct sockaddr_in6 *) address)->sin6_addr;
    }
    if (bytes != NULL && inet_ntop(address->ss_family, bytes, conninfo->addresses[place].text,
                                   sizeof(conninfo->addresses[place].text)) == NULL) {
        return;
    }
    conninfo->addresses_count++;
}

struct list { /* host, hostaddr or port, with commas */
    char text[XF_CONNINFO_ADDRESSES_MAX * (XF_CONNINFO_HOST_BYTES + 1)];
    size_t length;
};

static void append(struct list *list, const char *text, bool first)
{
    int got = snprintf(list->text + list->length, sizeof(list->text) - list->length, "%s%s",
                       first ? "" : ",", text);
    list->length += got > 0 ? (size_t) got : 0;
}

PGconn *xf_conninfo_start(const struct xf_conninfo *conninfo, unsigned turn)
{
    const char *names[XF_CONNINFO_OPTIONS_MAX + 1] = {0};
    const char *values[XF_CONNINFO_OPTIONS_MAX + 1] = {0};
    struct list host = {.length = 0}, hostaddr = {.length = 0}, port = {.length = 0};
    unsigned count = conninfo->count;
    for (unsigned i = 0; i < count; i++) {
        names[i] = conninfo->names[i];
        values[i] = conninfo->values[i];
    }
    for (unsigned i = 0; i < conninfo->addresses_count; i++) {
        unsigned at = (i + turn) % conninfo->addresses_count;
        unsigned of = conninfo->addresses[at].host;
        append(&host, conninfo->hosts[of].name, i == 0);
        append(&hostaddr, conninfo->addresses[at].text, i == 0);
        append(&port, conninfo->hosts[of].port, i == 0);
    }
    if (conninfo->addresses_count > 0) {
        names[count] = "host";
        values[count++] = host.text;
        names[count] = "hostaddr";
        values[count++] = hostaddr.text;
        names[count] = "port";
        values[count++] = port.text;
    }
    return PQconnectStartParams(names, values, 0);
}

PGconn *xf_conninfo_connect(const struct xf_conninfo *conninfo)
{
    const char *names[XF_CONNINFO_OPTIONS_MAX + 1] = {0};
    const char *values[XF_CONNINFO_OPTIONS_MAX + 1] = {0};
    struct list host = {.length = 0}, port = {.length = 0};
    unsigned count = conninfo->count;
    for (unsigned i = 0; i < count; i++) {
        names[i] = conninfo->names[i];
        values[i] = conninfo->values[i];
    }
    for (unsigned i = 0; i < conninfo->hosts_count; i++) {
        append(&host, conninfo->hosts[i].name, i == 0);
        append(&port, conninfo->hosts[i].port, i == 0);
    }
    if (conninfo->hosts_count > 0) {
        names[count] = "host";
        values[count++] = host.text;
        names[count] = "port";
        values[count++] = port.text;
    }
    return PQconnectdbParams(names, values, 0);
}
