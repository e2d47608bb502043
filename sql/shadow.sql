-- A version that runs beside the one in force and delivers nothing, so that a change can be watched before it counts.
--
-- A shadow is a row of vyx.trader_versions like any other, evaluated by the same engine at the same closes; what it fires
-- goes to vyx.shadow_signals. A trader has at most one; it ends when the trader is changed, stopped or deleted.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION vyx.own_trader(trader uuid) RETURNS vyx.traders
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one vyx.traders;
BEGIN
    IF trader IS NULL THEN
        RAISE EXCEPTION 'argument "id" must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a trader''s id.';
    END IF;
    SELECT t.* INTO found_one FROM vyx.traders t WHERE t.id = trader;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no trader "%"', trader
            USING ERRCODE = 'undefined_object', HINT = 'SELECT id, name FROM vyx.traders lists yours.';
    END IF;
    RETURN found_one;
END
$$;
COMMENT ON FUNCTION vyx.own_trader(uuid) IS 'The row of a trader that the caller may see; 42704 where there is none.';

-- The doors below run as their callers, who may call these two as well: so they look for themselves whose trader it is. A
-- built-in one is everybody's to see, and only a superuser's to change.
CREATE FUNCTION vyx.begin_shadow(trader uuid, its_script text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at constant timestamptz := vyx.effective_now();
    beside vyx.trader_versions;
    program json;
    its_cost bigint;
    number bigint;
BEGIN
    PERFORM vyx.end_shadow(trader);
    SELECT v.* INTO beside FROM vyx.traders t
        JOIN vyx.trader_versions v ON v.trader_id = t.id AND v.version = t.version AND v.asked_to IS NULL AND v.effective_to IS NULL
        WHERE t.id = trader AND t.state = 'running';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'trader "%" does not run, so nothing can run beside it', trader
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Start it first: SELECT vyx_start_trader(%L). Or change it without shadow.', trader);
    END IF;
    program := vyx._compile(its_script, beside."interval");
    -- Evaluated at every close as the one beside it is, so it is paid for.
    its_cost := json_array_length(program -> 'nodes') * coalesce(cardinality(beside.symbols), vyx._tracked_symbols());
    PERFORM vyx.check_quota(t, its_cost) FROM vyx.traders t WHERE t.id = trader;
    SELECT max(v.version) + 1 INTO number FROM vyx.trader_versions v WHERE v.trader_id = trader;
    INSERT INTO vyx.trader_versions (trader_id, version, user_id, script, program, "interval", symbols, min_quote_volume_24h,
                                     fire_on, cooldown, max_lag, shadow, cost, lane, asked_from)
    VALUES (trader, number, beside.user_id, its_script, program, beside."interval", beside.symbols, beside.min_quote_volume_24h,
            beside.fire_on, beside.cooldown, beside.max_lag, true, its_cost, beside.lane, at);
    RETURN number;
END
$$;
COMMENT ON FUNCTION vyx.begin_shadow(uuid, text) IS
    'Begins a shadow of a running trader of the caller, in the place of the one it may have; returns its version.';

CREATE FUNCTION vyx.end_shadow(trader uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Locked like a row that is changed: two who do this at once do it one after the other.
    PERFORM FROM vyx.traders t
        WHERE t.id = trader AND (t.user_id = vyx.uid() OR vyx.may_build_in()) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'trader "%" is not yours', trader
            USING ERRCODE = 'insufficient_privilege', HINT = 'Insert a trader of your own.';
    END IF;
    UPDATE vyx.trader_versions v SET asked_to = vyx.effective_now()
        WHERE v.trader_id = trader AND v.shadow AND v.asked_to IS NULL AND v.effective_to IS NULL;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION vyx.end_shadow(uuid) IS 'Asks for the end of the shadow of a trader of the caller; returns whether there was one.';

CREATE FUNCTION @extschema@.vyx_change_trader(id uuid, script text, shadow boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trader constant vyx.traders := vyx.own_trader(vyx_change_trader.id);
    number bigint;
BEGIN
    IF script IS NULL OR shadow IS NULL THEN
        RAISE EXCEPTION 'arguments "script" and "shadow" must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Give the whole new script.';
    END IF;
    IF shadow THEN
        RETURN vyx.begin_shadow(trader.id, script);
    END IF;
    UPDATE vyx.traders t SET script = vyx_change_trader.script WHERE t.id = vyx_change_trader.id RETURNING t.version INTO number;
    RETURN number;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_change_trader(uuid, text, boolean) IS
    'Gives a trader another script from the next close on; with shadow => true the new one runs beside the old one and delivers nothing. Returns the number of the new version.';

CREATE FUNCTION vyx.shadow_of(trader uuid) RETURNS vyx.trader_versions
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest vyx.trader_versions;
BEGIN
    SELECT v.* INTO newest FROM vyx.trader_versions v WHERE v.trader_id = trader AND v.shadow ORDER BY v.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'trader "%" has no shadow', trader
            USING ERRCODE = 'undefined_object', HINT = 'SELECT vyx_change_trader(id, script, shadow => true) begins one.';
    END IF;
    RETURN newest;
END
$$;
COMMENT ON FUNCTION vyx.shadow_of(uuid) IS 'The newest shadow of a trader, in force or ended; 42704 where there never was one.';

-- Only closes that both have evaluated are compared: from when both are in force, up to where every series of the interval
-- has come.
CREATE FUNCTION @extschema@.vyx_shadow_diff(
    id uuid, OUT symbol text, OUT close_time timestamptz, OUT fired_by text, OUT price float8, OUT metadata jsonb, OUT shadow_metadata jsonb
) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    trader constant vyx.traders := vyx.own_trader(vyx_shadow_diff.id);
    other constant vyx.trader_versions := vyx.shadow_of(vyx_shadow_diff.id);
    until_then timestamptz;
BEGIN
    SELECT least(min(w.evaluated_through), other.effective_to - interval '1 millisecond') INTO until_then
        FROM vyx.watermarks w WHERE w."interval" = other."interval" AND w.lane = other.lane;
    RETURN QUERY
        SELECT coalesce(c.symbol, s.symbol), coalesce(c.close_time, s.close_time),
               CASE WHEN s.id IS NULL THEN 'current' WHEN c.id IS NULL THEN 'shadow' ELSE 'both' END,
               coalesce(c.price, s.price), c.metadata, s.metadata
        FROM (SELECT n.* FROM vyx.signals n WHERE n.trader_id = other.trader_id) AS c
        FULL JOIN (SELECT n.* FROM vyx.shadow_signals n
                   WHERE n.trader_id = other.trader_id AND n.trader_version = other.version) AS s
            ON s.symbol = c.symbol AND s.close_time = c.close_time
        WHERE coalesce(c.close_time, s.close_time) BETWEEN other.effective_from AND until_then
          AND (c.id IS NULL OR s.id IS NULL OR c.metadata IS DISTINCT FROM s.metadata)
        ORDER BY 2, 1;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_shadow_diff(uuid) IS
    'Where a trader and its shadow differ since the shadow began: who fired (current, shadow, or both with other metadata), oldest first. No rows: no difference so far.';

CREATE FUNCTION @extschema@.vyx_promote_shadow(id uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other constant vyx.trader_versions := vyx.shadow_of((vyx.own_trader(vyx_promote_shadow.id)).id);
BEGIN
    IF other.effective_to IS NOT NULL OR other.asked_to IS NOT NULL THEN
        RAISE EXCEPTION 'the shadow of trader "%" has ended', vyx_promote_shadow.id
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'The trader was changed or stopped since. Begin another: vyx_change_trader(id, script, shadow => true).';
    END IF;
    -- The change ends the shadow.
    RETURN @extschema@.vyx_change_trader(vyx_promote_shadow.id, other.script);
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_promote_shadow(uuid) IS
    'Makes a trader''s shadow the version in force from the next close on; returns its new number.';

CREATE FUNCTION @extschema@.vyx_drop_shadow(id uuid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN vyx.end_shadow((vyx.own_trader(vyx_drop_shadow.id)).id);
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_drop_shadow(uuid) IS 'Ends a trader''s shadow from the next close on; returns whether there was one. What it fired stays for a while.';

SET LOCAL search_path = @extschema@, pg_temp;
