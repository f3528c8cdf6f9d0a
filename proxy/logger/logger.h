/*
 * logger.h -- the process that writes, so that no worker ever waits for a disk or a reader.
 *
 * It drains the workers' rings into their edition's sink, and the pipe that carries what the
 * other children say on standard error to the real one.
 */
#ifndef XF_PROXY_LOGGER_H
#define XF_PROXY_LOGGER_H

struct xf_logger_start {
    int channel_fd;  /* to the supervisor */
    int wake_fd;     /* eventfd that workers write */
    int messages_fd; /* read end of the children's standard error */
};

/* Runs until the channel ends and everything is drained; returns the exit code. */
int xf_logger_run(const struct xf_logger_start *start);

#endif
