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
