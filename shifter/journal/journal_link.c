/*
 * journal_link.c -- see journal_link.h.
 */
#include "shifter/journal/journal_link.h"

#include "config/base/check.h"
#include "shifter/net/backoff.h"
#include "shifter/gates/database.h"
#include "shifter/journal/journal_conninfo.h"
#include "shifter/journal/journal_schema.h"
#include "shifter/net/lookup.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINK_MAGIC   0x6a6c6e6bu
#define RETRY_MS_MIN 250
#define RETRY_MS_MAX 5000
#define LOOKUP_MS    5000
#define CONNECT_S    5
#define QUERY_S      15 /* the server's own limits are lower; this is for one that hangs */
#define WHY_BYTES    320
#define ODD_TEXT     "the server answered oddly"
#define NO_WRITES_TEXT                                                                             \
    "the database takes no writes: default_transaction_read_only is on there, or a failover made " \
    "the server a standby"
#define READ_ONLY_TEXT                                                                             \
    "the server is a read-only standby: name its primary in journal.url, or all servers with "     \
    "target_session_attrs=read-write"

enum link_state { LINK_WAITING, LINK_RESOLVING, LINK_CONNECTING, LINK_CHECKING, LINK_UP };

struct xf_journal_link {
    unsigned magic;
    struct event_base *loop;
    const struct xf_config_journal *config;
    struct xf_journal_link_calls calls;
    enum link_state state;
    struct xf_backoff backoff;
    struct event *timer;  /* back-off, or the limit of what is under way */
    struct event *socket; /* one-shot; made anew each time, for libpq changes its socket */
    struct xf_conninfo conninfo;
    unsigned looking_up; /* the host */
    struct xf_lookup *lookup;
    PGconn *connection;
    unsigned turn; /* failed attempts: where the list of hosts begins */
    PGresult *rows;
    bool querying;
    xf_journal_rows *done;
    void *context;
};

static void on_socket(evutil_socket_t fd, short what, void *arg);

/* ---- trouble ---- */

static void drop_connection(struct xf_journal_link *link)
{
    if (link->socket != NULL) {
        event_free(link->socket);
        link->socket = NULL;
    }
    xf_lookup_destroy(link->lookup);
    link->lookup = NULL;
    PQclear(link->rows);
    link->rows = NULL;
    PQfinish(link->connection);
    link->connection = NULL;
    xf_conninfo_release(&link->conninfo);
}

static void fail(struct xf_journal_link *link, const char *why)
{
    char text[WHY_BYTES];
    (void) snprintf(text, sizeof(text), "%.*s", (int) strcspn(why, "\n"), why);
    xf_journal_rows *done = link->querying ? link->done : NULL;
    link->querying = false;
    drop_connection(link);
    link->state = LINK_WAITING;
    link->turn++;
    struct timeval wait = xf_backoff_next(&link->backoff);
    event_add(link->timer, &wait);
    link->calls.down(link->calls.context, text);
    if (done != NULL) {
        done(link->context, NULL);
    }
}

static void fail_connection(struct xf_journal_link *link)
{
    const char *why = link->connection != NULL ? PQerrorMessage(link->connection) : "out of memory";
    fail(link, why[0] != '\0' ? why : "the connection was lost");
}

/* The server's words with what to do, for what an operator can mend. */
static void fail_rows(struct xf_journal_link *link, const PGresult *rows)
{
    const char *state = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    const char *advice = "";
    char text[WHY_BYTES];
    if (state != NULL && strcmp(state, "42501") == 0) {
        advice = ": the role needs SELECT and INSERT there (JOURNAL.md)";
    } else if (state != NULL && (strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0)) {
        advice = ": run `crossfade db migrate`";
    } else if (state != NULL && strcmp(state, "25006") == 0) {
        fail(link, NO_WRITES_TEXT);
        return;
    }
    (void) snprintf(text, sizeof(text), "%.200s%s",
                    primary != NULL ? primary : PQerrorMessage(link->connection), advice);
    fail(link, text);
}

/* ---- waiting for the socket ---- */

static void wait_for(struct xf_journal_link *link, short what)
{
    if (link->socket != NULL) {
        event_free(link->socket);
    }
    link->socket = event_new(link->loop, PQsocket(link->connection), what, on_socket, link);
    if (link->socket == NULL || event_add(link->socket, NULL) != 0) {
        fail(link, "out of memory");
    }
}

