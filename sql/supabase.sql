-- vyx on a self-hosted Supabase: what its API shows of vyx to signed-in users, and nothing of it to anon.
--
-- Not part of the extension. Run it by hand after CREATE EXTENSION vyx, and again after an update of vyx or a restore:
--
--     psql -U supabase_admin -d postgres -f supabase.sql
--     psql -U supabase_admin -d postgres -c "SET supabase.vyx_broadcast = on" -f supabase.sql      (with broadcasts)
--
-- Browsers then read the views vyx_signals, vyx_traders and vyx_builtin_traders, call the functions of vyx by RPC, and
-- hear of new signals from Realtime once SELECT vyx_publish() has run. For Realtime, which asks row level security on
-- behalf of each subscriber, vyx.jwt_logins must name its login role too:
--
--     ALTER SYSTEM SET vyx.jwt_logins = 'authenticator, supabase_admin, supabase_realtime_admin';
--     SELECT pg_reload_conf();

BEGIN;
SET LOCAL client_min_messages = notice;
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    planted text;
BEGIN
    IF NOT current_setting('is_superuser')::boolean THEN
        RAISE EXCEPTION 'supabase.sql needs a superuser'
            USING ERRCODE = 'insufficient_privilege', HINT = 'On Supabase: psql -U supabase_admin.';
    ELSIF NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'vyx') THEN
        RAISE EXCEPTION 'vyx is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'CREATE EXTENSION vyx.';
    ELSIF to_regrole('authenticated') IS NULL OR to_regrole('anon') IS NULL OR to_regrole('service_role') IS NULL THEN
        RAISE EXCEPTION 'the roles anon, authenticated and service_role are not all there'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'This script is for a database of Supabase.';
    END IF;
    -- Whoever may create in public could have put something of these names there, and would stay its owner.
    SELECT c.oid::regclass::text INTO planted
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
      AND c.relname IN ('vyx_signals', 'vyx_traders', 'vyx_builtin_traders')
      AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = c.relowner);
    IF planted IS NOT NULL THEN
        RAISE EXCEPTION '% is there already and belongs to somebody else', planted
            USING ERRCODE = 'duplicate_object', HINT = 'Drop or rename it.';
    END IF;
    IF NOT string_to_array(replace(current_setting('vyx.jwt_logins', true), ' ', ''), ',')
           @> ARRAY['authenticator', 'supabase_admin'] THEN
        RAISE NOTICE 'Realtime will show tenants no signals of their own: vyx.jwt_logins is "%"', current_setting('vyx.jwt_logins', true)
            USING HINT = 'ALTER SYSTEM SET vyx.jwt_logins = ''authenticator, supabase_admin, supabase_realtime_admin''; SELECT pg_reload_conf().';
    END IF;
END
$$;

-- security_invoker: row level security sees who asks, not who made the view.
CREATE OR REPLACE VIEW public.vyx_signals WITH (security_invoker = true) AS
    SELECT s.id, s.seq, s.trader_id, s.trader_version, s.user_id, s.symbol, s."interval", s.open_time, s.close_time, s.price,
           s.metadata, s.kline_revision, s.engine, s.evaluated_at, s.lag_ms, s.created_at
    FROM vyx.signals s;
COMMENT ON VIEW public.vyx_signals IS 'Signals of one''s own traders and of the built-in ones. Read on with seq=gt.<the last one seen>.';

CREATE OR REPLACE VIEW public.vyx_traders WITH (security_invoker = true) AS
    SELECT t.id, t.user_id, t.name, t.description, t.script, t."interval", t.symbols, t.min_quote_volume_24h, t.fire_on,
           t.cooldown, t.max_lag, t.state, t.version, t.last_error, t.created_at, t.updated_at
    FROM vyx.traders t;
COMMENT ON VIEW public.vyx_traders IS 'One''s own traders: insert, update and delete them here.';

CREATE OR REPLACE VIEW public.vyx_builtin_traders WITH (security_invoker = true) AS
    SELECT b.id, b.name, b.description, b."interval", b.symbols, b.min_quote_volume_24h, b.fire_on, b.cooldown, b.state
    FROM vyx.builtin_traders b;
COMMENT ON VIEW public.vyx_builtin_traders IS 'Traders whose signals everybody sees.';

-- Default privileges have just given all rights on them to anon, authenticated and service_role.
REVOKE ALL ON public.vyx_signals, public.vyx_traders, public.vyx_builtin_traders FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON public.vyx_signals, public.vyx_builtin_traders TO authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.vyx_traders TO authenticated, service_role;

