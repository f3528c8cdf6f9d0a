/*
 * time_limits.h -- timeouts and limits, which the file and each service may set.
 */
#ifndef XF_CONFIG_TIME_LIMITS_H
#define XF_CONFIG_TIME_LIMITS_H

#include "config/yaml.h"

/* Take what `section` sets into *ret.  `pattern` is the section's row in the table (`timeouts` or
 * `services.*.timeouts`); what has neither a value nor a default there keeps what *ret holds, and
 * so a service inherits. */
void xf_read_timeouts(const struct xf_yaml_node *section, const char *pattern,
                      struct xf_config_timeouts *ret);
void xf_read_limits(const struct xf_yaml_node *section, const char *pattern,
                    struct xf_config_limits *ret);

#endif
