-- The tables, the life of a trader and the one writer of signals.
--
-- Runs first in the extension's script. Functions written in Rust are named in plpgsql bodies only, which are
-- resolved when they run. Who may do what stands in security.sql, evaluation from SQL in cron.sql.
--
-- Times called market time are the exchange's; created_at and updated_at alone are this machine's.

-- Operators and functions in here are Postgres' own, whatever lies in the extension's schema; put back at the end.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Symbols are letters of any script, and what Rust hands over is UTF-8.
DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE WARNING 'symbols whose names are not ASCII are left out: the encoding of this database is %, not UTF8',
                pg_catalog.getdatabaseencoding()
            USING HINT = 'CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0 has room for all; vyx.database names it.';
    END IF;
END
$$;

-- No IF NOT EXISTS and no OR REPLACE anywhere: objects that somebody planted here before must fail the
-- installation, not be adopted by it.
CREATE SCHEMA vyx;
COMMENT ON SCHEMA vyx IS 'Tables and inner functions of the extension vyx.';

-- Roles belong to the cluster: another database may have made them, or be making them right now.
DO $$
DECLARE
    wanted name;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['vyx_owner', 'vyx_user', 'vyx_operator']::name[] LOOP
        BEGIN
            IF pg_catalog.to_regrole(wanted::text) IS NULL THEN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    -- The owner's rights are those of every SECURITY DEFINER function: nobody may have them in another way.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_roles r
        WHERE r.rolname OPERATOR(pg_catalog.=) 'vyx_owner'
          AND (r.rolcanlogin OR r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
               OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m
                          WHERE r.oid OPERATOR(pg_catalog.=) m.roleid OR r.oid OPERATOR(pg_catalog.=) m.member))
    ) THEN
        RAISE EXCEPTION 'role "vyx_owner" exists and has members or more rights than vyx gives it'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Drop it, or make it NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION, a member of nothing and without members.';
    END IF;
END
$$;

