/*
 * controller.h -- the shifter process: the only place that joins clock, store, bus and judge.
 *
 * Leads the services it can get the lease of; everything about one service is a tenure.  Here are
 * the loop, the bus, the deliveries of signals and the log.
 */
#ifndef XF_SHIFTER_CONTROLLER_H
#define XF_SHIFTER_CONTROLLER_H

#include "proxy/proxy.h"

/* An xf_child_main: runs until the supervisor ends it.  Exit 7: the store's file is another
 * process's, or cannot be opened. */
int xf_shifter_main(const struct xf_child_start *start);

#endif
