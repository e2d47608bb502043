-- Dead letters, tried again. A tenant's transaction must not lock rows of vyx.failures, which whoever evaluates writes:
-- so it leaves a wish, which the next settling fulfils.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE vyx.retries (
    trader_id uuid NOT NULL,
    cause     text NOT NULL CHECK (octet_length(cause) <= 64),
    user_id   uuid,
    PRIMARY KEY (trader_id, cause)
);
ALTER TABLE vyx.retries ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.retries FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.retries IS 'Failures that their owners want tried again. Taken by vyx.redrive().';
COMMENT ON COLUMN vyx.retries.cause IS 'The cause to be tried again; empty: all of the trader''s.';

SELECT pg_extension_config_dump('vyx.retries', '');

CREATE FUNCTION @extschema@.vyx_retry(trader uuid, cause text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    speaker constant uuid := vyx.uid();
    sees_all constant boolean := vyx.is_operator();
    owner uuid;
    candles bigint;
BEGIN
    IF trader IS NULL THEN
        RAISE EXCEPTION 'argument "trader" must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a trader''s id.';
    END IF;
    -- The newest version is the owner's word too, of a trader that is deleted.
    SELECT v.user_id INTO owner FROM vyx.trader_versions v
        WHERE v.trader_id = trader AND (sees_all OR v.user_id = speaker) ORDER BY v.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no trader "%" has run', trader
            USING ERRCODE = 'undefined_object', HINT = 'SELECT trader_id, cause, message FROM vyx.failures lists what failed.';
    END IF;
    SELECT sum(jsonb_array_length(f.candles)) INTO candles FROM vyx.failures f
        WHERE f.trader_id = trader AND f.cause = coalesce(vyx_retry.cause, f.cause);
    -- A wish for what there is not would be a row of anybody's choice.
    IF candles IS NOT NULL
       OR EXISTS (SELECT FROM vyx.resting r WHERE r.trader_id = trader AND r.cause = coalesce(vyx_retry.cause, r.cause)) THEN
        INSERT INTO vyx.retries (trader_id, cause, user_id) VALUES (trader, coalesce(vyx_retry.cause, ''), owner) ON CONFLICT DO NOTHING;
        -- What can be evaluated and fails, as too large metadata, could be asked for again at every close.
        IF FOUND AND owner = speaker THEN
            PERFORM vyx.note_switch(speaker);
        END IF;
    END IF;
    RETURN coalesce(candles, 0);
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_retry(uuid, text) IS
    'Has what failed of a trader tried again, of one cause or all, from the next close on, and lets a resting trader run again; returns of how many candles. What is too old by now fails again.';

-- Called under the writer's lock, so no batch writes these tables meanwhile.
CREATE FUNCTION vyx.redrive() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most constant integer := 20;   -- of at most 100 candles for each cause
    wished uuid[];
    redriven bigint;
BEGIN
    WITH wish AS (
        DELETE FROM vyx.retries r WHERE r.ctid = ANY (ARRAY(SELECT o.ctid FROM vyx.retries o LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING r.trader_id, r.cause
    ), taken AS (
        DELETE FROM vyx.failures f
        USING (SELECT o.trader_id, o.trader_version, o.cause FROM vyx.failures o
               JOIN wish w ON w.trader_id = o.trader_id AND w.cause IN ('', o.cause)
               FOR UPDATE OF o SKIP LOCKED) AS free
        WHERE f.trader_id = free.trader_id AND f.trader_version = free.trader_version AND f.cause = free.cause
        RETURNING f.trader_id, f.trader_version, f.cause, f.user_id, f."interval", f.candles
    ), again AS MATERIALIZED (
        SELECT t.trader_id, t.trader_version, t.user_id, t."interval", c.candle ->> 0 AS symbol,
               vyx.at((c.candle ->> 1)::bigint) AS close_time, v.lane, count(DISTINCT t.cause) AS failures,
               -- These had fired, and will again.
               count(DISTINCT t.cause) FILTER (WHERE t.cause IN ('write', 'metadata')) AS fired
        FROM taken t
        CROSS JOIN LATERAL jsonb_array_elements(t.candles) AS c(candle)
        JOIN vyx.trader_versions v ON v.trader_id = t.trader_id AND v.version = t.trader_version
        GROUP BY t.trader_id, t.trader_version, t.user_id, t."interval", c.candle, v.lane
    ), put_off AS (
        INSERT INTO vyx.pending AS p (trader_id, trader_version, user_id, symbol, "interval", close_time, waiting_for, since)
        SELECT a.trader_id, a.trader_version, a.user_id, a.symbol, a."interval", a.close_time, 'a retry', vyx.effective_now()
        FROM again a
        ON CONFLICT DO NOTHING
        RETURNING p.trader_id, p.trader_version, p.symbol, p."interval", p.close_time
    ), counted AS (
        UPDATE vyx.cycles c SET
            waiting = c.waiting + n.candles, failed = c.failed - least(n.failures, c.failed), evaluated = c.evaluated - n.fired,
            matched = c.matched - n.fired, fired = c.fired - n.fired
        FROM (SELECT a."interval", a.close_time, a.lane, count(*) AS candles, sum(a.failures) AS failures, sum(a.fired) AS fired
              FROM put_off p JOIN again a USING (trader_id, trader_version, symbol, "interval", close_time)
              GROUP BY a."interval", a.close_time, a.lane) AS n
        WHERE c."interval" = n."interval" AND c.close_time = n.close_time AND c.lane = n.lane
    ), woken AS (
        DELETE FROM vyx.resting r USING wish w WHERE r.trader_id = w.trader_id AND w.cause IN ('', r.cause)
    )
    SELECT (SELECT array_agg(DISTINCT w.trader_id) FROM wish w), (SELECT count(*) FROM put_off) INTO wished, redriven;
    IF wished IS NOT NULL THEN
        PERFORM vyx.clear_errors(wished);
    END IF;
    RETURN redriven;
END
$$;
COMMENT ON FUNCTION vyx.redrive() IS 'Puts what failed, and is to be tried again, among what is pending; returns how many candles.';

-- A courtesy, as in vyx.record_failures(): a trader whose row is locked goes without.
CREATE FUNCTION vyx.clear_errors(traders uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE vyx.traders IN ROW EXCLUSIVE MODE NOWAIT;
    WITH free AS MATERIALIZED (
        SELECT t.id FROM vyx.traders t WHERE t.id = ANY (traders) AND t.last_error IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE vyx.traders t SET last_error = NULL FROM free WHERE t.id = free.id;
EXCEPTION WHEN lock_not_available THEN
    NULL;
END
$$;
COMMENT ON FUNCTION vyx.clear_errors(uuid[]) IS 'Takes away the last error of traders that are tried again.';

SET LOCAL search_path = @extschema@, pg_temp;