-- authenticated and service_role do not inherit what they are members of: PostgREST has only what is theirs by name. So
-- what vyx_user has is given to them as well, the members of the extension one by one.
GRANT vyx_user TO authenticated, service_role;
GRANT USAGE ON SCHEMA vyx TO authenticated, service_role;
DO $$
DECLARE
    thing record;
BEGIN
    FOR thing IN
        SELECT format('%s ON ROUTINE %s', a.privilege_type, p.oid::regprocedure) AS what
        FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid, aclexplode(p.proacl) a
        WHERE d.deptype = 'e' AND a.grantee = 'vyx_user'::regrole
        UNION ALL
        SELECT format('%s ON TABLE %s', a.privilege_type, c.oid::regclass)
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = 'vyx'::regnamespace AND a.grantee = 'vyx_user'::regrole
        UNION ALL
        SELECT format('%s (%I) ON TABLE %s', a.privilege_type, t.attname, c.oid::regclass)
        FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
        WHERE c.relnamespace = 'vyx'::regnamespace AND a.grantee = 'vyx_user'::regrole
    LOOP
        EXECUTE format('GRANT %s TO authenticated, service_role', thing.what);
    END LOOP;
    -- Realtime looks tables up as itself before it asks as a tenant.
    IF to_regrole('supabase_realtime_admin') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA vyx TO supabase_realtime_admin;
    END IF;
    -- The person at the dashboard.
    IF NOT (SELECT coalesce(bool_or(r.rolsuper), true) FROM pg_roles r WHERE r.rolname = 'postgres') THEN
        GRANT vyx_operator TO postgres;
    END IF;
END
$$;

-- Broadcasts: each signal to the private topic of its owner, vyx:user:<uuid>, or to vyx:all where it is nobody's. They
-- scale with subscribers, where Realtime's changes ask row level security once for each; a batch of 1,000 takes longer to
-- write by some 50 ms.
DROP TRIGGER IF EXISTS broadcast ON vyx.signals;
DROP FUNCTION IF EXISTS vyx.broadcast_signals();
DO $$
BEGIN
    IF coalesce(current_setting('supabase.vyx_broadcast', true), '') NOT IN ('on', 'true', '1') THEN
        RETURN;
    ELSIF to_regprocedure('realtime.send(jsonb,text,text,boolean)') IS NULL OR to_regclass('realtime.messages') IS NULL
          OR to_regprocedure('realtime.topic()') IS NULL THEN
        RAISE NOTICE 'no broadcasts: this version of Realtime has no realtime.send(jsonb, text, text, boolean)'
            USING HINT = 'Start Realtime once, so that it makes its schema, and run this again.';
        RETURN;
    END IF;

    -- Owned by vyx_owner, which may do no more there than send.
    CREATE FUNCTION vyx.broadcast_signals() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    BEGIN
        -- A new version of Realtime must not stop signals.
        IF to_regprocedure('realtime.send(jsonb,text,text,boolean)') IS NOT NULL THEN
            PERFORM realtime.send(to_jsonb(a), 'signal', coalesce('vyx:user:' || a.user_id, 'vyx:all'), true)
            FROM (SELECT n.* FROM added n ORDER BY n.seq) AS a;
        END IF;
        RETURN NULL;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'vyx: signals are not broadcast: %', SQLERRM;
        RETURN NULL;
    END
    $body$;
    COMMENT ON FUNCTION vyx.broadcast_signals() IS 'Sends new signals to the Realtime topics of their owners.';
    REVOKE ALL ON FUNCTION vyx.broadcast_signals() FROM PUBLIC, anon, authenticated, service_role;
    ALTER FUNCTION vyx.broadcast_signals() OWNER TO vyx_owner;
    CREATE TRIGGER broadcast AFTER INSERT ON vyx.signals REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION vyx.broadcast_signals();

    GRANT USAGE ON SCHEMA realtime TO vyx_owner;
    GRANT EXECUTE ON FUNCTION realtime.send(jsonb, text, text, boolean), realtime.topic() TO vyx_owner;
    GRANT INSERT ON realtime.messages TO vyx_owner;
    DROP POLICY IF EXISTS vyx_send ON realtime.messages;
    CREATE POLICY vyx_send ON realtime.messages FOR INSERT TO vyx_owner WITH CHECK (topic ~ '^vyx:(all$|user:)');
    -- Asked when a client joins a topic.
    DROP POLICY IF EXISTS vyx_listen ON realtime.messages;
    CREATE POLICY vyx_listen ON realtime.messages FOR SELECT TO authenticated
        USING (extension = 'broadcast' AND realtime.topic() IN ('vyx:all', 'vyx:user:' || (SELECT vyx.uid())));
END
$$;

COMMIT;
