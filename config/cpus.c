/*
 * cpus.c -- how many workers `workers: auto` means.
 */
#include "config/cpus.h"

#include "config/base/check.h"
#include "config/base/limits.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CGROUP_PATH_BYTES 1024

static void close_stream(FILE **stream)
{
    if (*stream != NULL) {
        fclose(*stream);
    }
}

/* The path of this process in the v2 hierarchy: the line that begins with `0::`. */
static bool read_path(const char *self, char out[CGROUP_PATH_BYTES])
{
    XF_CLEANUP(close_stream) FILE *stream = fopen(self, "re");
    char line[CGROUP_PATH_BYTES];
    while (stream != NULL && fgets(line, sizeof(line), stream) != NULL) {
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(out, CGROUP_PATH_BYTES, "%s", line + 3);
            return true;
        }
    }
    return false;
}

/* The quota written in one cpu.max: `200000 100000` is two CPUs, `max 100000` none. */
static unsigned read_quota(const char *root, const char *path)
{
    char file[2 * CGROUP_PATH_BYTES];
    snprintf(file, sizeof(file), "%s%s/cpu.max", root, path);
    XF_CLEANUP(close_stream) FILE *stream = fopen(file, "re");
    unsigned long long quota, period;
    if (stream == NULL || fscanf(stream, "%llu %llu", &quota, &period) != 2 || period == 0) {
        return 0;
    }
    unsigned long long cpus = quota / period + (quota % period != 0 ? 1 : 0);
    return cpus == 0 ? 1 : cpus > XF_WORKERS_MAX ? XF_WORKERS_MAX : (unsigned) cpus;
}

unsigned xf_cpus_quota(const char *self, const char *root)
{
    char path[CGROUP_PATH_BYTES];
    unsigned least = 0;
    if (!read_path(self, path)) {
        return 0;
    }
    for (;;) {
        unsigned quota = read_quota(root, path);
        if (quota > 0 && (least == 0 || quota < least)) {
            least = quota;
        }
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return least;
        }
        *slash = '\0';
    }
}

unsigned xf_cpus_usable(void)
{
    cpu_set_t mask;
    unsigned cpus = 1;
    if (sched_getaffinity(0, sizeof(mask), &mask) == 0) {
        cpus = (unsigned) CPU_COUNT(&mask);
    }
    unsigned quota = xf_cpus_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0 && quota < cpus) {
        cpus = quota;
    }
    return cpus < 1 ? 1 : cpus > XF_WORKERS_MAX ? XF_WORKERS_MAX : cpus;
}
