-- Evaluation as the database sees it: the one writer, and the way in from SQL. What is due and what comes of it is
-- computed in Rust, by the worker "vyx evaluate" or by vyx._evaluate_batch; both hand it to the same vyx.commit_batch.
--
-- Nothing here waits for a lock that a tenant can take: on rows of its traders, and, by its right to delete, on
-- the table vyx.traders as a whole.

SET LOCAL search_path = pg_catalog, pg_temp;

-- The batch, all times in milliseconds since 1970:
--   by          "worker" or "sql"
--   lane        0 or 1: whose watermarks these are, see vyx.trader_versions
--   evaluated_at market time of the evaluation
--   evaluate_ms how long it took
--   settled     vyx.writer.settled as it was when the versions were read
--   watermarks  [{symbol, interval, read (null: there is none), through, skipped}]
--   finished    [{trader_id, trader_version, symbol, interval, close_time}]   rows of vyx.pending that are done
--   pending     [{trader_id, trader_version, symbol, interval, close_time, waiting_for}]
--   signals     [[{interval, open_time, close_time, engine, ids, traders, versions, symbols, prices, revisions, metadata}]]
--                what fired: rounds, of which each trader and symbol is at most once in one, of closes, which are in
--                cycles too, of columns of the same length
--   failures    [{trader_id, trader_version, cause, message, symbol, interval, close_time}]
--   recovered   [trader_id]   whose program could not be evaluated before, and was now
--   tallies     [{interval, close_time, counts}]   rows of vyx.tallies
--   cycles      [{interval, close_time, expected, series, late, absent, traders, evaluated, matched, unmatched,
--                not_ready, waiting, resting, failed, fired, wait_ms}]   to be added; waiting falls when pending rows are
--                finished
-- Owner, cooldown and max_lag are taken from the version, never from the batch.
-- The time zone: a cooldown of a day is 24 hours, whoever evaluates. The plans: what this function and those that it calls
-- do is the same with every batch, and must not be planned anew for each.
CREATE FUNCTION vyx.commit_batch(batch jsonb, OUT outcome text, OUT written bigint, OUT last_seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' SET timezone = 'UTC'
    SET plan_cache_mode = 'force_generic_plan' AS $$
DECLARE
    began constant timestamptz := clock_timestamp();
    evaluated_at constant timestamptz := vyx.at((batch ->> 'evaluated_at')::bigint);
    its_lane constant smallint := coalesce((batch ->> 'lane')::smallint, 0);
    writer vyx.writer;
    agreed bigint;
    fired jsonb;
    added bigint;
BEGIN
    written := 0;
    SELECT w.* INTO writer FROM vyx.writer w FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'idle';
        RETURN;
    END IF;
    last_seq := writer.seq;
    IF writer.system_identifier <> (SELECT c.system_identifier FROM pg_control_system() c) THEN
        outcome := 'foreign';
        RETURN;
    END IF;

    -- A version that was settled meanwhile may be in force at a candle of this batch, which knows nothing of it.
    IF writer.settled IS DISTINCT FROM (batch ->> 'settled')::bigint THEN
        outcome := 'lost';
        RETURN;
    END IF;
    -- Compare everything before anything is set: under the lock nobody else writes these tables.
    SELECT count(*) INTO agreed
    FROM jsonb_to_recordset(batch -> 'watermarks') AS b(symbol text, "interval" text, read bigint)
    LEFT JOIN vyx.watermarks w ON (w.symbol, w."interval", w.lane) = (b.symbol, b."interval", its_lane)
    WHERE w.evaluated_through IS NOT DISTINCT FROM vyx.at(b.read);
    IF agreed <> jsonb_array_length(batch -> 'watermarks') THEN
        outcome := 'lost';
        RETURN;
    END IF;
    SELECT count(*) INTO agreed
    FROM jsonb_to_recordset(batch -> 'finished')
             AS b(trader_id uuid, trader_version bigint, symbol text, "interval" text, close_time bigint)
    JOIN vyx.pending p ON (p.trader_id, p.trader_version, p.symbol, p."interval", p.close_time)
                        = (b.trader_id, b.trader_version, b.symbol, b."interval", vyx.at(b.close_time));
    IF agreed <> jsonb_array_length(batch -> 'finished') THEN
        outcome := 'lost';
        RETURN;
    END IF;

    INSERT INTO vyx.watermarks AS w (symbol, "interval", lane, evaluated_through, skipped)
    SELECT b.symbol, b."interval", its_lane, vyx.at(b.through), coalesce(b.skipped, 0)
    FROM jsonb_to_recordset(batch -> 'watermarks') AS b(symbol text, "interval" text, through bigint, skipped bigint)
    ON CONFLICT (symbol, "interval", lane) DO UPDATE
        SET evaluated_through = EXCLUDED.evaluated_through, skipped = w.skipped + EXCLUDED.skipped;

    DELETE FROM vyx.pending p
    USING jsonb_to_recordset(batch -> 'finished')
              AS b(trader_id uuid, trader_version bigint, symbol text, "interval" text, close_time bigint)
    WHERE (p.trader_id, p.trader_version, p.symbol, p."interval", p.close_time)
        = (b.trader_id, b.trader_version, b.symbol, b."interval", vyx.at(b.close_time));

    INSERT INTO vyx.pending (trader_id, trader_version, user_id, symbol, "interval", close_time, waiting_for, since)
    SELECT b.trader_id, b.trader_version, v.user_id, b.symbol, b."interval", vyx.at(b.close_time), b.waiting_for, evaluated_at
    FROM jsonb_to_recordset(batch -> 'pending')
             AS b(trader_id uuid, trader_version bigint, symbol text, "interval" text, close_time bigint, waiting_for text)
    JOIN vyx.trader_versions v ON v.trader_id = b.trader_id AND v.version = b.trader_version
    ON CONFLICT DO NOTHING;

    PERFORM vyx.record_cycles(batch -> 'cycles', its_lane, evaluated_at, (batch ->> 'evaluate_ms')::float8, batch ->> 'by');
    PERFORM vyx.record_failures(batch -> 'failures', evaluated_at);
    IF jsonb_array_length(batch -> 'recovered') > 0 THEN
        PERFORM vyx.recover(ARRAY(SELECT r.trader::uuid FROM jsonb_array_elements_text(batch -> 'recovered') AS r(trader)));
    END IF;
    INSERT INTO vyx.tallies ("interval", close_time, evaluated_at, counts)
    SELECT b."interval", vyx.at(b.close_time), evaluated_at, b.counts
    FROM jsonb_to_recordset(batch -> 'tallies') AS b("interval" text, close_time bigint, counts jsonb);

    -- Normally one round. After an absence a pair may have fired on several candles, and whether a later one is
    -- within the cooldown of an earlier one is known only when that is written.
    FOR fired IN SELECT r.round FROM jsonb_array_elements(batch -> 'signals') WITH ORDINALITY AS r(round, nth) ORDER BY r.nth LOOP
        SELECT r.seq, r.added INTO last_seq, added FROM vyx.write_round(fired, its_lane, last_seq, evaluated_at, false) r;
        written := written + added;
    END LOOP;

    IF written > 0 THEN
        UPDATE vyx.writer SET seq = last_seq;
        -- A listener that does not read fills the queue of all databases, and then no transaction that notifies can
        -- commit: signals matter more than word of them.
        IF pg_notification_queue_usage() < 0.9 THEN
            PERFORM pg_notify('vyx_signals', format('{"seq": %s}', last_seq));
        END IF;
    END IF;
    UPDATE vyx.cycles c
    SET write_ms = c.write_ms + extract(epoch FROM clock_timestamp() - began)::float8 * 1000
    FROM jsonb_to_recordset(batch -> 'cycles') AS b("interval" text, close_time bigint)
    WHERE c."interval" = b."interval" AND c.close_time = vyx.at(b.close_time) AND c.lane = its_lane;
    outcome := 'written';
END
$$;
COMMENT ON FUNCTION vyx.commit_batch(jsonb) IS
    'Writes what was evaluated, all or nothing: written; lost (another evaluator was there first, evaluate again); foreign (a copied cluster, see vyx_adopt); idle (no trader has run yet).';

-- In plpgsql, which keeps its plans: with every batch this would be planned anew otherwise.
CREATE FUNCTION vyx.record_cycles(cycles jsonb, its_lane smallint, evaluated_at timestamptz, evaluate_ms float8, evaluated_by text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO vyx.cycles AS c ("interval", close_time, lane, expected, series, late, absent, traders, evaluated, matched,
                                 unmatched, not_ready, waiting, resting, failed, fired, wait_ms, lag_ms, evaluate_ms,
                                 evaluated_by)
    SELECT b."interval", vyx.at(b.close_time), its_lane, b.expected, b.series, b.late, b.absent, b.traders,
           b.evaluated, b.matched, b.unmatched, b.not_ready, b.waiting, coalesce(b.resting, 0), b.failed, b.fired,
           coalesce(b.wait_ms, 0), extract(epoch FROM record_cycles.evaluated_at - vyx.at(b.close_time))::float8 * 1000,
           -- A batch of several closes is timed as a whole; each bears the same share, so that sums stay true.
           -- Of none there are no rows, but a planner that knows so divides beforehand.
           coalesce(record_cycles.evaluate_ms, 0) / nullif(jsonb_array_length(record_cycles.cycles), 0), record_cycles.evaluated_by
    FROM jsonb_to_recordset(record_cycles.cycles)
             AS b("interval" text, close_time bigint, expected integer, series integer, late integer, absent integer,
                  traders integer, evaluated bigint, matched bigint, unmatched bigint, not_ready bigint, waiting bigint,
                  resting bigint, failed bigint, fired bigint, wait_ms float8)
    ON CONFLICT ("interval", close_time, lane) DO UPDATE SET
        expected = greatest(c.expected, EXCLUDED.expected),
        series = c.series + EXCLUDED.series,
        late = c.late + EXCLUDED.late,
        absent = c.absent + EXCLUDED.absent,
        traders = greatest(c.traders, EXCLUDED.traders),
        evaluated = c.evaluated + EXCLUDED.evaluated,
        matched = c.matched + EXCLUDED.matched,
        unmatched = c.unmatched + EXCLUDED.unmatched,
        not_ready = c.not_ready + EXCLUDED.not_ready,
        waiting = c.waiting + EXCLUDED.waiting,
        resting = c.resting + EXCLUDED.resting,
        failed = c.failed + EXCLUDED.failed,
        fired = c.fired + EXCLUDED.fired,
        wait_ms = greatest(c.wait_ms, EXCLUDED.wait_ms),
        lag_ms = greatest(c.lag_ms, EXCLUDED.lag_ms),
        evaluate_ms = c.evaluate_ms + EXCLUDED.evaluate_ms,
        evaluated_by = EXCLUDED.evaluated_by;
    DELETE FROM vyx.cycles c
    USING (SELECT b."interval", max(b.close_time) AS newest
           FROM jsonb_to_recordset(record_cycles.cycles) AS b("interval" text, close_time bigint)
           GROUP BY b."interval") AS n
    WHERE c."interval" = n."interval" AND c.close_time < vyx.at(n.newest) - interval '30 days';
END
$$;
COMMENT ON FUNCTION vyx.record_cycles(jsonb, smallint, timestamptz, float8, text) IS 'Adds a batch''s counts to vyx.cycles and drops rows older than 30 days of market time.';

CREATE FUNCTION vyx.record_failures(failures jsonb, evaluated_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(jsonb_array_length(failures), 0) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO vyx.failures AS f (trader_id, trader_version, cause, user_id, message, symbol, "interval", close_time,
                                   attempts, candles, first_at, last_at)
    SELECT n.trader_id, n.trader_version, n.cause, v.user_id, n.message, n.symbol, n."interval", vyx.at(n.close_time),
           n.attempts, vyx.newest_candles(n.candles, '[]'), evaluated_at, evaluated_at
    FROM (SELECT b.*, count(*) OVER whole AS attempts,
                 jsonb_agg(jsonb_build_array(b.symbol, b.close_time)) OVER whole AS candles,
                 row_number() OVER (whole ORDER BY b.close_time DESC, b.symbol) AS nth
          FROM jsonb_to_recordset(failures)
                   AS b(trader_id uuid, trader_version bigint, cause text, message text, symbol text, "interval" text, close_time bigint)
          WINDOW whole AS (PARTITION BY b.trader_id, b.trader_version, b.cause)) AS n
    JOIN vyx.trader_versions v ON v.trader_id = n.trader_id AND v.version = n.trader_version
    WHERE n.nth = 1
    ON CONFLICT (trader_id, trader_version, cause) DO UPDATE SET
        message = EXCLUDED.message, symbol = EXCLUDED.symbol, close_time = EXCLUDED.close_time,
        attempts = f.attempts + EXCLUDED.attempts, candles = vyx.newest_candles(EXCLUDED.candles, f.candles),
        last_at = EXCLUDED.last_at;
    PERFORM vyx.rest(failures, evaluated_at);

    -- A courtesy: a trader whose row is locked goes without until its next failure.
    BEGIN
        LOCK TABLE vyx.traders IN ROW EXCLUSIVE MODE NOWAIT;
        WITH newest AS (
            SELECT DISTINCT ON (b.trader_id) b.trader_id, b.message
            FROM jsonb_to_recordset(failures) AS b(trader_id uuid, message text, close_time bigint)
            ORDER BY b.trader_id, b.close_time DESC
        ), free AS MATERIALIZED (
            SELECT t.id FROM vyx.traders t WHERE t.id IN (SELECT n.trader_id FROM newest n)
            FOR NO KEY UPDATE SKIP LOCKED
        )
        UPDATE vyx.traders t SET last_error = n.message
        FROM newest n JOIN free ON free.id = n.trader_id
        WHERE t.id = n.trader_id AND t.last_error IS DISTINCT FROM n.message;
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
END
$$;
COMMENT ON FUNCTION vyx.record_failures(jsonb, timestamptz) IS 'Folds failures into vyx.failures, one row a version and cause, and shows the last to the trader''s owner.';

CREATE FUNCTION vyx.newest_candles(newer jsonb, older jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN (SELECT coalesce(jsonb_agg(c.candle ORDER BY c.nth), '[]')
        FROM jsonb_array_elements(newer || older) WITH ORDINALITY AS c(candle, nth) WHERE c.nth <= 100);
COMMENT ON FUNCTION vyx.newest_candles(jsonb, jsonb) IS 'The candles of vyx.failures with new ones before them, as many as are kept.';

-- What lies at a symbol's market (history, volume) is no reason to let the trader's other symbols go without. The rest
-- begins with the fifth failure: a minute, and twice as long each time, up to an hour.
CREATE FUNCTION vyx.rest(failures jsonb, evaluated_at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    INSERT INTO vyx.resting AS r (trader_id, trader_version, user_id, cause, message, in_a_row, since)
    SELECT DISTINCT ON (b.trader_id) b.trader_id, b.trader_version, v.user_id, b.cause, b.message, 1, rest.evaluated_at
    FROM jsonb_to_recordset(rest.failures)
             AS b(trader_id uuid, trader_version bigint, cause text, message text, close_time bigint)
    JOIN vyx.trader_versions v ON v.trader_id = b.trader_id AND v.version = b.trader_version AND NOT v.shadow
    WHERE b.cause IN ('program', 'metadata', 'write')
    ORDER BY b.trader_id, b.close_time DESC, b.trader_version DESC
    ON CONFLICT (trader_id) DO UPDATE SET
        trader_version = EXCLUDED.trader_version, cause = EXCLUDED.cause, message = EXCLUDED.message,
        in_a_row = CASE WHEN r.trader_version = EXCLUDED.trader_version THEN r.in_a_row + 1 ELSE 1 END,
        since = CASE WHEN r.trader_version = EXCLUDED.trader_version THEN r.since ELSE EXCLUDED.since END,
        retry_at = CASE WHEN r.trader_version = EXCLUDED.trader_version AND r.in_a_row >= 4
                        THEN rest.evaluated_at + least(interval '1 hour', interval '1 minute' * 2 ^ least(r.in_a_row - 4, 6)) END;
END;
COMMENT ON FUNCTION vyx.rest(jsonb, timestamptz) IS 'Counts failures that are the trader''s own in vyx.resting, and lets a trader rest that fails again and again.';

CREATE FUNCTION vyx.recover(traders uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM vyx.resting r WHERE r.trader_id = ANY (traders);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    BEGIN   -- a courtesy, as in vyx.record_failures()
        LOCK TABLE vyx.traders IN ROW EXCLUSIVE MODE NOWAIT;
        WITH free AS MATERIALIZED (
            SELECT t.id FROM vyx.traders t WHERE t.id = ANY (traders) AND t.last_error IS NOT NULL
            FOR NO KEY UPDATE SKIP LOCKED
        )
        UPDATE vyx.traders t SET last_error = NULL FROM free WHERE t.id = free.id;
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
END
$$;
COMMENT ON FUNCTION vyx.recover(uuid[]) IS 'Forgets the failures in a row of traders that succeeded.';

CREATE FUNCTION vyx.fired(round jsonb)
RETURNS TABLE (id uuid, trader_id uuid, trader_version bigint, symbol text, "interval" text, open_time timestamptz,
               close_time timestamptz, close_ms bigint, price float8, metadata jsonb, kline_revision integer, engine integer,
               close bigint, place bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT s.id, s.trader_id, s.trader_version, s.symbol, c."interval", vyx.at(c.open_time), vyx.at(c.close_time), c.close_time,
           s.price, s.metadata, s.kline_revision, c.engine, c.nth, s.nth
    FROM ROWS FROM (jsonb_to_recordset(fired.round)
             AS ("interval" text, open_time bigint, close_time bigint, engine integer, ids uuid[], traders uuid[],
                 versions bigint[], symbols text[], prices float8[], revisions integer[], metadata jsonb[]))
             WITH ORDINALITY AS c("interval", open_time, close_time, engine, ids, traders, versions, symbols, prices, revisions,
                                  metadata, nth),
         unnest(c.ids, c.traders, c.versions, c.symbols, c.prices, c.revisions, c.metadata)
             WITH ORDINALITY AS s(id, trader_id, trader_version, symbol, price, kline_revision, metadata, nth);
END;
COMMENT ON FUNCTION vyx.fired(jsonb) IS 'The rows of a round of a batch''s signals, with the place of their close and theirs in it.';

CREATE FUNCTION vyx.part_of(round jsonb, from_trader uuid, to_trader uuid) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_agg((SELECT jsonb_object_agg(e.key, CASE jsonb_typeof(e.value)
                          WHEN 'array' THEN (SELECT jsonb_agg(e.value -> i.place ORDER BY i.place) FROM unnest(t.places) AS i(place))
                          ELSE e.value END)
                      FROM jsonb_each(c.close) AS e(key, value)) ORDER BY c.nth)
    FROM jsonb_array_elements(part_of.round) WITH ORDINALITY AS c(close, nth)
    CROSS JOIN LATERAL (
        SELECT array_agg(n.nth::integer - 1) AS places
        FROM jsonb_array_elements_text(c.close -> 'traders') WITH ORDINALITY AS n(trader, nth)
        WHERE n.trader::uuid BETWEEN part_of.from_trader AND part_of.to_trader) AS t
    WHERE t.places IS NOT NULL;
END;
COMMENT ON FUNCTION vyx.part_of(jsonb, uuid, uuid) IS 'Of a round of a batch''s signals those of some traders, in the order of their ids.';

-- Cooldown, max_lag and the tenant's limit are decided here, under the writer's lock, so that it does not matter who
-- evaluated. Cooldown looks to both sides: a late series may fire before a candle whose signal is already out.
-- Whether a signal is there already is asked only at the second attempt: under the lock that can be so only after a repair by
-- hand, and then the table refuses the first.
CREATE FUNCTION vyx.write_signals(
    round jsonb, its_lane smallint, INOUT seq bigint, evaluated_at timestamptz, is_second boolean, OUT added bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    too_large jsonb;
    recovered uuid[];
    this_hour constant timestamptz := date_trunc('hour', evaluated_at);
BEGIN
    WITH judged AS MATERIALIZED (
        SELECT f.*, v.user_id, CASE
            -- jsonb writes numbers out (1e300 takes 301 digits): only here is the size known.
            WHEN octet_length(f.metadata::text) > 8192 THEN 'too large'
            WHEN evaluated_at - f.close_time > v.max_lag THEN 'lag'
            WHEN v.cooldown > '0' AND NOT v.shadow AND EXISTS (
                SELECT FROM vyx.signals s
                WHERE s.trader_id = f.trader_id AND s.symbol = f.symbol AND s.id <> f.id
                  AND s.close_time > f.close_time - v.cooldown AND s.close_time < f.close_time + v.cooldown
            ) THEN 'cooldown'
            WHEN v.cooldown > '0' AND v.shadow AND EXISTS (
                SELECT FROM vyx.shadow_signals s
                WHERE s.trader_id = f.trader_id AND s.symbol = f.symbol AND s.id <> f.id
                  AND s.close_time > f.close_time - v.cooldown AND s.close_time < f.close_time + v.cooldown
            ) THEN 'cooldown'
            WHEN v.shadow THEN 'shadow'
            WHEN is_second AND EXISTS (SELECT FROM vyx.signals s WHERE s.id = f.id) THEN 'duplicate'
            ELSE 'deliver' END AS verdict
        FROM vyx.fired(write_signals.round) f
        JOIN vyx.trader_versions v ON v.trader_id = f.trader_id AND v.version = f.trader_version
    ), room AS MATERIALIZED (
        -- What is left of the hour for those who have a limit; who has never started anything himself is free.
        SELECT u.user_id, i.signals_per_hour - coalesce(d.signals, 0) AS signals
        FROM (SELECT DISTINCT j.user_id FROM judged j WHERE j.verdict = 'deliver' AND j.user_id IS NOT NULL) AS u
        LEFT JOIN vyx.tenants t ON t.user_id = u.user_id
        JOIN vyx.tiers i ON i.tier = coalesce(t.tier, 'free') AND i.signals_per_hour IS NOT NULL
        LEFT JOIN vyx.delivered d ON d.user_id = u.user_id AND d.hour = this_hour
    ), decided AS MATERIALIZED (
        SELECT j.*, CASE
            WHEN j.verdict = 'deliver'
             AND count(*) FILTER (WHERE j.verdict = 'deliver')
                     OVER (PARTITION BY j.user_id ORDER BY j.close, j.place ROWS UNBOUNDED PRECEDING) > r.signals
            THEN 'quota' ELSE j.verdict END AS decision
        FROM judged j LEFT JOIN room r ON r.user_id = j.user_id
    ), shadowed AS (
        INSERT INTO vyx.shadow_signals (id, trader_id, trader_version, user_id, symbol, "interval", open_time, close_time, price,
                                        metadata, evaluated_at)
        SELECT j.id, j.trader_id, j.trader_version, j.user_id, j.symbol, j."interval", j.open_time, j.close_time, j.price,
               j.metadata, write_signals.evaluated_at
        FROM decided j WHERE j.decision = 'shadow'
        ON CONFLICT (id) DO NOTHING
    ), delivered AS (
        INSERT INTO vyx.signals (id, seq, trader_id, trader_version, user_id, symbol, "interval", open_time, close_time,
                                 price, metadata, kline_revision, engine, evaluated_at, lag_ms)
        SELECT j.id, write_signals.seq + row_number() OVER (ORDER BY j.close, j.place), j.trader_id,
               j.trader_version, j.user_id, j.symbol, j."interval", j.open_time, j.close_time, j.price,
               j.metadata, j.kline_revision, j.engine, write_signals.evaluated_at,
               extract(epoch FROM write_signals.evaluated_at - j.close_time) * 1000
        FROM decided j WHERE j.decision = 'deliver'
    ), of_hour AS (
        INSERT INTO vyx.delivered AS d (user_id, hour, signals)
        SELECT r.user_id, this_hour, count(*) FROM decided j JOIN room r ON r.user_id = j.user_id
        WHERE j.decision = 'deliver' GROUP BY r.user_id
        ON CONFLICT (user_id) DO UPDATE SET
            signals = CASE WHEN d.hour = EXCLUDED.hour THEN d.signals ELSE 0 END + EXCLUDED.signals, hour = EXCLUDED.hour
    ), counted AS (
        UPDATE vyx.cycles c SET
            suppressed_cooldown = c.suppressed_cooldown + n.cooldown,
            suppressed_lag = c.suppressed_lag + n.lag,
            suppressed_quota = c.suppressed_quota + n.quota,
            shadowed = c.shadowed + n.shadow,
            failed = c.failed + n.too_large,
            duplicates = c.duplicates + n.duplicate
        FROM (SELECT j."interval", j.close_time,
                     count(*) FILTER (WHERE j.decision = 'cooldown') AS cooldown,
                     count(*) FILTER (WHERE j.decision = 'lag') AS lag,
                     count(*) FILTER (WHERE j.decision = 'quota') AS quota,
                     count(*) FILTER (WHERE j.decision = 'shadow') AS shadow,
                     count(*) FILTER (WHERE j.decision = 'too large') AS too_large,
                     count(*) FILTER (WHERE j.decision = 'duplicate') AS duplicate
              FROM decided j WHERE j.decision <> 'deliver' GROUP BY j."interval", j.close_time) AS n
        WHERE c."interval" = n."interval" AND c.close_time = n.close_time AND c.lane = its_lane
    )
    SELECT count(*) FILTER (WHERE j.decision = 'deliver'),
           jsonb_agg(jsonb_build_object(
                'trader_id', j.trader_id, 'trader_version', j.trader_version, 'cause', 'metadata',
                'message', format('metadata of %s bytes is larger than 8192', octet_length(j.metadata::text)),
                'symbol', j.symbol, 'interval', j."interval", 'close_time', j.close_ms))
               FILTER (WHERE j.decision = 'too large'),
           ARRAY(SELECT r.trader_id FROM vyx.resting r
                 WHERE r.cause IN ('write', 'metadata')
                   AND EXISTS (SELECT FROM decided d WHERE d.trader_id = r.trader_id AND d.decision = 'deliver')
                   AND NOT EXISTS (SELECT FROM decided d WHERE d.trader_id = r.trader_id AND d.decision = 'too large'))
    INTO added, too_large, recovered
    FROM decided j;
    seq := seq + added;
    IF too_large IS NOT NULL THEN
        PERFORM vyx.record_failures(too_large, evaluated_at);
    END IF;
    IF recovered <> '{}' THEN
        PERFORM vyx.recover(recovered);
    END IF;
END
$$;
COMMENT ON FUNCTION vyx.write_signals(jsonb, smallint, bigint, timestamptz, boolean) IS
    'Writes a round of what fired unless it is suppressed, drawing seq after the given one; returns the last seq and how many were written.';

-- A signal that the table refuses (it is there already, or for a constraint or a trigger that somebody has put on it) must not
-- take those of the other traders with it: then each half of the traders is written by itself, and so on, until those whose are
-- refused stand alone, and have failed.
CREATE FUNCTION vyx.write_round(
    round jsonb, its_lane smallint, INOUT seq bigint, evaluated_at timestamptz, is_second boolean, OUT added bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    traders uuid[];
    half integer;
    part jsonb;
    of_part bigint;
    why text;
BEGIN
    BEGIN
        SELECT w.seq, w.added INTO seq, added FROM vyx.write_signals(round, its_lane, seq, evaluated_at, is_second) w;
        RETURN;
    EXCEPTION WHEN integrity_constraint_violation OR data_exception OR plpgsql_error OR syntax_error_or_access_rule_violation
                OR triggered_action_exception OR external_routine_exception THEN
        why := SQLERRM;
    END;
    added := 0;
    traders := ARRAY(SELECT DISTINCT f.trader_id FROM vyx.fired(round) f ORDER BY f.trader_id);
    IF is_second AND cardinality(traders) = 1 THEN
        PERFORM vyx.refuse(round, its_lane, why, evaluated_at);
        RETURN;
    END IF;
    half := (cardinality(traders) + 1) / 2;
    FOREACH part IN ARRAY ARRAY[vyx.part_of(round, traders[1], traders[half]),
                                vyx.part_of(round, traders[half + 1], traders[cardinality(traders)])] LOOP
        IF part IS NOT NULL THEN   -- one trader has no other half
            SELECT w.seq, w.added INTO seq, of_part FROM vyx.write_round(part, its_lane, seq, evaluated_at, true) w;
            added := added + of_part;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION vyx.write_round(jsonb, smallint, bigint, timestamptz, boolean) IS
    'As vyx.write_signals(); traders whose signals the table refuses go to vyx.failures with the cause write.';

CREATE FUNCTION vyx.refuse(round jsonb, its_lane smallint, why text, evaluated_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vyx.record_failures(
        (SELECT jsonb_agg(jsonb_build_object(
             'trader_id', f.trader_id, 'trader_version', f.trader_version, 'cause', 'write', 'message', why,
             'symbol', f.symbol, 'interval', f."interval", 'close_time', f.close_ms))
         FROM vyx.fired(round) f), evaluated_at);
    UPDATE vyx.cycles c SET failed = c.failed + n.refused
    FROM (SELECT f."interval", f.close_time, count(*) AS refused
          FROM vyx.fired(round) f GROUP BY f."interval", f.close_time) AS n
    WHERE c."interval" = n."interval" AND c.close_time = n.close_time AND c.lane = its_lane;
END
$$;
COMMENT ON FUNCTION vyx.refuse(jsonb, smallint, text, timestamptz) IS 'Records that the table of signals has refused a round of a trader.';

CREATE FUNCTION @extschema@.vyx_adopt() RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH adopted AS (
        UPDATE vyx.writer w SET system_identifier = c.system_identifier, epoch = w.epoch + 1
        FROM pg_control_system() c WHERE w.system_identifier <> c.system_identifier
        RETURNING w.epoch
    )
    SELECT count(*) > 0 FROM adopted;
END;
COMMENT ON FUNCTION @extschema@.vyx_adopt() IS
    'Lets a restored or cloned cluster write signals; until then it stays silent, so that nobody is alerted twice. Returns whether there was anything to adopt.';

-- The operator's way in. commit_batch itself believes what it is given, so nobody but vyx_owner may call it.
CREATE FUNCTION vyx.evaluate_once("interval" text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch jsonb;
BEGIN
    -- All or none, without waiting: who drops the extension would otherwise wait for one of them, and this for another.
    LOCK TABLE vyx.writer, vyx.watermarks, vyx.trader_versions, vyx.pending, vyx.cycles, vyx.failures, vyx.chores,
        vyx.delivered, vyx.epochs, vyx.forgotten, vyx.published, vyx.resting, vyx.retries, vyx.reviews,
        vyx.shadow_signals, vyx.tallies, vyx.tenants, vyx.tiers, vyx.usage, vyx.signals
        IN ACCESS SHARE MODE NOWAIT;
    batch := vyx._evaluate_batch("interval");
    IF batch IS NULL THEN
        RETURN 'idle';
    END IF;
    RETURN (SELECT c.outcome FROM vyx.commit_batch(batch) c);
EXCEPTION WHEN lock_not_available OR serialization_failure THEN
    RETURN 'lost';
END
$$;
COMMENT ON FUNCTION vyx.evaluate_once(text) IS
    'Evaluates what is due, of one interval or of all, and writes what comes of it; returns the outcome of vyx.commit_batch().';

-- No SET clause and no SECURITY DEFINER: a procedure that commits can have neither, so each transaction sets its own
-- search_path first and everything before that is qualified. Each step is a transaction of its own, so that the writer's
-- lock is held while something is written and not while it is computed.
CREATE PROCEDURE @extschema@.vyx_evaluate("interval" text DEFAULT NULL, stay pg_catalog.interval DEFAULT '0')
LANGUAGE plpgsql AS $$
DECLARE
    -- Market time may run faster than this machine's clock, and a close must not wait for the next minute.
    slice constant pg_catalog.float8 := 0.5;
    leave_at constant pg_catalog.timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) stay;
    outcome pg_catalog.text;
    paused_since pg_catalog.timestamptz;
BEGIN
    IF stay IS NULL THEN
        RAISE EXCEPTION 'argument "stay" must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Leave it out to evaluate what is due now and return.';
    END IF;
    LOOP
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        paused_since := vyx._paused_since('evaluate');
        IF paused_since IS NOT NULL THEN
            RAISE NOTICE 'evaluation is paused since %', paused_since USING HINT = 'SELECT vyx_resume(''evaluate'').';
            EXIT;
        END IF;
        BEGIN
            PERFORM vyx.settle_versions();
        EXCEPTION WHEN lock_not_available OR serialization_failure THEN
            NULL;   -- another evaluator is at it
        END;
        COMMIT;
        LOOP
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            EXIT WHEN vyx.upgrade_programs() = 0;
            COMMIT;
        END LOOP;
        outcome := vyx.evaluate_once("interval");
        COMMIT;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        IF outcome = 'foreign' THEN
            RAISE EXCEPTION 'this cluster is a copy of the one that vyx evaluated in'
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'If it is to alert people from now on: SELECT vyx_adopt().';
        END IF;
        -- Who lost a race leaves the rest to the winner, and looks again after a while if it was asked to stay.
        IF outcome <> 'written' THEN
            PERFORM vyx.maintain();   -- a part of what has to be done now and then
            EXIT WHEN clock_timestamp() >= leave_at;
            COMMIT;
            PERFORM pg_catalog.pg_sleep(slice);
            COMMIT;
        END IF;
    END LOOP;
    COMMIT;
END
$$;
COMMENT ON PROCEDURE @extschema@.vyx_evaluate(text, pg_catalog.interval) IS
    'Evaluates what is due, of one interval or of all, and stays for the given time to do the same for what closes meanwhile. Commits between batches, so it cannot run inside a transaction block.';

SET LOCAL search_path = @extschema@, pg_temp;
