import { type Ident, quoted, rename, renameAll } from "@tidemark/sql-kit";

/** Statements are written with the default schema's name, so that they can be pasted into a console. */
const WRITTEN_NAME = /\btidemark(?=\.)/g;

export function inSchema(sql: string, schemaName: Ident): string {
  return rename(sql, WRITTEN_NAME, quoted(schemaName));
}

export type Statements = { readonly [Name in keyof typeof WRITTEN]: string };

export function createStatements(schemaName: Ident): Statements {
  return renameAll(WRITTEN, WRITTEN_NAME, quoted(schemaName));
}

const WRITTEN = {
  // Not to_regclass: in a transaction that has looked before, it may go on saying no.
  schemaTable: `
    select count(*) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = $1 and relname = 'migration'`,
  schemaVersion: `select coalesce(max(version), 0) from tidemark.migration`,
  // Released by the end of the transaction, and for whoever migrates the same schema only.
  lockSchema: `select pg_advisory_xact_lock(hashtext('tidemark schema'), hashtext($1::text))`,
  // Clashes: other logs of the database that have this one's tag.
  log: `
    select log_id, ordering, (select count(*) - 1 from pg_constraint where conname = 'tidemark_tag_' || tag) as clashes,
      (select seqcache > 1 from pg_sequence where seqrelid = 'tidemark.event_position'::regclass) as caches,
      pg_is_in_recovery() as standby
    from tidemark.log`,
  defaultIsolation: `select current_setting('default_transaction_isolation') as isolation`,
  // Outside of a transaction each statement is one, so that both began at the same moment.
  openTransaction: `select transaction_timestamp() <> statement_timestamp() as open, log_id from tidemark.log`,

  // Its argument follows, in a script that goes on with "commit".
  verify: `select tidemark.verify`,

  // See migrations/1-log.ts.
  append: `
    select kinds, parts, actuals, bases, positions
    from tidemark.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
      $19)`,
  makeAggregates: `
    insert into tidemark.aggregate (context, type, id, version)
    select a.context, a.type, a.id, 0
    from unnest($1::text[], $2::text[], $3::text[]) with ordinality a (context, type, id, n)
    order by a.n on conflict do nothing`,
  lockAggregates: `select n, version from tidemark.lock_aggregates($1, $2, $3, $4)`,
  setVersions: `
    update tidemark.aggregate known set version = a.version
    from unnest($1::text[], $2::text[], $3::text[], $4::integer[]) a (context, type, id, version)
    where known.context = a.context and known.type = a.type and known.id = a.id`,
  removeUnusedAggregates: `
    delete from tidemark.aggregate known
    using unnest($1::text[], $2::text[], $3::text[]) a (context, type, id)
    where known.context = a.context and known.type = a.type and known.id = a.id and known.version = 0`,
  knownEvents: `select n, type, data, version, position from tidemark.known_events($1, $2, $3, $4)`,
  lockCounter: `select position from tidemark.counter for update`,
  setCounter: `update tidemark.counter set position = $1`,
  // The trigger has registered the transaction before the first position is taken. Positions follow the order of rows.
  insertEvents: `
    insert into tidemark.event (position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type,
      data, metadata, occurred_on)
    select
      case when $1::bigint is null then nextval('tidemark.event_position')
        else $1::bigint + row_number() over (order by given.n) end,
      given.context, given.aggregate_type, given.aggregate_id, given.version, given.bucket, given.event_id,
      given.event_type, given.data::json, given.metadata::json, given.occurred_on
    from (
      select * from unnest($2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::bigint[])
        with ordinality as every (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data,
          metadata, occurred_on, n)
      order by every.n
    ) given
    returning position`,

  head: `select tidemark.head() as head`,
  eventsAt: `select count(*) from tidemark.event where position = $1`,
  frontier: `select tidemark.frontier() as frontier`,
  // Times of other roles' sessions are shown to members of pg_read_all_stats only.
  frontierHolders: `
    select position, floor(extract(epoch from since) * 1000)::bigint as since, coalesce(prepared_as, pid::text) as session,
      nullif(application_name, '') as application
    from tidemark.frontier_holder order by position, since`,
  positionBefore: `
    select coalesce(max(position), 0) as position from tidemark.event
    where position <= $2 and position < coalesce(
      (select position from tidemark.event where occurred_on >= $1 and position <= $2 order by position limit 1),
      9223372036854775807)`,
  // Data is read of what fits into the page only. With "rows", or the window would look for equals of each row.
  aggregateForward: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from (
      select one.*, sum(one.size) over (order by one.version rows unbounded preceding) - one.size as bytes_before
      from (
        select * from tidemark.event
        where context = $1 and aggregate_type = $2 and aggregate_id = $3 and version between $4 and $5
        order by version limit $6
      ) one
    ) e
    where bytes_before < $7 order by version`,
  aggregateBackward: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from (
      select one.*, sum(one.size) over (order by one.version desc rows unbounded preceding) - one.size as bytes_before
      from (
        select * from tidemark.event
        where context = $1 and aggregate_type = $2 and aggregate_id = $3 and version between $4 and $5
        order by version desc limit $6
      ) one
    ) e
    where bytes_before < $7 order by version desc`,
  // See migrations/3-actors.ts.
  eventsById: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from tidemark.events_by_id($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
  logPage: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at, size
    from tidemark.page($1, $2, $3, $4, $5, $6, $7, $8)`,

  consumer: `
    select name, version, kind, enabled, active, generation, layout_segments, layout_position, start_rule, log_id, (
      select coalesce(json_agg(of_consumer order by of_consumer.segment), '[]')::text
      from (
        select segment, position, committed_at, owner, token, expires_at > tidemark.now_ms() as held, error_since,
          error_at, error_count, error_text
        from tidemark.consumer_segment known
        where known.name = found.name and known.version = found.version and known.generation = found.generation
      ) of_consumer) as segments
    from tidemark.consumer found where name = $1 and version = $2`,
  consumersAfter: `
    select name, version, kind, enabled, active, generation, layout_segments, layout_position, start_rule, log_id, (
      select coalesce(json_agg(of_consumer order by of_consumer.segment), '[]')::text
      from (
        select segment, position, committed_at, owner, token, expires_at > tidemark.now_ms() as held, error_since,
          error_at, error_count, error_text
        from tidemark.consumer_segment known
        where known.name = found.name and known.version = found.version and known.generation = found.generation
      ) of_consumer) as segments
    from tidemark.consumer found where (name, version) > ($1, $2) order by name, version limit $3`,
  segment: `
    select position, token from tidemark.consumer_segment
    where name = $1 and version = $2 and generation = $3 and segment = $4`,
  // One after the other, so that of two versions of a name one is the active one. By a key of two numbers: those of one
  // number are registrations, see migrations/1-log.ts.
  lockName: `
    select pg_advisory_xact_lock(hashtext('tidemark consumer ' || log_id), hashtext($1::text)) from tidemark.log`,
  // Locks the consumer's row, also where it changes nothing.
  declareConsumer: `
    insert into tidemark.consumer as known (name, version, kind, enabled, active, generation, start_rule, log_id)
    select $1, $2, $3, true, not exists (select from tidemark.consumer where name = $1 and active), 1, $4, $5
    on conflict (name, version) do update set
      kind = excluded.kind, active = excluded.active, start_rule = excluded.start_rule, log_id = excluded.log_id
    where known.kind is null`,
  declareSegments: `
    insert into tidemark.consumer_segment as known (name, version, generation, segment, position)
    select $1, $2, 1, every.segment, $4 from generate_series(0, $3::integer - 1) every (segment)
    on conflict (name, version, generation, segment) do update set position = excluded.position
    where known.position is null`,
  setEnabled: `
    insert into tidemark.consumer (name, version, enabled, generation) values ($1, $2, $3, 1)
    on conflict (name, version) do update set enabled = excluded.enabled`,
  // Makes the consumer's row or locks it. "on conflict do nothing" would lock nothing, and a row that is not there cannot
  // be locked: somebody could make it meanwhile.
  knowConsumer: `
    insert into tidemark.consumer as known (name, version, enabled, generation) values ($1, $2, true, $3)
    on conflict (name, version) do update set enabled = known.enabled where false`,
  // Of a consumer that is declared, all segments are there that it has.
  knowSegment: `
    insert into tidemark.consumer_segment (name, version, generation, segment)
    select name, version, generation, $4 from tidemark.consumer
    where name = $1 and version = $2 and generation = $3 and kind is null
    on conflict do nothing`,
  recordError: `
    update tidemark.consumer_segment set
      error_since = coalesce(error_since, tidemark.now_ms()),
      error_at = tidemark.now_ms(),
      error_count = error_count + 1,
      error_text = $5
    where name = $1 and version = $2 and generation = $3 and segment = $4`,
  lockConsumer: `select kind from tidemark.consumer where name = $1 and version = $2 for update`,
  // Whether a lease runs, or a row is locked, as a holder's is who commits at this moment. A holder whose lease has run
  // out may still be inside its transaction, and has completions locked: to wait for those while it waits for its
  // segment would be to wait in a circle.
  lockSegments: `
    with segments as (
      select expires_at from tidemark.consumer_segment
      where name = $1 and version = $2 order by generation, segment for update skip locked
    ), completions as (
      select position from tidemark.completion
      where name = $1 and version = $2 order by generation, segment, position for update skip locked
    )
    select (select count(*) from segments)
        < (select count(*) from tidemark.consumer_segment where name = $1 and version = $2)
      or (select count(*) from completions)
        < (select count(*) from tidemark.completion where name = $1 and version = $2)
      or exists (select from segments where expires_at > tidemark.now_ms()) as held`,
  resetSegments: `
    update tidemark.consumer_segment set
      position = $3, committed_at = tidemark.now_ms(),
      token = nextval('tidemark.fencing_token'), owner = null, expires_at = 0
    where name = $1 and version = $2`,
  removeProgress: `
    with claims as (
      delete from tidemark.claim where name = $1 and version = $2
    )
    delete from tidemark.completion where name = $1 and version = $2`,
  requestLayout: `
    update tidemark.consumer set layout_segments = $3, layout_position = $4 where name = $1 and version = $2`,
  nextGeneration: `
    update tidemark.consumer set generation = generation + 1, layout_segments = null, layout_position = null
    where name = $1 and version = $2`,
  insertSegments: `
    insert into tidemark.consumer_segment (name, version, generation, segment, position, committed_at, token)
    select $1, $2, $3, every.segment, $5, $6, nextval('tidemark.fencing_token')
    from generate_series(0, $4::integer - 1) every (segment)`,
  // To every segment, because which one's they are only the log knows, which may be elsewhere.
  carryCompletions: `
    insert into tidemark.completion (name, version, generation, segment, position)
    select distinct done.name, done.version, done.generation + 1, every.segment, done.position
    from tidemark.completion done, generate_series(0, $4::integer - 1) every (segment)
    where done.name = $1 and done.version = $2 and done.generation = $3 and done.position > $5`,
  dropGenerations: `
    with completions as (
      delete from tidemark.completion where name = $1 and version = $2 and generation <= $3
    )
    delete from tidemark.consumer_segment where name = $1 and version = $2 and generation <= $3`,
  // Waits for what is under way, so that nobody commits between a look at the positions and the promotion.
  lockVersions: `
    select version, kind from tidemark.consumer where name = $1 and version in ($2, $3) order by version for update`,
  lockSegmentsOf: `
    select segment from tidemark.consumer_segment
    where name = $1 and version in ($2, $3) order by version, generation, segment for update`,
  setActive: `update tidemark.consumer set active = $3, enabled = $3 where name = $1 and version = $2`,
  fenceSegments: `
    update tidemark.consumer_segment set token = nextval('tidemark.fencing_token'), owner = null, expires_at = 0
    where name = $1 and version in ($2, $3)`,
  copyCompletions: `
    insert into tidemark.completion (name, version, generation, segment, position)
    select name, $3, $4, segment, position from tidemark.completion where name = $1 and version = $2
    on conflict do nothing`,
  isNeeded: `
    select (
      exists (select from tidemark.consumer where name = $1 and version = $2 and active)
      and exists (select from tidemark.consumer where name = $1 and version <> $2 and kind is not null)
    )::integer as needed`,
  removeConsumer: `delete from tidemark.consumer where name = $1 and version = $2`,
  removeSegments: `delete from tidemark.consumer_segment where name = $1 and version = $2`,
  removeConsumerLetters: `
    with sequences as (
      delete from tidemark.dead_letter_sequence where name = $1 and version = $2
    )
    delete from tidemark.dead_letter where name = $1 and version = $2`,

  look: `
    select looked.n::integer, found.*,
      (
        select coalesce(json_agg(distinct letter.bucket order by letter.bucket), '[]')::text
        from tidemark.dead_letter letter
        where letter.name = found.name and letter.version = found.version and letter.request is not null
      ) as requested,
      (
        select deadline.due_at - tidemark.now_ms() from tidemark.saga_deadline deadline
        where deadline.saga = looked.saga order by deadline.due_at limit 1
      ) as due_in
    from unnest($1::text[], $2::bigint[], $3::text[]) with ordinality looked (name, version, saga, n)
    cross join lateral (
      select name, version, kind, enabled, active, generation, layout_segments, layout_position, start_rule, log_id, (
        select coalesce(json_agg(of_consumer order by of_consumer.segment), '[]')::text
        from (
          select segment, position, committed_at, owner, token, expires_at > tidemark.now_ms() as held, error_since,
            error_at, error_count, error_text
          from tidemark.consumer_segment known
          where known.name = one.name and known.version = one.version and known.generation = one.generation
        ) of_consumer) as segments
      from tidemark.consumer one where one.name = looked.name and one.version = looked.version
    ) found`,

  // Its own first and then those that have expired, each where nobody else is at them: whoever meets never waits long.
  keepMember: `
    insert into tidemark.consumer_member (name, version, member, expires_at)
    select distinct given.name, given.version, $3::text, tidemark.now_ms() + $4
    from unnest($1::text[], $2::bigint[]) given (name, version)
    order by given.name, given.version
    on conflict (name, version, member) do update set expires_at = excluded.expires_at`,
  forgetMembers: `
    delete from tidemark.consumer_member where (name, version, member) in (
      select member.name, member.version, member.member
      from unnest($1::text[], $2::bigint[]) given (name, version)
      join tidemark.consumer_member member on member.name = given.name and member.version = given.version
      where member.expires_at <= tidemark.now_ms()
      for update of member skip locked)`,
  members: `
    select distinct member.name, member.version, member.member
    from unnest($1::text[], $2::bigint[]) given (name, version)
    join tidemark.consumer_member member on member.name = given.name and member.version = given.version
    where member.expires_at > tidemark.now_ms()
    order by member.name, member.version, member.member`,
  leaveMember: `
    delete from tidemark.consumer_member member using unnest($1::text[], $2::bigint[]) given (name, version)
    where member.name = given.name and member.version = given.version and member.member = $3`,
  removeMembers: `delete from tidemark.consumer_member where name = $1 and version = $2`,

  // Of the row that the inner select has locked, the outer update sees the same version. "skip locked" looks again at
  // one that was changed since the statement began, so a lease that somebody took meanwhile is not taken over.
  enterZone: `
    update tidemark.consumer_segment set
      owner = $5, token = nextval('tidemark.fencing_token'), expires_at = tidemark.now_ms() + $6
    where (name, version, generation, segment) = (
      select name, version, generation, segment from tidemark.consumer_segment
      where name = $1 and version = $2 and generation = $3 and segment = $4
        and position is not null and expires_at <= tidemark.now_ms()
      for update skip locked)
    returning token, position`,
  renewZone: `
    update tidemark.consumer_segment set expires_at = tidemark.now_ms() + $6
    where (name, version, generation, segment) = (
      select name, version, generation, segment from tidemark.consumer_segment
      where name = $1 and version = $2 and generation = $3 and segment = $4 and token = $5
      for update skip locked)`,
  // With a new token, so that a renewal or a commit that is still on its way cannot bring the lease back.
  leaveZone: `
    update tidemark.consumer_segment set owner = null, expires_at = 0, token = nextval('tidemark.fencing_token')
    where name = $1 and version = $2 and generation = $3 and segment = $4 and token = $5`,
  // Not outside of the lent transaction either, where it would commit by itself.
  fence: `
    update tidemark.consumer_segment set
      position = $7,
      committed_at = tidemark.now_ms(),
      expires_at = tidemark.now_ms() + $8,
      error_since = case when $9 then null else error_since end,
      error_at = case when $9 then null else error_at end,
      error_count = case when $9 then 0 else error_count end,
      error_text = case when $9 then null else error_text end
    where name = $1 and version = $2 and generation = $3 and segment = $4 and token = $5 and position = $6
      and ($10::text is null or current_setting('tidemark_store.mark', true) = $10)`,
  mark: `select current_setting('tidemark_store.mark', true) as mark`,

  saga: `
    select id, version, data, (
      select coalesce(json_agg(json_build_array(of_saga.property, of_saga.value) order by of_saga.property), '[]')::text
      from tidemark.saga_association of_saga
      where of_saga.saga = found.saga and of_saga.id = found.id) as associations
    from tidemark.saga found where saga = $1 and id = $2`,
  sagasByAssociation: `
    select found.id, found.version, found.data, (
      select coalesce(json_agg(json_build_array(of_saga.property, of_saga.value) order by of_saga.property), '[]')::text
      from tidemark.saga_association of_saga
      where of_saga.saga = found.saga and of_saga.id = found.id) as associations
    from tidemark.saga_association association
    join tidemark.saga found on found.saga = association.saga and found.id = association.id
    where association.saga = $1 and association.digest = $2 and association.property = $3 and association.value = $4
    order by association.id`,
  sagasAfter: `
    select id, version, data, (
      select coalesce(json_agg(json_build_array(of_saga.property, of_saga.value) order by of_saga.property), '[]')::text
      from tidemark.saga_association of_saga
      where of_saga.saga = found.saga and of_saga.id = found.id) as associations
    from tidemark.saga found where saga = $1 and id > $2 order by id limit $3`,
  insertSaga: `
    with inserted as (
      insert into tidemark.saga (saga, id, version, data) values ($1, $2, 1, $3) on conflict do nothing returning saga, id
    ), associated as (
      insert into tidemark.saga_association (saga, digest, id, property, value)
      select inserted.saga, given.digest, inserted.id, given.property, given.value
      from inserted cross join unnest($4::bytea[], $5::text[], $6::text[]) given (digest, property, value)
    )
    select count(*) from inserted`,
  // Associations that stay are left alone, so that none is removed and inserted by one statement. An expected version
  // may be any number.
  updateSaga: `
    with updated as (
      update tidemark.saga set data = $3, version = version + 1
      where saga = $1 and id = $2 and version = $4::double precision returning saga, id
    ), removed as (
      delete from tidemark.saga_association old using updated
      where old.saga = updated.saga and old.id = updated.id and old.digest <> all ($5::bytea[])
    ), associated as (
      insert into tidemark.saga_association (saga, digest, id, property, value)
      select updated.saga, given.digest, updated.id, given.property, given.value
      from updated cross join unnest($5::bytea[], $6::text[], $7::text[]) given (digest, property, value)
      on conflict do nothing
    )
    select count(*) from updated`,
  removeSaga: `
    with removed as (
      delete from tidemark.saga where saga = $1 and id = $2 and version = $3::double precision returning saga, id
    ), associations as (
      delete from tidemark.saga_association old using removed where old.saga = removed.saga and old.id = removed.id
    ), deadlines as (
      delete from tidemark.saga_deadline old using removed where old.saga = removed.saga and old.saga_id = removed.id
    )
    select count(*) from removed`,

  // The clock is asked once, which makes it something that the index can be searched for.
  dueDeadlines: `
    select saga_id, name, due_at, data from tidemark.saga_deadline
    where saga = $1 and due_at <= (select tidemark.now_ms())
    order by due_at, saga_id, name limit $2`,
  setDeadline: `
    insert into tidemark.saga_deadline (saga, saga_id, name, due_at, data) values ($1, $2, $3, $4, $5)
    on conflict (saga, saga_id, name) do update set due_at = excluded.due_at, data = excluded.data`,
  removeDeadline: `delete from tidemark.saga_deadline where saga = $1 and saga_id = $2 and name = $3`,

  letter: `
    select position, bucket, event, cause, attempts, first_at, last_at, request, (
      select coalesce(json_agg(of_letter.sequence order by of_letter.sequence), '[]')::text
      from tidemark.dead_letter_sequence of_letter
      where of_letter.name = letter.name and of_letter.version = letter.version
        and of_letter.position = letter.position) as sequences
    from tidemark.dead_letter letter where name = $1 and version = $2 and position = $3`,
  letters: `
    select position, bucket, event, cause, attempts, first_at, last_at, request, (
      select coalesce(json_agg(of_letter.sequence order by of_letter.sequence), '[]')::text
      from tidemark.dead_letter_sequence of_letter
      where of_letter.name = letter.name and of_letter.version = letter.version
        and of_letter.position = letter.position) as sequences
    from tidemark.dead_letter letter
    where name = $1 and version = $2 and position > $3 order by position limit $4`,
  requestedLetters: `
    select position, bucket, event, cause, attempts, first_at, last_at, request, (
      select coalesce(json_agg(of_letter.sequence order by of_letter.sequence), '[]')::text
      from tidemark.dead_letter_sequence of_letter
      where of_letter.name = letter.name and of_letter.version = letter.version
        and of_letter.position = letter.position) as sequences
    from tidemark.dead_letter letter
    where name = $1 and version = $2 and position > $3 and request is not null order by position limit $4`,
  sequenceLetters: `
    select letter.position, bucket, event, cause, attempts, first_at, last_at, request, (
      select coalesce(json_agg(of_letter.sequence order by of_letter.sequence), '[]')::text
      from tidemark.dead_letter_sequence of_letter
      where of_letter.name = letter.name and of_letter.version = letter.version
        and of_letter.position = letter.position) as sequences
    from tidemark.dead_letter_sequence of_sequence
    join tidemark.dead_letter letter on letter.name = of_sequence.name and letter.version = of_sequence.version
      and letter.position = of_sequence.position
    where of_sequence.name = $1 and of_sequence.version = $2 and of_sequence.sequence = $3
      and of_sequence.position > $4 and (not $6 or letter.request is not null)
    order by of_sequence.position limit $5`,
  // In these two the order keeps the planner at the index: it knows how many letters there are to a consumer on average,
  // and would else look for one that is not there in the whole table, row by row.
  anyLetter: `
    select count(*) from (
      select from tidemark.dead_letter where name = $1 and version = $2 order by position limit 1
    ) first`,
  parkedSequences: `
    select given.sequence
    from unnest($3::text[]) with ordinality given (sequence, n)
    cross join lateral (
      select from tidemark.dead_letter_sequence known
      where known.name = $1 and known.version = $2 and known.sequence = given.sequence
        and known.position < coalesce($4, 9223372036854775807)
      order by known.position limit 1
    ) parked
    order by given.n`,
  countLetters: `select count(*) from tidemark.dead_letter where name = $1 and version = $2`,
  countSequenceLetters: `
    select count(*) from tidemark.dead_letter_sequence where name = $1 and version = $2 and sequence = $3`,
  // Who locks several letters locks them in the order of their positions.
  parkLetters: `
    insert into tidemark.dead_letter as known (name, version, position, bucket, event, cause, attempts, first_at, last_at)
    select $1, $2, given.position, given.bucket, given.event::json, given.cause::json, given.attempts, clock.now, clock.now
    from unnest($3::bigint[], $4::smallint[], $5::text[], $6::text[], $7::integer[])
      given (position, bucket, event, cause, attempts)
    cross join (select tidemark.now_ms() as now) clock
    order by given.position
    on conflict (name, version, position) do update set
      bucket = excluded.bucket,
      event = excluded.event,
      cause = coalesce(excluded.cause, known.cause),
      attempts = known.attempts + excluded.attempts,
      last_at = excluded.last_at,
      request = null`,
  // Sequences that stay are left alone, so that none is removed and inserted by one statement.
  parkSequences: `
    with removed as (
      delete from tidemark.dead_letter_sequence old
      where old.name = $1 and old.version = $2 and old.position = any ($3::bigint[])
        and not exists (
          select from unnest($4::bigint[], $5::text[]) given (position, sequence)
          where given.position = old.position and given.sequence = old.sequence)
    )
    insert into tidemark.dead_letter_sequence (name, version, sequence, position)
    select $1, $2, given.sequence, given.position from unnest($4::bigint[], $5::text[]) given (position, sequence)
    on conflict do nothing`,
  removeLetter: `
    with removed as (
      delete from tidemark.dead_letter where name = $1 and version = $2 and position = $3
      returning name, version, position
    ), sequences as (
      delete from tidemark.dead_letter_sequence old using removed
      where old.name = removed.name and old.version = removed.version and old.position = removed.position
    )
    select count(*) from removed`,
  requestLetter: `update tidemark.dead_letter set request = $4 where name = $1 and version = $2 and position = $3`,
  requestLetters: `
    with found as (
      select position from tidemark.dead_letter where name = $1 and version = $2 order by position for update
    )
    update tidemark.dead_letter letter set request = $3
    from found where letter.name = $1 and letter.version = $2 and letter.position = found.position`,
  // What an operator wants removed is not tried first.
  requestWaitingLetters: `
    with waiting as (
      select position from tidemark.dead_letter
      where name = $1 and version = $2 and attempts = 0 and request is null
        and position = any (array(
          select position from tidemark.dead_letter_sequence
          where name = $1 and version = $2 and sequence = any ($3::text[])))
      order by position for update
    )
    update tidemark.dead_letter set request = 'retry'
    where name = $1 and version = $2 and position = any (array(select position from waiting))`,

  claim: `
    insert into tidemark.claim as known (name, version, key, token, expires_at)
    values ($1, $2, $3, $4, tidemark.now_ms() + $5)
    on conflict (name, version, key) do update set token = excluded.token, expires_at = tidemark.now_ms() + $5
    where known.completed_at is null and known.expires_at <= tidemark.now_ms()`,
  claimCompleted: `
    select count(*) from tidemark.claim where name = $1 and version = $2 and key = $3 and completed_at is not null`,
  // The moment of the first completion stands.
  completeClaim: `
    insert into tidemark.claim as known (name, version, key, expires_at, completed_at)
    values ($1, $2, $3, 0, tidemark.now_ms())
    on conflict (name, version, key) do update set completed_at = excluded.completed_at
    where known.completed_at is null`,
  releaseClaim: `
    delete from tidemark.claim
    where name = $1 and version = $2 and key = $3 and token = $4 and completed_at is null`,
  sweepClaims: `delete from tidemark.claim where name = $1 and version = $2 and completed_at < $3`,

  recordCompletions: `
    with removed as (
      delete from tidemark.completion
      where name = $1 and version = $2 and generation = $3 and segment = $4 and position <= $6
    )
    insert into tidemark.completion (name, version, generation, segment, position)
    select $1, $2, $3, $4, given.position from unnest($5::bigint[]) given (position) where given.position > $6
    on conflict do nothing`,
  completions: `
    select position from tidemark.completion
    where name = $1 and version = $2 and generation = $3 and segment = $4 order by position`,

  // Who stores a snapshot updates the actor's row first: that is the lock under which heads are decided. In REPEATABLE READ
  // it fails where the row has changed since the transaction began. What it returns is of the row as it is now.
  changeActor: `
    insert into tidemark.actor as known (type, system_id, changes, heads) values ($1, $2, 1, '{}')
    on conflict (type, system_id) do update set changes = known.changes + 1
    returning (select coalesce(json_agg(head order by head), '[]')::text from unnest(known.heads) head) as heads`,
  // Of snapshots, what is found by which index: see migrations/3-actors.ts.
  snapshot: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark.snapshots($1, $2, array[$3])`,
  heads: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark.snapshots($1, $2, (select heads from tidemark.actor where type = $1 and system_id = $2))
    order by vector`,
  insertSnapshot: `
    with headed as (
      update tidemark.actor set heads = $10 where type = $1 and system_id = $2
    )
    insert into tidemark.snapshot (type, system_id, digest, vector, snapshot_id, version, ancestor, last_event_id,
      last_event_at, state)
    values ($1, $2, tidemark.vector_digest($3), $3, $4, $5, $6, $7, $8, $9)`,
  snapshotChain: `select vector, ancestor from tidemark.snapshot_chain($1, $2, $3, $4)`,
  snapshotLinks: `select vector, ancestor from tidemark.snapshot_links($1, $2, $3, $4)`,
  snapshotAtEvent: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark.snapshot_at_event($1, $2, $3)`,
  snapshotAtTime: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark.snapshot_at_time($1, $2, $3)`,

  // See migrations/3-actors.ts.
  systemIdAsOf: `select tidemark.system_id_as_of($1, $2, $3) as id`,
  actorIdAsOf: `select tidemark.actor_id_as_of($1, $2, $3) as id`,
  isLatestIdentity: `
    select coalesce(
      tidemark.system_id_as_of($1, $2, null) = $3 and tidemark.actor_id_as_of($1, $3, null) = $2, false) as latest`,
  // Who maps an id updates its row first, as with actors: the actor id's, then the system id's.
  changeIdentityKey: `
    insert into tidemark.identity_key as known (type, kind, id, changes, last_at) values ($1, $2, $3, 1, 0)
    on conflict (type, kind, id) do update set changes = known.changes + 1
    returning last_at, tidemark.now_ms() as now`,
  now: `select tidemark.now_ms() as now`,
  insertIdentity: `
    with actor_key as (
      update tidemark.identity_key set last_at = $4 where type = $1 and kind = 'actor' and id = $2
    ), system_key as (
      update tidemark.identity_key set last_at = $4 where type = $1 and kind = 'system' and id = $3
    )
    insert into tidemark.identity (type, actor_id, system_id, since) values ($1, $2, $3, $4)`,

  storePack: `
    insert into tidemark.pack (type, system_id, digest, vector, events)
    values ($1, $2, tidemark.vector_digest($3), $3, $4)
    on conflict (type, system_id, digest) do update set events = excluded.events`,
  pack: `
    select events from tidemark.pack where type = $1 and system_id = $2 and digest = tidemark.vector_digest($3)`,
} as const;
