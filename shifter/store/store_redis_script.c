/*
 * store_redis_script.c -- see store_redis_script.h.
 */
#include "shifter/store/store_redis_script.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

/* What every script may use: numbers as digits, and the lease's holder and epoch. */
#define COMMON                                                                                     \
    "local function is_number(s)\n"                                                                \
    "  return type(s) == 'string' and #s < 21 and string.find(s, '^%d+$') ~= nil\n"                \
    "end\n"                                                                                        \
    "local function compare(a, b)\n"                                                               \
    "  if #a ~= #b then return #a < #b and -1 or 1 end\n"                                          \
    "  if a == b then return 0 end\n"                                                              \
    "  return a < b and -1 or 1\n"                                                                 \
    "end\n"                                                                                        \
    "local function leads(key, holder, epoch)\n"                                                   \
    "  local lease = redis.pcall('HMGET', key, 'holder', 'epoch')\n"                               \
    "  return not lease.err and lease[1] == holder and lease[2] == epoch\n"                        \
    "end\n"

/*
 * KEYS: state, log, lease, roster.  ARGV: holder, epoch, expected generation and revision, next
 * generation and revision, write_id, document, entry, time in ms, restored (0 or 1), and the
 * roster's version that must stand (empty: it is not compared; `?`: none is known).
 */
static const char write_text[] = COMMON
    "local holder, epoch, eg, er, ng, nr, id, document, entry, at, restored, roster =\n"
    "  unpack(ARGV)\n"
    "restored = restored == '1'\n"
    "local function compare_places(ag, ar, bg, br)\n"
    "  local order = compare(ag, bg)\n"
    "  if order ~= 0 then return order end\n"
    "  return compare(ar, br)\n"
    "end\n"
    "local se, sg, sr, readable = '0', '0', '0', true\n"
    "local state = redis.pcall('HMGET', KEYS[1], 'epoch', 'generation', 'revision')\n"
    "if state.err then\n"
    "  readable = false\n"
    "elseif state[1] or state[2] or state[3] then\n"
    "  if is_number(state[1]) and is_number(state[2]) and is_number(state[3]) then\n"
    "    se, sg, sr = state[1], state[2], state[3]\n"
    "  else\n"
    "    readable = false\n"
    "  end\n"
    "end\n"
    "local own, tg, tr, log_readable = false, '0', '0', true\n"
    "local top = redis.pcall('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)\n"
    "if top.err then\n"
    "  log_readable = false\n"
    "else\n"
    "  if top[1] then tg, tr = string.match(top[1][1], '^(%d+)-(%d+)$') end\n"
    "  local place = ng .. '-' .. nr\n"
    "  local mine = redis.call('XRANGE', KEYS[2], place, place)[1]\n"
    "  if mine then\n"
    "    for i = 1, #mine[2], 2 do\n"
    "      if mine[2][i] == 'write_id' then own = mine[2][i + 1] == id end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if own and compare_places(sg, sr, ng, nr) >= 0 then\n"
    "  return redis.status_reply('already')\n"
    "end\n"
    "if not leads(KEYS[3], holder, epoch) then return redis.status_reply('FENCED') end\n"
    "if compare(se, epoch) > 0 then return redis.status_reply('EPOCH_BEHIND') end\n"
    "if not restored and not (readable and log_readable) then\n"
    "  return redis.status_reply('UNREADABLE')\n"
    "end\n"
    "if restored then\n"
    "  if not own and compare_places(sg, sr, ng, nr) >= 0 then\n"
    "    return redis.status_reply('STALE')\n"
    "  end\n"
    "elseif compare_places(sg, sr, eg, er) ~= 0 then\n"
    "  return redis.status_reply('STALE')\n"
    "end\n"
    "local own_is_top = own and compare_places(tg, tr, ng, nr) == 0\n"
    "local order = compare_places(tg, tr, sg, sr)\n"
    "if restored then\n"
    "  if not own_is_top and compare_places(tg, tr, ng, nr) >= 0 then\n"
    "    return redis.status_reply('LOG_AHEAD')\n"
    "  end\n"
    "elseif order ~= 0 and not own_is_top then\n"
    "  return redis.status_reply(order > 0 and 'LOG_AHEAD' or 'LOG_BEHIND')\n"
    "end\n"
    "if roster ~= '' then\n"
    "  local members = redis.pcall('HMGET', KEYS[4], 'version')\n"
    "  if members.err or members[1] ~= roster then return redis.status_reply('ROSTER') end\n"
    "end\n"
    "if restored and not log_readable then redis.call('DEL', KEYS[2]) end\n"
    "if restored and not readable then redis.call('DEL', KEYS[1]) end\n"
    "if not own then\n"
    "  local added = redis.pcall('XADD', KEYS[2], ng .. '-' .. nr, 'write_id', id, 'at', at,\n"
    "                            'entry', entry)\n"
    "  if type(added) == 'table' and added.err then\n"
    "    if string.find(added.err, 'equal or smaller') then\n"
    "      return redis.status_reply('LOG_AHEAD')\n"
    "    end\n"
    "    return added\n"
    "  end\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'epoch', epoch, 'generation', ng, 'revision', nr,\n"
    "           'write_id', id, 'doc', document)\n"
    "return redis.status_reply('OK')\n";

