-- Who may do what. Runs last, over everything the extension has made: what is not named here is nobody's but the
-- owner's, whatever default privileges this database has (Supabase's give new functions in public to anon by name).

SET LOCAL search_path = pg_catalog, pg_temp;

-- Rows: the owner's functions see all, a tenant its own and what belongs to nobody.
CREATE POLICY owner ON vyx.tiers TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.tenants TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.traders TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.trader_versions TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.signals TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.epochs TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.published TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.watermarks TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.cycles TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.pending TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.failures TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.resting TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.tallies TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.delivered TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.shadow_signals TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.writer TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.usage TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.reviews TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.retries TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.forgotten TO vyx_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON vyx.chores TO vyx_owner USING (true) WITH CHECK (true);

-- For PUBLIC, not for vyx_user: a role that does not inherit its memberships (Supabase's authenticated) would match no
-- policy otherwise. Who may read at all is decided by the grants below.
CREATE POLICY everybody ON vyx.tiers FOR SELECT USING (true);
CREATE POLICY everybody ON vyx.watermarks FOR SELECT USING (true);
CREATE POLICY everybody ON vyx.cycles FOR SELECT USING (true);
CREATE POLICY own ON vyx.tenants FOR SELECT USING (user_id = (SELECT vyx.uid()));
CREATE POLICY own ON vyx.traders USING (user_id = (SELECT vyx.uid())) WITH CHECK (user_id = (SELECT vyx.uid()));
CREATE POLICY own ON vyx.trader_versions FOR SELECT USING (user_id = (SELECT vyx.uid()));
CREATE POLICY own ON vyx.pending FOR SELECT USING (user_id = (SELECT vyx.uid()));
CREATE POLICY own ON vyx.failures FOR SELECT USING (user_id = (SELECT vyx.uid()));
CREATE POLICY own ON vyx.resting FOR SELECT USING (user_id = (SELECT vyx.uid()));
CREATE POLICY own ON vyx.shadow_signals FOR SELECT USING (user_id = (SELECT vyx.uid()));
CREATE POLICY own ON vyx.signals FOR SELECT USING (user_id = (SELECT vyx.uid()) OR user_id IS NULL);

-- Built-in traders are nobody's rows; this is what everybody may know of them. Not security_invoker, so the script
-- and the row stay hidden.
CREATE VIEW vyx.builtin_traders WITH (security_barrier = true) AS
    SELECT t.id, t.name, t.description, t."interval", t.symbols, t.min_quote_volume_24h, t.fire_on, t.cooldown, t.state
    FROM vyx.traders t WHERE t.user_id IS NULL;
COMMENT ON VIEW vyx.builtin_traders IS 'Traders whose signals everybody sees, without their scripts.';

-- Of the same name and another signature it would be preferred to vyx's own where arguments are unknown literals.
DO $$
DECLARE
    stranger text;
BEGIN
    SELECT p.oid::pg_catalog.regprocedure::text INTO stranger
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = '@extschema@'::pg_catalog.regnamespace
      AND EXISTS (SELECT FROM pg_catalog.pg_proc own
                  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = own.oid AND d.deptype = 'e'
                  JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
                  WHERE own.proname = p.proname AND own.pronamespace = p.pronamespace)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
                      WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'function % has the name of one of vyx and is not of it', stranger
            USING ERRCODE = 'duplicate_function',
                  HINT = 'Drop or rename it, or give vyx a schema in which nobody else creates anything: CREATE EXTENSION vyx SCHEMA ....';
    END IF;
END
$$;

DO $$
DECLARE
    thing record;
    grantee text;
BEGIN
    -- A clean slate: take away what CREATE and default privileges gave. Row types too: a column of one in somebody's own
    -- table would forbid to alter ours. At an update, from what is new alone: the rest has had its rights, and keeps what an
    -- administrator granted since.
    FOR thing IN
        SELECT 'SCHEMA' AS kind, 'vyx' AS name, n.nspacl AS acl, n.nspowner AS owner
        FROM pg_catalog.pg_namespace n
        WHERE n.nspname = 'vyx'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c
                          WHERE c.relnamespace = n.oid AND c.relowner = 'vyx_owner'::pg_catalog.regrole)
        UNION ALL
        SELECT 'TYPE', t.oid::pg_catalog.regtype::text, coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner)), t.typowner
        FROM pg_catalog.pg_type t
        WHERE t.typnamespace = 'vyx'::pg_catalog.regnamespace AND t.typelem = 0
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass AND i.objoid = t.oid)
        UNION ALL
        SELECT 'TABLE', c.oid::pg_catalog.regclass::text, c.relacl, c.relowner
        FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'vyx'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v', 'S')
          AND c.relowner <> 'vyx_owner'::pg_catalog.regrole
        UNION ALL
        SELECT 'ROUTINE', p.oid::pg_catalog.regprocedure::text, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proowner
        FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.objoid = p.oid)
    LOOP
        FOR grantee IN
            SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END
            FROM pg_catalog.aclexplode(thing.acl) a WHERE a.grantee <> thing.owner
        LOOP
            EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM %s', thing.kind, thing.name, grantee);
        END LOOP;
    END LOOP;

    -- Everything in vyx, and every function that runs with more rights than its caller's, belongs to vyx_owner.
    FOR thing IN
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::pg_catalog.regclass::text AS name
        FROM pg_catalog.pg_class c WHERE c.relnamespace = 'vyx'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'ROUTINE', p.oid::pg_catalog.regprocedure::text
        FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        WHERE p.pronamespace = 'vyx'::pg_catalog.regnamespace OR p.prosecdef
    LOOP
        EXECUTE pg_catalog.format('ALTER %s %s OWNER TO vyx_owner', thing.kind, thing.name);
    END LOOP;

    -- The table of roles and functions. A name stands for all functions of that name in vyx or beside vyx_version.
    FOR thing IN
        SELECT p.oid::pg_catalog.regprocedure::text AS name, g.role
        FROM (VALUES
            -- The market is the exchange's, not a tenant's.
            ('PUBLIC', ARRAY['vyx_klines', 'vyx_closes', 'vyx_columns', 'vyx_snapshot', 'vyx_tickers', 'vyx_ticker',
                             'vyx_symbols', 'vyx_series', 'vyx_gaps', 'vyx_version']),
            -- Needed wherever a row is written or a policy looked at.
            ('PUBLIC', ARRAY['uid', 'is_interval', 'is_symbol', 'are_symbols', 'is_finite']),
            ('vyx_user', ARRAY['vyx_validate', 'vyx_values', 'vyx_screen', 'vyx_backtest', 'vyx_backtest_summary', 'vyx_explain',
                               'vyx_indicators', 'vyx_templates', 'vyx_matching', 'vyx_start_trader', 'vyx_stop_trader',
                               'vyx_trader_status', 'set_trader_state']),
            ('vyx_user', ARRAY['vyx_change_trader', 'vyx_shadow_diff', 'vyx_promote_shadow', 'vyx_drop_shadow', 'own_trader',
                               'begin_shadow', 'end_shadow', 'shadow_of']),
            ('vyx_user', ARRAY['vyx_active_traders', 'vyx_usage', 'vyx_retry']),
            ('pg_monitor', ARRAY['vyx_health', 'vyx_metrics', 'vyx_metrics_text', 'vyx_check']),
            -- Signals for who was away; and through whom they are carried.
            ('vyx_user', ARRAY['vyx_signals_since', 'read_cursor']),
            ('pg_monitor', ARRAY['vyx_published', 'unpublished', 'evaluation_state', 'behind']),
            ('vyx_operator', ARRAY['vyx_publish', 'vyx_unpublish', 'vyx_published', 'unpublished', 'is_published', 'check_publication_name',
                                   'publish_as_owner', 'unpublish_as_owner', 'remember_publication', 'forget_publication']),
            ('vyx_operator', ARRAY['vyx_trader_status', 'vyx_active_traders', 'vyx_usage', 'vyx_retry', 'vyx_forget_user', 'maintain']),
            -- Operators have evaluated what is due; what comes of it they cannot make up.
            ('vyx_operator', ARRAY['vyx_health', 'vyx_check', 'vyx_evaluate', 'settle_versions', 'upgrade_programs', 'evaluate_once', 'vyx_schedule',
                                   'vyx_unschedule', 'check_cron', 'cron_command', 'vyx_adopt',
                                   'vyx_pause', 'vyx_resume', '_paused_since'])
        ) AS g(role, functions)
        CROSS JOIN pg_catalog.unnest(g.functions) AS f(name)
        JOIN pg_catalog.pg_proc p ON p.proname = f.name
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        -- What is granted here counts as the extension's own, and with it all that an administrator has granted on the function
        -- since, which pg_dump would leave out from then on: so nothing is granted twice.
        WHERE NOT EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) a
                          WHERE a.privilege_type = 'EXECUTE' AND a.grantee = coalesce(pg_catalog.to_regrole(g.role)::pg_catalog.oid, 0))
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %s', thing.name, thing.role);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA vyx TO vyx_owner, vyx_user, vyx_operator, pg_monitor;

-- Columns one by one: id, user_id, version and last_error are the database's. No TRUNCATE (it passes row level
-- security by), no REFERENCES (a foreign key tells what exists), no TRIGGER (it would run as whoever writes).
GRANT SELECT, DELETE,
      INSERT (user_id, name, description, script, "interval", symbols, min_quote_volume_24h, fire_on, cooldown, max_lag, state),
      UPDATE (name, description, script, "interval", symbols, min_quote_volume_24h, fire_on, cooldown, max_lag, state)
    ON vyx.traders TO vyx_user;
GRANT SELECT ON vyx.trader_versions, vyx.signals, vyx.shadow_signals, vyx.pending, vyx.failures, vyx.resting, vyx.tenants, vyx.tiers, vyx.watermarks,
    vyx.builtin_traders TO vyx_user;
GRANT SELECT ON vyx.cycles, vyx.watermarks TO pg_monitor, vyx_operator;
