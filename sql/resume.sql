-- Delivery to who was away: signals after a cursor, in the order of commit, none left out.
--
-- Within one history seq rises in the order of commit. A restore, a clone or a promotion may lose the end of it, and
-- then the same numbers are drawn again for other signals. So histories are told apart as epochs, each with the number
-- after which it began: up to there it is the one before.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE vyx.epochs (
    epoch    bigint PRIMARY KEY CHECK (epoch > 0),
    seq      bigint NOT NULL CHECK (seq >= 0),
    place    text NOT NULL,
    tag      text NOT NULL DEFAULT left(gen_random_uuid()::text, 8) CHECK (tag ~ '^[0-9a-f]{8}$'),
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE vyx.epochs ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.epochs FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.epochs IS 'Histories of vyx.signals.seq, the newest last; each goes on where it left the one before.';
COMMENT ON COLUMN vyx.epochs.seq IS 'The last number that it shares with the epoch before.';
COMMENT ON COLUMN vyx.epochs.place IS 'Where it is written: timeline, database and table. In another place the next number begins another epoch.';
COMMENT ON COLUMN vyx.epochs.tag IS 'Tells it from an epoch of the same number in a copy of this database that went its own way.';
SELECT pg_catalog.pg_extension_config_dump('vyx.epochs', '');

-- For those who see the signals of all tenants; a tenant's own are found by (user_id, seq).
CREATE INDEX signals_seq_idx ON vyx.signals (seq);

CREATE FUNCTION vyx.keep_epochs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- The segment's name begins with the timeline, which a promotion changes at once, unlike what pg_control says.
    here constant text := concat_ws('/', left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
                                    (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), TG_RELID);
BEGIN
    -- A crash must not take back what a client may have seen: its cursor would stand for other signals.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'local', true);
    END IF;
    IF NEW.epoch = OLD.epoch AND EXISTS (SELECT FROM vyx.epochs e WHERE e.epoch = OLD.epoch AND e.place <> here) THEN
        NEW.epoch := OLD.epoch + 1;
    END IF;
    INSERT INTO vyx.epochs (epoch, seq, place) VALUES (NEW.epoch, OLD.seq, here) ON CONFLICT DO NOTHING;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION vyx.keep_epochs() IS 'Begins another epoch where numbers are drawn in another place than before, or the writer was adopted.';
CREATE TRIGGER keep_epochs BEFORE UPDATE ON vyx.writer
    FOR EACH ROW WHEN (NEW.seq <> OLD.seq OR NEW.epoch <> OLD.epoch) EXECUTE FUNCTION vyx.keep_epochs();

