/*
 * journal_receipts.c -- see journal_receipts.h.
 */
#include "shifter/journal/journal_receipts.h"

#include "config/base/text.h"
#include "shifter/gates/gate.h"

#include <stdio.h>
#include <string.h>

#define AT_MS_MAX 253402300799000 /* 9999-12-31: what PostgreSQL takes */

static const char *text_of(const json_t *receipt, const char *key)
{
    const char *text = json_string_value(json_object_get(receipt, key));
    return text != NULL ? text : "";
}

static bool has(const json_t *list, const json_t *receipt)
{
    size_t i;
    json_t *other;
    json_array_foreach(list, i, other)
    {
        if (strcmp(text_of(other, "id"), text_of(receipt, "id")) == 0) {
            return true;
        }
    }
    return false;
}

static bool append(json_t *list, json_t *receipt) /* takes the reference */
{
    if (json_array_size(list) >= XF_JOURNAL_RECEIPTS_MAX) {
        (void) json_array_remove(list, 0);
    }
    return receipt != NULL && json_array_append_new(list, receipt) == 0;
}

bool xf_journal_receipts_add(json_t *list, const struct xf_journal_receipt *receipt)
{
    char id[XF_UUID_TEXT_BYTES];
    char sentence[XF_SENTENCE_BYTES]; /* of a hook's output: any bytes */
    xf_uuid_make(id);
    (void) snprintf(sentence, sizeof(sentence), "%s", receipt->sentence);
    xf_printable(sentence);
    return append(list, json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:b, s:I, s:s}", "id", id,
                                  "service", receipt->service, "key", receipt->key, "sequence",
                                  (int) receipt->sequence, "receiver", receipt->receiver, "attempt",
                                  (int) receipt->attempt, "accepted", receipt->accepted, "at_ms",
                                  (json_int_t) receipt->at_ms, "sentence", sentence));
}

json_t *xf_journal_receipts_of(const json_t *list, const char *service)
{
    json_t *found = json_array();
    size_t i;
    json_t *receipt;
    json_array_foreach(list, i, receipt)
    {
        if (strcmp(text_of(receipt, "service"), service) == 0) {
            (void) json_array_append(found, receipt);
        }
    }
    return found;
}

/* A row that the table would refuse would stop all others. */
static bool is_receipt(const json_t *receipt, const char *service)
{
    const json_t *sequence = json_object_get(receipt, "sequence");
    const json_t *attempt = json_object_get(receipt, "attempt");
    json_int_t at_ms = json_integer_value(json_object_get(receipt, "at_ms"));
    return xf_uuid_valid(text_of(receipt, "id")) &&
           strcmp(text_of(receipt, "service"), service) == 0 &&
           json_is_string(json_object_get(receipt, "key")) &&
           json_is_string(json_object_get(receipt, "receiver")) && json_is_integer(sequence) &&
           json_integer_value(sequence) >= 0 && json_integer_value(sequence) <= INT32_MAX &&
           json_is_integer(attempt) && json_integer_value(attempt) >= 0 &&
           json_integer_value(attempt) <= INT32_MAX &&
           json_is_boolean(json_object_get(receipt, "accepted")) && at_ms > 0 && at_ms <= AT_MS_MAX;
}

void xf_journal_receipts_recall(json_t *list, const char *service, const json_t *kept)
{
    size_t i;
    json_t *receipt;
    json_array_foreach(kept, i, receipt)
    {
        if (is_receipt(receipt, service) && !has(list, receipt)) {
            (void) append(list, json_deep_copy(receipt));
        }
    }
}

void xf_journal_receipts_remove(json_t *list, const json_t *written)
{
    for (size_t i = json_array_size(list); i > 0; i--) {
        if (has(written, json_array_get(list, i - 1))) {
            (void) json_array_remove(list, i - 1);
        }
    }
}
