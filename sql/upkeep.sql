-- What has to be done now and then, a little at a time: folding usage, deleting what is old. The clock is the market's.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE vyx.chores (
    chore text PRIMARY KEY,
    every interval NOT NULL,
    due   timestamptz NOT NULL DEFAULT '-infinity',
    place uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
ALTER TABLE vyx.chores ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.chores FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.chores IS 'What vyx.maintain() does, and when next.';
COMMENT ON COLUMN vyx.chores.place IS 'Where it goes on: after this trader.';
SELECT pg_extension_config_dump('vyx.chores', '');

CREATE FUNCTION vyx.maintain() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '20ms' SET timezone = 'UTC' AS $$
DECLARE
    now constant timestamptz := vyx.effective_now();
    job vyx.chores;
    more boolean := false;
BEGIN
    -- A copy stays as it is until vyx_adopt().
    IF now = '-infinity' OR NOT EXISTS (SELECT FROM vyx.writer w JOIN pg_control_system() c ON c.system_identifier = w.system_identifier) THEN
        RETURN false;
    END IF;
    -- Not by the installation: a restored dump brings its own.
    IF NOT EXISTS (SELECT FROM vyx.chores) THEN
        INSERT INTO vyx.chores (chore, every) VALUES
            ('usage', '1 minute'), ('signals', '1 minute'), ('traders', '1 minute'), ('limits', '1 minute'),
            ('shadow_signals', '10 minutes'), ('failures', '1 hour'), ('resting', '1 hour'), ('versions', '1 hour')
            ON CONFLICT DO NOTHING;
    END IF;
    -- One that is due in a day is from a market whose time has gone back.
    SELECT c.* INTO job FROM vyx.chores c WHERE c.due <= now OR c.due > now + interval '1 day'
        ORDER BY c.due, c.chore LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    BEGIN
        CASE job.chore
            WHEN 'usage' THEN more := vyx.fold_usage() > 0;
            WHEN 'signals' THEN SELECT d.place, d.more INTO job.place, more FROM vyx.drop_signals(now, job.place) d;
            WHEN 'traders' THEN more := vyx.tell_stopped() > 0;
            WHEN 'limits' THEN
                IF vyx.count_running() > coalesce(current_setting('vyx.max_running_traders', true), '1000')::integer THEN
                    INSERT INTO vyx.reviews DEFAULT VALUES;
                END IF;
            WHEN 'shadow_signals' THEN more := vyx.drop_shadow_signals(now);
            WHEN 'failures' THEN more := vyx.drop_failures(now);
            WHEN 'resting' THEN PERFORM vyx.drop_resting();
            WHEN 'versions' THEN more := vyx.drop_versions(now);
        END CASE;
    EXCEPTION WHEN lock_not_available THEN
        more := false;   -- somebody holds a lock: another time
    END;
    UPDATE vyx.chores c SET due = CASE WHEN more THEN least(job.due, now) ELSE now + c.every END, place = job.place
        WHERE c.chore = job.chore;
    RETURN more OR EXISTS (SELECT FROM vyx.chores c WHERE c.due <= now);
END
$$;
COMMENT ON FUNCTION vyx.maintain() IS 'Does a part of what has to be done now and then; returns whether there is more. Takes milliseconds, but for usage of thousands of traders, and waits for nobody.';

