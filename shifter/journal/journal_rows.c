/*
 * journal_rows.c -- see journal_rows.h.
 */
#include "shifter/journal/journal_rows.h"

#include "config/base/text.h"

#include <stdlib.h>
#include <string.h>

const char xf_journal_add_sql[] =
    "WITH given AS (SELECT * FROM json_to_recordset($1::json) AS r(write_id uuid, epoch bigint,"
    " generation bigint, revision bigint, at_ms bigint, announce text, entry json)),"
    " added AS (INSERT INTO crossfade.log(write_id, installation, service, epoch, generation,"
    "  revision, at, actor, verb, reason, cutover, sentence, before, after, rule, measured,"
    "  \"limit\", samples_blue, samples_green, entry)"
    " SELECT write_id, $2, $3, epoch, generation, revision, to_timestamp(at_ms / 1000.0),"
    "  entry->>'actor', entry->>'verb', entry->>'reason', entry->>'cutover', entry->>'sentence',"
    "  entry->'before', entry->'after', entry->'verdict'->>'rule',"
    "  (entry->'verdict'->>'measured')::float8, (entry->'verdict'->>'limit')::float8,"
    "  (entry->'verdict'->>'samples_blue')::bigint, (entry->'verdict'->>'samples_green')::bigint,"
    "  entry FROM given ORDER BY generation, revision"
    " ON CONFLICT (write_id) DO NOTHING RETURNING write_id),"
    " told AS (SELECT pg_notify('crossfade_decommission', announce)::text AS n"
    "  FROM given JOIN added USING (write_id) WHERE announce IS NOT NULL)"
    " SELECT (SELECT count(*) FROM added), (SELECT count(n) FROM told)";

const char xf_journal_receipts_sql[] =
    "INSERT INTO crossfade.receipt(id, installation, service, key, sequence, receiver, attempt,"
    " accepted, at, sentence) SELECT id, $2, service, key, sequence, receiver, attempt, accepted,"
    " to_timestamp(at_ms / 1000.0), sentence FROM json_to_recordset($1::json) AS r(id uuid,"
    " service text, key text, sequence int, receiver text, attempt int, accepted boolean,"
    " at_ms bigint, sentence text) ON CONFLICT (id) DO NOTHING";

const char xf_journal_cursor_sql[] = "SELECT generation, revision, write_id FROM crossfade.log"
                                     " WHERE installation = $1 AND service = $2"
                                     " ORDER BY epoch DESC, generation DESC, revision DESC LIMIT 1";

const char xf_journal_history_sql[] =
    "SELECT generation, revision, write_id, entry FROM (SELECT epoch, generation, revision,"
    " write_id, entry FROM crossfade.log WHERE installation = $1 AND service = $2"
    " AND at >= to_timestamp($3::bigint / 1000.0)"
    " ORDER BY epoch DESC, generation DESC, revision DESC LIMIT $4::bigint) AS newest"
    " ORDER BY epoch, generation, revision";

/* NaN, infinity and what is no number would be refused by the table, and the batch with it. */
static void keep_numbers(json_t *entry)
{
    static const char *const whole[] = {"samples_blue", "samples_green"};
    static const char *const real[] = {"measured", "limit"};
    json_t *verdict = json_object_get(entry, "verdict");
    for (size_t i = 0; i < XF_COUNT(whole); i++) {
        if (!json_is_integer(json_object_get(verdict, whole[i]))) {
            (void) json_object_del(verdict, whole[i]);
        }
    }
    for (size_t i = 0; i < XF_COUNT(real); i++) {
        if (!json_is_number(json_object_get(verdict, real[i]))) {
            (void) json_object_del(verdict, real[i]);
        }
    }
}

static json_t *make_row(const struct xf_store_entry *from, int64_t wall_ms,
                        xf_journal_stands *stands, void *context)
{
    json_t *entry = json_loads(from->entry, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(entry)) {
        json_decref(entry);
        entry = json_pack("{s:s}", "verb", "unreadable");
    }
    int64_t at_ms = wall_ms;
    const char *at = json_string_value(json_object_get(entry, "at"));
    if (at != NULL) {
        (void) xf_parse_time(at, &at_ms);
    }
    keep_numbers(entry);
    const json_t *signal = json_object_get(entry, "signal");
    char *announce =
        json_is_object(signal) && stands(context, signal) ? json_dumps(signal, JSON_COMPACT) : NULL;
    json_t *row =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:s?, s:o}", "write_id", from->write_id, "epoch",
                  (json_int_t) json_integer_value(json_object_get(entry, "epoch")), "generation",
                  (json_int_t) from->generation, "revision", (json_int_t) from->revision, "at_ms",
                  (json_int_t) at_ms, "announce", announce, "entry", entry);
    free(announce);
    return row;
}

char *xf_journal_rows_make(const struct xf_store_entry *entries, size_t count, int64_t wall_ms,
                           xf_journal_stands *stands, void *context, size_t *ret_used)
{
    json_t *rows = json_array();
    size_t used = 0;
    size_t bytes = 0;
    while (used < count && used < XF_JOURNAL_ROWS_MAX && rows != NULL) {
        bytes += strlen(entries[used].entry);
        if (used > 0 && bytes > XF_JOURNAL_BATCH_BYTES_MAX) {
            break;
        }
        /* An id that is none cannot be a key: nothing of ours wrote that entry. */
        if (xf_uuid_valid(entries[used].write_id) &&
            json_array_append_new(rows, make_row(&entries[used], wall_ms, stands, context)) != 0) {
            json_decref(rows);
            return NULL;
        }
        used++;
    }
    char *text = rows != NULL ? json_dumps(rows, JSON_COMPACT) : NULL;
    json_decref(rows);
    *ret_used = used;
    return text;
}
