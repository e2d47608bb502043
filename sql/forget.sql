-- A person's right to be forgotten. What whoever evaluates may be writing is left to him, so that nobody waits.

SET LOCAL search_path = pg_catalog, pg_temp;

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

SET LOCAL search_path = @extschema@, pg_temp;
