-- Brings an installation of vyx 0.1.0 to 0.2.0. Written by `make upgrade` from the install scripts of both and from
-- tests/upgrade/by_hand.sql; a test compares what comes of it with a fresh installation.

SET LOCAL search_path = pg_catalog, pg_temp;

DROP FUNCTION vyx.check_quota;

DROP FUNCTION @extschema@.vyx_trader_status;

DROP FUNCTION vyx.record_cycles;

DROP FUNCTION vyx.write_signals;

DROP FUNCTION @extschema@.vyx_health;

DROP FUNCTION @extschema@.vyx_validate;

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
CREATE OR REPLACE FUNCTION vyx.is_interval(text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $1 IN ('1s', '1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M');

-- The punctuation is refused by name because what counts as a letter beyond ASCII depends on the collation.
CREATE OR REPLACE FUNCTION vyx.is_symbol(text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length($1) BETWEEN 1 AND 64 AND ($1 COLLATE "C") !~ '[\x01-\x2c\x2f\x3a-\x40\x5b-\x5e\x60-\x7f]';

CREATE OR REPLACE FUNCTION vyx.is_finite(float8) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $1 > '-Infinity' AND $1 < 'Infinity';

-- By way of a timestamp without time zone, since adding to one with a zone is only STABLE, which is not inlined.
CREATE OR REPLACE FUNCTION vyx.at(ms bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (timestamp 'epoch' + ms * interval '1 millisecond') AT TIME ZONE 'UTC';

ALTER TABLE vyx.tiers
    ADD COLUMN max_traders integer DEFAULT 100 CHECK (max_traders >= 0),
    ADD COLUMN cost_per_close bigint CHECK (cost_per_close >= 0),
    ADD COLUMN signals_per_hour integer CHECK (signals_per_hour >= 0),
    ADD COLUMN keep_signals interval DEFAULT '24 hours' CHECK (keep_signals >= '0'),
    ADD COLUMN switches_per_minute integer DEFAULT 10 CHECK (switches_per_minute >= 0);

COMMENT ON TABLE vyx.tiers IS 'What tenants may use, by tier; null: no limit. Limits of your own are kept by pg_dump.';

COMMENT ON COLUMN vyx.tiers.max_traders IS 'Most traders of one tenant that are stored, running or not.';

COMMENT ON COLUMN vyx.tiers.cost_per_close IS 'Most that one tenant''s running traders may cost together: of each the nodes of its program times the symbols it looks at.';

COMMENT ON COLUMN vyx.tiers.signals_per_hour IS 'Most signals of one tenant in an hour of market time; what is over is suppressed and counted.';

COMMENT ON COLUMN vyx.tiers.keep_signals IS 'How long a signal is kept, in market time; longer where a cooldown has to know of it.';

COMMENT ON COLUMN vyx.tiers.switches_per_minute IS 'How often one tenant may start, stop or retry traders in a minute of this machine''s clock.';

-- A dump holds these rows too and is restored over those just made: the later row wins.
CREATE OR REPLACE FUNCTION vyx.replace_tier() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE vyx.tiers i
    SET max_running_traders = NEW.max_running_traders, max_traders = NEW.max_traders, cost_per_close = NEW.cost_per_close,
        signals_per_hour = NEW.signals_per_hour, keep_signals = NEW.keep_signals, switches_per_minute = NEW.switches_per_minute
    WHERE i.tier = NEW.tier;
    RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END
$$;

ALTER TABLE vyx.tenants
    ADD COLUMN switched timestamptz[] NOT NULL DEFAULT '{}';

COMMENT ON TABLE vyx.tenants IS 'Tenants, their tier and, where they log in as a role of their own, that role. A tenant''s first trader adds a row.';

COMMENT ON COLUMN vyx.tenants.changed_at IS 'When its limits were last checked. Writing it makes concurrent checks wait for one another, or fail where they cannot see one another.';

COMMENT ON COLUMN vyx.tenants.switched IS 'When it started, stopped or retried traders within the last minute, by this machine''s clock.';

-- The claim counts only in sessions of PostgREST's login role, because any session can SET that variable.
-- SET ROLE is looked at before the login role; current_user would be the owner of whatever function runs.
CREATE OR REPLACE FUNCTION vyx.uid() RETURNS uuid
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

ALTER TABLE vyx.trader_versions
    ADD COLUMN cost bigint NOT NULL DEFAULT 0 CHECK (cost >= 0),
    ADD COLUMN lane smallint NOT NULL DEFAULT 0 CHECK (lane IN (0, 1)),
    ADD COLUMN shadow boolean NOT NULL DEFAULT false,
    ADD COLUMN stopped_because text;

-- What quotas count.
CREATE INDEX trader_versions_in_force_idx ON vyx.trader_versions (user_id) INCLUDE (cost, shadow)
    WHERE asked_to IS NULL AND effective_to IS NULL;

-- Whom vyx.tell_stopped() may have to tell.
CREATE INDEX trader_versions_stopped_idx ON vyx.trader_versions (trader_id) WHERE stopped_because IS NOT NULL;

-- What vyx.upgrade_programs() has to do: usually nothing.
CREATE INDEX trader_versions_format_idx ON vyx.trader_versions (((program ->> 'format') COLLATE "C"));

COMMENT ON COLUMN vyx.trader_versions.program IS 'What the script was compiled to, or with the key refused why it no longer compiles; as json, not jsonb, so that numbers are read back to the last bit.';

COMMENT ON COLUMN vyx.trader_versions.cost IS 'Nodes of the program times the symbols it looked at when it was made: what a close of it costs, at most.';

COMMENT ON COLUMN vyx.trader_versions.lane IS '0: evaluated at once; 1: after everybody else, since its tenant has more than vyx.prompt_cost running.';

COMMENT ON COLUMN vyx.trader_versions.shadow IS 'Runs beside the version in force and delivers nothing: its signals lie in vyx.shadow_signals.';

COMMENT ON COLUMN vyx.trader_versions.stopped_because IS 'Why the database ended it; null: its tenant did, or nobody.';

COMMENT ON COLUMN vyx.signals.lag_ms IS 'evaluated_at minus close_time, milliseconds of market time.';

ALTER TABLE vyx.watermarks
    ADD COLUMN lane smallint NOT NULL DEFAULT 0,
    ADD PRIMARY KEY (symbol, "interval", lane),
    DROP CONSTRAINT watermarks_pkey;

COMMENT ON TABLE vyx.watermarks IS 'How far each series was evaluated, by the traders of a lane. Moves in the transaction that writes the signals.';

ALTER TABLE vyx.cycles
    ADD COLUMN lane smallint NOT NULL DEFAULT 0,
    ADD COLUMN resting bigint NOT NULL DEFAULT 0,
    ADD COLUMN suppressed_quota bigint NOT NULL DEFAULT 0,
    ADD COLUMN shadowed bigint NOT NULL DEFAULT 0,
    ADD COLUMN wait_ms float8 NOT NULL DEFAULT 0,
    ADD PRIMARY KEY ("interval", close_time, lane),
    DROP CONSTRAINT cycles_pkey;

COMMENT ON COLUMN vyx.cycles.lane IS '0: traders that are evaluated at once; 1: those after them, see vyx.trader_versions.';

COMMENT ON COLUMN vyx.cycles.resting IS 'Pairs of traders that failed too often in a row, see vyx.resting.';

COMMENT ON COLUMN vyx.cycles.suppressed_quota IS 'Fired, but beyond the signals an hour of the tenant''s tier.';

COMMENT ON COLUMN vyx.cycles.shadowed IS 'Fired by a version that runs as a shadow, and kept in vyx.shadow_signals.';

COMMENT ON COLUMN vyx.cycles.wait_ms IS 'From the moment the close was first seen to the beginning of the last evaluation, transport time: spent on waiting for data.';

COMMENT ON COLUMN vyx.pending.waiting_for IS 'The series that is missing, e.g. BTCUSDT 1h; or that the script is to be compiled again, after an update.';

ALTER TABLE vyx.failures
    ADD COLUMN candles jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(candles) = 'array' AND jsonb_array_length(candles) <= 100);

COMMENT ON COLUMN vyx.failures.cause IS 'A word to group by: metadata (too large), program (cannot be loaded), write (the signal was refused), history, volume.';

COMMENT ON COLUMN vyx.failures.candles IS 'The newest of them, at most 100, as [symbol, close_time in ms]: what vyx_retry() tries again.';

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

SELECT pg_catalog.pg_extension_config_dump('vyx.resting', '');

SELECT pg_catalog.pg_extension_config_dump('vyx.tallies', '');

SELECT pg_catalog.pg_extension_config_dump('vyx.delivered', '');

SELECT pg_catalog.pg_extension_config_dump('vyx.shadow_signals', '');

-- Written by administrators' statements, so that these need not wait for any tenant.
CREATE TABLE vyx.reviews (
    user_id uuid,
    tier    text
);

ALTER TABLE vyx.reviews ENABLE ROW LEVEL SECURITY;

ALTER TABLE vyx.reviews FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE vyx.reviews IS 'Tenants whose limits have changed: of one, of a tier, or, where both are null, of the server. Taken by vyx.enforce_limits().';

SELECT pg_extension_config_dump('vyx.reviews', '');

CREATE FUNCTION vyx.acting() RETURNS name
LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('role'), 'none'), session_user::text)::name;

