/*
 * cmd_init.h -- `crossfade init`: a commented plan to begin with.
 */
#ifndef XF_SHIFTER_CMD_INIT_H
#define XF_SHIFTER_CMD_INIT_H

/* init canary | init kong --from V --to V [--topology T] [--database clone|shared].  The plan goes
 * to standard output, the configuration it needs to standard error; returns the exit code: 0, 1
 * where Kong has no direct way, 2 for usage. */
int xf_cmd_init(int argc, char **argv);

#endif
