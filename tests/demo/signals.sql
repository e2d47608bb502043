-- The signals after the one numbered :seen, oldest first, for a reader of lines.
SELECT s.seq, format('%s signal %s %s %s at %s: %s', to_char(s.created_at, 'HH24:MI:SS'), t.name, s.symbol, s."interval",
              to_char(s.close_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), s.price)
FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id
WHERE s.seq > :seen ORDER BY s.seq LIMIT 50;
