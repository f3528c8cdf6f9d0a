/*
 * journal_conninfo.h -- how the journal's database is reached: libpq's parameters, with the names
 * of its hosts still to be looked up.
 *
 * Everything that libpq understands may stand in the URL: several hosts, `target_session_attrs`,
 * `sslmode` and its files, `passfile`, `service`.  Only names are taken out of libpq's hands, for
 * it would block on them.
 */
#ifndef XF_SHIFTER_JOURNAL_CONNINFO_H
#define XF_SHIFTER_JOURNAL_CONNINFO_H

#include "config/base/error.h"
#include "config/config.h"

#include <libpq-fe.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define XF_CONNINFO_HOSTS_MAX     8u
#define XF_CONNINFO_ADDRESSES_MAX 16u
#define XF_CONNINFO_OPTIONS_MAX   64u
#define XF_CONNINFO_HOST_BYTES    256

struct xf_conninfo {
    char *names[XF_CONNINFO_OPTIONS_MAX]; /* owned, like the values; without host, port, hostaddr
                                             where `hosts_count` is not 0 */
    char *values[XF_CONNINFO_OPTIONS_MAX];
    unsigned count;
    struct {
        char name[XF_CONNINFO_HOST_BYTES];
        char port[8];
        bool lookup; /* a name, no path and no address */
    } hosts[XF_CONNINFO_HOSTS_MAX];
    unsigned hosts_count; /* 0: libpq's default, or addresses are given */
    struct {
        unsigned host;
        char text[INET6_ADDRSTRLEN]; /* empty: libpq takes the host as it is */
    } addresses[XF_CONNINFO_ADDRESSES_MAX];
    unsigned addresses_count;
};

/* Reads URL, service file, environment and password file.  XF_E_CONFIG.  `user` (NULL: the URL's)
 * and `password_file` (NULL: none) may differ from the journal's own. */
XF_NODISCARD int xf_conninfo_read(const struct xf_config_journal *journal, const char *user,
                                  struct xf_conninfo *ret, struct xf_error *err);
void xf_conninfo_release(struct xf_conninfo *conninfo); /* accepts zeroes */
/* Adds an address of host `host`; NULL: none is needed.  More than fit are left out. */
void xf_conninfo_add(struct xf_conninfo *conninfo, unsigned host,
                     const struct sockaddr_storage *address);
/* Begins a connection with what was added, the hosts turned round by `turn`: one that does not
 * answer must not keep the others from being tried.  NULL: out of memory. */
PGconn *xf_conninfo_start(const struct xf_conninfo *conninfo, unsigned turn);
/* The same, blocking, names looked up by libpq: for the command line. */
PGconn *xf_conninfo_connect(const struct xf_conninfo *conninfo);

#endif