-- CHECK constraints call these as the user who writes, so everybody may execute them. Bodies in standard SQL are
-- resolved when they are created, once for all: no search_path can change them. Without a SET clause they are inlined, and
-- as far as they are not STRICT: AND, OR and IN are not, so the planner would have to keep the call, which costs a
-- microsecond a row. Of NULL each says NULL.
CREATE FUNCTION vyx.is_interval(text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $1 IN ('1s', '1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M');
COMMENT ON FUNCTION vyx.is_interval(text) IS 'Whether the text is one of the exchange''s sixteen intervals.';

-- The punctuation is refused by name because what counts as a letter beyond ASCII depends on the collation.
CREATE FUNCTION vyx.is_symbol(text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length($1) BETWEEN 1 AND 64 AND ($1 COLLATE "C") !~ '[\x01-\x2c\x2f\x3a-\x40\x5b-\x5e\x60-\x7f]';
COMMENT ON FUNCTION vyx.is_symbol(text) IS
    'Whether the text can be a symbol: 1 to 64 bytes, ASCII in capitals, letters of any script, digits, "_", "-" and ".".';

CREATE FUNCTION vyx.are_symbols(text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN cardinality($1) BETWEEN 1 AND 4096
   AND NOT EXISTS (SELECT FROM unnest($1) AS s(symbol) WHERE vyx.is_symbol(s.symbol) IS NOT TRUE);
COMMENT ON FUNCTION vyx.are_symbols(text[]) IS 'Whether the array holds 1 to 4,096 symbols.';

CREATE FUNCTION vyx.is_finite(float8) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $1 > '-Infinity' AND $1 < 'Infinity';
COMMENT ON FUNCTION vyx.is_finite(float8) IS 'Whether the number is neither infinite nor NaN, which sorts above infinity.';

-- By way of a timestamp without time zone, since adding to one with a zone is only STABLE, which is not inlined.
CREATE FUNCTION vyx.at(ms bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (timestamp 'epoch' + ms * interval '1 millisecond') AT TIME ZONE 'UTC';
COMMENT ON FUNCTION vyx.at(bigint) IS 'The moment so many milliseconds after 1970, exactly: an interval counts microseconds, not floats.';

CREATE TABLE vyx.tiers (
    tier                text PRIMARY KEY CHECK (octet_length(tier) BETWEEN 1 AND 64),
    max_running_traders integer CHECK (max_running_traders >= 0),
    max_traders         integer DEFAULT 100 CHECK (max_traders >= 0),
    cost_per_close      bigint CHECK (cost_per_close >= 0),
    signals_per_hour    integer CHECK (signals_per_hour >= 0),
    keep_signals        interval DEFAULT '24 hours' CHECK (keep_signals >= '0'),
    switches_per_minute integer DEFAULT 10 CHECK (switches_per_minute >= 0)
);
ALTER TABLE vyx.tiers ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.tiers FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.tiers IS 'What tenants may use, by tier; null: no limit. Limits of your own are kept by pg_dump.';
COMMENT ON COLUMN vyx.tiers.max_running_traders IS 'Most running traders of one tenant; null: no limit but vyx.max_running_traders.';
COMMENT ON COLUMN vyx.tiers.max_traders IS 'Most traders of one tenant that are stored, running or not.';
COMMENT ON COLUMN vyx.tiers.cost_per_close IS 'Most that one tenant''s running traders may cost together: of each the nodes of its program times the symbols it looks at.';
COMMENT ON COLUMN vyx.tiers.signals_per_hour IS 'Most signals of one tenant in an hour of market time; what is over is suppressed and counted.';
COMMENT ON COLUMN vyx.tiers.keep_signals IS 'How long a signal is kept, in market time; longer where a cooldown has to know of it.';
COMMENT ON COLUMN vyx.tiers.switches_per_minute IS 'How often one tenant may start, stop or retry traders in a minute of this machine''s clock.';
INSERT INTO vyx.tiers (tier, max_running_traders, max_traders, cost_per_close, signals_per_hour, keep_signals) VALUES
    ('anonymous', 0, 0, 0, 0, '24 hours'),
    ('free', 2, 100, 100000, 100, '24 hours'),
    ('pro', 10, 100, 1000000, 1000, '24 hours'),
    ('elite', NULL, 10000, 20000000, NULL, '7 days');

-- A dump holds these rows too and is restored over those just made: the later row wins.
CREATE FUNCTION vyx.replace_tier() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE vyx.tiers i
    SET max_running_traders = NEW.max_running_traders, max_traders = NEW.max_traders, cost_per_close = NEW.cost_per_close,
        signals_per_hour = NEW.signals_per_hour, keep_signals = NEW.keep_signals, switches_per_minute = NEW.switches_per_minute
    WHERE i.tier = NEW.tier;
    RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END
$$;
COMMENT ON FUNCTION vyx.replace_tier() IS 'Turns an insert of a tier that exists into an update, so that a dump can be restored.';
CREATE TRIGGER replace BEFORE INSERT ON vyx.tiers FOR EACH ROW EXECUTE FUNCTION vyx.replace_tier();

CREATE TABLE vyx.tenants (
    user_id    uuid PRIMARY KEY,
    role_name  text UNIQUE CHECK (octet_length(role_name) BETWEEN 1 AND 63),
    tier       text NOT NULL DEFAULT 'free' REFERENCES vyx.tiers,
    changed_at timestamptz NOT NULL DEFAULT now(),
    switched   timestamptz[] NOT NULL DEFAULT '{}'
);
ALTER TABLE vyx.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.tenants FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.tenants IS 'Tenants, their tier and, where they log in as a role of their own, that role. A tenant''s first trader adds a row.';
COMMENT ON COLUMN vyx.tenants.role_name IS 'The role whose sessions are this tenant''s; null where a JWT says who it is.';
COMMENT ON COLUMN vyx.tenants.changed_at IS 'When its limits were last checked. Writing it makes concurrent checks wait for one another, or fail where they cannot see one another.';
COMMENT ON COLUMN vyx.tenants.switched IS 'When it started, stopped or retried traders within the last minute, by this machine''s clock.';

-- The claim counts only in sessions of PostgREST's login role, because any session can SET that variable.
-- SET ROLE is looked at before the login role; current_user would be the owner of whatever function runs.
CREATE FUNCTION vyx.uid() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Not current_setting(): where vyx is not preloaded nobody reserves the name, and any session could SET it.
    jwt_logins constant text[] := regexp_split_to_array(coalesce(vyx._jwt_logins(), 'authenticator'), '\s*,\s*');
    acting constant text := coalesce(nullif(current_setting('role'), 'none'), session_user::text);
    sub text;
BEGIN
    IF session_user::text = ANY (jwt_logins) THEN
        sub := coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub');
        -- A sub that is no UUID names nobody and is no error: Realtime asks on behalf of all subscribers in one statement.
        RETURN CASE WHEN sub ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN sub::uuid END;
    END IF;
    RETURN (SELECT t.user_id FROM vyx.tenants t WHERE t.role_name = acting);
END
$$;
COMMENT ON FUNCTION vyx.uid() IS 'The tenant who is speaking: the JWT''s sub in sessions of vyx.jwt_logins, else whom vyx.tenants maps the role to; null for nobody.';

CREATE TABLE vyx.traders (
    id                   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id              uuid DEFAULT vyx.uid(),
    name                 text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description          text CHECK (octet_length(description) <= 8192),
    script               text NOT NULL CHECK (octet_length(script) <= 16384),
    "interval"           text NOT NULL DEFAULT '1m' CHECK (vyx.is_interval("interval")),
    symbols              text[] CHECK (vyx.are_symbols(symbols)),
    min_quote_volume_24h float8 CHECK (min_quote_volume_24h >= 0 AND vyx.is_finite(min_quote_volume_24h)),
    fire_on              text NOT NULL DEFAULT 'edge' CHECK (fire_on IN ('edge', 'match')),
    cooldown             interval NOT NULL DEFAULT '0' CHECK (cooldown BETWEEN '0' AND '1 year'),
    max_lag              interval CHECK (max_lag BETWEEN '0' AND '1 year'),
    state                text NOT NULL DEFAULT 'stopped' CHECK (state IN ('stopped', 'running')),
    version              bigint NOT NULL CHECK (version > 0),
    last_error           text,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE vyx.traders ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.traders FORCE ROW LEVEL SECURITY;
CREATE INDEX traders_user_id_idx ON vyx.traders (user_id, state);
COMMENT ON TABLE vyx.traders IS 'Users'' rules as they are now. What was evaluated, and when, stands in vyx.trader_versions.';
COMMENT ON COLUMN vyx.traders.id IS 'Given by the database: a tenant cannot choose it, so a refused insert tells nothing of other tenants'' traders.';
COMMENT ON COLUMN vyx.traders.user_id IS 'Its owner; null: built-in, signals for all, script hidden.';
COMMENT ON COLUMN vyx.traders."interval" IS 'The candles at whose close it is evaluated.';
COMMENT ON COLUMN vyx.traders.symbols IS 'What it looks at; null: every tracked symbol.';
COMMENT ON COLUMN vyx.traders.min_quote_volume_24h IS 'Symbols traded less in the 24 hours up to the close, in the quote asset, are left out; null: none.';
COMMENT ON COLUMN vyx.traders.fire_on IS 'edge: at the first candle that matches after one that does not; match: at every candle that matches.';
COMMENT ON COLUMN vyx.traders.cooldown IS 'No two signals of a symbol closer together than this, by close_time.';
COMMENT ON COLUMN vyx.traders.max_lag IS 'A signal that would come later than this after the close, in market time, is suppressed and counted; null: never.';
COMMENT ON COLUMN vyx.traders.state IS 'What its owner wants: stopped or running.';
COMMENT ON COLUMN vyx.traders.version IS 'Goes up with every change of what is evaluated, and with every start after a stop. Left out by everybody but a restore.';
COMMENT ON COLUMN vyx.traders.last_error IS 'Why it could last not be evaluated.';

CREATE TABLE vyx.trader_versions (
    trader_id            uuid NOT NULL,
    version              bigint NOT NULL,
    user_id              uuid,
    script               text NOT NULL,
    program              json NOT NULL,
    "interval"           text NOT NULL CHECK (vyx.is_interval("interval")),
    symbols              text[],
    min_quote_volume_24h float8,
    fire_on              text NOT NULL,
    cooldown             interval NOT NULL,
    max_lag              interval,
    cost                 bigint NOT NULL DEFAULT 0 CHECK (cost >= 0),
    lane                 smallint NOT NULL DEFAULT 0 CHECK (lane IN (0, 1)),
    shadow               boolean NOT NULL DEFAULT false,
    stopped_because      text,
    asked_from           timestamptz,
    asked_to             timestamptz,
    effective_from       timestamptz,
    effective_to         timestamptz,
    created_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trader_id, version),
    CHECK (asked_from IS NOT NULL OR effective_from IS NOT NULL),
    CHECK (effective_to >= effective_from)
);
ALTER TABLE vyx.trader_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.trader_versions FORCE ROW LEVEL SECURITY;
-- Who evaluates asks for versions still in force and those that ended after the oldest watermark.
CREATE INDEX trader_versions_effective_to_idx ON vyx.trader_versions ("interval", effective_to);
-- What vyx.settle_versions() has to do: usually nothing.
CREATE INDEX trader_versions_unsettled_idx ON vyx.trader_versions (trader_id)
    WHERE effective_from IS NULL OR effective_to IS NULL AND asked_to IS NOT NULL;
-- What quotas count.
CREATE INDEX trader_versions_in_force_idx ON vyx.trader_versions (user_id) INCLUDE (cost, shadow)
    WHERE asked_to IS NULL AND effective_to IS NULL;
-- Whom vyx.tell_stopped() may have to tell.
CREATE INDEX trader_versions_stopped_idx ON vyx.trader_versions (trader_id) WHERE stopped_because IS NOT NULL;
-- What vyx.upgrade_programs() has to do: usually nothing.
CREATE INDEX trader_versions_format_idx ON vyx.trader_versions (((program ->> 'format') COLLATE "C"));
COMMENT ON TABLE vyx.trader_versions IS 'What was evaluated from when to when. Written by the database alone and never changed but for its times; outlives its trader, so that a signal can be explained.';
COMMENT ON COLUMN vyx.trader_versions.program IS 'What the script was compiled to, or with the key refused why it no longer compiles; as json, not jsonb, so that numbers are read back to the last bit.';
COMMENT ON COLUMN vyx.trader_versions.cost IS 'Nodes of the program times the symbols it looked at when it was made: what a close of it costs, at most.';
COMMENT ON COLUMN vyx.trader_versions.lane IS '0: evaluated at once; 1: after everybody else, since its tenant has more than vyx.prompt_cost running.';
COMMENT ON COLUMN vyx.trader_versions.shadow IS 'Runs beside the version in force and delivers nothing: its signals lie in vyx.shadow_signals.';
COMMENT ON COLUMN vyx.trader_versions.stopped_because IS 'Why the database ended it; null: its tenant did, or nobody.';
COMMENT ON COLUMN vyx.trader_versions.asked_from IS 'Market time of the statement that made it.';
COMMENT ON COLUMN vyx.trader_versions.asked_to IS 'Market time of the statement that changed, stopped or deleted the trader.';
COMMENT ON COLUMN vyx.trader_versions.effective_from IS 'Evaluates candles that close then or later: asked_from, or after what had been evaluated when the statement''s transaction was seen; null: not settled yet.';
COMMENT ON COLUMN vyx.trader_versions.effective_to IS 'Does not evaluate candles that close then or later; settled like effective_from; null: in force.';

CREATE TABLE vyx.signals (
    id             uuid PRIMARY KEY,
    seq            bigint NOT NULL,
    trader_id      uuid NOT NULL,
    trader_version bigint NOT NULL,
    user_id        uuid,
    symbol         text NOT NULL CHECK (vyx.is_symbol(symbol)),
    "interval"     text NOT NULL CHECK (vyx.is_interval("interval")),
    open_time      timestamptz NOT NULL,
    close_time     timestamptz NOT NULL,
    price          float8 NOT NULL CHECK (vyx.is_finite(price)),
    metadata       jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(metadata::text) <= 8192),
    kline_revision integer NOT NULL CHECK (kline_revision >= 0),
    engine         integer NOT NULL,
    evaluated_at   timestamptz NOT NULL,
    lag_ms         bigint NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE vyx.signals ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.signals FORCE ROW LEVEL SECURITY;
CREATE INDEX signals_user_id_seq_idx ON vyx.signals (user_id, seq);
CREATE INDEX signals_trader_id_close_time_idx ON vyx.signals (trader_id, close_time);
COMMENT ON TABLE vyx.signals IS 'One row for each candle on which a trader fired and was not suppressed. Insert-only, written by vyx.commit_batch alone.';
COMMENT ON COLUMN vyx.signals.id IS 'UUIDv5 of trader, version, close time, interval and symbol: the same whoever evaluates, so its uniqueness is that of the signal.';
COMMENT ON COLUMN vyx.signals.seq IS 'Rises in the order of commit, with gaps: a reader that remembers the last one it saw misses nothing.';
COMMENT ON COLUMN vyx.signals.user_id IS 'Who sees it; null: everybody who may use vyx.';
COMMENT ON COLUMN vyx.signals.price IS 'Close of the candle.';
COMMENT ON COLUMN vyx.signals.metadata IS 'The other keys of the script''s result.';
COMMENT ON COLUMN vyx.signals.kline_revision IS 'How often the candle had been corrected when it was evaluated; 0: as first closed.';
COMMENT ON COLUMN vyx.signals.engine IS 'Version of the program format and of what its nodes mean.';
COMMENT ON COLUMN vyx.signals.evaluated_at IS 'Market time of the evaluation.';
COMMENT ON COLUMN vyx.signals.lag_ms IS 'evaluated_at minus close_time, milliseconds of market time.';

CREATE TABLE vyx.watermarks (
    symbol            text NOT NULL CHECK (vyx.is_symbol(symbol)),
    "interval"        text NOT NULL CHECK (vyx.is_interval("interval")),
    evaluated_through timestamptz NOT NULL,
    skipped           bigint NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    lane              smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (symbol, "interval", lane)
) WITH (fillfactor = 50);   -- every row is written at every close: room on its page keeps that off the index
ALTER TABLE vyx.watermarks ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.watermarks FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.watermarks IS 'How far each series was evaluated, by the traders of a lane. Moves in the transaction that writes the signals.';
COMMENT ON COLUMN vyx.watermarks.evaluated_through IS 'close_time of the last candle that was evaluated, or that closed before the series was tracked.';
COMMENT ON COLUMN vyx.watermarks.skipped IS 'Candles that were due but too old to be evaluated exactly when their turn came.';

CREATE TABLE vyx.cycles (
    "interval"          text NOT NULL CHECK (vyx.is_interval("interval")),
    close_time          timestamptz NOT NULL,
    lane                smallint NOT NULL DEFAULT 0,
    expected            integer NOT NULL DEFAULT 0,
    series              integer NOT NULL DEFAULT 0,
    late                integer NOT NULL DEFAULT 0,
    absent              integer NOT NULL DEFAULT 0,
    traders             integer NOT NULL DEFAULT 0,
    evaluated           bigint NOT NULL DEFAULT 0,
    matched             bigint NOT NULL DEFAULT 0,
    unmatched           bigint NOT NULL DEFAULT 0,
    not_ready           bigint NOT NULL DEFAULT 0,
    waiting             bigint NOT NULL DEFAULT 0,
    resting             bigint NOT NULL DEFAULT 0,
    failed              bigint NOT NULL DEFAULT 0,
    fired               bigint NOT NULL DEFAULT 0,
    suppressed_cooldown bigint NOT NULL DEFAULT 0,
    suppressed_lag      bigint NOT NULL DEFAULT 0,
    suppressed_quota    bigint NOT NULL DEFAULT 0,
    shadowed            bigint NOT NULL DEFAULT 0,
    duplicates          bigint NOT NULL DEFAULT 0,
    lag_ms              bigint NOT NULL DEFAULT 0,
    wait_ms             float8 NOT NULL DEFAULT 0,
    evaluate_ms         float8 NOT NULL DEFAULT 0,
    write_ms            float8 NOT NULL DEFAULT 0,
    evaluated_by        text NOT NULL,
    PRIMARY KEY ("interval", close_time, lane)
) WITH (fillfactor = 50);
ALTER TABLE vyx.cycles ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.cycles FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.cycles IS 'What came of each close, all tenants together. Kept for 30 days of market time.';
COMMENT ON COLUMN vyx.cycles.lane IS '0: traders that are evaluated at once; 1: those after them, see vyx.trader_versions.';
COMMENT ON COLUMN vyx.cycles.expected IS 'Tracked series of the interval at that close.';
COMMENT ON COLUMN vyx.cycles.series IS 'Series evaluated so far.';
COMMENT ON COLUMN vyx.cycles.late IS 'Of these, series that were complete only after vyx.close_grace.';
COMMENT ON COLUMN vyx.cycles.absent IS 'Of these, series whose candle the exchange confirmed not to exist.';
COMMENT ON COLUMN vyx.cycles.traders IS 'Traders in force.';
COMMENT ON COLUMN vyx.cycles.evaluated IS '(trader, symbol) pairs evaluated.';
COMMENT ON COLUMN vyx.cycles.not_ready IS 'Pairs whose rule stayed undecided: too little history, or a value that is not defined.';
COMMENT ON COLUMN vyx.cycles.waiting IS 'Pairs in vyx.pending, to be evaluated later.';
COMMENT ON COLUMN vyx.cycles.resting IS 'Pairs of traders that failed too often in a row, see vyx.resting.';
COMMENT ON COLUMN vyx.cycles.failed IS 'Pairs that could not be evaluated, or fired and could not be written; their reasons are in vyx.failures.';
COMMENT ON COLUMN vyx.cycles.fired IS 'Matched pairs that are news by the trader''s fire_on, suppressed ones included.';
COMMENT ON COLUMN vyx.cycles.suppressed_cooldown IS 'Fired, but within the trader''s cooldown of another signal.';
COMMENT ON COLUMN vyx.cycles.suppressed_lag IS 'Fired, but later than the trader''s max_lag.';
COMMENT ON COLUMN vyx.cycles.suppressed_quota IS 'Fired, but beyond the signals an hour of the tenant''s tier.';
COMMENT ON COLUMN vyx.cycles.shadowed IS 'Fired by a version that runs as a shadow, and kept in vyx.shadow_signals.';
COMMENT ON COLUMN vyx.cycles.duplicates IS 'Fired, but the very same signal was there already. Other than 0 only after a repair by hand.';
COMMENT ON COLUMN vyx.cycles.lag_ms IS 'From the close to the last evaluation, market time.';
COMMENT ON COLUMN vyx.cycles.wait_ms IS 'From the moment the close was first seen to the beginning of the last evaluation, transport time: spent on waiting for data.';
COMMENT ON COLUMN vyx.cycles.evaluate_ms IS 'Spent on evaluating, transport time, all batches together.';
COMMENT ON COLUMN vyx.cycles.write_ms IS 'Spent on writing up to the commit, wall time, all batches together.';
COMMENT ON COLUMN vyx.cycles.evaluated_by IS 'Who wrote last: worker or sql.';

CREATE TABLE vyx.pending (
    trader_id      uuid NOT NULL,
    trader_version bigint NOT NULL,
    user_id        uuid,
    symbol         text NOT NULL CHECK (vyx.is_symbol(symbol)),
    "interval"     text NOT NULL CHECK (vyx.is_interval("interval")),
    close_time     timestamptz NOT NULL,
    waiting_for    text NOT NULL,
    since          timestamptz NOT NULL,
    PRIMARY KEY (trader_id, trader_version, symbol, "interval", close_time)
);
ALTER TABLE vyx.pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.pending FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.pending IS 'Evaluations put off because another symbol''s data was missing for longer than vyx.close_grace. Finished, and deleted, when it comes.';
COMMENT ON COLUMN vyx.pending.waiting_for IS 'The series that is missing, e.g. BTCUSDT 1h; or that the script is to be compiled again, after an update.';
COMMENT ON COLUMN vyx.pending.since IS 'Market time at which it was put off.';

CREATE TABLE vyx.failures (
    trader_id      uuid NOT NULL,
    trader_version bigint NOT NULL,
    cause          text NOT NULL CHECK (octet_length(cause) BETWEEN 1 AND 64),
    user_id        uuid,
    message        text NOT NULL,
    symbol         text NOT NULL CHECK (vyx.is_symbol(symbol)),
    "interval"     text NOT NULL CHECK (vyx.is_interval("interval")),
    close_time     timestamptz NOT NULL,
    attempts       bigint NOT NULL DEFAULT 1 CHECK (attempts > 0),
    candles        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(candles) = 'array' AND jsonb_array_length(candles) <= 100),
    first_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    PRIMARY KEY (trader_id, trader_version, cause)
);
ALTER TABLE vyx.failures ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.failures FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.failures IS 'Dead letters: what could not be evaluated or written, one row a version and cause.';
COMMENT ON COLUMN vyx.failures.cause IS 'A word to group by: metadata (too large), program (cannot be loaded), write (the signal was refused), history, volume.';
COMMENT ON COLUMN vyx.failures.symbol IS 'Where it happened last, as interval, close_time and message.';
COMMENT ON COLUMN vyx.failures.candles IS 'The newest of them, at most 100, as [symbol, close_time in ms]: what vyx_retry() tries again.';
COMMENT ON COLUMN vyx.failures.attempts IS 'How often it happened; first_at and last_at are market time.';

CREATE TABLE vyx.resting (
    trader_id      uuid PRIMARY KEY,
    trader_version bigint NOT NULL,
    user_id        uuid,
    cause          text NOT NULL,
    message        text NOT NULL,
    in_a_row       integer NOT NULL CHECK (in_a_row > 0),
    since          timestamptz NOT NULL,
    retry_at       timestamptz
);
ALTER TABLE vyx.resting ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.resting FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.resting IS 'Traders whose last evaluation failed. Written by whoever evaluates alone; the row goes with the next success.';
COMMENT ON COLUMN vyx.resting.trader_version IS 'Of another version the row says nothing.';
COMMENT ON COLUMN vyx.resting.cause IS 'As in vyx.failures.';
COMMENT ON COLUMN vyx.resting.in_a_row IS 'Batches in which it failed, without a success in between.';
COMMENT ON COLUMN vyx.resting.since IS 'Market time of the first of them.';
COMMENT ON COLUMN vyx.resting.retry_at IS 'Not evaluated until then, market time; null: not often enough to rest.';

CREATE TABLE vyx.tallies (
    "interval"   text NOT NULL CHECK (vyx.is_interval("interval")),
    close_time   timestamptz NOT NULL,
    evaluated_at timestamptz NOT NULL,
    counts       jsonb NOT NULL
);
ALTER TABLE vyx.tallies ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.tallies FORCE ROW LEVEL SECURITY;
-- With a thousand traders a row has tens of kilobytes, and is gone in a minute or two: not worth the time to compress it.
ALTER TABLE vyx.tallies ALTER COLUMN counts SET STORAGE EXTERNAL;
COMMENT ON TABLE vyx.tallies IS 'What was evaluated for whom, as written with each batch: a row a close, so that counting costs a close nothing. Folded into vyx.usage.';
COMMENT ON COLUMN vyx.tallies.counts IS 'Traders with equal numbers together: [{"evaluated": pairs, "failed": pairs, "traders": [id, ...]}].';

CREATE TABLE vyx.delivered (
    user_id uuid PRIMARY KEY,
    hour    timestamptz NOT NULL,
    signals integer NOT NULL CHECK (signals >= 0)
) WITH (fillfactor = 50);
ALTER TABLE vyx.delivered ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.delivered FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.delivered IS 'Signals of each tenant in the running hour of market time, for the limit of its tier. Written by whoever evaluates alone.';

CREATE TABLE vyx.shadow_signals (
    id             uuid PRIMARY KEY,
    trader_id      uuid NOT NULL,
    trader_version bigint NOT NULL,
    user_id        uuid,
    symbol         text NOT NULL CHECK (vyx.is_symbol(symbol)),
    "interval"     text NOT NULL CHECK (vyx.is_interval("interval")),
    open_time      timestamptz NOT NULL,
    close_time     timestamptz NOT NULL,
    price          float8 NOT NULL CHECK (vyx.is_finite(price)),
    metadata       jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(metadata::text) <= 8192),
    evaluated_at   timestamptz NOT NULL
);
ALTER TABLE vyx.shadow_signals ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.shadow_signals FORCE ROW LEVEL SECURITY;
CREATE INDEX shadow_signals_trader_id_close_time_idx ON vyx.shadow_signals (trader_id, close_time);
COMMENT ON TABLE vyx.shadow_signals IS 'What versions that run as shadows would have delivered. Nobody is told of them.';

CREATE TABLE vyx.writer (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    system_identifier bigint NOT NULL,
    seq               bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
    epoch             bigint NOT NULL DEFAULT 1 CHECK (epoch > 0),
    settled           bigint NOT NULL DEFAULT 0 CHECK (settled >= 0)
);
ALTER TABLE vyx.writer ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.writer FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.writer IS 'One row, locked by whoever writes signals. Made with the first trader, so that a restored dump brings its own.';
COMMENT ON COLUMN vyx.writer.system_identifier IS 'The cluster that may write. In a restored or cloned one it differs until vyx_adopt().';
COMMENT ON COLUMN vyx.writer.seq IS 'The last vyx.signals.seq drawn.';
COMMENT ON COLUMN vyx.writer.settled IS 'Goes up whenever vyx.settle_versions() has decided something: what was computed before is not written.';
COMMENT ON COLUMN vyx.writer.epoch IS 'Goes up with every adoption: seq of another epoch may have been given to another signal.';

SELECT pg_catalog.pg_extension_config_dump('vyx.tiers', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.tenants', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.traders', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.trader_versions', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.signals', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.watermarks', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.cycles', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.pending', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.failures', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.resting', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.tallies', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.delivered', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.shadow_signals', '');
SELECT pg_catalog.pg_extension_config_dump('vyx.writer', '');

SET LOCAL search_path = @extschema@, pg_temp;
