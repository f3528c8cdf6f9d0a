/*
 * sample_config.h -- a small configuration made by hand, for tests of the board.
 *
 * Two services over three clusters; `gateway` may use web-v1 and web-v2, `admin` only tools.
 */
#ifndef XF_TEST_SAMPLE_CONFIG_H
#define XF_TEST_SAMPLE_CONFIG_H

#include "config/config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define SAMPLE_TEXT(literal) ((char *) (uintptr_t) (literal)) /* never written */

struct sample {
    struct xf_config config;
    struct xf_config_service services[2];
    struct xf_config_cluster clusters[3];
    struct xf_config_server servers[4];
};

static inline void sample_server(struct xf_config_server *server, char *text, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server->endpoint.text = text;
    server->endpoint.port = port;
    server->endpoint.numeric = true;
    server->endpoint.address_bytes = sizeof(address);
    memcpy(&server->endpoint.address, &address, sizeof(address));
    server->weight = 100;
}

static inline void sample_init(struct sample *sample)
{
    memset(sample, 0, sizeof(*sample));
    sample_server(&sample->servers[0], SAMPLE_TEXT("127.0.0.1:1001"), 1001);
    sample_server(&sample->servers[1], SAMPLE_TEXT("127.0.0.1:1002"), 1002);
    sample_server(&sample->servers[2], SAMPLE_TEXT("127.0.0.1:1003"), 1003);
    sample_server(&sample->servers[3], SAMPLE_TEXT("127.0.0.1:1004"), 1004);
    sample->clusters[0] = (struct xf_config_cluster){.name = SAMPLE_TEXT("web-v1"),
                                                     .index = 0,
                                                     .servers = &sample->servers[0],
                                                     .servers_count = 2};
    sample->clusters[1] = (struct xf_config_cluster){.name = SAMPLE_TEXT("web-v2"),
                                                     .index = 1,
                                                     .servers = &sample->servers[2],
                                                     .servers_count = 1,
                                                     .first_server = 2};
    sample->clusters[2] = (struct xf_config_cluster){.name = SAMPLE_TEXT("tools"),
                                                     .index = 2,
                                                     .servers = &sample->servers[3],
                                                     .servers_count = 1,
                                                     .first_server = 3};
    sample->services[0] = (struct xf_config_service){.name = SAMPLE_TEXT("gateway"),
                                                     .index = 0,
                                                     .clusters = {0, 1},
                                                     .clusters_count = 2,
                                                     .follows = -1};
    sample->services[1] = (struct xf_config_service){.name = SAMPLE_TEXT("admin"),
                                                     .index = 1,
                                                     .clusters = {2},
                                                     .clusters_count = 1,
                                                     .follows = -1,
                                                     .first_pair = 2};
    sample->config.services = sample->services;
    sample->config.services_count = 2;
    sample->config.clusters = sample->clusters;
    sample->config.clusters_count = 3;
    sample->config.servers_count = 4;
    sample->config.pairs_count = 3;
}

#endif
