/*
 * fuzz_message.c -- what leader and agents say to each other, over the bus or by way of Redis: a
 * message is refused, or written again and read again it says the same.
 */
#include "fuzz.h"

#include "shifter/bus/bus_message.h"

static bool is_short; /* of memory: one allocation fails */

#define TWICE(type, name)                                                                          \
    static json_t *again_##name(const json_t *message)                                             \
    {                                                                                              \
        struct xf_message_##type value = {0};                                                      \
        struct xf_error err;                                                                       \
        if (xf_message_##type##_read(message, &value, &err) != 0) {                                \
            return NULL;                                                                           \
        }                                                                                          \
        json_t *made = xf_message_##type##_make(&value);                                           \
        RELEASE_##type(&value);                                                                    \
        FUZZ_CHECK(made != NULL || is_short);                                                      \
        return made;                                                                               \
    }
/* Every cluster is found by its name, and no other. */
static void release_heartbeat(struct xf_message_heartbeat *heartbeat)
{
    for (size_t i = 0; i < heartbeat->clusters_count; i++) {
        const struct xf_message_cluster *found =
            xf_message_cluster_of(heartbeat, heartbeat->clusters[i].name);
        FUZZ_CHECK(found != NULL && strcmp(found->name, heartbeat->clusters[i].name) == 0);
    }
    FUZZ_CHECK(xf_message_cluster_of(heartbeat, "No Name") == NULL);
    xf_message_heartbeat_release(heartbeat);
}
#define RELEASE_heartbeat release_heartbeat
#define RELEASE_samples   xf_message_samples_release
#define RELEASE_command   xf_message_command_release
#define RELEASE_state     (void)
#define RELEASE_offer     (void)
#define RELEASE_reply     (void)
TWICE(heartbeat, heartbeat)
TWICE(samples, samples)
TWICE(command, command)
TWICE(state, state)
TWICE(offer, offer)
TWICE(reply, reply)

static json_t *again_absent(const json_t *message)
{
    char service[XF_NAME_BYTES];
    struct xf_error err;
    return xf_message_absent_read(message, service, &err) == 0 ? xf_message_absent_make(service)
                                                               : NULL;
}

static json_t *again(const json_t *message)
{
    static json_t *(*const readers[])(const json_t *) = {
        [XF_MESSAGE_HEARTBEAT] = again_heartbeat, [XF_MESSAGE_SAMPLES] = again_samples,
        [XF_MESSAGE_COMMAND] = again_command,     [XF_MESSAGE_STATE] = again_state,
        [XF_MESSAGE_REPLY] = again_reply,         [XF_MESSAGE_OFFER] = again_offer,
        [XF_MESSAGE_ABSENT] = again_absent,
    };
    enum xf_message_kind kind;
    return xf_message_kind_of(message, &kind) ? readers[kind](message) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = fuzz_exact(data, size);
    json_t *message = json_loadb(exact, size, JSON_REJECT_DUPLICATES, NULL);
    free(exact);
    fuzz_count_allocations();
    json_t *first = message != NULL ? again(message) : NULL;
    if (first != NULL) { /* what the maker wrote is read, and nothing is lost any more */
        json_t *second = again(first);
        FUZZ_CHECK(second != NULL && json_equal(first, second));
        json_decref(second);
    }
    json_decref(first);
    if (message != NULL) {
        is_short = true;
        fuzz_fail_one(fuzz_hash(data, size));
        json_decref(again(message));
        fuzz_fail_none();
        is_short = false;
    }
    json_decref(message);
    return 0;
}
