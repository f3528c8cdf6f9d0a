/*
 * config.h -- the configuration of one host, as a value.
 *
 * Read once, checked whole, immutable ever after: a reload makes another one.  Everything in it
 * is owned by the configuration and lives until xf_config_destroy().  Durations are milliseconds,
 * sizes bytes; XF_OFF means that a time limit does not apply.  Keys, ranges and defaults come from
 * keys.def; DESIGN.md section 5 is their meaning.
 */
#ifndef XF_CONFIG_CONFIG_H
#define XF_CONFIG_CONFIG_H

#include "config/base/error.h"
#include "config/base/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define XF_OFF (-1)

/* A host and port as written.  A numeric host is resolved when read (`resolved` is then set);
 * a name is looked up by the agent, never while a file is read. */
struct xf_endpoint {
    char *text; /* as in the file, for messages and status: `10.0.0.11:8000` */
    char *host; /* without brackets; `/path` for a unix socket is not accepted */
    uint16_t port;
    bool numeric;
    struct sockaddr_storage address;
    socklen_t address_bytes;
};

struct xf_config_tls {
    char *certificate; /* path; NULL: no TLS */
    char *key;
    char *client_ca; /* optional client certificates */
    char *ticket_keys_file;
};

struct xf_config_listener {
    struct xf_endpoint bind;
    unsigned service;               /* index into services */
    struct xf_config_tls tls;       /* the first certificate: for who names none of them */
    struct xf_config_tls *tls_more; /* further ones, chosen by the name asked for (SNI) */
    unsigned tls_more_count;
    char *health;        /* path answered by the proxy itself; NULL: none */
    bool proxy_protocol; /* a PROXY v1/v2 header is expected */
};

/* Number `i` of the listener's certificates, or NULL past the last. */
static inline const struct xf_config_tls *
xf_config_certificate(const struct xf_config_listener *listener, unsigned i)
{
    if (listener->tls.certificate == NULL || i > listener->tls_more_count) {
        return NULL;
    }
    return i == 0 ? &listener->tls : &listener->tls_more[i - 1];
}

enum xf_sticky_by { XF_STICKY_NONE, XF_STICKY_HEADER, XF_STICKY_COOKIE, XF_STICKY_CLIENT_IP };

struct xf_config_sticky {
    enum xf_sticky_by by;
    char *name;                  /* of the header (lower case) or cookie */
    enum xf_sticky_by otherwise; /* `else:` NONE or CLIENT_IP */
};

enum xf_fallback { XF_FALLBACK_TO_BLUE, XF_FALLBACK_BOTH, XF_FALLBACK_OFF };

struct xf_config_timeouts { /* milliseconds or XF_OFF */
    int64_t header, body, send, idle, connect, first_byte, upstream_body, upstream_idle, total,
        queue, tunnel_idle, shutdown, lameduck;
};

struct xf_config_limits {
    uint64_t head; /* bytes */
    uint64_t fields;
    uint64_t body;        /* bytes of a request body; 413 beyond */
    uint64_t connections; /* per host; each worker owns its share */
    uint64_t buffers;     /* bytes per host; each worker owns its share */
    uint64_t body_rate;   /* least bytes a second of a body, 0: off */
};

struct xf_config_network { /* CIDR */
    sa_family_t family;
    uint8_t bytes[16];
    unsigned prefix;
};

struct xf_config_override {
    char *header; /* lower case; NULL: none */
    char *secret_file;
    struct xf_config_network *networks;
    unsigned networks_count;
};

struct xf_config_service {
    char *name;
    unsigned index;
    unsigned clusters[XF_SERVICE_CLUSTERS_MAX]; /* indices into clusters */
    unsigned clusters_count;
    unsigned live; /* index into clusters (global), of the first document */
    int follows;   /* index of the followed service, or -1 */
    struct xf_config_sticky sticky;
    enum xf_fallback fallback;
    struct xf_config_timeouts timeouts; /* the file's, with this service's overrides */
    struct xf_config_limits limits;     /* head, fields, body; the rest is per host */
    struct xf_config_override override;
    unsigned first_pair; /* statistics blocks (service, cluster) begin at this number */
    char digest[17];     /* hex: XXH3 of its and its followers' clusters and their servers */
};

struct xf_config_server {
    struct xf_endpoint endpoint;
    unsigned weight; /* 1..1000, default 100 */
    bool backup;
    unsigned in_flight_max; /* 0: no cap */
};

struct xf_config_check {
    char *path; /* NULL: a TCP connect */
    int64_t every_ms, timeout_ms;
    unsigned expect_low, expect_high; /* statuses */
    char *body;                       /* text the body must contain; NULL: any */
    unsigned rise, fall;
};

struct xf_config_upstream_tls {
    bool enabled;
    bool verify;
    char *ca, *server_name, *certificate, *key, *groups;
};

struct xf_config_cluster {
    char *name;
    unsigned index;
    struct xf_config_server *servers;
    unsigned servers_count;
    unsigned first_server; /* number of servers[0] over all clusters: the board's index */
    struct xf_config_check check;
    unsigned in_flight_max; /* 0: no cap */
    bool send_proxy;        /* PROXY v2 towards the servers */
    struct xf_config_upstream_tls tls;
    unsigned eject_after;   /* consecutive failures; 0: passive ejection off */
    unsigned eject_percent; /* most of the cluster that may be ejected */
    int64_t slow_start_ms;
};

