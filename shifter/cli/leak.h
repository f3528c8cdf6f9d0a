/*
 * leak.h -- how many requests fail before the guard acts, foretold with the live detectors.
 *
 * Pure.  A fault that begins with a step is fed to a detector as it would come in, evenly, until it
 * alarms; what failed on green by then is the answer.  One that begins late in a step may cost
 * twice as much, and luck adds to either: these are magnitudes, not bounds.
 */
#ifndef XF_SHIFTER_LEAK_H
#define XF_SHIFTER_LEAK_H

#include "shifter/judge/judge.h"

#define XF_LEAK_UNKNOWN (-1.0) /* no rate was given, or this comparison never alarms */

/* Green fails every request at `green_rps` requests a second. */
double xf_leak_all(const struct xf_judge *judge, double rho, double green_rps);
/* Green fails `ratio` times as often as blue, whose errors come one by one. */
double xf_leak_ratio(const struct xf_judge *judge, double rho, double ratio);

#endif
