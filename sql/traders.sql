-- The life of a trader: saved, started, stopped, deleted. What is evaluated follows from the rows of
-- vyx.trader_versions that the triggers here write; nobody else writes them.

SET LOCAL search_path = pg_catalog, pg_temp;

-- Without any news from the exchange since the server's start, the newest candle ever evaluated stands in: what is
-- due before it was evaluated without this change, and must stay so.
CREATE FUNCTION vyx.effective_now() RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(vyx._market_time(), (SELECT max(w.evaluated_through) FROM vyx.watermarks w), '-infinity');
END
$$;
COMMENT ON FUNCTION vyx.effective_now() IS 'The market time from which a change of a trader counts.';

-- Before: number the row. A row that comes with its version is one of a dump, with its versions beside it.
CREATE FUNCTION vyx.before_trader() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- "C" folds ASCII letters alone, as the exchange's names want it. An empty list is left for the table to refuse: whoever
    -- takes away the last symbol does not mean all of them.
    IF NEW.symbols IS NOT NULL THEN
        NEW.symbols := ARRAY(SELECT DISTINCT upper(s.symbol COLLATE "C") FROM unnest(NEW.symbols) AS s(symbol) ORDER BY 1);
    END IF;
    NEW.updated_at := now();
    -- The table's own checks would be told with the whole row and without advice; the compiler looks at both first.
    IF octet_length(NEW.script) > 16384 OR NOT vyx.is_interval(NEW."interval") THEN
        PERFORM vyx._compile(NEW.script, NEW."interval");
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.version := 1;
        IF NEW.user_id IS NULL AND vyx.uid() IS NULL AND NOT vyx.may_build_in() THEN
            RAISE EXCEPTION 'no tenant is known for role "%"', vyx.acting()
                USING ERRCODE = 'insufficient_privilege',
                      DETAIL = '{"limit":0,"tier":"anonymous"}',
                      HINT = 'An administrator adds it: INSERT INTO vyx.tenants (user_id, role_name) VALUES (...).';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.id IS DISTINCT FROM OLD.id OR NEW.user_id IS DISTINCT FROM OLD.user_id THEN
        RAISE EXCEPTION 'id and user_id of a trader cannot be changed'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Insert another trader.';
    END IF;
    IF NEW.state = 'running' AND OLD.state <> 'running' THEN
        NEW.last_error := NULL;
    END IF;
    -- A number names one period of evaluation: it is used again as long as there was none.
    IF EXISTS (SELECT FROM vyx.trader_versions v WHERE v.trader_id = OLD.id AND v.version = OLD.version)
       AND (vyx.definition(NEW) IS DISTINCT FROM vyx.definition(OLD) OR NEW.state = 'running' AND OLD.state <> 'running')
    THEN
        -- A shadow has a number too.
        SELECT max(v.version) + 1 INTO NEW.version FROM vyx.trader_versions v WHERE v.trader_id = OLD.id;
    ELSE
        NEW.version := OLD.version;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION vyx.before_trader() IS 'Numbers a changed trader and keeps what its owner may not change.';

CREATE FUNCTION vyx.definition(trader vyx.traders) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_array(trader.script, trader."interval", trader.symbols, trader.min_quote_volume_24h,
                         trader.fire_on, trader.cooldown, trader.max_lag);
COMMENT ON FUNCTION vyx.definition(vyx.traders) IS 'Everything of a trader that decides about its signals: a change of it makes a version.';

CREATE FUNCTION vyx.may_build_in() RETURNS boolean
LANGUAGE sql STABLE
RETURN (SELECT r.rolsuper FROM pg_roles r
        WHERE r.rolname = vyx.acting());
COMMENT ON FUNCTION vyx.may_build_in() IS 'Whether the speaker may make traders that belong to nobody: a superuser.';

