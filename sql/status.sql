-- What traders do, as their owners and operators may see it, and the doors through which they are started and stopped.

SET LOCAL search_path = pg_catalog, pg_temp;

-- Who may see a trader is decided by the callers.
CREATE FUNCTION vyx.states_of(wanted uuid[]) RETURNS TABLE (
    id uuid, user_id uuid, name text, "interval" text, state text, version bigint, since timestamptz, evaluations bigint,
    signals bigint, last_signal timestamptz, failures bigint, cost bigint, lane text, waiting bigint, warming integer,
    retry_at timestamptz, last_error text
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10 AS $$
    WITH unfolded AS MATERIALIZED (
        SELECT f.trader_id, sum(f.evaluations) AS evaluations FROM vyx.unfolded f
        WHERE f.trader_id = ANY (wanted) GROUP BY f.trader_id
    ), known AS (
        SELECT t.id, t.user_id, t.name, t."interval", t.version, t.last_error, v.program, v.symbols, v.cost, v.lane, r.since AS resting, r.retry_at,
               -- The database may have ended its version without having told its row yet.
               w.running, CASE WHEN w.running THEN coalesce(v.effective_from, v.asked_from)
                               ELSE coalesce(v.effective_to, v.asked_to) END AS since,
               (SELECT max(m.evaluated_through) FROM vyx.watermarks m
                WHERE m."interval" = t."interval" AND m.lane = coalesce(v.lane, 0)) AS through
        FROM vyx.traders t
        LEFT JOIN LATERAL (SELECT o.* FROM vyx.trader_versions o WHERE o.trader_id = t.id AND NOT o.shadow
                           ORDER BY o.version DESC LIMIT 1) AS v ON true
        CROSS JOIN LATERAL (SELECT t.state = 'running' AND v.asked_to IS NULL AND v.effective_to IS NULL AS running) AS w
        LEFT JOIN vyx.resting r ON r.trader_id = t.id AND r.trader_version = v.version AND r.retry_at IS NOT NULL AND w.running
        WHERE t.id = ANY (wanted)
    )
    SELECT k.id, k.user_id, k.name, k."interval",
           -- It does what its owner wants when a candle of its interval has been evaluated since.
           CASE WHEN k.resting IS NOT NULL THEN 'error'
                WHEN k.since IS NULL OR k.through >= k.since THEN CASE WHEN k.running THEN 'running' ELSE 'stopped' END
                WHEN k.running THEN 'starting'
                ELSE 'stopping' END,
           k.version, coalesce(k.resting, k.since),
           coalesce(u.evaluations, 0)::bigint + coalesce(f.evaluations, 0)::bigint, coalesce(u.signals, 0)::bigint + s.signals, s.last_signal,
           (SELECT coalesce(sum(d.attempts), 0)::bigint FROM vyx.failures d WHERE d.trader_id = k.id),
           k.cost, CASE k.lane WHEN 0 THEN 'prompt' WHEN 1 THEN 'after everybody else' END,
           (SELECT count(*) FROM vyx.pending p WHERE p.trader_id = k.id),
           CASE WHEN k.running THEN vyx._warming(k.program::text, k.symbols) END,
           k.retry_at, k.last_error
    FROM known k
    CROSS JOIN LATERAL (SELECT count(*) AS signals, max(i.close_time) AS last_signal FROM vyx.signals i WHERE i.trader_id = k.id) AS s
    LEFT JOIN LATERAL (SELECT sum(d.evaluations) AS evaluations, sum(d.signals) AS signals FROM vyx.usage d WHERE d.trader_id = k.id) AS u ON true
    LEFT JOIN unfolded f ON f.trader_id = k.id
$$;
COMMENT ON FUNCTION vyx.states_of(uuid[]) IS 'What traders do, a row each.';

CREATE FUNCTION @extschema@.vyx_trader_status(
    id uuid, OUT name text, OUT state text, OUT version bigint, OUT since timestamptz, OUT evaluations bigint,
    OUT signals bigint, OUT last_signal timestamptz, OUT failures bigint, OUT cost bigint, OUT lane text, OUT waiting bigint,
    OUT warming integer, OUT retry_at timestamptz, OUT last_error text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM vyx.traders t WHERE t.id = $1 AND (t.user_id = vyx.uid() OR vyx.is_operator());
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no trader "%"', $1
            USING ERRCODE = 'undefined_object', HINT = 'SELECT id, name FROM vyx.traders lists yours.';
    END IF;
    SELECT s.name, s.state, s.version, s.since, s.evaluations, s.signals, s.last_signal, s.failures, s.cost, s.lane, s.waiting,
           s.warming, s.retry_at, s.last_error
    INTO name, state, version, since, evaluations, signals, last_signal, failures, cost, lane, waiting, warming, retry_at, last_error
    FROM vyx.states_of(ARRAY[$1]) s;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_trader_status(uuid) IS
    'What a trader does: stopped, starting, running, stopping or error (until retry_at), since when (market time); its evaluations, signals, dead letters and cost (nodes times symbols); how many evaluations wait, and how many symbols lack history.';

CREATE FUNCTION @extschema@.vyx_active_traders(
    OUT id uuid, OUT user_id uuid, OUT name text, OUT "interval" text, OUT state text, OUT version bigint, OUT since timestamptz,
    OUT evaluations bigint, OUT signals bigint, OUT last_signal timestamptz, OUT failures bigint, OUT cost bigint, OUT lane text,
    OUT waiting bigint, OUT warming integer, OUT retry_at timestamptz, OUT last_error text
) RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    speaker constant uuid := vyx.uid();
    sees_all constant boolean := vyx.is_operator();
BEGIN
    RETURN QUERY
    SELECT s.id, s.user_id, s.name, s."interval", s.state, s.version, s.since, s.evaluations, s.signals, s.last_signal, s.failures,
           s.cost, s.lane, s.waiting, s.warming, s.retry_at,
           -- Of what belongs to everybody the errors are its author's: they may quote the script.
           CASE WHEN sees_all OR s.user_id IS NOT NULL THEN s.last_error END
    FROM vyx.states_of(ARRAY(
        SELECT t.id FROM vyx.traders t
        WHERE (sees_all OR t.user_id = speaker OR t.user_id IS NULL)
          AND (t.state = 'running'
               OR EXISTS (SELECT FROM vyx.trader_versions v WHERE v.trader_id = t.id AND (v.effective_to IS NULL OR NOT EXISTS (
                   SELECT FROM vyx.watermarks w
                   WHERE w."interval" = v."interval" AND w.lane = v.lane AND w.evaluated_through >= v.effective_to))))
    )) s
    WHERE s.state <> 'stopped'
    ORDER BY s.user_id, s.name, s.id;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_active_traders() IS
    'The caller''s traders that run or are about to, or are stopping, and those that belong to everybody, as vyx_trader_status() tells of them. Operators see all.';

-- The doors. They run as their caller, so row level security decides which traders there are.
CREATE FUNCTION vyx.set_trader_state(trader uuid, wish text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    its_name text;
BEGIN
    IF trader IS NULL THEN
        RAISE EXCEPTION 'argument "id" must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a trader''s id.';
    END IF;
    UPDATE vyx.traders t SET state = wish WHERE t.id = trader AND t.state <> wish;
    IF NOT FOUND THEN
        SELECT t.name INTO its_name FROM vyx.traders t WHERE t.id = trader;
        IF FOUND THEN
            RAISE NOTICE 'trader "%" is % already', its_name, wish;
        END IF;
    END IF;
    RETURN (SELECT s.state FROM @extschema@.vyx_trader_status(trader) s);
END
$$;
COMMENT ON FUNCTION vyx.set_trader_state(uuid, text) IS 'Sets what the owner wants and returns what the trader does; 42704 where there is no such trader.';

CREATE FUNCTION @extschema@.vyx_start_trader(id uuid) RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT vyx.set_trader_state($1, 'running') $$;
COMMENT ON FUNCTION @extschema@.vyx_start_trader(uuid) IS 'Lets a trader run from the next close on; returns its state. What runs already is left as it is.';

CREATE FUNCTION @extschema@.vyx_stop_trader(id uuid) RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT vyx.set_trader_state($1, 'stopped') $$;
COMMENT ON FUNCTION @extschema@.vyx_stop_trader(uuid) IS 'Stops a trader from the next close on; returns its state. What is stopped already is left as it is.';

SET LOCAL search_path = @extschema@, pg_temp;
