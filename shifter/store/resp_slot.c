/*
 * resp_slot.c -- see resp_slot.h.
 */
#include "shifter/store/resp_slot.h"

#include "config/base/text.h"

#include <string.h>

#define OWN_KEYS "cf:{" /* how every key of ours begins (store_redis_reply.h) */

/* CRC-16/XMODEM, as the cluster's specification wants it. */
static unsigned crc16(const char *bytes, size_t length)
{
    unsigned crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned) (unsigned char) bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = ((crc & 0x8000u) != 0 ? (crc << 1) ^ 0x1021u : crc << 1) & 0xffffu;
        }
    }
    return crc;
}

int xf_resp_slot(const char *key)
{
    const char *open = strchr(key, '{');
    const char *end = open != NULL ? strchr(open, '}') : NULL;
    bool tagged = end != NULL && end > open + 1;
    unsigned crc = tagged ? crc16(open + 1, (size_t) (end - open - 1)) : crc16(key, strlen(key));
    return (int) (crc % XF_RESP_SLOTS);
}

/* A key of ours stands before anything that is written there. */
int xf_resp_slot_of(size_t count, const char *const *arguments)
{
    for (size_t i = 1; i < count; i++) {
        if (strncmp(arguments[i], OWN_KEYS, strlen(OWN_KEYS)) == 0) {
            return xf_resp_slot(arguments[i]);
        }
    }
    return XF_RESP_NO_SLOT;
}

static bool begins(const redisReply *reply, const char *with)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, with, strlen(with)) == 0;
}

/* `MOVED 12182 10.0.0.3:6379`; the port stands behind the last colon, the host may have some. */
bool xf_resp_redirect_read(const redisReply *reply, struct xf_resp_redirect *ret)
{
    bool ask = begins(reply, "ASK ");
    if (!ask && !begins(reply, "MOVED ")) {
        return false;
    }
    char words[XF_RESP_NODE_HOST_BYTES + 32];
    const char *text = strchr(reply->str, ' ') + 1;
    if (strlen(text) >= sizeof(words)) {
        return false;
    }
    memcpy(words, text, strlen(text) + 1);
    char *space = strchr(words, ' ');
    char *colon = strrchr(words, ':');
    if (space == NULL || colon == NULL || colon < space) {
        return false;
    }
    *space = '\0';
    *colon = '\0';
    const char *host = space + 1;
    uint64_t slot, port;
    if (!xf_parse_uint(words, XF_RESP_SLOTS - 1, &slot) ||
        !xf_parse_uint(colon + 1, 65535, &port) || port == 0 || strlen(host) >= sizeof(ret->host) ||
        strchr(host, '/') != NULL || strcmp(host, "?") == 0) {
        return false; /* a path would be a unix socket; `?`: the cluster knows no name of it */
    }
    *ret = (struct xf_resp_redirect){.ask = ask, .slot = (int) slot, .port = (uint16_t) port};
    memcpy(ret->host, host, strlen(host) + 1);
    return true;
}

bool xf_resp_unavailable(const redisReply *reply)
{
    return begins(reply, "CLUSTERDOWN ") || begins(reply, "TRYAGAIN ") || begins(reply, "MOVED ") ||
           begins(reply, "ASK ");
}
