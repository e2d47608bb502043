-- Brings an installation of vyx 0.1.0 to 0.2.0. Written by `make upgrade` from the install scripts of both and from
-- tests/upgrade/by_hand.sql; a test compares what comes of it with a fresh installation.

SET LOCAL search_path = pg_catalog, pg_temp;

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

-- What vyx.upgrade_programs() has to do: usually nothing.
CREATE INDEX trader_versions_format_idx ON vyx.trader_versions (((program ->> 'format') COLLATE "C"));

COMMENT ON COLUMN vyx.trader_versions.program IS 'What the script was compiled to, or with the key refused why it no longer compiles; as json, not jsonb, so that numbers are read back to the last bit.';

COMMENT ON COLUMN vyx.signals.lag_ms IS 'evaluated_at minus close_time, milliseconds of market time.';

COMMENT ON COLUMN vyx.pending.waiting_for IS 'The series that is missing, e.g. BTCUSDT 1h; or that the script is to be compiled again, after an update.';

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
            RAISE EXCEPTION 'no tenant is known for role "%"', coalesce(nullif(current_setting('role'), 'none'), session_user)
                USING ERRCODE = 'insufficient_privilege',
                      HINT = 'An administrator adds it: INSERT INTO vyx.tenants (user_id, role_name) VALUES (...).';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.id IS DISTINCT FROM OLD.id OR NEW.user_id IS DISTINCT FROM OLD.user_id THEN
        RAISE EXCEPTION 'id and user_id of a trader cannot be changed'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Insert another trader.';
    END IF;
    -- A number names one period of evaluation: it is used again as long as there was none.
    IF EXISTS (SELECT FROM vyx.trader_versions v WHERE v.trader_id = OLD.id AND v.version = OLD.version)
       AND (vyx.definition(NEW) IS DISTINCT FROM vyx.definition(OLD) OR NEW.state = 'running' AND OLD.state <> 'running')
    THEN
        NEW.version := OLD.version + 1;
    ELSE
        NEW.version := OLD.version;
    END IF;
    RETURN NEW;
END
$$;

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
               OR EXISTS (SELECT FROM vyx.watermarks w WHERE w."interval" = v."interval" AND w.evaluated_through < v.effective_to)
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

-- No SET clause and no SECURITY DEFINER: a procedure that commits can have neither, so each transaction sets its own
-- search_path first and everything before that is qualified. Each step is a transaction of its own, so that the writer's
-- lock is held while something is written and not while it is computed.
CREATE OR REPLACE PROCEDURE @extschema@.vyx_evaluate("interval" text DEFAULT NULL, stay pg_catalog.interval DEFAULT '0')
LANGUAGE plpgsql AS $$
DECLARE
    -- Market time may run faster than this machine's clock, and a close must not wait for the next minute.
    slice constant float8 := 0.5;
    leave_at constant timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) stay;
    outcome text;
BEGIN
    IF stay IS NULL THEN
        RAISE EXCEPTION 'argument "stay" must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Leave it out to evaluate what is due now and return.';
    END IF;
    LOOP
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
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
            EXIT WHEN clock_timestamp() >= leave_at;
            COMMIT;
            PERFORM pg_catalog.pg_sleep(slice);
            COMMIT;
        END IF;
    END LOOP;
    COMMIT;
END
$$;

SET LOCAL search_path = @extschema@, pg_temp;

CREATE  FUNCTION vyx."_format"() RETURNS INT /* i32 */
IMMUTABLE STRICT PARALLEL SAFE  
LANGUAGE c /* Rust */
AS 'MODULE_PATHNAME', '_format_wrapper';

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
            ('vyx_metrics', 80, 'Every counter and gauge, with a line of help.'),
            ('vyx_health', 1, 'The state of vyx in one row: ok, degraded or down, the reason in words, workers, connections, counters.'),
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

DO $$
DECLARE
    thing record;
    grantee text;
BEGIN
    -- A clean slate: take away what CREATE and default privileges gave. At an update, from what is new alone: the rest has had
    -- its rights, and keeps what an administrator granted since.
    FOR thing IN
        SELECT 'TABLE' AS kind, c.oid::pg_catalog.regclass::text AS name, c.relacl AS acl, c.relowner AS owner
        FROM pg_catalog.pg_class c WHERE c.relnamespace = 'vyx'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v')
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
            ('pg_monitor', ARRAY['vyx_health', 'vyx_metrics', 'vyx_metrics_text', 'vyx_check']),
            -- Operators have evaluated what is due; what comes of it they cannot make up.
            ('vyx_operator', ARRAY['vyx_health', 'vyx_check', 'vyx_evaluate', 'settle_versions', 'upgrade_programs', 'evaluate_once', 'vyx_schedule',
                                   'vyx_unschedule', 'check_cron', 'cron_command', 'vyx_adopt'])
        ) AS g(role, functions)
        CROSS JOIN pg_catalog.unnest(g.functions) AS f(name)
        JOIN pg_catalog.pg_proc p ON p.proname = f.name
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %s', thing.name, thing.role);
    END LOOP;
END
$$;

SET LOCAL search_path = @extschema@, pg_temp;