COMMENT ON FUNCTION vyx.acting() IS 'The role that is speaking: SET ROLE before the login role, and never the owner of a function.';

CREATE FUNCTION vyx.is_operator() RETURNS boolean
LANGUAGE sql STABLE
RETURN pg_has_role(vyx.acting(), 'vyx_operator', 'USAGE');

COMMENT ON FUNCTION vyx.is_operator() IS 'Whether the speaker has the rights of vyx_operator, as superusers do.';

CREATE FUNCTION vyx.over_limit(most bigint, things text, tier text, hint text, wait integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'limit of % % of % is reached', most, things, coalesce('tier "' || tier || '"', 'this server')
        USING ERRCODE = 'insufficient_privilege',
              DETAIL = json_strip_nulls(json_build_object('limit', most, 'tier', tier, 'wait', wait))::text,
              HINT = over_limit.hint;
END
$$;

COMMENT ON FUNCTION vyx.over_limit(bigint, text, text, text, integer) IS 'Refuses with 42501, for programs with limit, tier and seconds to wait as JSON in DETAIL.';

CREATE FUNCTION vyx.lock_tenant(tenant uuid) RETURNS vyx.tiers
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    its_tier text;
    limits vyx.tiers;
BEGIN
    INSERT INTO vyx.tenants (user_id) VALUES (tenant) ON CONFLICT DO NOTHING;
    SELECT t.tier INTO its_tier FROM vyx.tenants t WHERE t.user_id = tenant FOR UPDATE;
    -- A real update, not a mere lock, so that checks at REPEATABLE READ that cannot see one another fail. Once a
    -- transaction: thousands of versions of a row would have to be gone through by each of thousands of inserts.
    UPDATE vyx.tenants t SET changed_at = transaction_timestamp()
        WHERE t.user_id = tenant AND t.changed_at <> transaction_timestamp();
    SELECT i.* INTO limits FROM vyx.tiers i WHERE i.tier = its_tier;
    RETURN limits;
END
$$;

COMMENT ON FUNCTION vyx.lock_tenant(uuid) IS 'Locks a tenant, who is added where he is new, and returns his limits.';

CREATE FUNCTION vyx.check_stored(trader vyx.traders) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limits vyx.tiers;
BEGIN
    IF trader.user_id IS NULL THEN
        RETURN;
    END IF;
    limits := vyx.lock_tenant(trader.user_id);
    IF (SELECT count(*) FROM vyx.traders t WHERE t.user_id = trader.user_id) > limits.max_traders THEN
        PERFORM vyx.over_limit(limits.max_traders, 'traders', limits.tier, 'Delete another trader first.');
    END IF;
END
$$;

COMMENT ON FUNCTION vyx.check_stored(vyx.traders) IS 'Raises 42501 when a trader that was inserted is one too many of its tenant''s.';

CREATE FUNCTION vyx.count_running() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT count(*) FROM vyx.trader_versions v WHERE v.asked_to IS NULL AND v.effective_to IS NULL AND NOT v.shadow;
END;

COMMENT ON FUNCTION vyx.count_running() IS 'How many traders run or are about to.';

-- The versions in force are counted, which whoever evaluates ends where they are too many; of this trader there is none
-- now. Starts of different tenants at the same moment do not see one another, nor wait: vyx.enforce_limits() has the last
-- word on the server's limit before a version comes into force.
CREATE FUNCTION vyx.check_quota(trader vyx.traders, cost bigint, OUT lane smallint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most constant integer := coalesce(current_setting('vyx.max_running_traders', true), '1000')::integer;
    prompt constant bigint := coalesce(current_setting('vyx.prompt_cost', true), '1000000')::bigint;
    limits vyx.tiers;
    running bigint;
    spent bigint;
BEGIN
    lane := 0;
    IF trader.user_id IS NOT NULL THEN
        limits := vyx.lock_tenant(trader.user_id);
        SELECT count(*) FILTER (WHERE NOT v.shadow AND v.trader_id <> trader.id) + 1, coalesce(sum(v.cost), 0) + check_quota.cost
        INTO running, spent
        FROM vyx.trader_versions v
        WHERE v.user_id = trader.user_id AND v.asked_to IS NULL AND v.effective_to IS NULL;
        IF running > limits.max_running_traders THEN
            PERFORM vyx.over_limit(limits.max_running_traders, 'running traders', limits.tier,
                                   'Stop another trader first: SELECT vyx_stop_trader(id).');
        END IF;
        IF spent > limits.cost_per_close THEN
            PERFORM vyx.over_limit(limits.cost_per_close, 'nodes times symbols at a close', limits.tier,
                                   format('This trader would make it %s: give it fewer symbols or a shorter script, or stop another.', spent));
        END IF;
        IF spent > prompt THEN
            lane := 1;
        END IF;
    END IF;
    IF vyx.count_running() >= most THEN
        PERFORM vyx.over_limit(most, 'running traders', NULL, 'The setting vyx.max_running_traders is for the whole server.');
    END IF;
END
$$;

COMMENT ON FUNCTION vyx.check_quota(vyx.traders, bigint) IS
    'Raises 42501 when a trader that wants to run is over its tenant''s or the server''s limit; returns whether it is evaluated promptly (0) or after everybody else (1).';

-- What is rolled back has not happened and is not counted.
CREATE FUNCTION vyx.note_switch(tenant uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limits constant vyx.tiers := vyx.lock_tenant(tenant);
    recent timestamptz[];
    oldest timestamptz;
    moment timestamptz;
BEGIN
    IF limits.switches_per_minute IS NULL THEN
        RETURN;
    END IF;
    moment := clock_timestamp();
    -- Moments to come are from before the clock was put back.
    SELECT ARRAY(SELECT s.at FROM unnest(t.switched) AS s(at) WHERE s.at > moment - interval '1 minute' AND s.at <= moment
                 ORDER BY s.at)
        INTO recent FROM vyx.tenants t WHERE t.user_id = tenant;
    IF cardinality(recent) >= limits.switches_per_minute THEN
        oldest := recent[cardinality(recent) - limits.switches_per_minute + 1];
        PERFORM vyx.over_limit(limits.switches_per_minute, 'starts, stops and retries a minute', limits.tier,
                               format('Try again in %s s.', w.seconds), w.seconds)
            FROM (SELECT greatest(ceil(extract(epoch FROM oldest - moment) + 60), 1)::integer AS seconds) AS w;
    END IF;
    UPDATE vyx.tenants t SET switched = recent || moment WHERE t.user_id = tenant;
END
$$;

COMMENT ON FUNCTION vyx.note_switch(uuid) IS 'Counts a tenant''s start, stop or retry; 42501 with the seconds to wait where there were too many within a minute.';

CREATE FUNCTION vyx.count_switch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What an administrator does is not the tenant's doing.
    IF NEW.user_id = vyx.uid() THEN
        PERFORM vyx.note_switch(NEW.user_id);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION vyx.count_switch() IS 'Counts a start or stop of a trader by its tenant.';

-- Also while a dump is restored, which sets row_security to off: the owner of the table would be refused.
CREATE FUNCTION vyx.ask_review() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
BEGIN
    IF TG_TABLE_NAME = 'tenants' THEN
        INSERT INTO vyx.reviews (user_id) VALUES (NEW.user_id);
    ELSE
        INSERT INTO vyx.reviews (tier) VALUES (NEW.tier);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION vyx.ask_review() IS 'Asks whoever evaluates to look whether tenants still keep to limits that have changed.';

CREATE TRIGGER review AFTER UPDATE ON vyx.tenants FOR EACH ROW
    WHEN (NEW.tier <> OLD.tier) EXECUTE FUNCTION vyx.ask_review();

CREATE TRIGGER review AFTER UPDATE ON vyx.tiers FOR EACH ROW
    WHEN (coalesce(NEW.max_running_traders < coalesce(OLD.max_running_traders, 2147483647), false)
          OR coalesce(NEW.cost_per_close < coalesce(OLD.cost_per_close, 9223372036854775807), false))
    EXECUTE FUNCTION vyx.ask_review();

-- Called under the writer's lock, so some at a time. Ends versions only, since the row of a trader may be locked by its
-- tenant: the word there follows when it can. A version that its tenant is ending himself in an open transaction is looked
-- at again.
CREATE FUNCTION vyx.enforce_limits() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most constant integer := coalesce(current_setting('vyx.max_running_traders', true), '1000')::integer;
    at_once constant integer := 200;
    at constant timestamptz := vyx.effective_now();
    reviewed uuid[];
    stopped record;
    ended bigint := 0;
    found_over bigint;
BEGIN
    WITH asked AS (
        DELETE FROM vyx.reviews r WHERE r.ctid = ANY (ARRAY(SELECT o.ctid FROM vyx.reviews o FOR UPDATE SKIP LOCKED))
        RETURNING r.user_id, r.tier
    )
    SELECT array_agg(DISTINCT t.user_id) INTO reviewed
    FROM vyx.tenants t JOIN asked a ON t.user_id = a.user_id OR t.tier = a.tier;
    IF reviewed IS NULL AND vyx.count_running() <= most THEN
        RETURN 0;
    END IF;
    FOR stopped IN
        WITH in_force AS (
            SELECT v.trader_id, v.version, v.user_id, v.shadow,
                   count(*) FILTER (WHERE NOT v.shadow) OVER of_all AS nth_of_all,
                   count(*) FILTER (WHERE NOT v.shadow) OVER of_tenant AS nth,
                   sum(v.cost) OVER of_tenant AS spent
            FROM vyx.trader_versions v WHERE v.asked_to IS NULL AND v.effective_to IS NULL
            -- Who begins a transaction and commits it late takes nobody's place.
            WINDOW of_all AS (ORDER BY v.effective_from IS NULL, v.created_at, v.trader_id, v.version),
                   of_tenant AS (PARTITION BY v.user_id ORDER BY v.effective_from IS NULL, v.created_at, v.trader_id, v.version)
        ), surplus AS MATERIALIZED (
            SELECT f.trader_id, f.version, f.shadow, CASE
                       WHEN f.nth_of_all > most THEN format('stopped: this server runs %s traders at most', most)
                       WHEN f.nth > i.max_running_traders THEN format('stopped: tier "%s" allows %s running traders', i.tier, i.max_running_traders)
                       ELSE format('stopped: tier "%s" allows %s nodes times symbols at a close', i.tier, i.cost_per_close)
                   END AS why
            FROM in_force f
            LEFT JOIN (vyx.tenants t JOIN vyx.tiers i USING (tier)) ON t.user_id = f.user_id AND t.user_id = ANY (reviewed)
            WHERE f.nth_of_all > most OR f.nth > i.max_running_traders OR f.spent > i.cost_per_close
            ORDER BY f.nth_of_all DESC LIMIT at_once
        ), free AS MATERIALIZED (
            SELECT u.trader_id, u.version, s.why FROM vyx.trader_versions u
            JOIN surplus s ON s.trader_id = u.trader_id AND (s.version = u.version OR u.shadow AND NOT s.shadow)
            WHERE u.asked_to IS NULL AND u.effective_to IS NULL
            FOR UPDATE OF u SKIP LOCKED
        ), over AS (
            -- One that never was in force ends where it begins.
            UPDATE vyx.trader_versions v
            SET asked_to = CASE WHEN v.effective_from IS NULL THEN v.asked_from ELSE at END, stopped_because = f.why
            FROM (SELECT DISTINCT ON (o.trader_id, o.version) o.* FROM free o) AS f
            WHERE v.trader_id = f.trader_id AND v.version = f.version
            RETURNING v.user_id, v.stopped_because AS why
        )
        SELECT o.user_id, o.why, count(*) AS versions, (SELECT count(*) FROM surplus) AS surplus FROM over o GROUP BY o.user_id, o.why
    LOOP
        ended := ended + stopped.versions;
        found_over := stopped.surplus;
        RAISE LOG 'vyx: % of tenant % %', stopped.versions, coalesce(stopped.user_id::text, 'nobody'), stopped.why;
    END LOOP;
    -- What was locked, or one too many for once.
    IF found_over IS DISTINCT FROM ended OR ended >= at_once THEN
        INSERT INTO vyx.reviews (user_id) SELECT r.user_id FROM unnest(reviewed) AS r(user_id)
            UNION SELECT NULL WHERE reviewed IS NULL;
    END IF;
    RETURN ended;
END
$$;

COMMENT ON FUNCTION vyx.enforce_limits() IS
    'Ends the newest surplus of what runs: the server''s, and that of tenants whose limits have changed; returns how many versions.';

-- A courtesy: whoever holds the table or a row locked is told later.
CREATE FUNCTION vyx.tell_stopped() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told bigint;
BEGIN
    LOCK TABLE vyx.traders IN ROW EXCLUSIVE MODE NOWAIT;
    WITH stopped AS MATERIALIZED (
        SELECT t.id, v.stopped_because
        FROM vyx.trader_versions v JOIN vyx.traders t ON t.id = v.trader_id
        WHERE v.stopped_because IS NOT NULL AND NOT v.shadow AND t.state = 'running'
          AND NOT EXISTS (SELECT FROM vyx.trader_versions o WHERE o.trader_id = v.trader_id AND o.version > v.version AND NOT o.shadow)
        LIMIT 50 FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE vyx.traders t SET state = 'stopped', last_error = s.stopped_because FROM stopped s WHERE t.id = s.id;
    GET DIAGNOSTICS told = ROW_COUNT;
    RETURN told;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$;

COMMENT ON FUNCTION vyx.tell_stopped() IS 'Shows in the rows of some traders that the database has stopped them, and why; returns of how many.';

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

-- Before: number the row. A row that comes with its version is one of a dump, with its versions beside it.
CREATE OR REPLACE FUNCTION vyx.before_trader() RETURNS trigger
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

CREATE OR REPLACE FUNCTION vyx.may_build_in() RETURNS boolean
LANGUAGE sql STABLE
RETURN (SELECT r.rolsuper FROM pg_roles r
        WHERE r.rolname = vyx.acting());

-- After: only here is it certain that the row stays (ON CONFLICT DO NOTHING). An error undoes the statement.
CREATE OR REPLACE FUNCTION vyx.after_trader() RETURNS trigger
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

-- A statement knows when it runs, not when its transaction commits: a candle may close in between, and is evaluated by
-- what was committed then. So whoever evaluates settles, under the writer's lock, from when on a change counts: from the
-- time asked for, or after the last candle that was evaluated without it. The number in vyx.writer makes batches fail
-- that were computed before.
CREATE OR REPLACE FUNCTION vyx.settle_versions() RETURNS boolean
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

-- Triggers fire in the order of their names: before anything is compiled. What the database stops is nobody's doing.
CREATE TRIGGER allow_new AFTER INSERT ON vyx.traders
    FOR EACH ROW WHEN (NEW.state = 'running' AND NEW.updated_at = pg_catalog.transaction_timestamp())
    EXECUTE FUNCTION vyx.count_switch();

CREATE TRIGGER allow_changed AFTER UPDATE ON vyx.traders
    FOR EACH ROW WHEN (NEW.state <> OLD.state AND CURRENT_USER <> 'vyx_owner') EXECUTE FUNCTION vyx.count_switch();

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
CREATE OR REPLACE FUNCTION vyx.set_trader_state(trader uuid, wish text) RETURNS text
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

COMMENT ON FUNCTION @extschema@.vyx_start_trader(uuid) IS 'Lets a trader run from the next close on; returns its state. What runs already is left as it is.';

COMMENT ON FUNCTION @extschema@.vyx_stop_trader(uuid) IS 'Stops a trader from the next close on; returns its state. What is stopped already is left as it is.';

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

CREATE TABLE vyx.forgotten (
    user_id uuid PRIMARY KEY,
    traders uuid[] NOT NULL
);

ALTER TABLE vyx.forgotten ENABLE ROW LEVEL SECURITY;

ALTER TABLE vyx.forgotten FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE vyx.forgotten IS 'Persons of whom whoever evaluates has to delete the rest. Taken by vyx.forget_rest().';

SELECT pg_extension_config_dump('vyx.forgotten', '');

CREATE FUNCTION @extschema@.vyx_forget_user(user_id uuid, OUT what text, OUT rows bigint) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $$
DECLARE
    person constant uuid := $1;
    its_traders uuid[];
    counts jsonb := '{}';
    deleted bigint;
BEGIN
    IF person IS NULL THEN
        RAISE EXCEPTION 'argument "user_id" must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a person''s id.';
    END IF;
    -- Waits until nothing of this person is half done, and then sees it.
    PERFORM FROM vyx.tenants t WHERE t.user_id = person FOR UPDATE;
    -- Ends the versions that are in force, as any deletion does.
    DELETE FROM vyx.traders t WHERE t.user_id = person;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    counts := counts || jsonb_build_object('traders', deleted);
    its_traders := ARRAY(SELECT DISTINCT v.trader_id FROM vyx.trader_versions v WHERE v.user_id = person);
    SELECT counts || jsonb_build_object(
        'trader_versions', (SELECT count(*) FROM vyx.trader_versions v WHERE v.user_id = person),
        'pending', (SELECT count(*) FROM vyx.pending p WHERE p.user_id = person),
        'failures', (SELECT count(*) FROM vyx.failures f WHERE f.user_id = person),
        'resting', (SELECT count(*) FROM vyx.resting r WHERE r.user_id = person),
        'delivered', (SELECT count(*) FROM vyx.delivered d WHERE d.user_id = person)) INTO counts;
    DELETE FROM vyx.signals s WHERE s.user_id = person;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    counts := counts || jsonb_build_object('signals', deleted);
    DELETE FROM vyx.shadow_signals s WHERE s.user_id = person;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    counts := counts || jsonb_build_object('shadow_signals', deleted);
    DELETE FROM vyx.usage u WHERE u.user_id = person;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    counts := counts || jsonb_build_object('usage', deleted);
    DELETE FROM vyx.retries r WHERE r.user_id = person;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    counts := counts || jsonb_build_object('retries', deleted);
    DELETE FROM vyx.tenants t WHERE t.user_id = person;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    counts := counts || jsonb_build_object('tenants', deleted);
    INSERT INTO vyx.forgotten AS f (user_id, traders) VALUES (person, its_traders)
        ON CONFLICT ON CONSTRAINT forgotten_pkey DO UPDATE SET traders = f.traders || EXCLUDED.traders;
    -- Where nobody evaluates, in a copy or before anything has run, nobody would take it.
    IF NOT EXISTS (SELECT FROM vyx.writer w JOIN pg_control_system() c ON c.system_identifier = w.system_identifier) THEN
        PERFORM vyx.forget_rest();
    END IF;
    RETURN QUERY SELECT e.key, e.value::bigint FROM jsonb_each_text(counts) AS e ORDER BY e.key;
END
$$;

COMMENT ON FUNCTION @extschema@.vyx_forget_user(uuid) IS
    'Deletes a person''s rows everywhere; returns how many by table. What is written at closes goes at the next settling, by whoever evaluates; names in vyx.tallies mean nothing from then on and go when they are folded.';

-- Called under the writer's lock, when the person's versions are settled: no batch that was computed with them is written
-- afterwards, and none before is missing.
CREATE FUNCTION vyx.forget_rest() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    person record;
    forgotten bigint := 0;
BEGIN
    FOR person IN SELECT f.user_id, f.traders FROM vyx.forgotten f LIMIT 1 FOR UPDATE SKIP LOCKED LOOP
        WITH gone AS (
            DELETE FROM vyx.pending p USING vyx.trader_versions v
            WHERE p.trader_id = ANY (person.traders) AND v.trader_id = p.trader_id AND v.version = p.trader_version
            RETURNING p."interval", p.close_time, v.lane
        )
        UPDATE vyx.cycles c SET waiting = c.waiting - n.pairs
        FROM (SELECT g."interval", g.close_time, g.lane, count(*) AS pairs FROM gone g GROUP BY g."interval", g.close_time, g.lane) AS n
        WHERE c."interval" = n."interval" AND c.close_time = n.close_time AND c.lane = n.lane;
        DELETE FROM vyx.failures f WHERE f.trader_id = ANY (person.traders);
        DELETE FROM vyx.resting r WHERE r.trader_id = ANY (person.traders);
        DELETE FROM vyx.delivered d WHERE d.user_id = person.user_id;
        DELETE FROM vyx.signals s WHERE s.trader_id = ANY (person.traders);
        DELETE FROM vyx.shadow_signals s WHERE s.trader_id = ANY (person.traders);
        DELETE FROM vyx.usage u WHERE u.trader_id = ANY (person.traders);
        DELETE FROM vyx.trader_versions v WHERE v.trader_id = ANY (person.traders);
        DELETE FROM vyx.forgotten f WHERE f.user_id = person.user_id;
        forgotten := forgotten + 1;
    END LOOP;
    RETURN forgotten;
END
$$;

COMMENT ON FUNCTION vyx.forget_rest() IS 'Deletes what is left of a person who was forgotten; returns whether there was one, as a number.';

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
CREATE OR REPLACE FUNCTION vyx.commit_batch(batch jsonb, OUT outcome text, OUT written bigint, OUT last_seq bigint)
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

CREATE OR REPLACE FUNCTION vyx.record_failures(failures jsonb, evaluated_at timestamptz) RETURNS void
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

-- The operator's way in. commit_batch itself believes what it is given, so nobody but vyx_owner may call it.
CREATE OR REPLACE FUNCTION vyx.evaluate_once("interval" text) RETURNS text
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

-- No SET clause and no SECURITY DEFINER: a procedure that commits can have neither, so each transaction sets its own
-- search_path first and everything before that is qualified. Each step is a transaction of its own, so that the writer's
-- lock is held while something is written and not while it is computed.
CREATE OR REPLACE PROCEDURE @extschema@.vyx_evaluate("interval" text DEFAULT NULL, stay pg_catalog.interval DEFAULT '0')
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

CREATE FUNCTION vyx.own_trader(trader uuid) RETURNS vyx.traders
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one vyx.traders;
BEGIN
    IF trader IS NULL THEN
        RAISE EXCEPTION 'argument "id" must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a trader''s id.';
    END IF;
    SELECT t.* INTO found_one FROM vyx.traders t WHERE t.id = trader;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no trader "%"', trader
            USING ERRCODE = 'undefined_object', HINT = 'SELECT id, name FROM vyx.traders lists yours.';
    END IF;
    RETURN found_one;
END
$$;

COMMENT ON FUNCTION vyx.own_trader(uuid) IS 'The row of a trader that the caller may see; 42704 where there is none.';

-- The doors below run as their callers, who may call these two as well: so they look for themselves whose trader it is. A
-- built-in one is everybody's to see, and only a superuser's to change.
CREATE FUNCTION vyx.begin_shadow(trader uuid, its_script text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at constant timestamptz := vyx.effective_now();
    beside vyx.trader_versions;
    program json;
    its_cost bigint;
    number bigint;
BEGIN
    PERFORM vyx.end_shadow(trader);
    SELECT v.* INTO beside FROM vyx.traders t
        JOIN vyx.trader_versions v ON v.trader_id = t.id AND v.version = t.version AND v.asked_to IS NULL AND v.effective_to IS NULL
        WHERE t.id = trader AND t.state = 'running';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'trader "%" does not run, so nothing can run beside it', trader
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Start it first: SELECT vyx_start_trader(%L). Or change it without shadow.', trader);
    END IF;
    program := vyx._compile(its_script, beside."interval");
    -- Evaluated at every close as the one beside it is, so it is paid for.
    its_cost := json_array_length(program -> 'nodes') * coalesce(cardinality(beside.symbols), vyx._tracked_symbols());
    PERFORM vyx.check_quota(t, its_cost) FROM vyx.traders t WHERE t.id = trader;
    SELECT max(v.version) + 1 INTO number FROM vyx.trader_versions v WHERE v.trader_id = trader;
    INSERT INTO vyx.trader_versions (trader_id, version, user_id, script, program, "interval", symbols, min_quote_volume_24h,
                                     fire_on, cooldown, max_lag, shadow, cost, lane, asked_from)
    VALUES (trader, number, beside.user_id, its_script, program, beside."interval", beside.symbols, beside.min_quote_volume_24h,
            beside.fire_on, beside.cooldown, beside.max_lag, true, its_cost, beside.lane, at);
    RETURN number;
END
$$;

COMMENT ON FUNCTION vyx.begin_shadow(uuid, text) IS
    'Begins a shadow of a running trader of the caller, in the place of the one it may have; returns its version.';

CREATE FUNCTION vyx.end_shadow(trader uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Locked like a row that is changed: two who do this at once do it one after the other.
    PERFORM FROM vyx.traders t
        WHERE t.id = trader AND (t.user_id = vyx.uid() OR vyx.may_build_in()) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'trader "%" is not yours', trader
            USING ERRCODE = 'insufficient_privilege', HINT = 'Insert a trader of your own.';
    END IF;
    UPDATE vyx.trader_versions v SET asked_to = vyx.effective_now()
        WHERE v.trader_id = trader AND v.shadow AND v.asked_to IS NULL AND v.effective_to IS NULL;
    RETURN FOUND;
END
$$;

COMMENT ON FUNCTION vyx.end_shadow(uuid) IS 'Asks for the end of the shadow of a trader of the caller; returns whether there was one.';

CREATE FUNCTION @extschema@.vyx_change_trader(id uuid, script text, shadow boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trader constant vyx.traders := vyx.own_trader(vyx_change_trader.id);
    number bigint;
BEGIN
    IF script IS NULL OR shadow IS NULL THEN
        RAISE EXCEPTION 'arguments "script" and "shadow" must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Give the whole new script.';
    END IF;
    IF shadow THEN
        RETURN vyx.begin_shadow(trader.id, script);
    END IF;
    UPDATE vyx.traders t SET script = vyx_change_trader.script WHERE t.id = vyx_change_trader.id RETURNING t.version INTO number;
    RETURN number;
END
$$;

COMMENT ON FUNCTION @extschema@.vyx_change_trader(uuid, text, boolean) IS
    'Gives a trader another script from the next close on; with shadow => true the new one runs beside the old one and delivers nothing. Returns the number of the new version.';

CREATE FUNCTION vyx.shadow_of(trader uuid) RETURNS vyx.trader_versions
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest vyx.trader_versions;
BEGIN
    SELECT v.* INTO newest FROM vyx.trader_versions v WHERE v.trader_id = trader AND v.shadow ORDER BY v.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'trader "%" has no shadow', trader
            USING ERRCODE = 'undefined_object', HINT = 'SELECT vyx_change_trader(id, script, shadow => true) begins one.';
    END IF;
    RETURN newest;
END
$$;

COMMENT ON FUNCTION vyx.shadow_of(uuid) IS 'The newest shadow of a trader, in force or ended; 42704 where there never was one.';

-- Only closes that both have evaluated are compared: from when both are in force, up to where every series of the interval
-- has come.
CREATE FUNCTION @extschema@.vyx_shadow_diff(
    id uuid, OUT symbol text, OUT close_time timestamptz, OUT fired_by text, OUT price float8, OUT metadata jsonb, OUT shadow_metadata jsonb
) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    trader constant vyx.traders := vyx.own_trader(vyx_shadow_diff.id);
    other constant vyx.trader_versions := vyx.shadow_of(vyx_shadow_diff.id);
    until_then timestamptz;
BEGIN
    SELECT least(min(w.evaluated_through), other.effective_to - interval '1 millisecond') INTO until_then
        FROM vyx.watermarks w WHERE w."interval" = other."interval" AND w.lane = other.lane;
    RETURN QUERY
        SELECT coalesce(c.symbol, s.symbol), coalesce(c.close_time, s.close_time),
               CASE WHEN s.id IS NULL THEN 'current' WHEN c.id IS NULL THEN 'shadow' ELSE 'both' END,
               coalesce(c.price, s.price), c.metadata, s.metadata
        FROM (SELECT n.* FROM vyx.signals n WHERE n.trader_id = other.trader_id) AS c
        FULL JOIN (SELECT n.* FROM vyx.shadow_signals n
                   WHERE n.trader_id = other.trader_id AND n.trader_version = other.version) AS s
            ON s.symbol = c.symbol AND s.close_time = c.close_time
        WHERE coalesce(c.close_time, s.close_time) BETWEEN other.effective_from AND until_then
          AND (c.id IS NULL OR s.id IS NULL OR c.metadata IS DISTINCT FROM s.metadata)
        ORDER BY 2, 1;
END
$$;

COMMENT ON FUNCTION @extschema@.vyx_shadow_diff(uuid) IS
    'Where a trader and its shadow differ since the shadow began: who fired (current, shadow, or both with other metadata), oldest first. No rows: no difference so far.';

CREATE FUNCTION @extschema@.vyx_promote_shadow(id uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other constant vyx.trader_versions := vyx.shadow_of((vyx.own_trader(vyx_promote_shadow.id)).id);
BEGIN
    IF other.effective_to IS NOT NULL OR other.asked_to IS NOT NULL THEN
        RAISE EXCEPTION 'the shadow of trader "%" has ended', vyx_promote_shadow.id
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'The trader was changed or stopped since. Begin another: vyx_change_trader(id, script, shadow => true).';
    END IF;
    -- The change ends the shadow.
    RETURN @extschema@.vyx_change_trader(vyx_promote_shadow.id, other.script);
END
$$;

COMMENT ON FUNCTION @extschema@.vyx_promote_shadow(uuid) IS
    'Makes a trader''s shadow the version in force from the next close on; returns its new number.';

CREATE FUNCTION @extschema@.vyx_drop_shadow(id uuid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN vyx.end_shadow((vyx.own_trader(vyx_drop_shadow.id)).id);
END
$$;

COMMENT ON FUNCTION @extschema@.vyx_drop_shadow(uuid) IS 'Ends a trader''s shadow from the next close on; returns whether there was one. What it fired stays for a while.';

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

CREATE TABLE vyx.published (
    publication text PRIMARY KEY CHECK (octet_length(publication) BETWEEN 1 AND 63),
    since       timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE vyx.published ENABLE ROW LEVEL SECURITY;

ALTER TABLE vyx.published FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE vyx.published IS 'Publications to which vyx_publish() has added vyx.signals: pg_dump keeps this and loses the membership itself.';

SELECT pg_catalog.pg_extension_config_dump('vyx.published', '');

CREATE FUNCTION vyx.is_published(text) RETURNS boolean
LANGUAGE sql STABLE STRICT
RETURN EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = $1 AND t.schemaname = 'vyx' AND t.tablename = 'signals');

COMMENT ON FUNCTION vyx.is_published(text) IS 'Whether the publication carries vyx.signals, by its name or with all tables.';

CREATE FUNCTION vyx.check_publication_name(text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF $1 IS NULL THEN
        RAISE EXCEPTION 'argument "publication" must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Leave it out for supabase_realtime.';
    ELSIF octet_length($1) NOT BETWEEN 1 AND 63 THEN
        RAISE EXCEPTION 'malformed publication name "%"', left($1, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A name is 1 to 63 bytes long.';
    END IF;
END
$$;

COMMENT ON FUNCTION vyx.check_publication_name(text) IS 'Raises 22004 or 22023 where the text cannot be the name of a publication.';

-- What adds the table needs the owner of the table and of the publication in one person: a superuser, or vyx_owner where
-- the publication is its own. Nobody else gets there, and no function of vyx runs with a superuser's rights.
CREATE FUNCTION vyx.publish_as_owner(publication text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vyx.check_publication_name(publication);
    RETURN vyx.publish_as_caller(publication);
EXCEPTION WHEN insufficient_privilege THEN
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = publication) THEN
        RAISE EXCEPTION 'publication "%" belongs to role "%", and only a superuser can add a table of vyx_owner to it', publication,
                (SELECT p.pubowner::regrole FROM pg_publication p WHERE p.pubname = publication)
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As a superuser (on Supabase: supabase_admin): SELECT vyx_publish(%L).', publication);
    END IF;
    RAISE EXCEPTION 'permission denied to create publication "%"', publication
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('As a superuser: SELECT vyx_publish(%L). So that operators may: GRANT CREATE ON DATABASE %I TO vyx_owner.',
                            publication, current_database());
END
$$;

COMMENT ON FUNCTION vyx.publish_as_owner(text) IS 'vyx_publish() with the rights of vyx_owner; says as whom it would work where that does not do.';

CREATE FUNCTION vyx.publish_as_caller(publication text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = publication) THEN
        EXECUTE format('ALTER PUBLICATION %I ADD TABLE ONLY vyx.signals', publication);
        RETURN format('added vyx.signals to publication "%s"', publication);
    END IF;
    EXECUTE format('CREATE PUBLICATION %I FOR TABLE ONLY vyx.signals WITH (publish = ''insert'')', publication);
    RETURN format('created publication "%s" with vyx.signals', publication);
END
$$;

COMMENT ON FUNCTION vyx.publish_as_caller(text) IS 'Adds vyx.signals to a publication, which it makes if there is none, with the rights of who calls; returns what it did.';

CREATE FUNCTION vyx.remember_publication(publication text) RETURNS void
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    INSERT INTO vyx.published (publication) SELECT remember_publication.publication
        WHERE vyx.is_published(remember_publication.publication)
        ON CONFLICT DO NOTHING;
END;

COMMENT ON FUNCTION vyx.remember_publication(text) IS 'Notes that a publication carries vyx.signals, if it does.';

CREATE FUNCTION vyx.forget_publication(publication text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH forgotten AS (
        DELETE FROM vyx.published p WHERE p.publication = forget_publication.publication RETURNING p.publication
    )
    SELECT count(*) > 0 FROM forgotten;
END;

COMMENT ON FUNCTION vyx.forget_publication(text) IS 'The opposite of vyx.remember_publication(); returns whether there was anything to forget.';

CREATE FUNCTION @extschema@.vyx_publish(publication text DEFAULT 'supabase_realtime') RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text;
    is_super constant boolean := current_setting('is_superuser')::boolean;
    p pg_publication;
BEGIN
    PERFORM vyx.check_publication_name(publication);
    IF vyx.is_published(publication) THEN
        said := format('publication "%s" has vyx.signals already', publication);
    ELSIF is_super THEN
        said := vyx.publish_as_caller(publication);
    ELSE
        said := vyx.publish_as_owner(publication);
    END IF;
    PERFORM vyx.remember_publication(publication);

    SELECT c.* INTO p FROM pg_publication c WHERE c.pubname = publication;
    IF NOT p.pubinsert THEN
        RAISE WARNING 'publication "%" does not publish inserts: no signal will arrive', publication
            USING HINT = format('ALTER PUBLICATION %I SET (publish = ''insert'').', publication);
    END IF;
    -- Row level security cannot be asked about a row that is gone, so Realtime tells everybody of its key.
    IF p.pubdelete OR p.pubtruncate THEN
        RAISE NOTICE 'publication "%" also publishes deletes, which reach all subscribers', publication
            USING HINT = format('Nobody learns more from one than a signal''s id. Where no other table needs them: ALTER PUBLICATION %I SET (publish = ''insert'').',
                                publication);
    END IF;
    IF current_setting('wal_level') <> 'logical' THEN
        RAISE NOTICE 'nothing can be decoded: wal_level is "%"', current_setting('wal_level')
            USING HINT = 'Set wal_level = logical and restart the server.';
    END IF;
    RETURN said;
END
$$;

COMMENT ON FUNCTION @extschema@.vyx_publish(text) IS
    'Adds vyx.signals to a publication, which it makes if there is none, so that Supabase Realtime carries signals to browsers; returns what it did. Again: nothing changes. To be repeated after a restore.';

CREATE FUNCTION vyx.unpublish_as_owner(publication text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vyx.check_publication_name(publication);
    RETURN vyx.unpublish_as_caller(publication);
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'publication "%" belongs to role "%"', publication,
            (SELECT p.pubowner::regrole FROM pg_publication p WHERE p.pubname = publication)
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('As that role or a superuser: ALTER PUBLICATION %I DROP TABLE vyx.signals.', publication);
END
$$;

COMMENT ON FUNCTION vyx.unpublish_as_owner(text) IS 'vyx_unpublish() with the rights of vyx_owner; says as whom it would work where that does not do.';

CREATE FUNCTION vyx.unpublish_as_caller(publication text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER PUBLICATION %I DROP TABLE vyx.signals', publication);
    RETURN format('took vyx.signals out of publication "%s"', publication);
END
$$;

COMMENT ON FUNCTION vyx.unpublish_as_caller(text) IS 'Takes vyx.signals out of a publication with the rights of who calls; returns what it did.';

CREATE FUNCTION @extschema@.vyx_unpublish(publication text DEFAULT 'supabase_realtime') RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text;
    is_super constant boolean := current_setting('is_superuser')::boolean;
BEGIN
    PERFORM vyx.check_publication_name(publication);
    IF NOT vyx.is_published(publication) THEN
        said := format('publication "%s" does not have vyx.signals', publication);
    ELSIF (SELECT p.puballtables FROM pg_publication p WHERE p.pubname = publication) THEN
        RAISE EXCEPTION 'publication "%" is for all tables', publication
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Make one that names its tables instead: CREATE PUBLICATION ... FOR TABLE ....';
    ELSIF is_super THEN
        said := vyx.unpublish_as_caller(publication);
    ELSE
        said := vyx.unpublish_as_owner(publication);
    END IF;
    PERFORM vyx.forget_publication(publication);
    RETURN said;
END
$$;

COMMENT ON FUNCTION @extschema@.vyx_unpublish(text) IS 'Takes vyx.signals out of a publication, which stays; returns what it did. Again: nothing changes.';

CREATE FUNCTION @extschema@.vyx_published(
    OUT publication text, OUT state text, OUT operations text, OUT since timestamptz, OUT advice text
) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 2 SECURITY DEFINER
BEGIN ATOMIC
    SELECT n.publication,
           CASE WHEN vyx.is_published(n.publication) THEN 'published' ELSE 'missing' END,
           concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                     CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
           n.since,
           CASE WHEN NOT vyx.is_published(n.publication)
                THEN format('As a superuser, e.g. after a restore: SELECT vyx_publish(%L).', n.publication) END
    FROM (SELECT coalesce(r.publication, t.pubname::text), r.since
          FROM vyx.published r
          FULL JOIN (SELECT m.pubname FROM pg_publication_tables m WHERE m.schemaname = 'vyx' AND m.tablename = 'signals') AS t
               ON t.pubname = r.publication
         ) AS n(publication, since)
    LEFT JOIN pg_publication p ON p.pubname = n.publication
    ORDER BY 1;
END;

COMMENT ON FUNCTION @extschema@.vyx_published() IS
    'Publications that carry vyx.signals, and those that did and lack it now, which a restore leads to: published or missing, what they publish, since when by vyx_publish().';

-- For vyx_health(): null where all is as it should be.
CREATE FUNCTION vyx.unpublished() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT min(p.publication) FROM vyx.published p WHERE NOT vyx.is_published(p.publication);
END;

COMMENT ON FUNCTION vyx.unpublished() IS 'A publication that vyx_publish() added vyx.signals to and that lacks it; null if there is none.';

CREATE FUNCTION vyx.count_cycle() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'count_cycle_wrapper';

COMMENT ON FUNCTION vyx.count_cycle() IS 'Adds what a cycle has gained to the metrics.';

CREATE TRIGGER count AFTER INSERT OR UPDATE ON vyx.cycles
    FOR EACH ROW WHEN (current_user = 'vyx_owner') EXECUTE FUNCTION vyx.count_cycle();

CREATE FUNCTION vyx.count_signals() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'count_signals_wrapper';

COMMENT ON FUNCTION vyx.count_signals() IS 'Adds the numbers drawn for signals, and word of them, to the metrics.';

CREATE TRIGGER count AFTER UPDATE ON vyx.writer
    FOR EACH ROW WHEN (current_user = 'vyx_owner' AND NEW.seq > OLD.seq) EXECUTE FUNCTION vyx.count_signals();

CREATE FUNCTION vyx.evaluation_state(OUT running bigint, OUT pending bigint, OUT dead_letters bigint, OUT skipped bigint)
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT (SELECT count(*) FROM vyx.traders t WHERE t.state = 'running'), (SELECT count(*) FROM vyx.pending),
           (SELECT count(*) FROM vyx.failures), (SELECT coalesce(sum(w.skipped), 0)::bigint FROM vyx.watermarks w);
END;

COMMENT ON FUNCTION vyx.evaluation_state() IS 'What the tables say of evaluation, all tenants together, for vyx_metrics().';

-- Watermarks move as long as somebody's traders run; of others nothing is due.
CREATE FUNCTION vyx.behind("interval" text, closed timestamptz) RETURNS TABLE (symbol text, through timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT w.symbol, min(w.evaluated_through)
    FROM (SELECT DISTINCT v.lane FROM vyx.trader_versions v
          WHERE v."interval" = behind."interval" AND v.effective_to IS NULL AND v.effective_from <= behind.closed) AS l
    JOIN vyx.watermarks w ON w.lane = l.lane
    WHERE w."interval" = behind."interval" AND w.evaluated_through < behind.closed
    GROUP BY w.symbol;
END;

COMMENT ON FUNCTION vyx.behind(text, timestamptz) IS 'Symbols that were not evaluated up to a close although traders run there, and how far they were.';

SET LOCAL search_path = @extschema@, pg_temp;

CREATE  FUNCTION vyx."_format"() RETURNS INT /* i32 */
IMMUTABLE STRICT PARALLEL SAFE  
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', '_format_wrapper';

CREATE  FUNCTION vyx."_paused_since"(
	"worker" TEXT /* & str */
) RETURNS timestamp with time zone /* Result < Option < TimestampWithTimeZone > , ErrorReport > */
STRICT VOLATILE PARALLEL SAFE  
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', '_paused_since_wrapper';

CREATE  FUNCTION vyx."_tracked_symbols"() RETURNS INT /* i32 */
STRICT STABLE PARALLEL SAFE  
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', '_tracked_symbols_wrapper';

CREATE  FUNCTION vyx."_warming"(
	"program" TEXT, /* Option < & str > */
	"symbols" TEXT[] /* :: std :: option :: Option < Vec < Option < String > > > */
) RETURNS INT /* Option < i32 > */
STABLE PARALLEL SAFE  
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', '_warming_wrapper';

CREATE  FUNCTION "vyx_backtest"(
	"symbols" TEXT[], /* :: std :: option :: Option < Vec < Option < String > > > */
	"interval" TEXT, /* Option < & str > */
	"limit" INT, /* Option < i32 > */
	"script" TEXT, /* Option < & str > */
	"fire_on" TEXT DEFAULT 'edge' /* Option < & str > */
) RETURNS TABLE (
	"symbol" TEXT,  /* String */
	"open_time" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"price" double precision,  /* f64 */
	"ret_1" double precision,  /* Option < f64 > */
	"ret_5" double precision,  /* Option < f64 > */
	"ret_20" double precision,  /* Option < f64 > */
	"metadata" jsonb  /* JsonB */
)
STABLE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_backtest_wrapper';

CREATE  FUNCTION "vyx_backtest_summary"(
	"symbols" TEXT[], /* :: std :: option :: Option < Vec < Option < String > > > */
	"interval" TEXT, /* Option < & str > */
	"limit" INT, /* Option < i32 > */
	"script" TEXT, /* Option < & str > */
	"fire_on" TEXT DEFAULT 'edge' /* Option < & str > */
) RETURNS TABLE (
	"symbols" bigint,  /* i64 */
	"candles" bigint,  /* i64 */
	"evaluated" bigint,  /* i64 */
	"matched" bigint,  /* i64 */
	"fired" bigint,  /* i64 */
	"warming" bigint,  /* i64 */
	"undefined" bigint,  /* i64 */
	"history_missing" bigint,  /* i64 */
	"from_open" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"to_open" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"mean_ret_1" double precision,  /* Option < f64 > */
	"mean_ret_5" double precision,  /* Option < f64 > */
	"mean_ret_20" double precision,  /* Option < f64 > */
	"win_rate_1" double precision,  /* Option < f64 > */
	"win_rate_5" double precision,  /* Option < f64 > */
	"win_rate_20" double precision  /* Option < f64 > */
)
STABLE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_backtest_summary_wrapper';

CREATE  FUNCTION "vyx_explain"(
	"trader_id" uuid, /* Option < pgrx :: Uuid > */
	"symbol" TEXT, /* Option < & str > */
	"at" timestamp with time zone DEFAULT NULL /* Option < TimestampWithTimeZone > */
) RETURNS TABLE (
	"step" INT,  /* i32 */
	"expression" TEXT,  /* String */
	"value" TEXT,  /* Option < String > */
	"kind" TEXT,  /* Option < String > */
	"outcome" TEXT,  /* Option < String > */
	"note" TEXT  /* Option < String > */
)
STABLE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_explain_wrapper';

CREATE  FUNCTION "vyx_gaps"() RETURNS TABLE (
	"symbol" TEXT,  /* String */
	"interval" TEXT,  /* & '_ str */
	"from_open" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"to_open" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"klines" bigint,  /* i64 */
	"reason" TEXT,  /* & '_ str */
	"detected_at" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"resolved_at" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"resolution" TEXT  /* Option < & '_ str > */
)
STRICT STABLE PARALLEL SAFE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_gaps_wrapper';

CREATE  FUNCTION "vyx_health"() RETURNS TABLE (
	"status" TEXT,  /* & '_ str */
	"reason" TEXT,  /* String */
	"market_time" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"symbols" bigint,  /* i64 */
	"connections" bigint,  /* i64 */
	"streams" bigint,  /* i64 */
	"streams_wanted" bigint,  /* i64 */
	"series_complete" bigint,  /* i64 */
	"series_total" bigint,  /* i64 */
	"messages" bigint,  /* i64 */
	"closes" bigint,  /* i64 */
	"reconnects" bigint,  /* i64 */
	"dropped" bigint,  /* i64 */
	"bad_frames" bigint,  /* i64 */
	"refused_klines" bigint,  /* i64 */
	"used_weight" bigint,  /* i64 */
	"skew_ms" bigint,  /* i64 */
	"ingest_pid" INT,  /* Option < i32 > */
	"ingest_heartbeat" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"evaluate_pid" INT,  /* Option < i32 > */
	"evaluate_heartbeat" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"snapshot_time" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"seconds_left" bigint,  /* i64 */
	"gaps_open" bigint  /* i64 */
)
STRICT STABLE PARALLEL SAFE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_health_wrapper';

CREATE  FUNCTION "vyx_matching"(
	"trader_id" uuid /* Option < pgrx :: Uuid > */
) RETURNS TABLE (
	"symbol" TEXT,  /* String */
	"open_time" timestamp with time zone,  /* Option < TimestampWithTimeZone > */
	"price" double precision,  /* f64 */
	"metadata" jsonb  /* JsonB */
)
STABLE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_matching_wrapper';

CREATE  FUNCTION "vyx_metrics"() RETURNS TABLE (
	"name" TEXT,  /* String */
	"labels" jsonb,  /* JsonB */
	"value" double precision,  /* f64 */
	"type" TEXT,  /* & '_ str */
	"help" TEXT  /* & '_ str */
)
STRICT STABLE PARALLEL SAFE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_metrics_wrapper';

CREATE  FUNCTION "vyx_metrics_text"() RETURNS TEXT /* Result < String, ErrorReport > */
STRICT STABLE PARALLEL SAFE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_metrics_text_wrapper';

CREATE  FUNCTION "vyx_pause"(
	"worker" TEXT /* Option < & str > */
) RETURNS bool /* Result < bool, ErrorReport > */
VOLATILE PARALLEL UNSAFE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_pause_wrapper';

CREATE  FUNCTION "vyx_resume"(
	"worker" TEXT /* Option < & str > */
) RETURNS bool /* Result < bool, ErrorReport > */
VOLATILE PARALLEL UNSAFE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_resume_wrapper';

CREATE  FUNCTION "vyx_templates"() RETURNS TABLE (
	"name" TEXT,  /* String */
	"title" TEXT,  /* String */
	"description" TEXT,  /* String */
	"interval" TEXT,  /* String */
	"tags" TEXT[],  /* Vec < String > */
	"script" TEXT  /* String */
)
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_templates_wrapper';

CREATE  FUNCTION "vyx_validate"(
	"script" TEXT, /* Option < & str > */
	"interval" TEXT DEFAULT '1m' /* Option < & str > */
) RETURNS TABLE (
	"ok" bool,  /* bool */
	"line_no" INT,  /* Option < i32 > */
	"col" INT,  /* Option < i32 > */
	"message" TEXT,  /* Option < String > */
	"hint" TEXT,  /* Option < String > */
	"timeframes" jsonb,  /* Option < JsonB > */
	"nodes" INT,  /* Option < i32 > */
	"source" TEXT  /* Option < String > */
)
STABLE
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', 'vyx_validate_wrapper';

SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    said record;
    routine text;
BEGIN
    FOR said IN
        SELECT * FROM (VALUES
            ('vyx_klines', 100, 'The newest klines of a series, oldest first; only those that opened before "before" where it is given.'),
            ('vyx_closes', NULL, 'The newest closing prices of a series, oldest first, closed klines only.'),
            ('vyx_columns', 1, 'The newest klines as arrays for charts: t in Unix seconds, open, high, low, close, volume; oldest first.'),
            ('vyx_snapshot', 500, 'The newest kline of every symbol at an interval.'),
            ('vyx_tickers', 500, 'The statistics of the last 24 hours of every symbol.'),
            ('vyx_ticker', 1, 'The statistics of the last 24 hours of one symbol; no row before the first have come.'),
            ('vyx_symbols', 500, 'The tracked symbols as the exchange describes them.'),
            ('vyx_series', 3000, 'Every series: klines held, state (empty backfilling live quiet stale halted), gaps, repairs, lag in ms of market time.'),
            ('vyx_gaps', 1000, 'What was or is missing, a row a run of klines: why, since when, and how it ended (repaired confirmed_absent too_old untracked); NULL while it is open.'),
            ('vyx_metrics', 200, 'Every counter, gauge and bucket of a histogram, with a line of help.'),
            ('vyx_metrics_text', NULL, 'What vyx_metrics() says, in Prometheus'' text format.'),
            ('vyx_health', 1, 'The state of vyx in one row: ok, degraded or down, the reason in words, workers, connections, counters.'),
            ('vyx_pause', NULL, 'Pauses ingest or evaluate until vyx_resume(), across restarts, crashes and base backups too; returns whether it ran before. At once and for everybody: a rollback does not undo it.'),
            ('vyx_resume', NULL, 'Lets ingest or evaluate go on after vyx_pause(); returns whether it was paused. What closed meanwhile is caught up. A rollback does not undo it.'),
            ('_paused_since', NULL, 'Since when ingest or evaluate is paused, by this machine''s clock; null if it is not.'),
            ('vyx_version', NULL, 'The version of the library that is loaded.'),
            ('vyx_validate', 5, 'What is wrong with a script, a row a problem; or one row with what it reads, and its warnings.'),
            ('vyx_values', 100, 'The values of an expression on the newest closed candles of a series, each from its own history, oldest first.'),
            ('vyx_screen', 500, 'What a script says of the newest closed candle of every symbol.'),
            ('vyx_explain', 20, 'Why a trader fired on a symbol or did not: the verdict, then each step of its script with its value at the candle.'),
            ('vyx_matching', 50, 'The symbols on which a trader, as it stands, matches at their newest closed candle.'),
            ('vyx_backtest', 1000, 'A row for each of the newest candles on which a script would have fired; ret_n is what the close changed by n candles later, in percent.'),
            ('vyx_backtest_summary', 1, 'A backtest in one row: candles asked, evaluated, matched, fired, not ready and why; mean returns and how many were gains, in percent.'),
            ('vyx_indicators', 50, 'The functions of the trader language.'),
            ('_format', NULL, 'The format of programs that this server writes and reads.'),
            ('vyx_templates', 40, 'Rules to begin with: a script with the interval it was written for, and what it does in a sentence.'),
            ('_tracked_symbols', NULL, 'How many symbols are tracked; 0 where vyx is not preloaded.'),
            ('_warming', NULL, 'Of how many symbols a stored program lacks history; null where that cannot be said.'),
            ('_jwt_logins', NULL, 'The setting vyx.jwt_logins; null where vyx is not preloaded, and anybody could set it.'),
            ('_market_time', NULL, 'The largest time seen from the exchange; null before anything was heard.'),
            ('_evaluate_batch', NULL, 'What is due and what comes of it, for vyx.commit_batch(); null when nothing is due.')
        ) AS s(name, rows, words)
    LOOP
        SELECT p.oid::regprocedure::text INTO STRICT routine
        FROM pg_proc p
        JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        WHERE p.proname = said.name;
        EXECUTE format('COMMENT ON FUNCTION %s IS %L', routine, said.words);
        IF said.rows IS NOT NULL THEN
            EXECUTE format('ALTER FUNCTION %s ROWS %s', routine, said.rows);
        END IF;
    END LOOP;
END
$$;

CREATE POLICY owner ON vyx.epochs TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.published TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.resting TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.tallies TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.delivered TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.shadow_signals TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.usage TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.reviews TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.retries TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.forgotten TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY owner ON vyx.chores TO vyx_owner USING (true) WITH CHECK (true);

CREATE POLICY own ON vyx.resting FOR SELECT USING (user_id = (SELECT vyx.uid()));

CREATE POLICY own ON vyx.shadow_signals FOR SELECT USING (user_id = (SELECT vyx.uid()));

-- Of the same name and another signature it would be preferred to vyx's own where arguments are unknown literals.
DO $$
DECLARE
    stranger text;
BEGIN
    SELECT p.oid::pg_catalog.regprocedure::text INTO stranger
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = '@extschema@'::pg_catalog.regnamespace
      AND EXISTS (SELECT FROM pg_catalog.pg_proc own
                  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = own.oid AND d.deptype = 'e'
                  JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
                  WHERE own.proname = p.proname AND own.pronamespace = p.pronamespace)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
                      WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'function % has the name of one of vyx and is not of it', stranger
            USING ERRCODE = 'duplicate_function',
                  HINT = 'Drop or rename it, or give vyx a schema in which nobody else creates anything: CREATE EXTENSION vyx SCHEMA ....';
    END IF;
END
$$;

-- The tiers that vyx came with get the limits that are new, except that signals are kept for ever as before: an update deletes
-- nothing. Tiers of the administrator's own have no further limits until they are set.
UPDATE vyx.tiers t
SET max_traders = n.max_traders, cost_per_close = n.cost_per_close, signals_per_hour = n.signals_per_hour
FROM (VALUES
    ('anonymous', 0, 0, 0),
    ('free', 100, 100000, 100),
    ('pro', 100, 1000000, 1000),
    ('elite', 10000, 20000000, NULL)
) AS n(tier, max_traders, cost_per_close, signals_per_hour)
WHERE t.tier = n.tier;
-- Whatever runs goes on: limits that are new are looked at when a trader is started.
DELETE FROM vyx.reviews;

DO $$
DECLARE
    thing record;
    grantee text;
BEGIN
    -- A clean slate: take away what CREATE and default privileges gave. Row types too: a column of one in somebody's own
    -- table would forbid to alter ours. At an update, from what is new alone: the rest has had its rights, and keeps what an
    -- administrator granted since.
    FOR thing IN
        SELECT 'SCHEMA' AS kind, 'vyx' AS name, n.nspacl AS acl, n.nspowner AS owner
        FROM pg_catalog.pg_namespace n
        WHERE n.nspname = 'vyx'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c
                          WHERE c.relnamespace = n.oid AND c.relowner = 'vyx_owner'::pg_catalog.regrole)
        UNION ALL
        SELECT 'TYPE', t.oid::pg_catalog.regtype::text, coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner)), t.typowner
        FROM pg_catalog.pg_type t
        WHERE t.typnamespace = 'vyx'::pg_catalog.regnamespace AND t.typelem = 0
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass AND i.objoid = t.oid)
        UNION ALL
        SELECT 'TABLE', c.oid::pg_catalog.regclass::text, c.relacl, c.relowner
        FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'vyx'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v', 'S')
          AND c.relowner <> 'vyx_owner'::pg_catalog.regrole
        UNION ALL
        SELECT 'ROUTINE', p.oid::pg_catalog.regprocedure::text, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proowner
        FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.objoid = p.oid)
    LOOP
        FOR grantee IN
            SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END
            FROM pg_catalog.aclexplode(thing.acl) a WHERE a.grantee <> thing.owner
        LOOP
            EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM %s', thing.kind, thing.name, grantee);
        END LOOP;
    END LOOP;

    -- Everything in vyx, and every function that runs with more rights than its caller's, belongs to vyx_owner.
    FOR thing IN
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::pg_catalog.regclass::text AS name
        FROM pg_catalog.pg_class c WHERE c.relnamespace = 'vyx'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'ROUTINE', p.oid::pg_catalog.regprocedure::text
        FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        WHERE p.pronamespace = 'vyx'::pg_catalog.regnamespace OR p.prosecdef
    LOOP
        EXECUTE pg_catalog.format('ALTER %s %s OWNER TO vyx_owner', thing.kind, thing.name);
    END LOOP;

    -- The table of roles and functions. A name stands for all functions of that name in vyx or beside vyx_version.
    FOR thing IN
        SELECT p.oid::pg_catalog.regprocedure::text AS name, g.role
        FROM (VALUES
            -- The market is the exchange's, not a tenant's.
            ('PUBLIC', ARRAY['vyx_klines', 'vyx_closes', 'vyx_columns', 'vyx_snapshot', 'vyx_tickers', 'vyx_ticker',
                             'vyx_symbols', 'vyx_series', 'vyx_gaps', 'vyx_version']),
            -- Needed wherever a row is written or a policy looked at.
            ('PUBLIC', ARRAY['uid', 'is_interval', 'is_symbol', 'are_symbols', 'is_finite']),
            ('vyx_user', ARRAY['vyx_validate', 'vyx_values', 'vyx_screen', 'vyx_backtest', 'vyx_backtest_summary', 'vyx_explain',
                               'vyx_indicators', 'vyx_templates', 'vyx_matching', 'vyx_start_trader', 'vyx_stop_trader',
                               'vyx_trader_status', 'set_trader_state']),
            ('vyx_user', ARRAY['vyx_change_trader', 'vyx_shadow_diff', 'vyx_promote_shadow', 'vyx_drop_shadow', 'own_trader',
                               'begin_shadow', 'end_shadow', 'shadow_of']),
            ('vyx_user', ARRAY['vyx_active_traders', 'vyx_usage', 'vyx_retry']),
            ('pg_monitor', ARRAY['vyx_health', 'vyx_metrics', 'vyx_metrics_text', 'vyx_check']),
            -- Signals for who was away; and through whom they are carried.
            ('vyx_user', ARRAY['vyx_signals_since', 'read_cursor']),
            ('pg_monitor', ARRAY['vyx_published', 'unpublished', 'evaluation_state', 'behind']),
            ('vyx_operator', ARRAY['vyx_publish', 'vyx_unpublish', 'vyx_published', 'unpublished', 'is_published', 'check_publication_name',
                                   'publish_as_owner', 'unpublish_as_owner', 'remember_publication', 'forget_publication']),
            ('vyx_operator', ARRAY['vyx_trader_status', 'vyx_active_traders', 'vyx_usage', 'vyx_retry', 'vyx_forget_user', 'maintain']),
            -- Operators have evaluated what is due; what comes of it they cannot make up.
            ('vyx_operator', ARRAY['vyx_health', 'vyx_check', 'vyx_evaluate', 'settle_versions', 'upgrade_programs', 'evaluate_once', 'vyx_schedule',
                                   'vyx_unschedule', 'check_cron', 'cron_command', 'vyx_adopt',
                                   'vyx_pause', 'vyx_resume', '_paused_since'])
        ) AS g(role, functions)
        CROSS JOIN pg_catalog.unnest(g.functions) AS f(name)
        JOIN pg_catalog.pg_proc p ON p.proname = f.name
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
        -- What is granted here counts as the extension's own, and with it all that an administrator has granted on the function
        -- since, which pg_dump would leave out from then on: so nothing is granted twice.
        WHERE NOT EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) a
                          WHERE a.privilege_type = 'EXECUTE' AND a.grantee = coalesce(pg_catalog.to_regrole(g.role)::pg_catalog.oid, 0))
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %s', thing.name, thing.role);
    END LOOP;
END
$$;

GRANT SELECT ON vyx.shadow_signals TO vyx_user;

GRANT SELECT ON vyx.resting TO vyx_user;

SET LOCAL search_path = @extschema@, pg_temp;
