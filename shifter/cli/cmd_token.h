/*
 * cmd_token.h -- `crossfade token add|list|remove`.
 */
#ifndef XF_SHIFTER_CMD_TOKEN_H
#define XF_SHIFTER_CMD_TOKEN_H

int xf_cmd_token(int argc, char **argv);

#endif