static void limit(struct xf_journal_link *link, int seconds)
{
    struct timeval wait = {seconds, 0};
    event_add(link->timer, &wait);
}

/* ---- queries ---- */

static void flush(struct xf_journal_link *link)
{
    int left = PQflush(link->connection);
    if (left < 0) {
        fail_connection(link);
    } else {
        wait_for(link, left > 0 ? EV_READ | EV_WRITE : EV_READ);
    }
}

static void start_query(struct xf_journal_link *link, const char *sql, int parameters_count,
                        const char *const *parameters, xf_journal_rows *done, void *context)
{
    link->querying = true;
    link->done = done;
    link->context = context;
    limit(link, QUERY_S);
    if (PQsendQueryParams(link->connection, sql, parameters_count, NULL, parameters, NULL, NULL,
                          0) != 1) {
        fail_connection(link);
    } else {
        flush(link);
    }
}

static void finish_query(struct xf_journal_link *link)
{
    PGresult *rows = link->rows;
    link->rows = NULL;
    ExecStatusType status = PQresultStatus(rows);
    if (rows == NULL || (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)) {
        fail_rows(link, rows);
    } else {
        event_del(link->timer);
        link->querying = false;
        wait_for(link, EV_READ); /* the server may end the connection */
        link->done(link->context, link->connection != NULL ? rows : NULL);
    }
    PQclear(rows);
}

static void read_answer(struct xf_journal_link *link)
{
    if (PQconsumeInput(link->connection) != 1) {
        fail_connection(link);
        return;
    }
    while (!PQisBusy(link->connection)) {
        PGresult *rows = PQgetResult(link->connection);
        if (rows == NULL) {
            if (link->querying) {
                finish_query(link);
            } else if (link->connection != NULL) {
                wait_for(link, EV_READ);
            }
            return;
        }
        if (xf_database_is_copy(rows)) { /* nothing of ours is one */
            PQclear(rows);
            fail(link, ODD_TEXT);
            return;
        }
        if (link->rows == NULL) {
            link->rows = rows;
        } else {
            PQclear(rows);
        }
    }
    flush(link);
}

/* ---- checking, connecting ---- */

static void go_up(struct xf_journal_link *link)
{
    link->state = LINK_UP;
    xf_backoff_reset(&link->backoff);
    link->calls.up(link->calls.context);
}

static void got_number(void *context, const PGresult *rows)
{
    struct xf_journal_link *link = context;
    if (rows == NULL) {
        return;
    }
    int number = PQntuples(rows) == 1 ? (int) strtol(PQgetvalue(rows, 0, 0), NULL, 10) : 0;
    char text[WHY_BYTES];
    if (number == XF_JOURNAL_SCHEMA) {
        go_up(link);
        return;
    }
    (void) snprintf(text, sizeof(text), "the schema is %d, this crossfade knows %d: %s", number,
                    XF_JOURNAL_SCHEMA,
                    number > XF_JOURNAL_SCHEMA ? "use the newer crossfade"
                                               : "run `crossfade db migrate`");
    fail(link, text);
}

static void got_server(void *context, const PGresult *rows)
{
    struct xf_journal_link *link = context;
    if (rows == NULL) {
        return;
    }
    if (PQntuples(rows) != 1) {
        fail(link, ODD_TEXT);
    } else if (PQgetvalue(rows, 0, 0)[0] == 't') {
        fail(link, READ_ONLY_TEXT);
    } else if (strcmp(PQgetvalue(rows, 0, 1), "UTF8") != 0) {
        fail(link, "the database's encoding is not UTF8: make one with ENCODING 'UTF8'");
    } else {
        start_query(link, "SELECT max(number) FROM crossfade.migration", 0, NULL, got_number, link);
    }
}

static void poll_connection(struct xf_journal_link *link)
{
    switch (PQconnectPoll(link->connection)) {
    case PGRES_POLLING_READING:
        wait_for(link, EV_READ);
        return;
    case PGRES_POLLING_WRITING:
        wait_for(link, EV_WRITE);
        return;
    case PGRES_POLLING_OK:
        xf_conninfo_release(&link->conninfo);
        if (PQsetnonblocking(link->connection, 1) != 0) {
            fail_connection(link);
            return;
        }
        link->state = LINK_CHECKING;
        start_query(link, "SELECT pg_is_in_recovery(), current_setting('server_encoding')", 0, NULL,
                    got_server, link);
        return;
    default:
        fail_connection(link);
        return;
    }
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    struct xf_journal_link *link = arg;
    XF_ASSERT(link->magic == LINK_MAGIC);
    if (link->state == LINK_CONNECTING) {
        poll_connection(link);
    } else if ((what & EV_READ) != 0) {
        read_answer(link);
    } else {
        flush(link);
    }
}

