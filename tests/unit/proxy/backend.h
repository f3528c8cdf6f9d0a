/*
 * backend.h -- a small HTTP/1.1 server for the tests of the data path.
 *
 * One thread per connection, blocking.  The path says what it does:
 *
 *     /len/N      N bytes by length          /chunked/N  N bytes in chunks
 *     /close/N    N bytes, then close        /status/S   status S
 *     /echo       the request's body         /slow/MS    answers after MS milliseconds
 *     /drop       closes without an answer   /half       closes in the middle of its answer
 *     /head       the request's head as the body
 *     /once       closes after its answer without having said so
 *     /reset      half an answer, then a reset
 *     /garbage    what is no answer at all
 *     /early      answers without reading the body
 *     /hints      a 103 before the answer
 *     /upgrade    101, then sends back what it gets
 *     /endless/length, /endless/chunked, /endless/close
 *                 an answer framed like that which begins and does not end
 *
 * Every answer carries X-Name, the backend's name.
 */
#ifndef XF_TEST_BACKEND_H
#define XF_TEST_BACKEND_H

#include <stdatomic.h>
#include <stdbool.h>

struct backend {
    char name[32];
    int listen_fd;
    unsigned short port;
    atomic_uint requests;     /* complete requests read */
    atomic_uint posts;        /* among them with a body method */
    atomic_uint connections;  /* accepted so far */
    atomic_uint open;         /* now */
    atomic_bool silent_close; /* closes idle connections at once, without saying so */
    atomic_bool bad;          /* answers 503 to everything */
};

void backend_listen(struct backend *backend, const char *name); /* bind, no thread yet */
void backend_start(struct backend *backend);                    /* after the worker's fork */
void backend_refuse(struct backend *backend); /* closes the listening socket: connects fail */

#endif
