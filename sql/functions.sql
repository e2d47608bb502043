-- What the declarations of the functions written in Rust cannot say: their comments, and how many rows a planner should
-- expect of them.

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

SET LOCAL search_path = @extschema@, pg_temp;