-- After: only here is it certain that the row stays (ON CONFLICT DO NOTHING). An error undoes the statement.
CREATE FUNCTION vyx.after_trader() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at constant timestamptz := vyx.effective_now();
    changed constant boolean := TG_OP = 'INSERT' OR vyx.definition(NEW) IS DISTINCT FROM vyx.definition(OLD);
    started constant boolean := NEW.state = 'running' AND (TG_OP = 'INSERT' OR OLD.state <> 'running');
    program json;
    its_cost bigint;
    its_lane smallint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM vyx.check_stored(NEW);
    END IF;
    IF changed OR started THEN
        program := vyx._compile(NEW.script, NEW."interval");
    END IF;
    IF TG_OP = 'UPDATE' AND (changed OR OLD.state = 'running' AND NEW.state <> 'running') THEN
        PERFORM vyx.end_version(NEW.id, at);
    END IF;
    IF NEW.state = 'running' AND (changed OR started) THEN
        its_cost := json_array_length(program -> 'nodes') * coalesce(cardinality(NEW.symbols), vyx._tracked_symbols());
        its_lane := vyx.check_quota(NEW, its_cost);
        -- With the first trader that runs there is something to write, so from here on there is a writer.
        INSERT INTO vyx.writer (system_identifier) SELECT c.system_identifier FROM pg_control_system() c
            ON CONFLICT DO NOTHING;
        INSERT INTO vyx.trader_versions (trader_id, version, user_id, script, program, "interval", symbols,
                                         min_quote_volume_24h, fire_on, cooldown, max_lag, asked_from, cost, lane)
        VALUES (NEW.id, NEW.version, NEW.user_id, NEW.script, program, NEW."interval", NEW.symbols,
                NEW.min_quote_volume_24h, NEW.fire_on, NEW.cooldown, NEW.max_lag, at, its_cost, its_lane);
    ELSIF TG_OP = 'INSERT' THEN
        RAISE NOTICE 'trader "%" is stopped', NEW.name
            USING HINT = format('Start it: SELECT vyx_start_trader(%L).', NEW.id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION vyx.after_trader() IS 'Compiles what was saved and begins or ends the version in force.';

CREATE FUNCTION vyx.end_version(trader uuid, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    UPDATE vyx.trader_versions v SET asked_to = end_version.at
        WHERE v.trader_id = end_version.trader AND v.asked_to IS NULL AND v.effective_to IS NULL;
END;
COMMENT ON FUNCTION vyx.end_version(uuid, timestamptz) IS 'Asks for the end of the version of a trader that is in force, if any.';

-- A statement knows when it runs, not when its transaction commits: a candle may close in between, and is evaluated by
-- what was committed then. So whoever evaluates settles, under the writer's lock, from when on a change counts: from the
-- time asked for, or after the last candle that was evaluated without it. The number in vyx.writer makes batches fail
-- that were computed before.
CREATE FUNCTION vyx.settle_versions() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    decided boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM vyx.trader_versions v
                   WHERE v.effective_from IS NULL OR v.effective_to IS NULL AND v.asked_to IS NOT NULL)
       AND NOT EXISTS (SELECT FROM vyx.reviews)
       AND NOT EXISTS (SELECT FROM vyx.retries)
       AND NOT EXISTS (SELECT FROM vyx.forgotten)
    THEN
        RETURN false;
    END IF;
    PERFORM FROM vyx.writer w
        WHERE w.system_identifier = (SELECT c.system_identifier FROM pg_control_system() c) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;   -- a copy stays as it is until vyx_adopt()
    END IF;
    IF vyx.enforce_limits() > 0 THEN
        PERFORM vyx.tell_stopped();
    END IF;
    -- Watermarks of both lanes count: a trader may change from one to the other, and no candle is evaluated twice.
    -- The lock is held from here on, so this sees every batch that was written before it. A version that its tenant is
    -- ending in a transaction still open is left for later: nobody else waits for that.
    UPDATE vyx.trader_versions v
    SET effective_from = t.starts, effective_to = CASE WHEN v.asked_to IS NOT NULL THEN greatest(t.starts, v.asked_to, t.next) END
    FROM (SELECT u.trader_id, u.version, e.next, coalesce(u.effective_from, greatest(u.asked_from, e.next)) AS starts
          FROM vyx.trader_versions u
          CROSS JOIN LATERAL (SELECT max(w.evaluated_through) + interval '1 millisecond' AS next
                              FROM vyx.watermarks w WHERE w."interval" = u."interval") AS e
          WHERE u.effective_from IS NULL OR u.effective_to IS NULL AND u.asked_to IS NOT NULL
          FOR UPDATE OF u SKIP LOCKED) AS t
    WHERE v.trader_id = t.trader_id AND v.version = t.version;
    decided := FOUND;
    PERFORM vyx.redrive();
    decided := vyx.forget_rest() > 0 OR decided;
    IF decided THEN
        UPDATE vyx.writer w SET settled = w.settled + 1;
    END IF;
    RETURN decided;
END
$$;
COMMENT ON FUNCTION vyx.settle_versions() IS 'Decides from which candle on new, changed and stopped traders count, and does what else tenants may ask for but not do themselves; returns whether there was anything to decide.';

-- A program of another format, e.g. of a dump or of the server before an update, is compiled again from its script, where
-- it may still be evaluated. Some at a time: whoever evaluates asks until there are none. One whose script the language
-- refuses by now says so from then on; where the compiler itself does not work, all stay as they are.
CREATE FUNCTION vyx.upgrade_programs() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    current constant text := vyx._format()::text;
    old record;
    compiled json;
    done integer := 0;
BEGIN
    FOR old IN
        SELECT v.trader_id, v.version, v.script, v."interval" FROM vyx.trader_versions v
        WHERE (((v.program ->> 'format') COLLATE "C") < current OR ((v.program ->> 'format') COLLATE "C") > current
               OR ((v.program ->> 'format') COLLATE "C") IS NULL)
          AND (v.effective_to IS NULL
               OR EXISTS (SELECT FROM vyx.watermarks w
                          WHERE w."interval" = v."interval" AND w.lane = v.lane AND w.evaluated_through < v.effective_to)
               OR EXISTS (SELECT FROM vyx.pending p WHERE p.trader_id = v.trader_id AND p.trader_version = v.version))
        LIMIT 50 FOR UPDATE SKIP LOCKED
    LOOP
        BEGIN
            compiled := vyx._compile(old.script, old."interval");
        EXCEPTION
            WHEN syntax_error OR program_limit_exceeded THEN
                compiled := json_build_object('format', current::integer, 'refused', SQLERRM);
            WHEN OTHERS THEN
                RAISE WARNING 'vyx: programs of another format wait: %', SQLERRM;
                RETURN done;
        END;
        UPDATE vyx.trader_versions v SET program = compiled WHERE v.trader_id = old.trader_id AND v.version = old.version;
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;
COMMENT ON FUNCTION vyx.upgrade_programs() IS 'Compiles programs that another version of vyx wrote again from their scripts, some at a time; returns how many.';

CREATE FUNCTION vyx.after_trader_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What it has pending stays and is finished in its turn: a row deleted here would be locked until this transaction
    -- ends, and whoever evaluates would wait for it.
    PERFORM vyx.end_version(OLD.id, vyx.effective_now());
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION vyx.after_trader_delete() IS 'Ends the version in force of a deleted trader; its signals stay.';

CREATE TRIGGER number_new BEFORE INSERT ON vyx.traders
    FOR EACH ROW WHEN (NEW.version IS NULL) EXECUTE FUNCTION vyx.before_trader();
CREATE TRIGGER number_changed BEFORE UPDATE ON vyx.traders
    FOR EACH ROW EXECUTE FUNCTION vyx.before_trader();
-- The time tells the rows of a dump from new ones, which the trigger before has just dated.
CREATE TRIGGER apply_new AFTER INSERT ON vyx.traders
    FOR EACH ROW WHEN (NEW.updated_at = pg_catalog.transaction_timestamp()) EXECUTE FUNCTION vyx.after_trader();
CREATE TRIGGER apply_changed AFTER UPDATE ON vyx.traders
    FOR EACH ROW EXECUTE FUNCTION vyx.after_trader();
-- Triggers fire in the order of their names: before anything is compiled. What the database stops is nobody's doing.
CREATE TRIGGER allow_new AFTER INSERT ON vyx.traders
    FOR EACH ROW WHEN (NEW.state = 'running' AND NEW.updated_at = pg_catalog.transaction_timestamp())
    EXECUTE FUNCTION vyx.count_switch();
CREATE TRIGGER allow_changed AFTER UPDATE ON vyx.traders
    FOR EACH ROW WHEN (NEW.state <> OLD.state AND CURRENT_USER <> 'vyx_owner') EXECUTE FUNCTION vyx.count_switch();
CREATE TRIGGER apply_deleted AFTER DELETE ON vyx.traders
    FOR EACH ROW EXECUTE FUNCTION vyx.after_trader_delete();

SET LOCAL search_path = @extschema@, pg_temp;
