-- One picture of the running cluster: the feed, the busiest symbols, the last cycle and the newest :signals signals.
\pset border 0
\pset footer off
\pset null ''
SELECT format('feed      %s: %s', status, reason),
       format(E'\n          market time %s, %s symbols, %s messages, %s candles closed, %s reconnects',
              to_char(market_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), symbols, messages, closes, reconnects)
FROM vyx_health() \g (tuples_only=on format=unaligned fieldsep='')
\echo
SELECT symbol, last_price AS "price", round(price_change_percent::numeric, 2) AS "24 h %",
       round((quote_volume / 1e6)::numeric, 1) AS "volume (M USDT)"
FROM vyx_tickers() ORDER BY quote_volume DESC LIMIT 5;
SELECT format('cycle     %s %s: %s evaluated, %s matched, %s fired, %s not ready, %s ms after the close', "interval",
              to_char(close_time AT TIME ZONE 'UTC', 'HH24:MI'), evaluated, matched, fired, not_ready, lag_ms)
FROM vyx.cycles ORDER BY close_time DESC, "interval" LIMIT 1 \g (tuples_only=on format=unaligned)
SELECT format('signals   %s from %s running traders', (SELECT count(*) FROM vyx.signals),
              (SELECT count(*) FROM vyx.traders WHERE state = 'running')) \g (tuples_only=on format=unaligned)
\echo
SELECT to_char(s.created_at, 'HH24:MI:SS') AS "at", t.name AS trader, s.symbol, s."interval",
       to_char(s.close_time AT TIME ZONE 'UTC', 'MM-DD HH24:MI') AS "candle (UTC)", s.price, s.metadata->>'side' AS side
FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id ORDER BY s.seq DESC LIMIT :signals;
