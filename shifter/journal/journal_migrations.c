/*
 * journal_migrations.c -- the journal's schema, step by step.
 *
 * A migration that was published is never altered: what comes later is a further entry.  The
 * writer inserts and reads, nothing else: there is no cursor to update, the newest row is the
 * cursor, and it commits with its batch.
 *
 * `traffic` of an entry holds the fleet's counters at that moment; they fall when a proxy begins
 * anew, so that sums are made of the rises alone.
 */
#include "shifter/journal/journal_schema.h"

#include <stddef.h>

static const char first[] =
    "CREATE TABLE crossfade.migration("
    " number int PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE crossfade.log("
    " write_id uuid PRIMARY KEY, installation text NOT NULL, service text NOT NULL,"
    " epoch bigint NOT NULL, generation bigint NOT NULL, revision bigint NOT NULL,"
    " at timestamptz NOT NULL, actor text, verb text, reason text, cutover text, sentence text,"
    " before jsonb, after jsonb, rule text, measured double precision,"
    " \"limit\" double precision, samples_blue bigint, samples_green bigint,"
    " entry json NOT NULL, journalled_at timestamptz NOT NULL DEFAULT now());"
    "CREATE UNIQUE INDEX log_order ON crossfade.log"
    "(installation, service, epoch, generation, revision, write_id);"
    "CREATE INDEX log_at ON crossfade.log(installation, service, at);"
    "CREATE TABLE crossfade.receipt("
    " id uuid PRIMARY KEY, installation text NOT NULL, service text NOT NULL, key text NOT NULL,"
    " sequence int NOT NULL, receiver text NOT NULL, attempt int NOT NULL,"
    " accepted boolean NOT NULL, at timestamptz NOT NULL, sentence text);"
    "CREATE INDEX receipt_key ON crossfade.receipt(key, sequence, at);"
    "COMMENT ON TABLE crossfade.log IS 'every change of crossfade''s control state, once';"
    "COMMENT ON TABLE crossfade.receipt IS 'attempts to deliver a signal, and what came of them';"
    /* Between one change and the next: how long, and what the fleet counted. */
    "CREATE VIEW crossfade.stretches AS"
    " SELECT *, lead(at) OVER w AS until,"
    "  greatest(0, lead(blue_requests) OVER w - blue_requests) AS blue_served,"
    "  greatest(0, lead(blue_errors) OVER w - blue_errors) AS blue_failed,"
    "  greatest(0, lead(green_requests) OVER w - green_requests) AS green_served,"
    "  greatest(0, lead(green_errors) OVER w - green_errors) AS green_failed"
    " FROM (SELECT write_id, installation, service, cutover, epoch, generation, revision, at,"
    "  actor, verb, after->>'state' AS state, (after->>'step')::int AS step,"
    "  (after->>'weight')::float8 AS weight,"
    "  (entry->'traffic'->>'blue_requests')::bigint AS blue_requests,"
    "  (entry->'traffic'->>'blue_errors')::bigint AS blue_errors,"
    "  (entry->'traffic'->>'green_requests')::bigint AS green_requests,"
    "  (entry->'traffic'->>'green_errors')::bigint AS green_errors,"
    "  CASE WHEN json_typeof(entry->'held') = 'array'"
    "   THEN json_array_length(entry->'held') ELSE 0 END AS held"
    "  FROM crossfade.log WHERE cutover <> '') AS l"
    " WINDOW w AS (PARTITION BY installation, service, cutover"
    "  ORDER BY epoch, generation, revision);"
    "CREATE VIEW crossfade.steps AS"
    " SELECT installation, service, cutover, step, min(at) AS began,"
    "  max(coalesce(until, at)) AS ended,"
    "  sum(extract(epoch FROM coalesce(until, at) - at)) AS seconds,"
    "  max(weight) AS weight, count(*) AS changes,"
    "  coalesce(sum(blue_served), 0) AS blue_requests,"
    "  coalesce(sum(blue_failed), 0) AS blue_errors,"
    "  coalesce(sum(green_served), 0) AS green_requests,"
    "  coalesce(sum(green_failed), 0) AS green_errors, sum(held) AS holds"
    " FROM crossfade.stretches WHERE step > 0"
    " GROUP BY installation, service, cutover, step;"
    "CREATE VIEW crossfade.cutovers AS"
    " SELECT s.installation, s.service, s.cutover, s.began, s.ended,"
    "  extract(epoch FROM s.ended - s.began) AS seconds, l.state, s.actor, s.changes,"
    "  s.blue_requests + s.green_requests AS requests,"
    "  s.blue_errors + s.green_errors AS errors,"
    "  s.blue_requests, s.blue_errors, s.green_requests, s.green_errors, s.holds, s.weight_max"
    " FROM (SELECT installation, service, cutover, min(at) AS began, max(at) AS ended,"
    "  count(*) AS changes, coalesce(sum(blue_served), 0) AS blue_requests,"
    "  coalesce(sum(blue_failed), 0) AS blue_errors,"
    "  coalesce(sum(green_served), 0) AS green_requests,"
    "  coalesce(sum(green_failed), 0) AS green_errors, sum(held) AS holds,"
    "  max(weight) AS weight_max,"
    "  (array_agg(actor ORDER BY epoch, generation, revision))[1] AS actor,"
    "  (array_agg(write_id ORDER BY epoch DESC, generation DESC, revision DESC))[1] AS newest"
    "  FROM crossfade.stretches GROUP BY installation, service, cutover) AS s"
    " JOIN crossfade.stretches AS l ON l.write_id = s.newest;"
    /* Rights, where the documented roles exist; others are granted by hand (JOURNAL.md). */
    "DO $$ BEGIN"
    " IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'crossfade_writer') THEN"
    "  GRANT USAGE ON SCHEMA crossfade TO crossfade_writer;"
    "  GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO crossfade_writer;"
    "  GRANT INSERT ON crossfade.log, crossfade.receipt TO crossfade_writer;"
    " END IF;"
    " IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'crossfade_reader') THEN"
    "  GRANT USAGE ON SCHEMA crossfade TO crossfade_reader;"
    "  GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO crossfade_reader;"
    " END IF;"
    "END $$;";

const struct xf_journal_migration xf_journal_migrations[] = {
    {1, "log, receipts, steps and cutovers", first},
    {0, NULL, NULL},
};
