/*
 * limits.h -- every ceiling, on one page, with its unit and its reason.
 *
 * What an operator may set has its default in keys.def; here stand the bounds of those settings
 * and the sizes that are compiled in, related to each other at compile time.
 */
#ifndef XF_BASE_LIMITS_H
#define XF_BASE_LIMITS_H

#include <assert.h>

#define XF_WEIGHT_FULL 10000u /* 100.00 %: hundredths of a per cent stay whole */

/* Names and texts. */
#define XF_NAME_BYTES       64u  /* a service or cluster name with its NUL (DESIGN.md section 1) */
#define XF_CUTOVER_ID_BYTES 96u  /* plan name, slash, attempt, NUL */
#define XF_ACTOR_BYTES      128u /* who: uid@host or --actor */
#define XF_REASON_BYTES     256u /* why, as an operator wrote it */
#define XF_SENTENCE_BYTES   512u /* a verdict or a hold in words */

/* One host's configuration. */
#define XF_SERVICES_MAX         64u
#define XF_CLUSTERS_MAX         128u
#define XF_SERVERS_MAX          4096u /* over all clusters */
#define XF_LISTENERS_MAX        64u
#define XF_WORKERS_MAX          128u
#define XF_SERVICE_CLUSTERS_MAX 16u /* clusters that may serve one service */
#define XF_CONFIG_BYTES_MAX     (4u * 1024u * 1024u)
#define XF_YAML_DEPTH_MAX       32u     /* lists and mappings within each other */
#define XF_YAML_ENTRIES_MAX     4096u   /* of one list or mapping */
#define XF_YAML_NODES_MAX       100000u /* of one file */
#define XF_PLAN_BYTES_MAX       (256u * 1024u)
#define XF_PLAN_STEPS_MAX       256u

/* The data path. */
#define XF_HEAD_BYTES_MAX            (256u * 1024u) /* most that limits.head may be set to */
#define XF_HEAD_FIELDS_MAX           1024u          /* most that limits.fields may be set to */
#define XF_READ_BYTES                (256u * 1024u) /* a worker's shared read buffer (SPEED.md 3) */
#define XF_RELAY_BYTES_HIGH          (256u * 1024u) /* stop reading the faster side */
#define XF_RELAY_BYTES_LOW           (64u * 1024u)  /* read it again */
#define XF_CHUNK_EXTENSION_BYTES_MAX 4096u          /* per chunk; they are dropped, not forwarded */
#define XF_CHUNK_EXTENSIONS_FREE     (64u * 1024u) /* of a body, beyond one byte for each of data */
#define XF_TRAILER_BYTES_MAX         (16u * 1024u)
#define XF_INTERIM_MAX               1000u /* 1xx heads before an answer; then it is malformed */
#define XF_QUEUE_MAX                 1024u /* requests of a cluster that wait in one worker */

/* The board. */
#define XF_ROUTE_RECORDS     16u  /* immutable route records a service cycles through */
#define XF_CELLS             64u  /* judge cells a worker keeps per service */
#define XF_CELL_MS           50   /* length of a judge cell */
#define XF_CELL_WEIGHTS      8u   /* weights at dispatch told apart within one cell */
#define XF_HISTOGRAM_BUCKETS 640u /* 16 per octave over 40 octaves: JUDGE.md 2c */

/* Control state. */
#define XF_DOCUMENT_BYTES_MAX (1024u * 1024u)
#define XF_REQUEST_IDS_KEPT   256u
#define XF_PROXIES_MAX        4096u

static_assert(XF_RELAY_BYTES_LOW < XF_RELAY_BYTES_HIGH, "back-pressure needs a gap");
static_assert(XF_HEAD_BYTES_MAX <= XF_READ_BYTES, "a whole head fits the read buffer");
static_assert(XF_ROUTE_RECORDS <= 256, "a record's number has 8 bits in the route word");

#endif
