-- Delivery by logical decoding: which publications carry vyx.signals. Supabase Realtime reads that of the name
-- supabase_realtime, wal2json and subscriptions any.

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE vyx.published (
    publication text PRIMARY KEY CHECK (octet_length(publication) BETWEEN 1 AND 63),
    since       timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE vyx.published ENABLE ROW LEVEL SECURITY;
ALTER TABLE vyx.published FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE vyx.published IS 'Publications to which vyx_publish() has added vyx.signals: pg_dump keeps this and loses the membership itself.';
SELECT pg_catalog.pg_extension_config_dump('vyx.published', '');

CREATE FUNCTION vyx.is_published(text) RETURNS boolean
LANGUAGE sql STABLE STRICT
RETURN EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = $1 AND t.schemaname = 'vyx' AND t.tablename = 'signals');
COMMENT ON FUNCTION vyx.is_published(text) IS 'Whether the publication carries vyx.signals, by its name or with all tables.';

CREATE FUNCTION vyx.check_publication_name(text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF $1 IS NULL THEN
        RAISE EXCEPTION 'argument "publication" must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Leave it out for supabase_realtime.';
    ELSIF octet_length($1) NOT BETWEEN 1 AND 63 THEN
        RAISE EXCEPTION 'malformed publication name "%"', left($1, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A name is 1 to 63 bytes long.';
    END IF;
END
$$;
COMMENT ON FUNCTION vyx.check_publication_name(text) IS 'Raises 22004 or 22023 where the text cannot be the name of a publication.';

-- What adds the table needs the owner of the table and of the publication in one person: a superuser, or vyx_owner where
-- the publication is its own. Nobody else gets there, and no function of vyx runs with a superuser's rights.
CREATE FUNCTION vyx.publish_as_owner(publication text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vyx.check_publication_name(publication);
    RETURN vyx.publish_as_caller(publication);
EXCEPTION WHEN insufficient_privilege THEN
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = publication) THEN
        RAISE EXCEPTION 'publication "%" belongs to role "%", and only a superuser can add a table of vyx_owner to it', publication,
                (SELECT p.pubowner::regrole FROM pg_publication p WHERE p.pubname = publication)
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('As a superuser (on Supabase: supabase_admin): SELECT vyx_publish(%L).', publication);
    END IF;
    RAISE EXCEPTION 'permission denied to create publication "%"', publication
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('As a superuser: SELECT vyx_publish(%L). So that operators may: GRANT CREATE ON DATABASE %I TO vyx_owner.',
                            publication, current_database());
END
$$;
COMMENT ON FUNCTION vyx.publish_as_owner(text) IS 'vyx_publish() with the rights of vyx_owner; says as whom it would work where that does not do.';

CREATE FUNCTION vyx.publish_as_caller(publication text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = publication) THEN
        EXECUTE format('ALTER PUBLICATION %I ADD TABLE ONLY vyx.signals', publication);
        RETURN format('added vyx.signals to publication "%s"', publication);
    END IF;
    EXECUTE format('CREATE PUBLICATION %I FOR TABLE ONLY vyx.signals WITH (publish = ''insert'')', publication);
    RETURN format('created publication "%s" with vyx.signals', publication);
END
$$;
COMMENT ON FUNCTION vyx.publish_as_caller(text) IS 'Adds vyx.signals to a publication, which it makes if there is none, with the rights of who calls; returns what it did.';

CREATE FUNCTION vyx.remember_publication(publication text) RETURNS void
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    INSERT INTO vyx.published (publication) SELECT remember_publication.publication
        WHERE vyx.is_published(remember_publication.publication)
        ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION vyx.remember_publication(text) IS 'Notes that a publication carries vyx.signals, if it does.';

CREATE FUNCTION vyx.forget_publication(publication text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH forgotten AS (
        DELETE FROM vyx.published p WHERE p.publication = forget_publication.publication RETURNING p.publication
    )
    SELECT count(*) > 0 FROM forgotten;
END;
COMMENT ON FUNCTION vyx.forget_publication(text) IS 'The opposite of vyx.remember_publication(); returns whether there was anything to forget.';

CREATE FUNCTION @extschema@.vyx_publish(publication text DEFAULT 'supabase_realtime') RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text;
    is_super constant boolean := current_setting('is_superuser')::boolean;
    p pg_publication;
BEGIN
    PERFORM vyx.check_publication_name(publication);
    IF vyx.is_published(publication) THEN
        said := format('publication "%s" has vyx.signals already', publication);
    ELSIF is_super THEN
        said := vyx.publish_as_caller(publication);
    ELSE
        said := vyx.publish_as_owner(publication);
    END IF;
    PERFORM vyx.remember_publication(publication);

    SELECT c.* INTO p FROM pg_publication c WHERE c.pubname = publication;
    IF NOT p.pubinsert THEN
        RAISE WARNING 'publication "%" does not publish inserts: no signal will arrive', publication
            USING HINT = format('ALTER PUBLICATION %I SET (publish = ''insert'').', publication);
    END IF;
    -- Row level security cannot be asked about a row that is gone, so Realtime tells everybody of its key.
    IF p.pubdelete OR p.pubtruncate THEN
        RAISE NOTICE 'publication "%" also publishes deletes, which reach all subscribers', publication
            USING HINT = format('Nobody learns more from one than a signal''s id. Where no other table needs them: ALTER PUBLICATION %I SET (publish = ''insert'').',
                                publication);
    END IF;
    IF current_setting('wal_level') <> 'logical' THEN
        RAISE NOTICE 'nothing can be decoded: wal_level is "%"', current_setting('wal_level')
            USING HINT = 'Set wal_level = logical and restart the server.';
    END IF;
    RETURN said;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_publish(text) IS
    'Adds vyx.signals to a publication, which it makes if there is none, so that Supabase Realtime carries signals to browsers; returns what it did. Again: nothing changes. To be repeated after a restore.';

CREATE FUNCTION vyx.unpublish_as_owner(publication text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vyx.check_publication_name(publication);
    RETURN vyx.unpublish_as_caller(publication);
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'publication "%" belongs to role "%"', publication,
            (SELECT p.pubowner::regrole FROM pg_publication p WHERE p.pubname = publication)
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('As that role or a superuser: ALTER PUBLICATION %I DROP TABLE vyx.signals.', publication);
END
$$;
COMMENT ON FUNCTION vyx.unpublish_as_owner(text) IS 'vyx_unpublish() with the rights of vyx_owner; says as whom it would work where that does not do.';

CREATE FUNCTION vyx.unpublish_as_caller(publication text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER PUBLICATION %I DROP TABLE vyx.signals', publication);
    RETURN format('took vyx.signals out of publication "%s"', publication);
END
$$;
COMMENT ON FUNCTION vyx.unpublish_as_caller(text) IS 'Takes vyx.signals out of a publication with the rights of who calls; returns what it did.';

CREATE FUNCTION @extschema@.vyx_unpublish(publication text DEFAULT 'supabase_realtime') RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text;
    is_super constant boolean := current_setting('is_superuser')::boolean;
BEGIN
    PERFORM vyx.check_publication_name(publication);
    IF NOT vyx.is_published(publication) THEN
        said := format('publication "%s" does not have vyx.signals', publication);
    ELSIF (SELECT p.puballtables FROM pg_publication p WHERE p.pubname = publication) THEN
        RAISE EXCEPTION 'publication "%" is for all tables', publication
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Make one that names its tables instead: CREATE PUBLICATION ... FOR TABLE ....';
    ELSIF is_super THEN
        said := vyx.unpublish_as_caller(publication);
    ELSE
        said := vyx.unpublish_as_owner(publication);
    END IF;
    PERFORM vyx.forget_publication(publication);
    RETURN said;
END
$$;
COMMENT ON FUNCTION @extschema@.vyx_unpublish(text) IS 'Takes vyx.signals out of a publication, which stays; returns what it did. Again: nothing changes.';

CREATE FUNCTION @extschema@.vyx_published(
    OUT publication text, OUT state text, OUT operations text, OUT since timestamptz, OUT advice text
) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 2 SECURITY DEFINER
BEGIN ATOMIC
    SELECT n.publication,
           CASE WHEN vyx.is_published(n.publication) THEN 'published' ELSE 'missing' END,
           concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                     CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
           n.since,
           CASE WHEN NOT vyx.is_published(n.publication)
                THEN format('As a superuser, e.g. after a restore: SELECT vyx_publish(%L).', n.publication) END
    FROM (SELECT coalesce(r.publication, t.pubname::text), r.since
          FROM vyx.published r
          FULL JOIN (SELECT m.pubname FROM pg_publication_tables m WHERE m.schemaname = 'vyx' AND m.tablename = 'signals') AS t
               ON t.pubname = r.publication
         ) AS n(publication, since)
    LEFT JOIN pg_publication p ON p.pubname = n.publication
    ORDER BY 1;
END;
COMMENT ON FUNCTION @extschema@.vyx_published() IS
    'Publications that carry vyx.signals, and those that did and lack it now, which a restore leads to: published or missing, what they publish, since when by vyx_publish().';

-- For vyx_health(): null where all is as it should be.
CREATE FUNCTION vyx.unpublished() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT min(p.publication) FROM vyx.published p WHERE NOT vyx.is_published(p.publication);
END;
COMMENT ON FUNCTION vyx.unpublished() IS 'A publication that vyx_publish() added vyx.signals to and that lacks it; null if there is none.';

SET LOCAL search_path = @extschema@, pg_temp;
