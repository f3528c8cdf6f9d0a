/*
 * listener_config.h -- a configuration with nothing but addresses, for tests of sockets.
 */
#ifndef XF_TEST_LISTENER_CONFIG_H
#define XF_TEST_LISTENER_CONFIG_H

#include "config/config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct addresses {
    struct xf_config config;
    struct xf_config_listener listeners[4];
    char texts[4][32];
};

/* A port that nobody listens on at this moment. */
static inline uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int failed = bind(fd, (struct sockaddr *) &address, bytes) != 0 ||
                 getsockname(fd, (struct sockaddr *) &address, &bytes) != 0;
    close(fd);
    return failed ? 0 : ntohs(address.sin_port);
}

static inline void addresses_add(struct addresses *addresses, uint16_t port)
{
    unsigned index = addresses->config.listeners_count++;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct xf_endpoint *bind = &addresses->listeners[index].bind;
    snprintf(addresses->texts[index], sizeof(addresses->texts[index]), "127.0.0.1:%u", port);
    bind->text = addresses->texts[index];
    bind->port = port;
    bind->numeric = true;
    bind->address_bytes = sizeof(address);
    memcpy(&bind->address, &address, sizeof(address));
    addresses->config.listeners = addresses->listeners;
}

static inline bool port_answers(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool answers = connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0;
    close(fd);
    return answers;
}

#endif