/* KEYS: lease, checkpoint.  ARGV: holder, epoch, text. */
static const char checkpoint_text[] =
    COMMON "if not leads(KEYS[1], ARGV[1], ARGV[2]) then return redis.status_reply('FENCED') end\n"
           "redis.call('SET', KEYS[2], ARGV[3])\n"
           "return redis.status_reply('OK')\n";

/* KEYS: lease.  ARGV: holder and beat as seen; holder, epoch and beat to be.  What cannot be read
 * counts as absent: it would keep everybody from leading. */
static const char lease_text[] =
    COMMON "local seen_holder, seen_beat, holder, epoch, beat = unpack(ARGV)\n"
           "local h, e, b = '', '0', '0'\n"
           "local lease = redis.pcall('HMGET', KEYS[1], 'holder', 'epoch', 'beat')\n"
           "if lease.err then\n"
           "  redis.call('DEL', KEYS[1])\n"
           "elseif lease[1] and is_number(lease[2]) and is_number(lease[3]) then\n"
           "  h, e, b = lease[1], lease[2], lease[3]\n"
           "end\n"
           "if h == holder and e == epoch and b == beat then return redis.status_reply('OK') end\n"
           "if h ~= seen_holder or b ~= seen_beat then return redis.status_reply('STALE') end\n"
           "local order = compare(epoch, e)\n"
           "if order < 0 or (order == 0 and holder ~= '' and h ~= holder) then\n"
           "  return redis.status_reply('EPOCH_BEHIND')\n"
           "end\n"
           "redis.call('HSET', KEYS[1], 'holder', holder, 'epoch', epoch, 'beat', beat)\n"
           "return redis.status_reply('OK')\n";

/* KEYS: lease, decommission.  ARGV: holder, epoch, record. */
static const char signal_text[] =
    COMMON "if not leads(KEYS[1], ARGV[1], ARGV[2]) then return redis.status_reply('FENCED') end\n"
           "redis.call('SET', KEYS[2], ARGV[3])\n"
           "redis.call('PUBLISH', KEYS[2], ARGV[3])\n"
           "return redis.status_reply('OK')\n";

/* The same keys and arguments; changes nothing. */
static const char check_signal_text[] =
    COMMON "if not leads(KEYS[1], ARGV[1], ARGV[2]) then return redis.status_reply('FENCED') end\n"
           "local record = redis.pcall('GET', KEYS[2])\n"
           "return redis.status_reply(record == ARGV[3] and 'OK' or 'STALE')\n";

/* The same again: what stands is told on the channel of the key's name. */
static const char announce_text[] =
    COMMON "if not leads(KEYS[1], ARGV[1], ARGV[2]) then return redis.status_reply('FENCED') end\n"
           "local record = redis.pcall('GET', KEYS[2])\n"
           "if record ~= ARGV[3] then return redis.status_reply('STALE') end\n"
           "redis.call('PUBLISH', KEYS[2], record)\n"
           "return redis.status_reply('OK')\n";

/* KEYS: lease, roster.  ARGV: holder, epoch, id.  The mark stays until that proxy joins again. */
static const char forget_text[] =
    COMMON "if not leads(KEYS[1], ARGV[1], ARGV[2]) then return redis.status_reply('FENCED') end\n"
           "local gone = redis.pcall('HDEL', KEYS[2], ARGV[3], 'claim.' .. ARGV[3])\n"
           "if type(gone) == 'table' then return redis.status_reply('OK') end\n"
           "local time = redis.call('TIME')\n"
           "redis.call('HSET', KEYS[2], 'gone.' .. ARGV[3], '1',\n"
           "           'version', time[1] .. '.' .. time[2])\n"
           "return redis.status_reply('OK')\n";

const char *xf_script_text(enum xf_script_name name)
{
    switch (name) {
    case XF_SCRIPT_WRITE:
        return write_text;
    case XF_SCRIPT_CHECKPOINT:
        return checkpoint_text;
    case XF_SCRIPT_LEASE:
        return lease_text;
    case XF_SCRIPT_SIGNAL:
        return signal_text;
    case XF_SCRIPT_CHECK_SIGNAL:
        return check_signal_text;
    case XF_SCRIPT_ANNOUNCE:
        return announce_text;
    case XF_SCRIPT_FORGET:
        return forget_text;
    case XF_SCRIPTS:
        break;
    }
    return "";
}

void xf_script_sha(enum xf_script_name name, char out[XF_SCRIPT_SHA_BYTES])
{
    const char *text = xf_script_text(name);
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *) text, strlen(text), digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}
