-- The demo's extensions, example traders and schedule. Run at each start: what is there stays as it is.
CREATE EXTENSION IF NOT EXISTS pg_cron;
CREATE EXTENSION IF NOT EXISTS vyx;

-- A job remembers where to connect to; the socket and the port may have moved since the last start.
UPDATE cron.job SET nodename = current_setting('cron.host'), nodeport = current_setting('port')::int
WHERE (nodename, nodeport) IS DISTINCT FROM (current_setting('cron.host'), current_setting('port')::int);

-- Built-in traders (no user): everybody sees their signals. All of them run.
INSERT INTO vyx.traders (user_id, name, description, "interval", state, script)
SELECT NULL, name, description, "interval", 'running', script
FROM (VALUES
  ('rsi dip', 'RSI(14) falls below 30', '1m',
   'crossunder(rsi(close, 14), 30)'),
  ('ema cross', 'EMA(9) rises above EMA(21)', '1m',
   'crossover(ema(close, 9), ema(close, 21))'),
  ('bollinger touch', 'the close falls through the lower Bollinger band', '1m',
   'let band = bbands(close, 20, 2);
#{ fire: crossunder(close, band.lower), side: "long", target: band.middle }'),
  ('volume spike', 'a rising candle with four times the usual volume', '1m',
   'volume > 4 * sma(volume, 20)[1] && close > open'),
  ('macd turn', 'the MACD rises above its signal line below zero', '5m',
   'let m = macd(close, 12, 26, 9);
#{ fire: crossover(m.macd, m.signal) && m.macd < 0, side: "long", score: m.hist }'),
  ('dip meets volume', 'a dip meets volume in an hourly uptrend', '1m',
   'let dip  = rsi(close, 14) < 30 && crossunder(close, bbands(close, 20, 2).lower);
let busy = volume > 2 * sma(volume, 20);
#{ fire: dip && busy && tf("1h").close > ema(tf("1h").close, 200), side: "long", stop: low - 1.5 * atr(14) }')
) AS example (name, description, "interval", script)
WHERE NOT EXISTS (SELECT FROM vyx.traders t WHERE t.name = example.name AND t.user_id IS NULL);

SELECT vyx_schedule();
