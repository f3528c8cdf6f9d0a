/*
 * resp_reader.h -- hiredis' reader with bounds; for resp.c and its tests.
 *
 * The packaged reader allocates what an array's header promises.  Here the elements of one answer
 * are counted over all its arrays, and what is buffered of an answer that is not yet whole is
 * bounded, so a hostile answer costs little and ends the connection.
 */
#ifndef XF_SHIFTER_RESP_READER_H
#define XF_SHIFTER_RESP_READER_H

#include "config/base/check.h"

#include <stdbool.h>
#include <stddef.h>

#include <hiredis/hiredis.h>

struct xf_resp_reader;

XF_NODISCARD struct xf_resp_reader *xf_resp_reader_create(void);
void xf_resp_reader_destroy(struct xf_resp_reader *reader); /* accepts NULL */
/* False: out of memory, or too much is buffered. */
XF_NODISCARD bool xf_resp_reader_feed(struct xf_resp_reader *reader, const char *bytes,
                                      size_t length);
enum xf_resp_read { XF_RESP_MORE, XF_RESP_REPLY, XF_RESP_BROKEN };
/* The next whole answer, which the caller frees with freeReplyObject. */
enum xf_resp_read xf_resp_reader_next(struct xf_resp_reader *reader, redisReply **ret);
const char *xf_resp_reader_why(const struct xf_resp_reader *reader); /* after BROKEN or feed */

#endif
