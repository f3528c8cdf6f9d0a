/*
 * cmd_db.h -- `crossfade db`: the journal's schema.
 */
#ifndef XF_SHIFTER_CMD_DB_H
#define XF_SHIFTER_CMD_DB_H

int xf_cmd_db(int argc, char **argv);

#endif
