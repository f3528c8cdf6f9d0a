/*
 * webhook.c -- see webhook.h.
 */
#include "shifter/signal/webhook.h"
#include "shifter/net/http_call.h"

#include "config/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WEBHOOK_MAGIC    0x77656268u
#define ANSWER_BYTES_MAX 65536u

struct xf_webhook {
    unsigned magic;
    struct xf_http_call *call;
    bool (*may_send)(void *context);
    xf_webhook_done *done;
    void *context;
};

static bool ask_may_send(void *context)
{
    struct xf_webhook *webhook = context;
    XF_ASSERT(webhook->magic == WEBHOOK_MAGIC);
    return webhook->may_send == NULL || webhook->may_send(webhook->context);
}

static void got_answer(void *context, const struct xf_http_answer *answer, const char *why)
{
    struct xf_webhook *webhook = context;
    XF_ASSERT(webhook->magic == WEBHOOK_MAGIC);
    char sentence[XF_ERROR_MESSAGE_BYTES];
    bool accepted = answer != NULL && answer->status >= 200 && answer->status < 300;
    if (answer != NULL) {
        snprintf(sentence, sizeof(sentence), "answered %u", answer->status);
    } else {
        snprintf(sentence, sizeof(sentence), "%s", why);
    }
    webhook->done(webhook->context, accepted, sentence);
}

void xf_webhook_sign(const void *secret, size_t secret_bytes, int64_t unix_s, const char *body,
                     char out[XF_WEBHOOK_SIGNATURE_BYTES])
{
    struct xf_text signed_text;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_bytes = 0;
    xf_text_init(&signed_text, strlen(body) + 32);
    xf_text_printf(&signed_text, "%lld.%s", (long long) unix_s, body);
    HMAC(EVP_sha256(), secret, (int) secret_bytes, (const unsigned char *) signed_text.data,
         signed_text.length, digest, &digest_bytes);
    xf_text_release(&signed_text);
    int length = snprintf(out, XF_WEBHOOK_SIGNATURE_BYTES, "t=%lld,v1=", (long long) unix_s);
    for (unsigned i = 0; i < digest_bytes; i++) {
        length +=
            snprintf(out + length, XF_WEBHOOK_SIGNATURE_BYTES - (size_t) length, "%02x", digest[i]);
    }
}

/* Appends the signature's line to `headers`. */
static int add_signature(const struct xf_clock *clock, const struct xf_config_webhook *webhook,
                         const char *body, struct xf_text *headers, struct xf_error *err)
{
    char secret[XF_WEBHOOK_SECRET_BYTES + 1];
    int fd = open(webhook->secret_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd >= 0 ? read(fd, secret, sizeof(secret)) : -1;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (got < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "webhook %s: secret %s: %s", webhook->name,
                       webhook->secret_file, strerror(why));
    }
    while (got > 0 && (secret[got - 1] == '\n' || secret[got - 1] == '\r')) {
        got--;
    }
    if (got == 0 || (size_t) got > XF_WEBHOOK_SECRET_BYTES) {
        return XF_FAIL(err, XF_E_CONFIG, "webhook %s: secret %s is empty or too large",
                       webhook->name, webhook->secret_file);
    }
    char signature[XF_WEBHOOK_SIGNATURE_BYTES];
    xf_webhook_sign(secret, (size_t) got, xf_clock_wall_ms(clock) / 1000, body, signature);
    OPENSSL_cleanse(secret, sizeof(secret));
    xf_text_printf(headers, "X-Crossfade-Signature: %s\r\n", signature);
    return 0;
}

int xf_webhook_post(struct event_base *loop, const struct xf_clock *clock,
                    const struct xf_config_webhook *webhook, const char *body,
                    bool (*may_send)(void *context), xf_webhook_done *done, void *context,
                    struct xf_webhook **ret, struct xf_error *err)
{
    XF_CLEANUP(xf_text_release) struct xf_text headers;
    xf_text_init(&headers, 512);
    xf_text_puts(&headers, "Content-Type: application/json\r\n");
    if (webhook->secret_file != NULL && add_signature(clock, webhook, body, &headers, err) != 0) {
        return -1;
    }
    struct xf_webhook *post = calloc(1, sizeof(*post));
    if (post == NULL || headers.failed) {
        free(post);
        return XF_FAIL(err, XF_E_NO_MEMORY, "webhook %s: out of memory", webhook->name);
    }
    *post = (struct xf_webhook){
        .magic = WEBHOOK_MAGIC, .may_send = may_send, .done = done, .context = context};
    struct xf_http_call_options options = {.method = "POST",
                                           .url = webhook->url,
                                           .headers = headers.data,
                                           .body = body,
                                           .body_bytes = strlen(body),
                                           .timeout_ms = XF_WEBHOOK_TIMEOUT_MS,
                                           .answer_bytes_max = ANSWER_BYTES_MAX,
                                           .may_send = ask_may_send};
    if (xf_http_call_start(loop, &options, got_answer, post, &post->call, err) != 0) {
        free(post);
        return -1;
    }
    *ret = post;
    return 0;
}

void xf_webhook_destroy(struct xf_webhook *webhook)
{
    if (webhook != NULL) {
        xf_http_call_destroy(webhook->call);
        free(webhook);
    }
}