enum xf_store_kind { XF_STORE_SQLITE, XF_STORE_REDIS };

struct xf_config_store {
    enum xf_store_kind kind;
    char *path; /* SQLite file */
    char *url;  /* as written, for messages; never holds a password */
    char *user, *password_file, *ca, *certificate, *key;
    bool tls;
    struct xf_endpoint *endpoints; /* Redis: one; Sentinel: several */
    unsigned endpoints_count;
    char *sentinel_master; /* NULL: not through Sentinel */
    unsigned database;
    char *namespace_name; /* default `default` */
};

struct xf_config_journal {
    char *url; /* NULL: none */
    char *password_file;
    bool required;
};

struct xf_config_admin {
    char *socket;
    struct xf_endpoint listen; /* text NULL: none */
    char *tokens_file;
    struct xf_config_tls tls;
};

enum xf_log_format { XF_LOG_FORMAT_JSON, XF_LOG_FORMAT_COMBINED };

struct xf_config_access_log {
    char *path; /* NULL: off; `syslog:` and `|command` forms as documented by explain */
    enum xf_log_format format;
};

enum xf_drain_policy { XF_DRAIN_NATURAL, XF_DRAIN_PACED, XF_DRAIN_DEADLINE };

struct xf_config_drain {
    enum xf_drain_policy policy;
    double rate;         /* tunnels a second for the whole fleet (paced) */
    int64_t deadline_ms; /* (deadline) */
    int64_t quiet_ms;
};

struct xf_config_hook {
    char *name;
    char **command; /* NULL-terminated argv */
    int64_t timeout_ms;
    bool repeatable;
};

struct xf_config_database {
    char *name, *url, *password_file;
};

enum xf_webhook_format { XF_WEBHOOK_JSON, XF_WEBHOOK_SLACK };

struct xf_config_webhook {
    char *name, *url, *secret_file;
    enum xf_webhook_format format;
};

struct xf_config {
    char *file;      /* the path it was read from */
    char digest[17]; /* hex: XXH3 of all services' digests, for DESIGN.md section 8 */

    struct xf_config_store store;
    struct xf_config_journal journal;
    char *proxy_name;
    char *state_dir;
    int64_t snapshot_max_age_ms;
    struct xf_config_admin admin;
    unsigned workers; /* resolved: `auto` is already a number */

    struct xf_config_listener *listeners;
    unsigned listeners_count;
    struct xf_config_service *services;
    unsigned services_count;
    struct xf_config_cluster *clusters;
    unsigned clusters_count;
    unsigned servers_count; /* over all clusters */
    unsigned pairs_count;   /* (service, cluster) statistics blocks over all services */

    struct xf_config_timeouts timeouts;
    struct xf_config_limits limits;
    struct xf_config_network *trusted;
    unsigned trusted_count;
    struct xf_config_access_log access_log;
    char **upgrade; /* lower-case protocol tokens */
    unsigned upgrade_count;
    struct xf_config_drain drain;
    struct xf_config_hook *hooks;
    unsigned hooks_count;
    struct xf_config_database *databases;
    unsigned databases_count;
    struct xf_config_webhook *webhooks;
    unsigned webhooks_count;

    struct xf_arena *arena; /* owns every string and array above */
};

/* One complaint about a file. */
struct xf_problem {
    unsigned line, column;
    bool warning; /* worth telling, no reason to refuse */
    char *message;
};
struct xf_problems {
    const char *file;         /* not owned */
    struct xf_problem *items; /* in the order of the file */
    unsigned count;
    unsigned errors; /* all that were found, also those past the number kept */
};
void xf_problems_release(struct xf_problems *problems);

/*
 * Reads and checks `path`.  On success *ret is the configuration (warnings may stand in
 * *ret_problems).  On failure returns -1, *ret is untouched and *ret_problems holds every error
 * found; when the file cannot be read at all there is one problem with line 0.
 */
XF_NODISCARD int xf_config_read(const char *path, struct xf_config **ret,
                                struct xf_problems *ret_problems);
/* The same from memory; `name` stands for the file in messages. */
XF_NODISCARD int xf_config_parse(const char *name, const char *text, size_t length,
                                 struct xf_config **ret, struct xf_problems *ret_problems);
void xf_config_destroy(struct xf_config *config); /* accepts NULL */

/* Prints the problems to `stream` as `file:line:column: message`, one a line. */
void xf_problems_print(const struct xf_problems *problems, void *stream /* FILE * */);

/* Index by name, or -1. */
int xf_config_find_service(const struct xf_config *config, const char *name);
int xf_config_find_cluster(const struct xf_config *config, const char *name);
/* The statistics block of (service, cluster), or -1 where the cluster may not serve it. */
int xf_config_pair(const struct xf_config *config, unsigned service, unsigned cluster);

/* `crossfade explain [KEY]`: prints the key's meaning, type, range and default (or all keys that
 * begin with it; NULL: every key) to `stream`.  False when there is none of that name; *ret_near
 * is then the nearest key or NULL. */
bool xf_config_explain(const char *key, void *stream /* FILE * */, const char **ret_near);

#endif
