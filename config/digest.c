/*
 * digest.c -- XXH3 over a canonical text, so that spelling and order of servers do not matter.
 *
 *     service gateway
 *     cluster kong-30
 *     server [10.0.0.11]:8000 100
 */
#include "config/digest.h"

#include "config/base/text.h"
#include "config/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define TEXT_BYTES_MAX ((size_t) 4 * 1024 * 1024)

/* A server with its address in one spelling: `[::1]:80` also where the file has `[0::1]:80`. */
struct entry {
    char address[XF_HOST_BYTES + 16];
    const struct xf_config_server *server;
};

static void spell(const struct xf_endpoint *endpoint, char out[XF_HOST_BYTES + 16])
{
    char host[XF_HOST_BYTES];
    const void *address = &endpoint->address;
    if (!endpoint->numeric) {
        snprintf(host, sizeof(host), "%s", endpoint->host);
        for (char *p = host; *p != '\0'; p++) {
            *p = (char) tolower((unsigned char) *p);
        }
    } else if (endpoint->address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
    } else {
        const struct sockaddr_in *in = address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
    }
    snprintf(out, XF_HOST_BYTES + 16, "[%s]:%u", host, endpoint->port);
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    return strcmp(a->address, b->address);
}

static bool add_cluster(struct xf_text *text, const struct xf_config_cluster *cluster)
{
    struct entry *sorted = calloc((size_t) cluster->servers_count + 1, sizeof(*sorted));
    if (sorted == NULL) {
        return false;
    }
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        sorted[i].server = &cluster->servers[i];
        spell(&cluster->servers[i].endpoint, sorted[i].address);
    }
    qsort(sorted, cluster->servers_count, sizeof(*sorted), compare_entries);
    xf_text_printf(text, "cluster %s\n", cluster->name);
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        xf_text_printf(text, "server %s %u%s\n", sorted[i].address, sorted[i].server->weight,
                       sorted[i].server->backup ? " backup" : "");
    }
    free(sorted);
    return true;
}

static void write_hash(const struct xf_text *text, char ret[17])
{
    snprintf(ret, 17, "%016llx", (unsigned long long) XXH3_64bits(text->data, text->length));
}

static bool add_follower(struct xf_text *text, const struct xf_config *config,
                         const struct xf_config_service *follower)
{
    bool done = true;
    xf_text_printf(text, "follower %s\n", follower->name);
    for (unsigned i = 0; i < follower->clusters_count && done; i++) {
        done = add_cluster(text, &config->clusters[follower->clusters[i]]);
    }
    return done;
}

bool xf_digest_fill(struct xf_config *config)
{
    struct xf_text whole, one;
    xf_text_init(&whole, TEXT_BYTES_MAX);
    xf_text_init(&one, TEXT_BYTES_MAX);
    bool done = true;
    for (unsigned i = 0; i < config->services_count && done; i++) {
        struct xf_config_service *service = &config->services[i];
        xf_text_clear(&one);
        xf_text_printf(&one, "service %s\n", service->name);
        for (unsigned j = 0; j < service->clusters_count && done; j++) {
            done = add_cluster(&one, &config->clusters[service->clusters[j]]);
        }
        for (unsigned j = 0; j < config->services_count && done; j++) {
            if (config->services[j].follows == (int) i) {
                done = add_follower(&one, config, &config->services[j]);
            }
        }
        write_hash(&one, service->digest);
        xf_text_printf(&whole, "%s %s\n", service->name, service->digest);
        done = done && !one.failed;
    }
    write_hash(&whole, config->digest);
    done = done && !whole.failed;
    xf_text_release(&one);
    xf_text_release(&whole);
    return done;
}