-- By trader, so that each goes by its own time and an index leads to its oldest. What a cooldown must still know of stays.
-- Counted from the evaluation: what was caught up late is kept as long as anything else.
CREATE FUNCTION vyx.drop_signals(now timestamptz, INOUT place uuid, OUT more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    of_builtin constant interval := '7 days';
    most constant integer := 1000;
    looked integer := 0;
    left_over integer := most;
    dropped integer;
    its record;
    keep interval;
    cooldown interval;
BEGIN
    more := true;
    WHILE looked < 200 AND left_over > 0 LOOP
        SELECT s.trader_id, s.user_id INTO its FROM vyx.signals s WHERE s.trader_id > place ORDER BY s.trader_id LIMIT 1;
        IF NOT FOUND THEN
            place := '00000000-0000-0000-0000-000000000000';
            more := false;
            RETURN;
        END IF;
        looked := looked + 1;
        keep := CASE WHEN its.user_id IS NULL THEN of_builtin ELSE (
            SELECT i.keep_signals FROM vyx.tiers i
            WHERE i.tier = coalesce((SELECT t.tier FROM vyx.tenants t WHERE t.user_id = its.user_id), 'free')) END;
        SELECT coalesce(max(v.cooldown), '0') INTO cooldown FROM vyx.trader_versions v
            WHERE v.trader_id = its.trader_id AND v.effective_to IS NULL;
        WITH old AS (
            SELECT s.id FROM vyx.signals s
            WHERE s.trader_id = its.trader_id AND s.close_time < now - keep - cooldown AND s.evaluated_at < now - keep
            ORDER BY s.close_time LIMIT left_over FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM vyx.signals s USING old WHERE s.id = old.id RETURNING s.user_id, s.close_time
        ), counted AS (
            INSERT INTO vyx.usage AS u (trader_id, day, user_id, signals)
            SELECT its.trader_id, vyx.utc_day(g.close_time), g.user_id, count(*) FROM gone g GROUP BY vyx.utc_day(g.close_time), g.user_id
            ON CONFLICT (trader_id, day) DO UPDATE SET signals = u.signals + EXCLUDED.signals
        )
        SELECT count(*) INTO dropped FROM gone;
        left_over := left_over - dropped;
        -- With nothing left to drop there may be more of this trader.
        place := CASE WHEN left_over > 0 THEN its.trader_id ELSE place END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION vyx.drop_signals(timestamptz, uuid) IS
    'Deletes signals that are older than their tenant''s tier keeps them, of some traders after the given one, and counts them in vyx.usage; returns where to go on and whether there is more.';

CREATE FUNCTION vyx.drop_shadow_signals(now timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH gone AS (
        DELETE FROM vyx.shadow_signals s
        WHERE s.ctid = ANY (ARRAY(SELECT o.ctid FROM vyx.shadow_signals o WHERE o.close_time < drop_shadow_signals.now - interval '168 hours'
                                  LIMIT 1000 FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) = 1000 FROM gone;
END;
COMMENT ON FUNCTION vyx.drop_shadow_signals(timestamptz) IS 'Deletes some of the shadows'' signals that are older than 7 days; returns whether there may be more.';

CREATE FUNCTION vyx.drop_failures(now timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH gone AS (
        DELETE FROM vyx.failures f
        WHERE f.ctid = ANY (ARRAY(SELECT o.ctid FROM vyx.failures o WHERE o.last_at < drop_failures.now - interval '720 hours'
                                  LIMIT 1000 FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) = 1000 FROM gone;
END;
COMMENT ON FUNCTION vyx.drop_failures(timestamptz) IS 'Deletes some of the failures that have not happened for 30 days; returns whether there may be more.';

CREATE FUNCTION vyx.drop_resting() RETURNS void
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    DELETE FROM vyx.resting r
    WHERE r.trader_id = ANY (ARRAY(SELECT o.trader_id FROM vyx.resting o
                                   WHERE NOT EXISTS (SELECT FROM vyx.traders t WHERE t.id = o.trader_id)
                                   LIMIT 1000 FOR UPDATE OF o SKIP LOCKED));
END;
COMMENT ON FUNCTION vyx.drop_resting() IS 'Deletes what is known of the failures of traders that are deleted.';

-- The newest of a trader stays: the next one is numbered after it. A series that is behind may need one that ended long
-- ago; the newest watermark of an interval tells how far evaluation is, as those of series that left stand still.
CREATE FUNCTION vyx.drop_versions(now timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH old AS (
        SELECT v.trader_id, v.version FROM vyx.trader_versions v
        WHERE v.effective_to < drop_versions.now - interval '720 hours'
          AND v.effective_to + interval '24 hours' < (
              SELECT max(w.evaluated_through) FROM vyx.watermarks w WHERE w."interval" = v."interval" AND w.lane = v.lane)
          AND (EXISTS (SELECT FROM vyx.trader_versions n WHERE n.trader_id = v.trader_id AND n.version > v.version)
               OR NOT EXISTS (SELECT FROM vyx.traders t WHERE t.id = v.trader_id))
          AND NOT EXISTS (SELECT FROM vyx.pending p WHERE p.trader_id = v.trader_id AND p.trader_version = v.version)
          AND NOT EXISTS (SELECT FROM vyx.failures f WHERE f.trader_id = v.trader_id AND f.trader_version = v.version)
          AND NOT EXISTS (SELECT FROM vyx.signals s
                          WHERE s.trader_id = v.trader_id AND s.trader_version = v.version
                            AND s.close_time >= v.effective_from AND s.close_time < v.effective_to)
        LIMIT 100 FOR UPDATE OF v SKIP LOCKED
    ), gone AS (
        DELETE FROM vyx.trader_versions v USING old WHERE v.trader_id = old.trader_id AND v.version = old.version RETURNING 1
    )
    SELECT count(*) = 100 FROM gone;
END;
COMMENT ON FUNCTION vyx.drop_versions(timestamptz) IS 'Deletes some versions that ended 30 days ago and that nothing refers to; returns whether there may be more.';

SET LOCAL search_path = @extschema@, pg_temp;
