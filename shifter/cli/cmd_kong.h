/*
 * cmd_kong.h -- `crossfade kong …`.
 */
#ifndef XF_SHIFTER_CMD_KONG_H
#define XF_SHIFTER_CMD_KONG_H

int xf_cmd_kong(int argc, char **argv);

#endif
