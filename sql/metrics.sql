-- What is counted of evaluation, whoever evaluates: what is written into vyx.cycles and vyx.writer is added to the
-- counters in shared memory when it is committed. Rows that a restored dump brings are not news.

SET LOCAL search_path = pg_catalog, pg_temp;

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
