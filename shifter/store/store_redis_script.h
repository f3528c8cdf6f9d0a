/*
 * store_redis_script.h -- the scripts that change anything in Redis; for store_redis*.c and
 * bus_redis*.c only.
 *
 * Each runs as one step at the server.  Numbers are compared as strings of digits: Lua's own are
 * doubles.  An answer is a status with the name of xf_store_result_name.
 */
#ifndef XF_SHIFTER_STORE_REDIS_SCRIPT_H
#define XF_SHIFTER_STORE_REDIS_SCRIPT_H

#define XF_SCRIPT_SHA_BYTES 41

enum xf_script_name {
    XF_SCRIPT_WRITE,
    XF_SCRIPT_CHECKPOINT,
    XF_SCRIPT_LEASE,
    XF_SCRIPT_SIGNAL,
    XF_SCRIPT_CHECK_SIGNAL,
    XF_SCRIPT_ANNOUNCE,
    XF_SCRIPT_FORGET,
    XF_SCRIPTS
};

/* The commands that store and bus use, as ACL SETUSER takes them: nothing else is needed. */
#define XF_REDIS_RIGHTS                                                                            \
    "-@all +auth +client|setname +role +select +time +get +set +del +hmget +hgetall +hset +hdel "  \
    "+xadd +xread +xrange +xrevrange +xtrim +eval +evalsha +publish +wait +info"

const char *xf_script_text(enum xf_script_name name);
/* The SHA-1 by which EVALSHA knows it. */
void xf_script_sha(enum xf_script_name name, char out[XF_SCRIPT_SHA_BYTES]);

#endif
