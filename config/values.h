/*
 * values.h -- single values as people write them, and whether they fit their key.
 */
#ifndef XF_CONFIG_VALUES_H
#define XF_CONFIG_VALUES_H

#include "config/config.h"
#include "config/keys.h"

#include <stdbool.h>

bool xf_value_bool(const char *text, bool *ret);
bool xf_value_network(const char *text, struct xf_config_network *ret); /* host bits must be 0 */
bool xf_value_statuses(const char *text, unsigned *ret_low, unsigned *ret_high);
bool xf_value_rate(const char *text, double *ret_per_second); /* 20/s 90/m 10/h */
bool xf_value_token(const char *text);                        /* RFC 9110 5.6.2 */
/* Position of `text` among the words of `range` (`a|b|c`), or -1. */
int xf_value_choice(const char *range, const char *text);

#define XF_VALUE_WHY_BYTES 320
/* Whether `text` is of the key's type and range.  False: `why` says what is wrong with it.
 * Files are not opened here. */
bool xf_value_fits(const struct xf_key *key, const char *text, bool quoted,
                   char why[XF_VALUE_WHY_BYTES]);

#endif
