/*
 * cpus.h -- how many workers `workers: auto` means.
 */
#ifndef XF_CONFIG_CPUS_H
#define XF_CONFIG_CPUS_H

/* CPUs in the affinity mask, capped by the quota of this process's cgroup; at least 1. */
unsigned xf_cpus_usable(void);

/* The quota in whole CPUs, rounded up, of the cgroup named in `self` (as /proc/self/cgroup) and of
 * all those above it, below the folder `root` (as /sys/fs/cgroup).  0: no quota. */
unsigned xf_cpus_quota(const char *self, const char *root);

#endif
