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
--   signals     [{id, trader_id, trader_version, symbol, interval, open_time, close_time, price, metadata,
--                kline_revision, engine}]   what fired; every (interval, close_time) of it is in cycles
--   rounds      the most signals of one trader and symbol
--   failures    [{trader_id, trader_version, cause, message, symbol, interval, close_time}]
--   recovered   [trader_id]   whose program could not be evaluated before, and was now
--   tallies     [{interval, close_time, counts}]   rows of vyx.tallies
--   cycles      [{interval, close_time, expected, series, late, absent, traders, evaluated, matched, unmatched,
--                not_ready, waiting, resting, failed, fired, wait_ms}]   to be added; waiting falls when pending rows are
--                finished
-- Owner, cooldown and max_lag are taken from the version, never from the batch.
-- The time zone: a cooldown of a day is 24 hours, whoever evaluates.
CREATE FUNCTION vyx.commit_batch(batch jsonb, OUT outcome text, OUT written bigint, OUT last_seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' SET timezone = 'UTC' AS $$
DECLARE
    began constant timestamptz := clock_timestamp();
    evaluated_at constant timestamptz := vyx.at((batch ->> 'evaluated_at')::bigint);
    its_lane constant smallint := coalesce((batch ->> 'lane')::smallint, 0);
    writer vyx.writer;
    agreed bigint;
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
    FOR round IN 1 .. (batch ->> 'rounds')::bigint LOOP
        SELECT r.seq, r.added INTO last_seq, added
            FROM vyx.write_round(batch -> 'signals', its_lane, round, last_seq, evaluated_at) r;
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

-- Cooldown, max_lag and the tenant's limit are decided here, under the writer's lock, so that it does not matter who
-- evaluated. Cooldown looks to both sides: a late series may fire before a candle whose signal is already out.
CREATE FUNCTION vyx.write_signals(
    signals jsonb, its_lane smallint, round bigint, INOUT seq bigint, evaluated_at timestamptz, OUT added bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    too_large jsonb;
    this_hour constant timestamptz := date_trunc('hour', evaluated_at);
    delivered_of uuid[];
BEGIN
    WITH fired AS (
        SELECT b.id, b.trader_id, b.trader_version, v.user_id, b.symbol, b."interval", vyx.at(b.open_time) AS open_time,
               vyx.at(b.close_time) AS close_time, b.close_time AS close_ms, b.price, b.metadata, b.kline_revision, b.engine,
               v.cooldown, v.max_lag, v.shadow,
               row_number() OVER (PARTITION BY b.trader_id, v.shadow, b.symbol ORDER BY b.close_time) AS nth
        FROM jsonb_to_recordset(signals)
                 AS b(id uuid, trader_id uuid, trader_version bigint, symbol text, "interval" text, open_time bigint,
                      close_time bigint, price float8, metadata jsonb, kline_revision integer, engine integer)
        JOIN vyx.trader_versions v ON v.trader_id = b.trader_id AND v.version = b.trader_version
    ), judged AS MATERIALIZED (
        SELECT f.*, CASE
            -- jsonb writes numbers out (1e300 takes 301 digits): only here is the size known.
            WHEN octet_length(f.metadata::text) > 8192 THEN 'too large'
            WHEN evaluated_at - f.close_time > f.max_lag THEN 'lag'
            WHEN f.cooldown > '0' AND NOT f.shadow AND EXISTS (
                SELECT FROM vyx.signals s
                WHERE s.trader_id = f.trader_id AND s.symbol = f.symbol AND s.id <> f.id
                  AND s.close_time > f.close_time - f.cooldown AND s.close_time < f.close_time + f.cooldown
            ) THEN 'cooldown'
            WHEN f.cooldown > '0' AND f.shadow AND EXISTS (
                SELECT FROM vyx.shadow_signals s
                WHERE s.trader_id = f.trader_id AND s.symbol = f.symbol AND s.id <> f.id
                  AND s.close_time > f.close_time - f.cooldown AND s.close_time < f.close_time + f.cooldown
            ) THEN 'cooldown'
            WHEN f.shadow THEN 'shadow'
            ELSE 'deliver' END AS verdict
        FROM fired f WHERE f.nth = round
    ), room AS MATERIALIZED (
        -- What is left of the hour for those who have a limit; who has never started anything himself is free.
        SELECT u.user_id, i.signals_per_hour - coalesce(d.signals, 0) AS signals
        FROM (SELECT DISTINCT j.user_id FROM judged j WHERE j.verdict = 'deliver' AND j.user_id IS NOT NULL) AS u
        LEFT JOIN vyx.tenants t ON t.user_id = u.user_id
        JOIN vyx.tiers i ON i.tier = coalesce(t.tier, 'free') AND i.signals_per_hour IS NOT NULL
        LEFT JOIN vyx.delivered d ON d.user_id = u.user_id AND d.hour = this_hour
    ), numbered AS (
        SELECT j.*, row_number() OVER (PARTITION BY j.user_id, j.verdict ORDER BY j.close_time, j.trader_id, j.symbol) AS place
        FROM judged j
    ), decided AS MATERIALIZED (
        SELECT n.*, CASE WHEN n.verdict = 'deliver' AND n.place > r.signals THEN 'quota' ELSE n.verdict END AS decision
        FROM numbered n LEFT JOIN room r ON r.user_id = n.user_id
    ), shadowed AS (
        INSERT INTO vyx.shadow_signals (id, trader_id, trader_version, user_id, symbol, "interval", open_time, close_time, price,
                                        metadata, evaluated_at)
        SELECT j.id, j.trader_id, j.trader_version, j.user_id, j.symbol, j."interval", j.open_time, j.close_time, j.price,
               coalesce(j.metadata, '{}'), write_signals.evaluated_at
        FROM decided j WHERE j.decision = 'shadow'
        ON CONFLICT (id) DO NOTHING
    ), delivered AS (
        INSERT INTO vyx.signals AS s (id, seq, trader_id, trader_version, user_id, symbol, "interval", open_time, close_time,
                                      price, metadata, kline_revision, engine, evaluated_at, lag_ms)
        SELECT j.id, write_signals.seq + row_number() OVER (ORDER BY j.close_time, j.trader_id, j.symbol), j.trader_id,
               j.trader_version, j.user_id, j.symbol, j."interval", j.open_time, j.close_time, j.price,
               coalesce(j.metadata, '{}'), j.kline_revision, j.engine, write_signals.evaluated_at,
               extract(epoch FROM write_signals.evaluated_at - j.close_time) * 1000
        FROM decided j WHERE j.decision = 'deliver'
        ON CONFLICT (id) DO NOTHING
        RETURNING s.seq, s."interval", s.close_time, s.user_id, s.trader_id
    ), of_hour AS (
        INSERT INTO vyx.delivered AS d (user_id, hour, signals)
        SELECT n.user_id, this_hour, count(*) FROM delivered n JOIN room r ON r.user_id = n.user_id GROUP BY n.user_id
        ON CONFLICT (user_id) DO UPDATE SET
            signals = CASE WHEN d.hour = EXCLUDED.hour THEN d.signals ELSE 0 END + EXCLUDED.signals, hour = EXCLUDED.hour
    ), counted AS (
        UPDATE vyx.cycles c SET
            suppressed_cooldown = c.suppressed_cooldown + n.cooldown,
            suppressed_lag = c.suppressed_lag + n.lag,
            suppressed_quota = c.suppressed_quota + n.quota,
            shadowed = c.shadowed + n.shadow,
            failed = c.failed + n.too_large,
            duplicates = c.duplicates + n.duplicates
        -- What was to be delivered and was not: counted on both sides, since a join of the rows themselves is planned for
        -- one row and takes seconds for thousands.
        FROM (SELECT k."interval", k.close_time, sum(k.cooldown) AS cooldown, sum(k.lag) AS lag, sum(k.quota) AS quota,
                     sum(k.shadow) AS shadow, sum(k.too_large) AS too_large, sum(k.delivering) AS duplicates
              FROM (SELECT j."interval", j.close_time,
                           count(*) FILTER (WHERE j.decision = 'cooldown') AS cooldown,
                           count(*) FILTER (WHERE j.decision = 'lag') AS lag,
                           count(*) FILTER (WHERE j.decision = 'quota') AS quota,
                           count(*) FILTER (WHERE j.decision = 'shadow') AS shadow,
                           count(*) FILTER (WHERE j.decision = 'too large') AS too_large,
                           count(*) FILTER (WHERE j.decision = 'deliver') AS delivering
                    FROM decided j GROUP BY j."interval", j.close_time
                    UNION ALL
                    SELECT d."interval", d.close_time, 0, 0, 0, 0, 0, -count(*) FROM delivered d GROUP BY d."interval", d.close_time
                   ) AS k
              GROUP BY k."interval", k.close_time) AS n
        WHERE c."interval" = n."interval" AND c.close_time = n.close_time AND c.lane = its_lane
          AND n.cooldown + n.lag + n.quota + n.shadow + n.too_large + n.duplicates > 0
    )
    SELECT greatest(write_signals.seq, (SELECT max(d.seq) FROM delivered d)), (SELECT count(*) FROM delivered),
           (SELECT jsonb_agg(jsonb_build_object(
                'trader_id', j.trader_id, 'trader_version', j.trader_version, 'cause', 'metadata',
                'message', format('metadata of %s bytes is larger than 8192', octet_length(j.metadata::text)),
                'symbol', j.symbol, 'interval', j."interval", 'close_time', j.close_ms))
            FROM decided j WHERE j.decision = 'too large'),
           (SELECT array_agg(DISTINCT d.trader_id) FROM delivered d)
    INTO seq, added, too_large, delivered_of;
    IF too_large IS NOT NULL THEN
        PERFORM vyx.record_failures(too_large, evaluated_at);
    END IF;
    IF EXISTS (SELECT FROM vyx.resting) THEN
        PERFORM vyx.recover(ARRAY(SELECT r.trader_id FROM vyx.resting r
                                  WHERE r.trader_id = ANY (delivered_of) AND r.cause IN ('write', 'metadata')
                                    AND NOT EXISTS (SELECT FROM jsonb_to_recordset(too_large) AS l(trader_id uuid)
                                                    WHERE l.trader_id = r.trader_id)));
    END IF;
END
$$;
COMMENT ON FUNCTION vyx.write_signals(jsonb, smallint, bigint, bigint, timestamptz) IS
    'Writes each pair''s nth fired candle unless it is suppressed, drawing seq after the given one; returns the last seq and how many were written.';

-- A signal that the table refuses (a constraint or a trigger that somebody has put on it) must not take those of the other
-- traders with it: then each trader's are written by themselves, and whose are refused has failed.
CREATE FUNCTION vyx.write_round(
    signals jsonb, its_lane smallint, round bigint, INOUT seq bigint, evaluated_at timestamptz, OUT added bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one jsonb;
    of_one bigint;
    why text;
BEGIN
    BEGIN
        SELECT w.seq, w.added INTO seq, added FROM vyx.write_signals(signals, its_lane, round, seq, evaluated_at) w;
        RETURN;
    EXCEPTION WHEN integrity_constraint_violation OR data_exception OR plpgsql_error OR syntax_error_or_access_rule_violation
                OR triggered_action_exception OR external_routine_exception THEN
        NULL;
    END;
    added := 0;
    FOR one IN SELECT jsonb_agg(s.signal) FROM jsonb_array_elements(signals) AS s(signal) GROUP BY s.signal ->> 'trader_id' LOOP
        BEGIN
            SELECT w.seq, w.added INTO seq, of_one FROM vyx.write_signals(one, its_lane, round, seq, evaluated_at) w;
            added := added + of_one;
        EXCEPTION WHEN integrity_constraint_violation OR data_exception OR plpgsql_error OR syntax_error_or_access_rule_violation
                    OR triggered_action_exception OR external_routine_exception THEN
            why := SQLERRM;
            PERFORM vyx.refuse(one, its_lane, round, why, evaluated_at);
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION vyx.write_round(jsonb, smallint, bigint, bigint, timestamptz) IS
    'As vyx.write_signals(); traders whose signals the table refuses go to vyx.failures with the cause write.';

CREATE FUNCTION vyx.refuse(signals jsonb, its_lane smallint, round bigint, why text, evaluated_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused jsonb;
BEGIN
    SELECT jsonb_agg(s.signal || jsonb_build_object('cause', 'write', 'message', why)) INTO refused
    FROM (SELECT e.signal, row_number() OVER (PARTITION BY e.signal ->> 'symbol' ORDER BY (e.signal ->> 'close_time')::bigint) AS nth
          FROM jsonb_array_elements(signals) AS e(signal)) AS s
    WHERE s.nth = round;
    PERFORM vyx.record_failures(refused, evaluated_at);
    UPDATE vyx.cycles c SET failed = c.failed + n.refused
    FROM (SELECT b."interval", b.close_time, count(*) AS refused
          FROM jsonb_to_recordset(refused) AS b("interval" text, close_time bigint) GROUP BY 1, 2) AS n
    WHERE c."interval" = n."interval" AND c.close_time = vyx.at(n.close_time) AND c.lane = its_lane;
END
$$;
COMMENT ON FUNCTION vyx.refuse(jsonb, smallint, bigint, text, timestamptz) IS
    'Records that the table of signals has refused a trader''s signals of a round.';

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
