-- One picture of the running cluster: the feed, the busiest symbols, the last cycles and the newest signals.
\pset border 0
\pset footer off
\pset null ''
SELECT format('feed      %s: %s', status, reason) FROM vyx_health() \g (tuples_only=on format=unaligned)
\echo
SELECT symbol, last_price AS "price", round(price_change_percent::numeric, 2) AS "24 h %",
       round((quote_volume / 1e6)::numeric, 1) AS "volume (M USDT)",
       to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS "market time (UTC)"
FROM vyx_tickers() ORDER BY quote_volume DESC LIMIT 8;
SELECT format('signals   %s in all, %s traders running', (SELECT count(*) FROM vyx.signals),
              (SELECT count(*) FROM vyx.traders WHERE state = 'running')) \g (tuples_only=on format=unaligned)
\echo
SELECT to_char(s.created_at, 'HH24:MI:SS') AS "at", t.name AS trader, s.symbol, s."interval",
       to_char(s.close_time AT TIME ZONE 'UTC', 'MM-DD HH24:MI') AS "candle (UTC)", s.price, s.metadata->>'side' AS side
FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id ORDER BY s.seq DESC LIMIT 10;
