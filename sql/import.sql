-- Brings traders and signals of the system that vyx replaces into vyx. Not part of the extension: run it with psql as a
-- superuser, in the database of both, naming the schema in which the old tables traders and signals lie:
--
--     psql -v from=old_schema -f sql/import.sql
--
-- Run it as often as you like: what came in before is left as it is by now, edited or running; only a trader that was
-- deleted since comes in once more. Old tables are read, never written, and may have other columns or lack some.
--
--   traders   Each keeps its id and comes in stopped and unchecked: its script says false and nothing else, with the old code
--             in a comment, to be written anew. The interval is the old refreshInterval, else the first of the required
--             timeframes, else 1m.
--   signals   Each keeps its time and price. Its candle is the last of its interval that had closed by then; its id follows
--             from the old row, so that it cannot come in twice; trader_version and engine are 0, and metadata says imported.
--             Watermarks stay where they are: nothing is evaluated for what came in.
--
-- Rows that cannot be right are left out, counted, and the first hundred listed with the reason. While the last statement
-- writes signals, evaluation waits: bring in millions of them before traders run.

\set ON_ERROR_STOP on
\if :{?from}
\else
    DO $$ BEGIN RAISE EXCEPTION 'the schema of the old tables is not named' USING HINT = 'psql -v from=old_schema -f sql/import.sql'; END $$;
\endif
\set QUIET on

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL TimeZone = 'UTC';
SET LOCAL client_min_messages = warning;

