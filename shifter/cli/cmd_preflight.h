/*
 * cmd_preflight.h -- `crossfade preflight PLAN`.
 */
#ifndef XF_SHIFTER_CMD_PREFLIGHT_H
#define XF_SHIFTER_CMD_PREFLIGHT_H

int xf_cmd_preflight(int argc, char **argv);

#endif
