/*
 * fuzz_document.c -- the control state as the store may hold it after others wrote there, and the
 * snapshot of a proxy: refused with a reason, or written again and read again the same.
 */
#include "fuzz.h"

#include "shifter/agent/agent_snapshot.h"
#include "shifter/plan/document.h"

#include <inttypes.h>
#include <xxhash.h>

static void check_document(const char *text)
{
    struct xf_document *document = NULL, *again = NULL;
    struct xf_error err = {0};
    if (xf_document_read(text, &document, &err) != 0) {
        FUZZ_CHECK(err.message[0] != '\0');
        return;
    }
    FUZZ_CHECK(document->weight <= XF_WEIGHT_FULL && document->state < XF_CUTOVER_STATES);
    FUZZ_CHECK(document->plan == NULL || document->step < (int) document->plan->steps_count);
    FUZZ_CHECK(document->step >= -1 && document->requests_count <= XF_REQUEST_IDS_KEPT);
    char *first = xf_document_write(document);
    if (first != NULL) {
        FUZZ_CHECK(xf_document_read(first, &again, &err) == 0);
        char *second = xf_document_write(again);
        FUZZ_CHECK(second != NULL && strcmp(first, second) == 0);
        free(second);
    }
    free(first);
    xf_document_destroy(again);
    xf_document_destroy(document);
}

/* Read and written anew while one allocation fails: nothing is asked of it but that it ends. */
static void short_of_memory(const char *text, size_t hash)
{
    struct xf_document *document = NULL;
    struct xf_error err = {0};
    fuzz_fail_one(hash);
    if (xf_document_read(text, &document, &err) == 0) {
        free(xf_document_write(document));
    }
    fuzz_fail_none();
    xf_document_destroy(document);
}

/* A snapshot likewise. */
static void snapshot_short_of_memory(const char *text, size_t length, size_t hash)
{
    struct xf_snapshot snapshot = {0};
    struct xf_error err = {0};
    size_t written;
    fuzz_fail_one(hash);
    if (xf_snapshot_parse(text, length, &snapshot, &err) == 0) {
        free(xf_snapshot_format(&snapshot, &written));
        fuzz_fail_none();
        xf_snapshot_release(&snapshot);
    }
    fuzz_fail_none();
}

/* The text as the body of a snapshot whose length and checksum agree. */
static char *wrap(const char *body, size_t length, size_t *ret_length)
{
    struct xf_snapshot empty = {0};
    char *sample = xf_snapshot_format(&empty, ret_length);
    FUZZ_CHECK(sample != NULL);
    size_t magic = strcspn(sample, " ");
    magic += 1 + strcspn(sample + magic + 1, " "); /* its name and its schema */
    char *text = malloc(magic + 64 + length);
    FUZZ_CHECK(text != NULL);
    int head = sprintf(text, "%.*s %zu %016" PRIx64 "\n", (int) magic, sample, length,
                       (uint64_t) XXH3_64bits(body, length));
    memcpy(text + head, body, length);
    free(sample);
    *ret_length = (size_t) head + length;
    return text;
}

/* Usable from the moment it was saved until its age is over, unless its writer left the fleet. */
static void check_age(const struct xf_snapshot *snapshot)
{
    struct xf_error err = {0};
    const int64_t age_ms = 86400000;
    int64_t at_ms = snapshot->saved_ms;
    if (at_ms < INT64_MAX - 2 * age_ms) {
        FUZZ_CHECK(xf_snapshot_usable(snapshot, at_ms + age_ms, age_ms, &err) == !snapshot->left);
        FUZZ_CHECK(!xf_snapshot_usable(snapshot, at_ms + age_ms + 1, age_ms, &err));
        FUZZ_CHECK(err.message[0] != '\0');
    }
}

/* What is written of it is read as the same. */
static void check_snapshot_again(const struct xf_snapshot *snapshot)
{
    struct xf_snapshot again = {0};
    struct xf_error err = {0};
    size_t length, twice_length;
    char *once = xf_snapshot_format(snapshot, &length);
    if (once == NULL) { /* a document that grew past its ceiling */
        return;
    }
    FUZZ_CHECK(xf_snapshot_parse(once, length, &again, &err) == 0);
    char *twice = xf_snapshot_format(&again, &twice_length);
    FUZZ_CHECK(twice != NULL && length == twice_length && memcmp(once, twice, length) == 0);
    xf_snapshot_release(&again);
    free(twice);
    free(once);
}

static void check_snapshot(const char *text, size_t length)
{
    struct xf_snapshot snapshot = {0};
    struct xf_error err = {0};
    if (xf_snapshot_parse(text, length, &snapshot, &err) != 0) {
        FUZZ_CHECK(err.message[0] != '\0');
        return;
    }
    FUZZ_CHECK(snapshot.services_count <= XF_SERVICES_MAX);
    for (unsigned i = 0; i < snapshot.services_count; i++) {
        FUZZ_CHECK(snapshot.services[i].document != NULL);
    }
    check_age(&snapshot);
    check_snapshot_again(&snapshot);
    xf_snapshot_release(&snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    fuzz_count_allocations();
    check_document(text);
    size_t hash = fuzz_hash(data, size);
    short_of_memory(text, hash);
    check_snapshot(text, size);
    size_t length;
    char *wrapped = wrap(text, size, &length), *exact = fuzz_exact(wrapped, length);
    fuzz_count_allocations();
    check_snapshot(exact, length);
    snapshot_short_of_memory(exact, length, hash);
    free(exact);
    free(wrapped);
    free(text);
    return 0;
}