static void ignore_notice(void *context, const PGresult *notice)
{
    (void) context;
    (void) notice;
}

static void connect_now(struct xf_journal_link *link)
{
    if (link->conninfo.hosts_count > 0 && link->conninfo.addresses_count == 0) {
        fail(link, "no host of journal.url has an address");
        return;
    }
    link->state = LINK_CONNECTING;
    link->connection = xf_conninfo_start(&link->conninfo, link->turn);
    limit(link, CONNECT_S);
    if (link->connection == NULL || PQstatus(link->connection) == CONNECTION_BAD) {
        fail_connection(link);
        return;
    }
    PQsetNoticeReceiver(link->connection, ignore_notice, NULL);
    wait_for(link, EV_WRITE);
}

/* ---- names ---- */

static void look_up(struct xf_journal_link *link);

static void looked_up(void *context, const struct sockaddr_storage *addresses, size_t count,
                      unsigned ttl_s, const char *why)
{
    struct xf_journal_link *link = context;
    XF_ASSERT(link->magic == LINK_MAGIC);
    (void) ttl_s;
    for (size_t i = 0; why == NULL && i < count; i++) {
        xf_conninfo_add(&link->conninfo, link->looking_up, &addresses[i]);
    }
    xf_lookup_destroy(link->lookup);
    link->lookup = NULL;
    link->looking_up++;
    look_up(link);
}

/* From `looking_up` on: what needs no lookup is added, the first that does is started. */
static void look_up(struct xf_journal_link *link)
{
    struct xf_error err;
    for (; link->looking_up < link->conninfo.hosts_count; link->looking_up++) {
        unsigned host = link->looking_up;
        if (!link->conninfo.hosts[host].lookup) {
            xf_conninfo_add(&link->conninfo, host, NULL);
        } else if (xf_lookup_start(link->loop, link->conninfo.hosts[host].name, 0, LOOKUP_MS,
                                   looked_up, link, &link->lookup, &err) == 0) {
            return;
        }
    }
    connect_now(link);
}

static void begin(struct xf_journal_link *link)
{
    struct xf_error err;
    if (xf_conninfo_read(link->config, NULL, &link->conninfo, &err) != 0) {
        fail(link, err.message);
        return;
    }
    link->state = LINK_RESOLVING;
    link->looking_up = 0;
    look_up(link);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_journal_link *link = arg;
    XF_ASSERT(link->magic == LINK_MAGIC);
    if (link->state == LINK_WAITING) {
        begin(link);
    } else {
        fail(link, link->state == LINK_CONNECTING ? "the server does not answer: connecting took "
                                                    "too long"
                                                  : "the server does not answer");
    }
}

/* ---- calls ---- */

struct xf_journal_link *xf_journal_link_create(struct event_base *loop,
                                               const struct xf_config_journal *config,
                                               const struct xf_journal_link_calls *calls)
{
    struct xf_journal_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return NULL;
    }
    *link = (struct xf_journal_link){.magic = LINK_MAGIC,
                                     .loop = loop,
                                     .config = config,
                                     .calls = *calls,
                                     .backoff = {.ms_min = RETRY_MS_MIN, .ms_max = RETRY_MS_MAX}};
    link->timer = evtimer_new(loop, on_timer, link);
    if (link->timer == NULL) {
        free(link);
        return NULL;
    }
    event_active(link->timer, EV_TIMEOUT, 0);
    return link;
}

bool xf_journal_link_up(const struct xf_journal_link *link)
{
    return link->state == LINK_UP;
}

bool xf_journal_link_idle(const struct xf_journal_link *link)
{
    return link->state == LINK_UP && !link->querying;
}

void xf_journal_link_query(struct xf_journal_link *link, const char *sql, int parameters_count,
                           const char *const *parameters, xf_journal_rows *done, void *context)
{
    XF_ASSERT(xf_journal_link_idle(link));
    start_query(link, sql, parameters_count, parameters, done, context);
}

void xf_journal_link_destroy(struct xf_journal_link *link)
{
    if (link == NULL) {
        return;
    }
    drop_connection(link);
    event_free(link->timer);
    link->magic = 0;
    free(link);
}
