/*
 * fuzz_config.c -- any bytes as a configuration file: told what is wrong with them, or a
 * configuration whose every reference points at something.
 */
#include "fuzz.h"

#include "config/config.h"

#include <sys/mman.h>
#include <unistd.h>

#define SWEEP 48 /* allocations: most files need fewer */

static void check_problems(const struct xf_problems *problems, bool refused)
{
    FUZZ_CHECK(problems->count <= 100);
    FUZZ_CHECK(refused == (problems->errors > 0));
    for (unsigned i = 0; i < problems->count; i++) {
        const struct xf_problem *problem = &problems->items[i];
        FUZZ_CHECK(i == 0 || problem->line >= problem[-1].line);
        for (const char *p = problem->message; *p != '\0'; p++) {
            FUZZ_CHECK((unsigned char) *p >= 0x20 && *p != 0x7f);
        }
    }
}

static void check_service(const struct xf_config *config, unsigned index)
{
    const struct xf_config_service *service = &config->services[index];
    FUZZ_CHECK(xf_config_find_service(config, service->name) == (int) index);
    FUZZ_CHECK(service->clusters_count >= 1);
    FUZZ_CHECK(service->follows < (int) config->services_count);
    FUZZ_CHECK(xf_config_pair(config, index, service->live) >= 0);
    FUZZ_CHECK(strlen(service->digest) == 16);
    FUZZ_CHECK(service->limits.head <= XF_HEAD_BYTES_MAX);
    FUZZ_CHECK(service->limits.fields <= XF_HEAD_FIELDS_MAX);
    FUZZ_CHECK(service->sticky.by != XF_STICKY_HEADER || service->sticky.name != NULL);
    unsigned pairs = 0;
    for (unsigned i = 0; i < config->clusters_count; i++) {
        pairs += xf_config_pair(config, index, i) >= 0;
    }
    FUZZ_CHECK(pairs == service->clusters_count);
    for (unsigned i = 0; i < service->clusters_count; i++) {
        FUZZ_CHECK(xf_config_pair(config, index, service->clusters[i]) ==
                   (int) (service->first_pair + i));
    }
}

static void check_cluster(const struct xf_config *config, unsigned index, unsigned first)
{
    const struct xf_config_cluster *cluster = &config->clusters[index];
    FUZZ_CHECK(xf_config_find_cluster(config, cluster->name) == (int) index);
    FUZZ_CHECK(cluster->first_server == first && cluster->servers_count >= 1);
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        const struct xf_config_server *server = &cluster->servers[i];
        FUZZ_CHECK(server->weight >= 1 && server->weight <= 1000);
        FUZZ_CHECK(server->endpoint.port > 0 && server->endpoint.host[0] != '\0');
        FUZZ_CHECK(server->endpoint.numeric == (server->endpoint.address_bytes > 0));
    }
}

static void check_config(const struct xf_config *config)
{
    unsigned first = 0;
    FUZZ_CHECK(config->workers >= 1 && config->workers <= XF_WORKERS_MAX);
    FUZZ_CHECK(config->listeners_count >= 1 && config->listeners_count <= XF_LISTENERS_MAX);
    for (unsigned i = 0; i < config->listeners_count; i++) {
        FUZZ_CHECK(config->listeners[i].service < config->services_count);
        FUZZ_CHECK(config->listeners[i].bind.numeric);
    }
    for (unsigned i = 0; i < config->services_count; i++) {
        check_service(config, i);
    }
    for (unsigned i = 0; i < config->clusters_count; i++) {
        check_cluster(config, i, first);
        first += config->clusters[i].servers_count;
    }
    FUZZ_CHECK(config->servers_count == first);
    FUZZ_CHECK(config->store.url != NULL && config->store.namespace_name != NULL);
    FUZZ_CHECK(config->store.kind == XF_STORE_SQLITE || config->store.endpoints_count >= 1);
}

/* Read anew while one allocation fails: nothing is asked of it but that it ends. */
static void short_of_one(const char *text, size_t size, size_t which)
{
    struct xf_config *config = NULL;
    struct xf_problems problems;
    fuzz_fail_one(which);
    int result = xf_config_parse("fuzz.yaml", text, size, &config, &problems);
    fuzz_fail_none();
    FUZZ_CHECK((result == 0) == (config != NULL));
    xf_config_destroy(config);
    xf_problems_release(&problems);
}

/* One of its allocations, with every 64th input one after the other. */
static void short_of_memory(const char *text, size_t size, size_t hash)
{
    for (size_t i = 0; i < (hash % 64 == 0 ? SWEEP : 1); i++) {
        short_of_one(text, size, hash + i);
    }
}

/* What is said about a text, as it is printed; the caller frees. */
static char *printed(const struct xf_problems *problems)
{
    char *said = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&said, &length);
    FUZZ_CHECK(stream != NULL);
    xf_problems_print(problems, stream);
    fclose(stream);
    return said;
}

/* The same bytes as a file mean the same. */
static void check_file(const uint8_t *data, size_t size, const struct xf_problems *problems)
{
    static const char path[] = "/proc/self/fd/";
    struct xf_config *config = NULL;
    struct xf_problems again;
    char name[sizeof(path) + 16];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t) size);
    snprintf(name, sizeof(name), "%s%d", path, fd);
    int result = xf_config_read(name, &config, &again);
    close(fd);
    FUZZ_CHECK((result == 0) == (config != NULL));
    again.file = problems->file;
    char *once = printed(problems), *twice = printed(&again);
    FUZZ_CHECK(strcmp(once, twice) == 0);
    free(once);
    free(twice);
    xf_config_destroy(config);
    xf_problems_release(&again);
}

/* What is no file, or too large a one, is one problem. */
static void refuse_files(void)
{
    static const char *const paths[] = {"/nonexistent", "/", "/dev/zero"};
    for (size_t i = 0; i < XF_COUNT(paths); i++) {
        struct xf_config *config = NULL;
        struct xf_problems problems;
        FUZZ_CHECK(xf_config_read(paths[i], &config, &problems) != 0 && problems.count == 1);
        char *said = printed(&problems);
        FUZZ_CHECK(strncmp(said, paths[i], strlen(paths[i])) == 0);
        free(said);
        xf_problems_release(&problems);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool tried;
    if (!tried) {
        tried = true;
        refuse_files();
    }
    struct xf_config *config = NULL;
    struct xf_problems problems;
    char *text = fuzz_exact(data, size);
    fuzz_count_allocations();
    int result = xf_config_parse("fuzz.yaml", text, size, &config, &problems);
    short_of_memory(text, size, fuzz_hash(data, size));
    free(text);
    check_problems(&problems, result != 0);
    if (fuzz_hash(data, size) % 4 == 1) { /* it costs as much as all the rest */
        check_file(data, size, &problems);
    }
    FUZZ_CHECK((result == 0) == (config != NULL));
    if (config != NULL) {
        check_config(config);
        xf_config_destroy(config);
    }
    xf_problems_release(&problems);
    return 0;
}
