-- Tenants and their limits, which are in vyx.tiers: checked when something is asked for, enforced when they change.
--
-- A tenant's limits are checked under the lock of its own row of vyx.tenants, for which nobody waits but its own
-- sessions. What concerns several tenants, or the whole server, is decided by whoever evaluates: see vyx.settle_versions().

SET LOCAL search_path = pg_catalog, pg_temp;

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

-- Limits.

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

-- Limits that fall after they were kept to.

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

SET LOCAL search_path = @extschema@, pg_temp;
