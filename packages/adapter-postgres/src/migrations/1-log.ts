import type { Migration } from "@tidemark/sql-kit";

export const log: Migration = {
  version: 1,
  name: "log",
  sql: `
      create table tidemark.migration (
        version integer primary key,
        name text not null,
        applied_at timestamptz not null default clock_timestamp()
      );

      -- One row. The tag is this log's own among all logs of the database: the keys of its registrations begin with it.
      create table tidemark.log (
        log_id text primary key,
        ordering text not null check (ordering in ('frontier', 'counter')),
        tag integer not null check (tag between 1 and 32767)
      );

      -- Where ordering is 'counter': one row, the position that was given out last.
      create table tidemark.counter (position bigint not null) with (fillfactor = 10);
      insert into tidemark.counter values (0);

      -- Without a cache: another connection could else give out a lower position later. Below 2^48: see register().
      create sequence tidemark.event_position as bigint maxvalue 281474976710655 cache 1;

      create function tidemark.now_ms() returns bigint language sql volatile as $$
        select floor(extract(epoch from clock_timestamp()) * 1000)::bigint
      $$;

      -- For rows that other tools insert. append() gives positions itself.
      create function tidemark.next_position() returns bigint language plpgsql volatile as $$
      declare
        given bigint;
      begin
        if (select ordering from tidemark.log) = 'frontier' then
          return nextval('tidemark.event_position');
        end if;
        update tidemark.counter set position = position + 1 returning position into given;
        return given;
      end $$;

      -- What appends to an aggregate lock.
      create table tidemark.aggregate (
        context text collate "C" not null,
        type text collate "C" not null,
        id text collate "C" not null,
        version integer not null,
        primary key (context, type, id)
      ) with (fillfactor = 80);

      create table tidemark.event (
        position bigint primary key default tidemark.next_position(),
        context text collate "C" not null,
        aggregate_type text collate "C" not null,
        aggregate_id text collate "C" not null,
        version integer not null,
        bucket smallint not null,
        event_id text collate "C" not null,
        event_type text collate "C" not null,
        data json not null,
        metadata json not null,
        occurred_on bigint not null,
        recorded_at bigint not null default tidemark.now_ms(),
        -- Bytes of JSON, so that a page can be bounded without reading what does not fit into it.
        size integer not null generated always as (octet_length(data::text) + octet_length(metadata::text)) stored,
        constraint event_version unique (context, aggregate_type, aggregate_id, version),
        constraint event_id unique (context, aggregate_type, aggregate_id, event_id)
      );

      -- Fails in a transaction whose snapshot is older than the log's tag: it would register under the one that was.
      -- With its owner's rights, because locking a row takes the right to update it.
      create function tidemark.check_snapshot() returns void language sql volatile
      security definer set search_path = pg_catalog as $$
        select from tidemark.log for share
      $$;

      -- Registers the transaction, before it takes its first position, by a shared lock whose key holds the tag and the
      -- last position given out so far: what it inserts lies above that. Once per transaction, because ten thousand
      -- locks exhaust the server's table of locks. Lock and setting go together when a savepoint is rolled back.
      create function tidemark.register() returns trigger language plpgsql as $$
      declare
        store record;
        setting text;
        transaction_id text := pg_current_xact_id()::text;
      begin
        select ordering, tag into strict store from tidemark.log;
        setting := 'tidemark_store.registered_' || store.tag;
        if store.ordering = 'frontier' and current_setting(setting, true) is distinct from transaction_id then
          if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
            perform tidemark.check_snapshot();
          end if;
          perform pg_advisory_xact_lock_shared((store.tag::bigint << 48) | (last_value - 1 + is_called::integer))
            from tidemark.event_position;
          perform set_config(setting, transaction_id, true);
        end if;
        return null;
      end $$;
      create trigger register before insert on tidemark.event for each statement execute function tidemark.register();
      alter table tidemark.event enable always trigger register;

      -- The frontier, or a lower one where it would show a part of an append: of events that one statement has inserted, some
      -- below and some above. The mark may have been read in the midst of it, as may what somebody else has registered. Who
      -- inserts at the same time interleaves, so what is lower may cut the next one, and is looked at again.
      create function tidemark.between_appends(frontier bigint) returns bigint language plpgsql volatile
      set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
      declare
        lower bigint;
      begin
        for round in 1 .. 100 loop
          exit when not exists (select from tidemark.event where position > frontier);
          select min(below.position) - 1 into lower
          from (
            select xmin as transaction, cmin as statement from tidemark.event
            where position > frontier order by position limit 256
          ) above
          join (
            select position, xmin as transaction, cmin as statement from tidemark.event
            where position <= frontier order by position desc limit 256
          ) below using (transaction, statement);
          exit when lower is null;
          frontier := lower;
        end loop;
        return frontier;
      end $$;

      -- The position up to which nothing can appear any more that is not visible to a snapshot taken from now on. The
      -- order of the steps matters: first the mark, then who is registered; whoever took a position below the mark and
      -- is not among those registered has ended before, visibly. Docs: decisions, order.
      create function tidemark.frontier() returns bigint language plpgsql volatile as $$
      declare
        store record;
        high bigint;
        low bigint;
      begin
        if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
          raise exception using errcode = 'TM001', message = 'The frontier is read in READ COMMITTED only.';
        end if;
        select last_value - 1 + is_called::integer into high from tidemark.event_position;
        select ordering, tag into strict store from tidemark.log;
        -- Committed in the order of their positions: what is visible is a prefix, on replicas as well.
        if store.ordering = 'counter' then
          return coalesce((select max(position) from tidemark.event), 0);
        end if;
        if pg_is_in_recovery() then
          raise exception using errcode = 'TM002', message = 'The frontier is read on the primary only.';
        end if;
        select min(((classid::bigint & 65535) << 32) | objid::bigint) into low
          from pg_locks
          where locktype = 'advisory' and objsubid = 1 and granted and classid::bigint >> 16 = store.tag
            and database = (select oid from pg_database where datname = current_database());
        return tidemark.between_appends(least(high, low));
      end $$;

      -- Before COMMIT, in the same round trip: whether this still is the transaction that was lent.
      create function tidemark.verify(mark text) returns void language plpgsql volatile as $$
      begin
        if current_setting('tidemark_store.mark', true) is distinct from mark then
          raise exception using errcode = 'TM004', message = 'The transaction that was lent is over.';
        end if;
      end $$;

      create function tidemark.head() returns bigint language plpgsql volatile as $$
      declare
        frontier bigint := tidemark.frontier();
      begin
        return coalesce((select max(position) from tidemark.event where position <= frontier), 0);
      end $$;

      -- The events of a page, then a row that holds nothing but the head. In a function because each statement of it
      -- takes a new snapshot, after the frontier: in one statement, all would share one that is too old. Plans are held
      -- to the primary key: those made while a table was small would else be used when it has grown.
      create function tidemark.page(
        after_position bigint, max_events integer, max_bytes bigint, segment integer, segments integer,
        contexts text[], aggregate_types text[], event_types text[]
      ) returns table (
        "position" bigint, context text, aggregate_type text, aggregate_id text, version integer, bucket smallint,
        event_id text, event_type text, data json, metadata json, occurred_on bigint, recorded_at bigint, size integer
      ) language plpgsql volatile rows 500
      set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
      #variable_conflict use_column
      declare
        frontier bigint := tidemark.frontier();
      begin
        if segments = 1 and contexts = '{}' and aggregate_types = '{}' and event_types = '{}' then
          return query
            select e.position, e.context, e.aggregate_type, e.aggregate_id, e.version, e.bucket, e.event_id,
              e.event_type, e.data, e.metadata, e.occurred_on, e.recorded_at, e.size
            from (
              select one.*, sum(one.size) over (order by one.position) - one.size as bytes_before
              from (
                select * from tidemark.event
                where position > after_position and position <= frontier
                order by position limit max_events
              ) one
            ) e
            where e.bytes_before < max_bytes order by e.position;
        else
          return query
            select e.position, e.context, e.aggregate_type, e.aggregate_id, e.version, e.bucket, e.event_id,
              e.event_type, e.data, e.metadata, e.occurred_on, e.recorded_at, e.size
            from (
              select one.*, sum(one.size) over (order by one.position) - one.size as bytes_before
              from (
                select * from tidemark.event
                where position > after_position and position <= frontier
                  and bucket & (segments - 1) = segment
                  and (contexts = '{}' or context = any (contexts))
                  and (aggregate_types = '{}' or aggregate_type = any (aggregate_types))
                  and (event_types = '{}' or event_type = any (event_types))
                order by position limit max_events
              ) one
            ) e
            where e.bytes_before < max_bytes order by e.position;
        end if;
        return query
          select max(e.position), null::text, null::text, null::text, null::integer, null::smallint, null::text,
            null::text, null::json, null::json, null::bigint, null::bigint, null::integer
          from tidemark.event e where e.position <= frontier;
      end $$;

      -- In a function for its plan: without statistics the other index of the aggregate looks as good.
      create function tidemark.stored_version(of_context text, of_type text, of_id text) returns integer
      language plpgsql volatile set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
      begin
        return coalesce((
          select version from tidemark.event
          where context = of_context and aggregate_type = of_type and aggregate_id = of_id
          order by version desc limit 1
        ), 0);
      end $$;

      -- Locks the rows that are there, in the order of the arrays; those that somebody else has locked are waited for, or
      -- left out. Where a tool has inserted events without their aggregate's row, the events are right.
      create function tidemark.lock_aggregates(waits boolean, of_context text[], of_type text[], of_id text[])
      returns table (n integer, version integer) language plpgsql volatile
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
      #variable_conflict use_column
      begin
        if waits then
          return query
            select a.n::integer, greatest(locked.version, stored.version)
            from unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
            cross join lateral (
              select known.version from tidemark.aggregate known
              where known.context = a.context and known.type = a.type and known.id = a.id for update
            ) locked
            cross join lateral (select tidemark.stored_version(a.context, a.type, a.id) as version) stored;
        else
          return query
            select a.n::integer, greatest(locked.version, stored.version)
            from unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
            cross join lateral (
              select known.version from tidemark.aggregate known
              where known.context = a.context and known.type = a.type and known.id = a.id for update skip locked
            ) locked
            cross join lateral (select tidemark.stored_version(a.context, a.type, a.id) as version) stored;
        end if;
      end $$;

      -- Of the given events, those that their aggregates have already. The order leaves but one index to choose: where
      -- statistics are missing, another one looks as good and reads the whole aggregate.
      create function tidemark.known_events(of_context text[], of_type text[], of_id text[], given_id text[])
      returns table (n integer, type text, data json, version integer, "position" bigint) language plpgsql stable
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
      #variable_conflict use_column
      begin
        return query
          select given.n::integer, known.event_type, known.data, known.version, known.position
          from unnest(of_context, of_type, of_id, given_id) with ordinality given (context, type, id, event_id, n)
          cross join lateral (
            select * from tidemark.event e
            where e.context = given.context and e.aggregate_type = given.type and e.aggregate_id = given.id
              and e.event_id between given.event_id and given.event_id
            order by e.event_id limit 1
          ) known;
      end $$;

      -- Appends what needs no second thought, in one round trip: units without event ids that are known already. Each
      -- unit gets a kind: 0 appended, 1 conflict, 2 busy, 3 left to the caller, who decides it with the stored events at
      -- hand. Aggregates are distinct and ascending by bytes, which is the order of locking; parts follow their units,
      -- events their parts. Expected: -1 any, -2 exists, else the version. Other names than the columns' throughout.
      create function tidemark.append(
        waits boolean,
        of_context text[], of_type text[], of_id text[],
        part_unit integer[], part_aggregate integer[], part_expected integer[], part_events integer[],
        given_part integer[], given_number integer[], given_context text[], given_aggregate_type text[],
        given_aggregate_id text[], given_bucket integer[], given_id text[], given_type text[], given_data text[],
        given_metadata text[], given_occurred_on bigint[],
        out kinds integer[], out parts integer[], out actuals integer[], out bases integer[], out positions bigint[]
      ) language plpgsql volatile
      set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set enable_hashjoin = off
      set enable_mergejoin = off set jit = off as $$
      declare
        counts boolean := (select ordering = 'counter' from tidemark.log);
        heads integer[] := array_fill(-1, array[cardinality(of_id)]);  -- -1 absent, -2 busy
        heads_before integer[];
        is_left boolean[] := array_fill(false, array[cardinality(of_id)]);
        is_known boolean[] := array_fill(false, array[cardinality(part_unit)]);
        part_count integer := cardinality(part_unit);
        inserted integer;
        total integer := 0;
        first_part integer := 1;
        last_part integer;
        at_position bigint;
        now_ms bigint := tidemark.now_ms();
        kind integer;
        head integer;
        one record;
      begin
        if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') and not waits then
          raise exception using errcode = 'TM001', message = 'A batch is appended in READ COMMITTED only.';
        end if;
        -- Whoever waits longer for somebody else leaves the batch to the caller, who knows how long a call may wait.
        if not waits then
          perform set_config('lock_timeout', '1s', true);
        end if;
        if counts then
          select position into strict at_position from tidemark.counter for update;
        end if;
        if not waits then
          perform set_config('lock_timeout', '50ms', true);
        end if;

        -- Locks the rows that are there. One that somebody else has locked is waited for, or skipped.
        if waits then
          -- Those that are not there are made first: whoever makes the same one waits here for the other.
          insert into tidemark.aggregate (context, type, id, version)
            select a.context, a.type, a.id, 0 from unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
            where not exists (
              select from tidemark.aggregate known
              where known.context = a.context and known.type = a.type and known.id = a.id)
            order by a.n on conflict do nothing;
          for one in select n, version from tidemark.lock_aggregates(waits, of_context, of_type, of_id) loop
            heads[one.n] := one.version;
          end loop;
        else
          for one in
            select a.n, locked.version
            from unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
            cross join lateral (
              select known.version from tidemark.aggregate known
              where known.context = a.context and known.type = a.type and known.id = a.id for update skip locked
            ) locked
          loop
            heads[one.n] := one.version;
          end loop;
          for one in
            select a.n from unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
            where heads[a.n] = -1 and exists (
              select from tidemark.aggregate known
              where known.context = a.context and known.type = a.type and known.id = a.id)
          loop
            heads[one.n] := -2;
          end loop;
        end if;

        -- A part with an id that its aggregate has already is left to the caller. "limit" keeps this from becoming a
        -- join, which could read the whole index; the order leaves but one index to choose, where statistics are
        -- missing another one looks as good, and reads the whole aggregate.
        for one in
          select given.part
          from unnest(given_part, given_context, given_aggregate_type, given_aggregate_id, given_id)
            given (part, context, aggregate_type, aggregate_id, id)
          cross join lateral (
            select from tidemark.event e
            where e.context = given.context and e.aggregate_type = given.aggregate_type
              and e.aggregate_id = given.aggregate_id and e.event_id between given.id and given.id
            order by e.event_id limit 1
          ) known
          where heads[part_aggregate[given.part]] > 0
        loop
          is_known[one.part] := true;
        end loop;

        heads_before := heads;
        bases := array_fill(-1, array[part_count]);
        kinds := '{}';
        parts := '{}';
        actuals := '{}';
        while first_part <= part_count loop
          last_part := first_part;
          while last_part < part_count and part_unit[last_part + 1] = part_unit[first_part] loop
            last_part := last_part + 1;
          end loop;

          kind := 0;
          for p in first_part .. last_part loop
            head := heads[part_aggregate[p]];
            if head = -2 and kind <> 2 then
              kind := 2;
              parts := parts || (p - first_part);
            elsif (is_left[part_aggregate[p]] or is_known[p]) and kind = 0 then
              kind := 3;
            end if;
          end loop;
          if kind = 0 then
            for p in first_part .. last_part loop
              head := greatest(heads[part_aggregate[p]], 0);
              if not (part_expected[p] = -1 or part_expected[p] = head or part_expected[p] = -2 and head > 0) then
                -- What a tool has inserted without the aggregate's row is seen by the caller.
                if tidemark.stored_version(of_context[part_aggregate[p]], of_type[part_aggregate[p]],
                  of_id[part_aggregate[p]]) > head then
                  kind := 3;
                else
                  kind := 1;
                  parts := parts || (p - first_part);
                  actuals := actuals || head;
                end if;
                exit;
              end if;
            end loop;
          end if;
          if kind = 0 then
            for p in first_part .. last_part loop
              head := greatest(heads[part_aggregate[p]], 0);
              bases[p] := head;
              heads[part_aggregate[p]] := head + part_events[p];
              total := total + part_events[p];
            end loop;
          elsif kind = 3 then
            -- What comes after it for the same aggregates is decided after it.
            for p in first_part .. last_part loop
              is_left[part_aggregate[p]] := true;
            end loop;
          end if;
          kinds := kinds || kind;
          if kind in (0, 3) then
            parts := parts || 0;
          end if;
          if kind <> 1 then
            actuals := actuals || 0;
          end if;
          first_part := last_part + 1;
        end loop;

        positions := '{}';
        -- An aggregate's row is not what a refused append leaves behind.
        if waits and 0 = any (heads) then
          delete from tidemark.aggregate known
            using unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
            where known.context = a.context and known.type = a.type and known.id = a.id
              and known.version = 0 and heads[a.n] = 0;
        end if;
        if total = 0 then
          return;
        end if;

        if not waits and -1 = any (heads_before) then
          insert into tidemark.aggregate (context, type, id, version)
            select a.context, a.type, a.id, heads[a.n]
            from unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
            where heads_before[a.n] = -1 and heads[a.n] > 0
            order by a.n on conflict do nothing;
          get diagnostics inserted = row_count;
          if inserted < (select count(*) from unnest(heads_before, heads) h (before, after) where h.before = -1 and h.after > 0) then
            raise exception using errcode = 'TM003', message = 'Another transaction has made an aggregate of this batch.';
          end if;
        end if;
        update tidemark.aggregate known set version = heads[a.n]
          from unnest(of_context, of_type, of_id) with ordinality a (context, type, id, n)
          where known.context = a.context and known.type = a.type and known.id = a.id
            and heads_before[a.n] >= 0 and heads[a.n] > heads_before[a.n];

        if counts then
          update tidemark.counter set position = at_position + total;
        end if;
        with inserted as (
          insert into tidemark.event (position, context, aggregate_type, aggregate_id, version, bucket, event_id,
            event_type, data, metadata, occurred_on, recorded_at)
          select
            case when counts then at_position + row_number() over (order by given.n)
              else nextval('tidemark.event_position') end,
            given.context, given.aggregate_type, given.aggregate_id, bases[given.part] + given.number, given.bucket,
            given.id, given.type, given.data::json, given.metadata::json, given.occurred_on, now_ms
          from (
            select * from unnest(given_part, given_number, given_context, given_aggregate_type, given_aggregate_id,
              given_bucket, given_id, given_type, given_data, given_metadata, given_occurred_on)
              with ordinality as every (part, number, context, aggregate_type, aggregate_id, bucket, id, type, data,
                metadata, occurred_on, n)
            where bases[every.part] >= 0 order by every.n
          ) given
          returning position
        )
        select array_agg(position order by position) into positions from inserted;
      end $$;

      -- Who holds the frontier back: transactions that have appended and are still open.
      create view tidemark.frontier_holder as
        select ((l.classid::bigint & 65535) << 32) | l.objid::bigint as position,
          coalesce(a.xact_start, p.prepared) as since,
          l.pid, p.gid as prepared_as, a.application_name, a.client_addr, a.state, a.query
        from pg_locks l
        left join pg_stat_activity a on a.pid = l.pid
        -- By the lock on its own id: what a prepared transaction is called among the locks differs between releases.
        left join lateral (
          select known.gid, known.prepared
          from pg_locks own join pg_prepared_xacts known on known.transaction = own.transactionid
          where own.locktype = 'transactionid' and own.pid is null and own.virtualtransaction = l.virtualtransaction
          limit 1
        ) p on l.pid is null
        where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
          and l.classid::bigint >> 16 = (select tag from tidemark.log)
          and l.database = (select oid from pg_database where datname = current_database());

      -- Gives the log a tag that no other log of the database has. Two with the same tag, which a restored backup may
      -- bring about, would hold each other's readers back. Waits for appends that are open, so that none is registered
      -- under the tag before.
      create function tidemark.allot_tag() returns integer language plpgsql as $$
      declare
        free integer;
        old record;
      begin
        -- In two numbers: no log takes such a key for a registration.
        perform pg_advisory_xact_lock(hashtext('tidemark'), hashtext('tags'));
        lock table tidemark.event in share row exclusive mode;
        for old in
          select conname from pg_constraint
          where conrelid = 'tidemark.log'::regclass and starts_with(conname, 'tidemark_tag_')
        loop
          execute format('alter table tidemark.log drop constraint %I', old.conname);
        end loop;
        select tag into strict free from generate_series(21577, 32767) tag
          where not exists (select from pg_constraint where conname = 'tidemark_tag_' || tag)
          order by tag limit 1;
        -- In the catalogue, where every migration of the database sees it, whatever it may read.
        execute format('alter table tidemark.log add constraint tidemark_tag_%s check (tag > 0)', free);
        update tidemark.log set tag = free;
        return free;
      end $$;`,
};
