/*
 * bus_kinds.h -- what the two buses put behind bus.h; for bus*.c only.
 */
#ifndef XF_SHIFTER_BUS_KINDS_H
#define XF_SHIFTER_BUS_KINDS_H

#include "shifter/bus/bus.h"

struct xf_bus_leader { /* first member of each kind's own */
    void (*publish)(struct xf_bus_leader *bus, json_t *message);
    void (*destroy)(struct xf_bus_leader *bus);
};
struct xf_bus_agent {
    bool (*send)(struct xf_bus_agent *bus, json_t *message);
    void (*destroy)(struct xf_bus_agent *bus);
};

XF_NODISCARD int xf_bus_local_lead(const struct xf_config *config, struct event_base *loop,
                                   const struct xf_bus_leader_calls *calls,
                                   struct xf_bus_leader **ret, struct xf_error *err);
XF_NODISCARD int xf_bus_local_follow(const struct xf_config *config, struct event_base *loop,
                                     const struct xf_bus_agent_calls *calls,
                                     struct xf_bus_agent **ret, struct xf_error *err);
XF_NODISCARD int xf_bus_redis_lead(const struct xf_config *config, struct event_base *loop,
                                   const struct xf_bus_leader_calls *calls,
                                   struct xf_bus_leader **ret, struct xf_error *err);
XF_NODISCARD int xf_bus_redis_follow(const struct xf_config *config, struct event_base *loop,
                                     const struct xf_bus_agent_calls *calls,
                                     struct xf_bus_agent **ret, struct xf_error *err);

/* The address of the socket in `state_dir`, however long that path is: through the descriptor of
 * the folder, which the caller closes when the address has been used.  -1 with errno. */
struct sockaddr_un;
int xf_bus_local_address(const char *state_dir, struct sockaddr_un *ret);
/* Whether the process at the other end is ours: the same user, or root. */
bool xf_bus_local_trusted(int fd);

/* What goes out instead of a reply that is too large; NULL: `message` is no reply. */
json_t *xf_bus_too_large(const json_t *message);
/* The encoded frame; a message that is too long becomes a reply that says so, where it is a
 * reply, else NULL. */
char *xf_bus_encode(json_t *message, size_t *ret_length);

#endif
