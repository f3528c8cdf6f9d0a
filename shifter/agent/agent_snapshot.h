/*
 * agent_snapshot.h -- the last control state this proxy knew, on local disk.
 *
 * What a restarted proxy serves with when the store does not answer (DESIGN.md section 8).  One
 * text file: a line with magic, length and checksum, then JSON.  What does not read back whole is
 * refused as a whole: a torn, cut, flipped or foreign file is no snapshot.
 */
#ifndef XF_SHIFTER_AGENT_SNAPSHOT_H
#define XF_SHIFTER_AGENT_SNAPSHOT_H

#include "config/base/error.h"
#include "config/base/limits.h"
#include "config/base/text.h"
#include "config/base/version.h"
#include "shifter/plan/document.h"

#define XF_SNAPSHOT_FILE      "snapshot"
#define XF_SNAPSHOT_BYTES_MAX (XF_SERVICES_MAX * (XF_DOCUMENT_BYTES_MAX + 4096u))

/* Break-glass: while it stands, the document's weight is ignored on this proxy. */
struct xf_local_override {
    bool on;
    char id[XF_UUID_TEXT_BYTES];
    unsigned weight;
    char actor[XF_ACTOR_BYTES];
    char reason[XF_REASON_BYTES];
    int64_t at_ms;          /* wall clock at which it began */
    struct xf_version base; /* the version that was served when it was given */
};

struct xf_snapshot_service {
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    struct xf_document *document; /* owned; its `service` names it */
    struct xf_local_override override;
    unsigned fleet; /* proxies of the roster when it was written; 0: not known */
};

struct xf_snapshot {
    char proxy[XF_UUID_TEXT_BYTES];       /* who wrote it */
    int64_t saved_ms;                     /* wall clock at which it was known to be current */
    bool left;                            /* written when this proxy left the roster */
    bool forgotten;                       /* written when it read that it was forgotten */
    struct xf_snapshot_service *services; /* owned */
    unsigned services_count;
};

/* The file's text; the caller frees it.  NULL without memory or past the ceiling. */
XF_NODISCARD char *xf_snapshot_format(const struct xf_snapshot *snapshot, size_t *ret_length);
XF_NODISCARD int xf_snapshot_parse(const char *text, size_t length, struct xf_snapshot *ret,
                                   struct xf_error *err);
void xf_snapshot_release(struct xf_snapshot *snapshot); /* accepts a zeroed one */

/* Whether it may serve by itself; false fills `err` with why not (too old, `left`, `forgotten`). */
bool xf_snapshot_usable(const struct xf_snapshot *snapshot, int64_t wall_ms, int64_t age_ms_max,
                        struct xf_error *err);

#endif
