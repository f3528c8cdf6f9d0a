-- Roles of crossfade's journal.  Run once, as a superuser or as who may create roles, in the
-- database that `journal.url` names:
--
--     psql -d crossfade -f journal_roles.sql
--
-- Then give each of them to a login role of your own:
--
--     CREATE ROLE crossfade LOGIN PASSWORD '...' IN ROLE crossfade_writer;   -- journal.url
--     CREATE ROLE jane LOGIN PASSWORD '...' IN ROLE crossfade_owner;         -- db migrate --user jane
--     CREATE ROLE grafana LOGIN PASSWORD '...' IN ROLE crossfade_reader;
--
-- owner:  has the schema and its tables; only `crossfade db migrate` needs it.
-- writer: adds rows and reads them; it can neither change nor delete one.
-- reader: reads.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['crossfade_owner', 'crossfade_writer', 'crossfade_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$$;
CREATE SCHEMA IF NOT EXISTS crossfade AUTHORIZATION crossfade_owner;
GRANT USAGE ON SCHEMA crossfade TO crossfade_writer, crossfade_reader;
