-- What each tenant has used, by day: for billing, and for whoever wonders.
--
-- A batch leaves its counts in vyx.tallies, a row that nobody changes; they are folded into vyx.usage later, by
-- vyx.maintain(). Signals are counted where they are, and when retention deletes them, here.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE vyx.usage (
    trader_id   uuid NOT NULL,
    day         date NOT NULL,
    user_id     uuid,
    evaluations bigint NOT NULL DEFAULT 0,
    cost        bigint NOT NULL DEFAULT 0,
    signals     bigint NOT NULL DEFAULT 0,
    failures    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (trader_id, day)
);
ALTER TABLE vyx.usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.usage FORCE ROW LEVEL SECURITY;
CREATE INDEX usage_user_id_day_idx ON vyx.usage (user_id, day);
COMMENT ON TABLE vyx.usage IS 'What each trader used, by day (UTC, of the candle''s close), for billing: as far as vyx.fold_usage() and retention have come. vyx_usage() adds the rest.';
COMMENT ON COLUMN vyx.usage.evaluations IS '(trader, symbol) pairs evaluated.';
COMMENT ON COLUMN vyx.usage.cost IS 'Evaluations times the nodes of the program.';
COMMENT ON COLUMN vyx.usage.signals IS 'Signals that retention has deleted: the others are counted where they are.';
COMMENT ON COLUMN vyx.usage.failures IS 'Pairs that could not be evaluated or written.';

SELECT pg_extension_config_dump('vyx.usage', '');

CREATE FUNCTION vyx.utc_day(at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (at AT TIME ZONE 'UTC')::date;
COMMENT ON FUNCTION vyx.utc_day(timestamptz) IS 'The day of a moment in UTC.';

CREATE FUNCTION vyx.newest_version(trader uuid, OUT user_id uuid, OUT nodes integer) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT v.user_id, CASE json_typeof(v.program -> 'nodes') WHEN 'array' THEN json_array_length(v.program -> 'nodes') ELSE 0 END
    FROM vyx.trader_versions v
    WHERE v.trader_id = newest_version.trader ORDER BY v.version DESC LIMIT 1;
END;
COMMENT ON FUNCTION vyx.newest_version(uuid) IS 'Whose a trader is or was, and how large its program; no row where nobody knows it.';

CREATE VIEW vyx.unfolded WITH (security_invoker = true) AS
    SELECT t.close_time, d.trader_id, c.evaluated AS evaluations, coalesce(c.failed, 0) AS failures
    FROM vyx.tallies t
    CROSS JOIN LATERAL jsonb_to_recordset(t.counts) AS c(evaluated bigint, failed bigint, traders uuid[])
    CROSS JOIN LATERAL unnest(c.traders) AS d(trader_id);
COMMENT ON VIEW vyx.unfolded IS 'The counts of vyx.tallies, a row a trader.';

-- Rows of the tallies are deleted in the transaction that adds them up: each counts once. What belongs to a trader
-- without versions is of somebody who was forgotten. In the order of the key, so that two who fold cannot block one another.
CREATE FUNCTION vyx.fold_usage() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- A row may name thousands of traders.
    most constant integer := 10;
    folded integer;
BEGIN
    WITH taken AS (
        DELETE FROM vyx.tallies t
        WHERE t.ctid = ANY (ARRAY(SELECT o.ctid FROM vyx.tallies o ORDER BY o.evaluated_at LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING t.close_time, t.counts
    ), counted AS (
        SELECT d.trader_id, vyx.utc_day(t.close_time) AS day, sum(c.evaluated) AS evaluations, sum(coalesce(c.failed, 0)) AS failures
        FROM taken t
        CROSS JOIN LATERAL jsonb_to_recordset(t.counts) AS c(evaluated bigint, failed bigint, traders uuid[])
        CROSS JOIN LATERAL unnest(c.traders) AS d(trader_id)
        GROUP BY d.trader_id, vyx.utc_day(t.close_time)
    ), added AS (
        INSERT INTO vyx.usage AS u (trader_id, day, user_id, evaluations, cost, failures)
        SELECT c.trader_id, c.day, o.user_id, c.evaluations, c.evaluations * o.nodes, c.failures
        FROM counted c CROSS JOIN LATERAL vyx.newest_version(c.trader_id) AS o
        ORDER BY c.trader_id, c.day
        ON CONFLICT (trader_id, day) DO UPDATE SET
            evaluations = u.evaluations + EXCLUDED.evaluations, cost = u.cost + EXCLUDED.cost, failures = u.failures + EXCLUDED.failures
    )
    SELECT count(*) INTO folded FROM taken;
    RETURN folded;
END
$$;
COMMENT ON FUNCTION vyx.fold_usage() IS 'Adds some of vyx.tallies to vyx.usage and deletes them; returns how many rows.';

CREATE FUNCTION @extschema@.vyx_usage(
    "from" date DEFAULT NULL, "to" date DEFAULT NULL,
    OUT day date, OUT user_id uuid, OUT evaluations bigint, OUT cost bigint, OUT signals bigint, OUT failures bigint
) RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    since constant date := coalesce($1, '-infinity');
    until constant date := coalesce($2, 'infinity');
    speaker constant uuid := vyx.uid();
    sees_all constant boolean := vyx.is_operator();
BEGIN
    RETURN QUERY
    SELECT a.day, a.user_id, sum(a.evaluations)::bigint, sum(a.cost)::bigint, sum(a.signals)::bigint, sum(a.failures)::bigint
    FROM (
        SELECT u.day, u.user_id, u.evaluations, u.cost, u.signals, u.failures FROM vyx.usage u
        WHERE sees_all OR u.user_id = speaker
        UNION ALL
        SELECT vyx.utc_day(f.close_time), o.user_id, f.evaluations, f.evaluations * o.nodes, 0, f.failures
        FROM vyx.unfolded f CROSS JOIN LATERAL vyx.newest_version(f.trader_id) AS o
        WHERE sees_all OR o.user_id = speaker
        UNION ALL
        SELECT vyx.utc_day(s.close_time), s.user_id, 0, 0, count(*), 0 FROM vyx.signals s
        WHERE sees_all OR s.user_id = speaker
        GROUP BY vyx.utc_day(s.close_time), s.user_id
    ) AS a
    WHERE a.day BETWEEN since AND until
    GROUP BY a.day, a.user_id
    ORDER BY a.day, a.user_id;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_usage(date, date) IS
    'What the caller''s traders used, by day (UTC, of the candles'' closes), both ends included; null: open. Operators see every tenant''s, and with null as user_id that of built-in traders.';

SET LOCAL search_path = @extschema@, pg_temp;
