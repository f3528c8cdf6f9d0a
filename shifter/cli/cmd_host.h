/*
 * cmd_host.h -- the commands that concern this host's files and processes.
 */
#ifndef XF_SHIFTER_CMD_HOST_H
#define XF_SHIFTER_CMD_HOST_H

#define XF_CONFIG_PATH_DEFAULT "/etc/crossfade/crossfade.yaml"

/* cmd_check.c */
int xf_cmd_check(int argc, char **argv);
int xf_cmd_explain(int argc, char **argv);
int xf_cmd_version(int argc, char **argv);

/* cmd_serve.c */
int xf_cmd_serve(int argc, char **argv);
int xf_cmd_proxy(int argc, char **argv);
int xf_cmd_shifter(int argc, char **argv);

/* cmd_reexec.c */
int xf_cmd_reexec(int argc, char **argv);

#endif
