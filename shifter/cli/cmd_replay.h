/*
 * cmd_replay.h -- `crossfade replay`: what would the guard have said?
 */
#ifndef XF_SHIFTER_CMD_REPLAY_H
#define XF_SHIFTER_CMD_REPLAY_H

/* TRACE --schedule "0:0;10000:0.01" [--blue NAME --green NAME] [key=value …] [-o json].  argv[0] is
 * the command's name; returns the exit code: 0, 1, or 2 for usage and files that cannot be read. */
int xf_cmd_replay(int argc, char **argv);

#endif