-- What cannot be read as such is null.
CREATE FUNCTION pg_temp.as_uuid(text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE STRICT AS
$$ BEGIN RETURN $1::uuid; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$;
CREATE FUNCTION pg_temp.as_number(text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE STRICT AS
$$ BEGIN RETURN $1::float8; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$;
-- A time, or milliseconds since 1970.
CREATE FUNCTION pg_temp.as_time(text) RETURNS timestamptz LANGUAGE plpgsql STABLE STRICT AS
$$ BEGIN RETURN CASE WHEN $1 ~ '^\d{12,14}$' THEN vyx.at($1::bigint) ELSE $1::timestamptz END;
   EXCEPTION WHEN data_exception THEN RETURN NULL; END $$;
-- As a comment of a script, whatever ends a line in it, and short enough for one.
CREATE FUNCTION pg_temp.as_comment(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN octet_length(c.text) <= 15000 THEN c.text
                ELSE left(c.text, CASE WHEN octet_length(left(c.text, 15000)) <= 15000 THEN 15000 ELSE 3750 END)
                     || E'\n// ... and more: the rest is too long for a script' END
    FROM (SELECT '//   ' || regexp_replace($1, E'\\r\\n|[\\n\\r\\x0b\\x0c\\x1c-\\x1e\\x85\\u2028\\u2029]', E'\n//   ', 'g') AS text) AS c
$$;
CREATE FUNCTION pg_temp.as_json(text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS
$$ BEGIN RETURN $1::jsonb; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$;
-- The candle that had closed last at a moment.
CREATE FUNCTION pg_temp.candle(at timestamptz, step text, OUT opened timestamptz, OUT closed timestamptz) LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- The end of a candle belongs to the next one, a millisecond after its close_time.
    now constant timestamptz := at + interval '1 millisecond';
    number constant text := left(step, -1);
    length constant interval := CASE right(step, 1)
        WHEN 's' THEN number || ' seconds' WHEN 'm' THEN number || ' minutes' WHEN 'h' THEN number || ' hours'
        WHEN 'd' THEN number || ' days' WHEN 'w' THEN '7 days' ELSE '1 month' END;
    ended constant timestamptz := CASE step
        WHEN '1M' THEN date_trunc('month', now) WHEN '1w' THEN date_trunc('week', now)
        ELSE date_bin(length, now, timestamptz 'epoch') END;
BEGIN
    opened := ended - length;
    closed := ended - interval '1 millisecond';
END
$$;

CREATE TEMPORARY TABLE old_traders ON COMMIT DROP AS
SELECT row_number() OVER () AS nth, o.old ->> 'id' AS says, pg_temp.as_uuid(o.old ->> 'id') AS id,
       pg_temp.as_uuid(o.old ->> 'user_id') AS user_id, o.old ->> 'name' AS name, o.old ->> 'description' AS description,
       -- A filter may be a text that holds JSON.
       CASE WHEN jsonb_typeof(o.old -> 'filter') = 'string' THEN coalesce(pg_temp.as_json(o.old ->> 'filter'), o.old -> 'filter')
            ELSE o.old -> 'filter' END AS filter,
       pg_temp.as_time(o.old ->> 'created_at') AS created_at
FROM (SELECT to_jsonb(t) AS old FROM :"from".traders t) AS o;

CREATE TEMPORARY TABLE left_out (what text NOT NULL, says text, reason text NOT NULL) ON COMMIT DROP;
INSERT INTO pg_temp.left_out
SELECT 'trader', o.says, w.reason
FROM pg_temp.old_traders o
CROSS JOIN LATERAL (SELECT CASE
    WHEN o.id IS NULL THEN 'no id that is a uuid'
    WHEN o.user_id IS NULL THEN 'no user that is a uuid'
    WHEN EXISTS (SELECT FROM pg_temp.old_traders b WHERE b.id = o.id AND b.nth < o.nth) THEN 'a second one of this id'
    END AS reason) AS w
WHERE w.reason IS NOT NULL;

-- With its version, and not dated now: such a row is taken as it stands, like one of a dump.
WITH came AS (
    INSERT INTO vyx.traders (id, user_id, name, description, script, "interval", version, created_at, updated_at)
    SELECT DISTINCT ON (o.id) o.id, o.user_id, left(coalesce(nullif(btrim(o.name), ''), 'without a name'), 200),
           left(o.description, CASE WHEN octet_length(o.description) <= 8192 THEN 8192 ELSE 2048 END),
           concat_ws(E'\n',
               '// Imported and not translated: it never fires as it stands. The old filter, interval "' || i.step || '":',
               pg_temp.as_comment(coalesce(CASE jsonb_typeof(o.filter) WHEN 'object' THEN o.filter ->> 'code' WHEN 'string' THEN o.filter #>> '{}' END,
                                           jsonb_pretty(o.filter), 'none')),
               'false'),
           i.step, 1, coalesce(o.created_at, 'epoch'), coalesce(o.created_at, 'epoch')
    FROM pg_temp.old_traders o
    CROSS JOIN LATERAL (
        SELECT s.step FROM (
            SELECT 0 AS place, o.filter ->> 'refreshInterval' AS step
            UNION ALL
            SELECT t.place, t.step FROM jsonb_array_elements_text(
                CASE jsonb_typeof(o.filter -> 'requiredTimeframes') WHEN 'array' THEN o.filter -> 'requiredTimeframes' END
            ) WITH ORDINALITY AS t(step, place)
            UNION ALL
            SELECT 1000000, '1m'
        ) AS s WHERE vyx.is_interval(s.step) ORDER BY s.place LIMIT 1
    ) AS i
    WHERE o.id IS NOT NULL AND o.user_id IS NOT NULL
    ORDER BY o.id, o.nth
    ON CONFLICT (id) DO NOTHING
    RETURNING 1
)
SELECT count(*) AS traders_in FROM came \gset

CREATE TEMPORARY TABLE old_signals ON COMMIT DROP AS
SELECT o.nth, o.says, o.trader_id, o.user_id, o.symbol, o.step, o.price, o.at, o.rest,
       -- A name-based uuid, as Postgres can make one without an extension; old columns that say the same make the same row.
       overlay(overlay(md5(concat_ws('|', 'vyx import', o.trader_id, o.symbol, o.step, extract(epoch FROM o.at)))
               PLACING '3' FROM 13) PLACING '8' FROM 17)::uuid AS id
FROM (
    SELECT row_number() OVER () AS nth,
           concat_ws(' ', s.old ->> 'trader_id', s.old ->> 'symbol', s.old ->> 'interval', s.old ->> 'timestamp') AS says,
           pg_temp.as_uuid(s.old ->> 'trader_id') AS trader_id,
           coalesce(pg_temp.as_uuid(s.old ->> 'user_id'), t.user_id) AS user_id,
           upper(btrim(s.old ->> 'symbol') COLLATE "C") AS symbol, btrim(s.old ->> 'interval') AS step,
           pg_temp.as_number(s.old ->> 'price_at_signal') AS price, pg_temp.as_time(s.old ->> 'timestamp') AS at,
           s.old - ARRAY['trader_id', 'user_id', 'symbol', 'interval', 'price_at_signal', 'timestamp'] AS rest
    FROM (SELECT to_jsonb(t) AS old FROM :"from".signals t) AS s
    LEFT JOIN LATERAL (SELECT t.user_id FROM vyx.traders t WHERE t.id = pg_temp.as_uuid(s.old ->> 'trader_id')) AS t ON true
) AS o;
CREATE INDEX ON pg_temp.old_signals (id, nth);

CREATE TEMPORARY TABLE judged ON COMMIT DROP AS
SELECT o.*, CASE
    WHEN o.trader_id IS NULL THEN 'no trader_id that is a uuid'
    WHEN o.user_id IS NULL THEN 'no user that is a uuid'
    WHEN vyx.is_symbol(o.symbol) IS NOT TRUE THEN 'no symbol'
    WHEN vyx.is_interval(o.step) IS NOT TRUE THEN 'unknown interval'
    WHEN o.at IS NULL OR NOT isfinite(o.at) OR o.at < 'epoch' THEN 'no timestamp'
    WHEN vyx.is_finite(o.price) IS NOT TRUE THEN 'no price'
    WHEN EXISTS (SELECT FROM pg_temp.old_signals b WHERE b.id = o.id AND b.nth < o.nth) THEN 'the same signal once more'
    END AS reason
FROM pg_temp.old_signals o;
INSERT INTO pg_temp.left_out SELECT 'signal', j.says, j.reason FROM pg_temp.judged j WHERE j.reason IS NOT NULL ORDER BY j.nth;

-- Numbers are drawn as evaluation draws them: under the lock of the one row, which the first trader that runs makes too.
INSERT INTO vyx.writer (system_identifier) SELECT c.system_identifier FROM pg_control_system() c
WHERE EXISTS (SELECT FROM pg_temp.judged j WHERE j.reason IS NULL)
ON CONFLICT DO NOTHING;
WITH writer AS MATERIALIZED (
    SELECT w.seq FROM vyx.writer w FOR UPDATE
), came AS (
    INSERT INTO vyx.signals (id, seq, trader_id, trader_version, user_id, symbol, "interval", open_time, close_time, price,
                             metadata, kline_revision, engine, evaluated_at, lag_ms, created_at)
    SELECT j.id, w.seq + row_number() OVER (ORDER BY j.at, j.id), j.trader_id, 0, j.user_id, j.symbol, j.step, c.opened, c.closed,
           j.price, m.metadata, 0, 0, j.at, extract(epoch FROM j.at - c.closed) * 1000, j.at
    FROM writer w
    JOIN pg_temp.judged j ON j.reason IS NULL
    CROSS JOIN LATERAL pg_temp.candle(j.at, j.step) AS c
    CROSS JOIN LATERAL (
        SELECT CASE WHEN octet_length(jsonb_build_object('imported', true, 'old', j.rest)::text) <= 8192 AND j.rest <> '{}'
               THEN jsonb_build_object('imported', true, 'old', j.rest) ELSE '{"imported": true}' END AS metadata
    ) AS m
    WHERE NOT EXISTS (SELECT FROM vyx.signals s WHERE s.id = j.id)
    RETURNING seq
), counted AS (
    UPDATE vyx.writer SET seq = (SELECT max(c.seq) FROM came c) WHERE EXISTS (SELECT FROM came)
)
SELECT count(*) AS signals_in FROM came \gset

\echo
SELECT w.what, w.found, w.came AS "came in", w.bad AS "left out", w.found - w.came - w.bad AS "there already"
FROM (VALUES
    ('traders', (SELECT count(*) FROM pg_temp.old_traders), :traders_in, (SELECT count(*) FROM pg_temp.left_out l WHERE l.what = 'trader')),
    ('signals', (SELECT count(*) FROM pg_temp.old_signals), :signals_in, (SELECT count(*) FROM pg_temp.left_out l WHERE l.what = 'signal'))
) AS w(what, found, came, bad);
SELECT l.what, l.says, l.reason FROM pg_temp.left_out l LIMIT 100;
DROP FUNCTION pg_temp.as_uuid(text), pg_temp.as_number(text), pg_temp.as_time(text), pg_temp.as_comment(text), pg_temp.as_json(text),
    pg_temp.candle(timestamptz, text);
COMMIT;
