-- Evaluation on a schedule: one job of pg_cron, an extension that need not be there.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION vyx.check_cron() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home text;
BEGIN
    IF EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_cron') THEN
        IF NOT has_schema_privilege('cron', 'USAGE') THEN
            RAISE EXCEPTION 'permission denied for schema cron'
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('An administrator grants it: GRANT USAGE ON SCHEMA cron TO %I.', current_user);
        END IF;
        RETURN;
    END IF;
    BEGIN
        home := current_setting('cron.database_name', true);
    EXCEPTION WHEN insufficient_privilege THEN
        home := '(setting cron.database_name)';   -- read by superusers and pg_read_all_settings alone
    END;
    RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = CASE
                  WHEN NOT EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'pg_cron')
                      THEN 'Install it (Debian: postgresql-15-cron), or rely on the worker "vyx evaluate" alone.'
                  WHEN home IS NULL
                      THEN 'Add pg_cron to shared_preload_libraries, restart the server, then CREATE EXTENSION pg_cron.'
                  WHEN home = current_database()
                      THEN 'CREATE EXTENSION pg_cron.'
                  ELSE format('It can live in database "%s" alone: SELECT cron.schedule_in_database(''vyx evaluate'', ''* * * * *'', %L, %L) there, or set cron.database_name.',
                              home, vyx.cron_command(), current_database())
              END;
END
$$;
COMMENT ON FUNCTION vyx.check_cron() IS 'Raises, with what to do, 55000 where pg_cron is missing and 42501 where the caller may not use it.';

-- A job starts on the minute and the next one waits for it, so nearly a minute of staying leaves no pause.
CREATE FUNCTION vyx.cron_command() RETURNS text
LANGUAGE sql STABLE
RETURN 'CALL @extschema@.vyx_evaluate(stay => ''59 s'')';
COMMENT ON FUNCTION vyx.cron_command() IS 'What the pg_cron job runs.';

CREATE FUNCTION @extschema@.vyx_schedule() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vyx.check_cron();
    -- Of the same name and user it is replaced, not doubled.
    RETURN cron.schedule('vyx evaluate', '* * * * *', vyx.cron_command());
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_schedule() IS 'Makes the pg_cron job that evaluates traders, as the calling role; returns its id. Again: nothing changes.';

CREATE FUNCTION @extschema@.vyx_unschedule() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed boolean;
BEGIN
    PERFORM vyx.check_cron();
    SELECT coalesce(bool_and(cron.unschedule(j.jobid)), false) INTO removed
        FROM cron.job j WHERE j.jobname = 'vyx evaluate' AND j.username = current_user;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_unschedule() IS 'Removes the job of vyx_schedule(); returns whether there was one.';

SET LOCAL search_path = @extschema@, pg_temp;