-- A cursor is epoch.tag.seq; nobody needs to know. The writer's row stays closed: what is told of it is what every cursor says.
CREATE FUNCTION vyx.read_cursor("cursor" text, "limit" integer, OUT after bigint, OUT prefix text, OUT most integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    largest constant integer := 65536;
    part constant text[] := regexp_match($1, '^(\d{1,18})\.([0-9a-f]{8})\.(\d{1,18})$');
BEGIN
    IF $2 IS NULL THEN
        RAISE EXCEPTION 'argument "limit" must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a value.';
    ELSIF $2 NOT BETWEEN 1 AND largest THEN
        RAISE EXCEPTION 'limit % is out of range: it must be 1 to %', $2, largest
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Ask again with the cursor of the last row for more.';
    ELSIF part IS NULL AND $1 <> 'start' THEN
        RAISE EXCEPTION 'malformed cursor "%"', left($1, 80)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use one that vyx_signals_since() gave; start for all that is kept, NULL for the newest.';
    END IF;
    most := $2;
    SELECT concat_ws('.', w.epoch, e.tag, '') INTO prefix FROM vyx.writer w JOIN vyx.epochs e USING (epoch);
    -- As far as the cursor's epoch is part of this history, and the cursor not beyond its end.
    SELECT least(part[3]::bigint, min(later.seq)) INTO after
    FROM vyx.epochs e LEFT JOIN vyx.epochs later ON later.epoch > e.epoch
    WHERE e.epoch = part[1]::bigint AND e.tag = part[2]
    GROUP BY e.epoch;
    -- Of a history that is not known here: where it left this one is not known either.
    after := coalesce(after, 0);
END
$$;
COMMENT ON FUNCTION vyx.read_cursor(text, integer) IS 'What a cursor means here and now: the seq after which to go on, and how cursors begin; and the limit, when it is one.';

-- Row level security decides what is seen. The conditions only tell the planner what it will decide: each branch is a
-- walk along an index, however many tenants there are.
CREATE FUNCTION @extschema@.vyx_signals_since("cursor" text DEFAULT NULL, "limit" integer DEFAULT 100)
RETURNS TABLE (
    id uuid, seq bigint, trader_id uuid, trader_version bigint, user_id uuid, symbol text, "interval" text, open_time timestamptz,
    close_time timestamptz, price float8, metadata jsonb, kline_revision integer, engine integer, evaluated_at timestamptz,
    lag_ms bigint, created_at timestamptz, "cursor" text
)
LANGUAGE sql STABLE ROWS 100
BEGIN ATOMIC
    WITH here AS MATERIALIZED (
        SELECT c.after, c.prefix, c.most, vyx.uid() AS me, NOT row_security_active('vyx.signals') AS all_tenants
        FROM vyx.read_cursor($1, $2) c
    ), begin AS MATERIALIZED (
        SELECT CASE WHEN $1 IS NOT NULL THEN (SELECT h.after FROM here h) ELSE (
            SELECT min(n.seq) - 1
            FROM (SELECT b.seq FROM (
                      (SELECT s.seq FROM vyx.signals s WHERE (SELECT h.all_tenants FROM here h) ORDER BY s.seq DESC LIMIT $2)
                      UNION ALL
                      (SELECT s.seq FROM vyx.signals s WHERE NOT (SELECT h.all_tenants FROM here h)
                           AND s.user_id = (SELECT h.me FROM here h) ORDER BY s.seq DESC LIMIT $2)
                      UNION ALL
                      (SELECT s.seq FROM vyx.signals s WHERE NOT (SELECT h.all_tenants FROM here h)
                           AND s.user_id IS NULL ORDER BY s.seq DESC LIMIT $2)
                  ) AS b ORDER BY b.seq DESC LIMIT $2) AS n
        ) END AS after
    )
    SELECT b.id, b.seq, b.trader_id, b.trader_version, b.user_id, b.symbol, b."interval", b.open_time, b.close_time, b.price,
           b.metadata, b.kline_revision, b.engine, b.evaluated_at, b.lag_ms, b.created_at, (SELECT h.prefix FROM here h) || b.seq
    FROM (
        (SELECT s.* FROM vyx.signals s WHERE (SELECT h.all_tenants FROM here h)
             AND s.seq > (SELECT g.after FROM begin g) ORDER BY s.seq LIMIT $2)
        UNION ALL
        (SELECT s.* FROM vyx.signals s WHERE NOT (SELECT h.all_tenants FROM here h)
             AND s.user_id = (SELECT h.me FROM here h) AND s.seq > (SELECT g.after FROM begin g) ORDER BY s.seq LIMIT $2)
        UNION ALL
        (SELECT s.* FROM vyx.signals s WHERE NOT (SELECT h.all_tenants FROM here h)
             AND s.user_id IS NULL AND s.seq > (SELECT g.after FROM begin g) ORDER BY s.seq LIMIT $2)
    ) AS b
    -- Not $2: a limit of 0 would be kept without a look at it.
    ORDER BY b.seq LIMIT (SELECT h.most FROM here h);
END;
COMMENT ON FUNCTION @extschema@.vyx_signals_since(text, integer) IS
    'The caller''s signals after a cursor in the order of commit, each row with the cursor to go on with: none is left out, also after a restore or a promotion, when some may come twice (ids tell). NULL: the newest; start: all that is kept.';

SET LOCAL search_path = @extschema@, pg_temp;
