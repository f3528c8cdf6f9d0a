/*
 * cmd_plan.h -- `crossfade plan`: what a plan will do, and when.
 */
#ifndef XF_SHIFTER_CMD_PLAN_H
#define XF_SHIFTER_CMD_PLAN_H

/* plan FILE [-c FILE] [--rps N] [-o json] [--socket PATH | --url URL --token-file FILE]; returns
 * the exit code: 0, 1 without memory, 2 for usage, plan and configuration. */
int xf_cmd_plan(int argc, char **argv);

#endif
