import type { Migration } from "@tidemark/sql-kit";

export const actors: Migration = {
  version: 3,
  name: "actors: snapshots, identities, packs",
  sql: `
      -- What those who store a snapshot of an actor update. Heads are the vectors that no other one's dominates. They are
      -- here because in an index of the snapshots each store would leave a dead entry behind, of which the next fetch reads
      -- all: after 100 000 stores 2 083 blocks, here 2.
      create table tidemark.actor (
        type text collate "C" not null,
        system_id text collate "C" not null,
        changes bigint not null,
        heads text[] collate "C" not null,
        primary key (type, system_id)
      ) with (fillfactor = 50);

      -- Never changed. The digest stands for the vector in the index, whose entries may not be as long as a vector may be.
      create table tidemark.snapshot (
        type text collate "C" not null,
        system_id text collate "C" not null,
        digest bytea not null,
        vector text collate "C" not null,
        snapshot_id text collate "C" not null,
        version bigint not null,
        ancestor text collate "C",
        last_event_id text collate "C",
        last_event_at bigint,
        state json not null,
        primary key (type, system_id, digest)
      );
      create index snapshot_by_vector on tidemark.snapshot (type, system_id, left(vector, 400));
      create index snapshot_at_event on tidemark.snapshot (type, system_id, last_event_id, version)
        where last_event_id is not null;
      create index snapshot_at_time
        on tidemark.snapshot (type, system_id, last_event_at, last_event_id nulls first, version)
        where last_event_at is not null;

      create function tidemark.vector_digest(of_vector text) returns bytea language sql stable as $$
        select sha256(convert_to(of_vector, 'UTF8'))
      $$;

      -- Snapshots of an actor are found by functions for the sake of their plans: without statistics every index of the
      -- table looks as good, and all but one read the whole actor. The order leaves but one to choose.
      create function tidemark.snapshots(of_type text, of_system_id text, of_vectors text[])
      returns setof tidemark.snapshot language plpgsql stable rows 2
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
      begin
        return query
          select known.*
          from unnest(of_vectors) given (vector)
          cross join lateral tidemark.vector_digest(given.vector) wanted (digest)
          cross join lateral (
            select * from tidemark.snapshot s
            where s.type = of_type and s.system_id = of_system_id and s.digest between wanted.digest and wanted.digest
            order by s.digest limit 1
          ) known;
      end $$;

      -- The link of a snapshot, then its ancestor's and so on. In a circle it goes round.
      create function tidemark.snapshot_chain(of_type text, of_system_id text, of_vector text, max_links integer)
      returns table (vector text, ancestor text) language plpgsql stable rows 100
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set enable_hashjoin = off
      set enable_mergejoin = off set jit = off as $$
      #variable_conflict use_column
      begin
        return query
          with recursive chain (n, vector, ancestor) as (
            select 0, null::text collate "C", of_vector collate "C"
            union all
            select chain.n + 1, link.vector, link.ancestor
            from chain
            cross join lateral tidemark.vector_digest(chain.ancestor) wanted (digest)
            cross join lateral (
              select s.vector, s.ancestor from tidemark.snapshot s
              where s.type = of_type and s.system_id = of_system_id
                and s.digest between wanted.digest and wanted.digest
              order by s.digest limit 1
            ) link
            where chain.n < max_links
          )
          select chain.vector, chain.ancestor from chain where chain.n > 0;
      end $$;

      -- Vectors that begin with the same 400 characters share an entry of the index, and are read together.
      create function tidemark.snapshot_links(of_type text, of_system_id text, after_vector text, max_links integer)
      returns table (vector text, ancestor text) language plpgsql stable rows 100
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
      #variable_conflict use_column
      begin
        return query
          select page.vector, page.ancestor
          from (
            select s.vector, s.ancestor from tidemark.snapshot s
            where s.type = of_type and s.system_id = of_system_id
              and left(s.vector, 400) >= left(coalesce(after_vector, ''), 400)
              and (after_vector is null or s.vector > after_vector)
            order by left(s.vector, 400) fetch first max_links rows with ties
          ) page
          order by page.vector limit max_links;
      end $$;

      create function tidemark.snapshot_at_event(of_type text, of_system_id text, at_event text)
      returns setof tidemark.snapshot language plpgsql stable rows 1
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
      begin
        return query
          select nearest.*
          from (
            select * from tidemark.snapshot s
            where s.type = of_type and s.system_id = of_system_id and s.last_event_id <= at_event
            order by s.last_event_id desc, s.version desc fetch first 1 row with ties
          ) nearest
          order by nearest.vector desc limit 1;
      end $$;

      -- Where there is no last event, its id sorts before all others.
      create function tidemark.snapshot_at_time(of_type text, of_system_id text, at_time bigint)
      returns setof tidemark.snapshot language plpgsql stable rows 1
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
      begin
        return query
          select nearest.*
          from (
            select * from tidemark.snapshot s
            where s.type = of_type and s.system_id = of_system_id and s.last_event_at <= at_time
            order by s.last_event_at desc, s.last_event_id desc nulls last, s.version desc fetch first 1 row with ties
          ) nearest
          order by nearest.vector desc limit 1;
      end $$;

      -- Never changed: a mapping holds until a later one of the same id. No two of an id begin in one millisecond.
      create table tidemark.identity (
        type text collate "C" not null,
        actor_id text collate "C" not null,
        system_id text collate "C" not null,
        since bigint not null,
        primary key (type, actor_id, since)
      );
      create unique index identity_of_system on tidemark.identity (type, system_id, since);

      -- What those who map an id update. Kind: 'actor' or 'system'.
      create table tidemark.identity_key (
        type text collate "C" not null,
        kind text collate "C" not null,
        id text collate "C" not null,
        changes bigint not null,
        last_at bigint not null,
        primary key (type, kind, id)
      ) with (fillfactor = 80);

      create function tidemark.system_id_as_of(of_type text, of_actor_id text, as_of bigint) returns text
      language plpgsql stable set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
      begin
        return (
          select i.system_id from tidemark.identity i
          where i.type = of_type and i.actor_id = of_actor_id and i.since <= coalesce(as_of, 9223372036854775807)
          order by i.since desc limit 1);
      end $$;

      create function tidemark.actor_id_as_of(of_type text, of_system_id text, as_of bigint) returns text
      language plpgsql stable set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
      begin
        return (
          select i.actor_id from tidemark.identity i
          where i.type = of_type and i.system_id = of_system_id and i.since <= coalesce(as_of, 9223372036854775807)
          order by i.since desc limit 1);
      end $$;

      create table tidemark.pack (
        type text collate "C" not null,
        system_id text collate "C" not null,
        digest bytea not null,
        vector text collate "C" not null,
        events json not null,
        primary key (type, system_id, digest)
      );

      -- A page of an aggregate's events by their ids. The order leaves but one index to choose. In two, because a bound
      -- that may be missing is none for an index: the page would go on to the aggregate's end.
      create function tidemark.events_by_id(
        of_context text, of_type text, of_id text, after_id text, until_id text, from_time bigint, to_time bigint,
        max_events integer, max_bytes bigint
      ) returns setof tidemark.event language plpgsql stable rows 500
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
      declare
        one tidemark.event;
      begin
        from_time := coalesce(from_time, -9223372036854775808);
        to_time := coalesce(to_time, 9223372036854775807);
        if until_id is null then
          for one in
            select * from tidemark.event e
            where e.context = of_context and e.aggregate_type = of_type and e.aggregate_id = of_id
              and e.event_id > after_id and e.occurred_on between from_time and to_time
            order by e.event_id limit max_events
          loop
            return next one;
            max_bytes := max_bytes - one.size;
            exit when max_bytes <= 0;
          end loop;
        else
          for one in
            select * from tidemark.event e
            where e.context = of_context and e.aggregate_type = of_type and e.aggregate_id = of_id
              and e.event_id > after_id and e.event_id <= until_id and e.occurred_on between from_time and to_time
            order by e.event_id limit max_events
          loop
            return next one;
            max_bytes := max_bytes - one.size;
            exit when max_bytes <= 0;
          end loop;
        end if;
      end $$;`,
};
