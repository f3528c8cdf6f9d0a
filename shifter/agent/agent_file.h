/*
 * agent_file.h -- small files in the state directory that are whole or not there.
 */
#ifndef XF_SHIFTER_AGENT_FILE_H
#define XF_SHIFTER_AGENT_FILE_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Reads all of `name`, at most `bytes_max`; *ret is the caller's to free, with a NUL behind its
 * `*ret_length` bytes.  errno is ENOENT where there is no such file. */
XF_NODISCARD int xf_agent_file_read(int dir_fd, const char *name, size_t bytes_max, char **ret,
                                    size_t *ret_length, struct xf_error *err);

/* Writes `name.new`, syncs it, renames it over `name` and syncs the directory.  Blocks. */
XF_NODISCARD int xf_agent_file_replace(int dir_fd, const char *name, const void *bytes,
                                       size_t length, struct xf_error *err);

#endif
