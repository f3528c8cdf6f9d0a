/*
 * cmd_verbs.h -- the commands that steer a cutover; each is a line of the table in commands.c.
 */
#ifndef XF_SHIFTER_CMD_VERBS_H
#define XF_SHIFTER_CMD_VERBS_H

int xf_cmd_start(int argc, char **argv);
int xf_cmd_weight(int argc, char **argv);
int xf_cmd_step(int argc, char **argv); /* also `promote` */
int xf_cmd_back(int argc, char **argv);
int xf_cmd_extend(int argc, char **argv);
int xf_cmd_approve(int argc, char **argv);
int xf_cmd_pause(int argc, char **argv);
int xf_cmd_resume(int argc, char **argv);
int xf_cmd_abort(int argc, char **argv);
int xf_cmd_finalize(int argc, char **argv);
int xf_cmd_drain(int argc, char **argv);
int xf_cmd_forget(int argc, char **argv);
int xf_cmd_fence(int argc, char **argv);

/* cmd_show.c */
int xf_cmd_status(int argc, char **argv);
int xf_cmd_why(int argc, char **argv);
int xf_cmd_history(int argc, char **argv);

/* cmd_server.c */
int xf_cmd_server(int argc, char **argv);

/* cmd_watch.c */
int xf_cmd_watch(int argc, char **argv);

/* cmd_wait.c */
int xf_cmd_wait(int argc, char **argv);

#endif
