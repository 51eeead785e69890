import { type Ident, rename, renameAll } from "@tidemark/sql-kit";

/** Statements are written with the default prefix, so that they can be pasted into a console. */
const WRITTEN_NAME = "tidemark_";

export function inSchema(sql: string, prefix: Ident): string {
  return rename(sql, WRITTEN_NAME, prefix);
}

export type Statements = { readonly [Name in keyof typeof WRITTEN]: string };

export function createStatements(prefix: Ident): Statements {
  return renameAll(WRITTEN, WRITTEN_NAME, prefix);
}

/** `unixepoch('subsec')` is in seconds with a fraction; it is the database's clock, in the process that has the lock. */
const WRITTEN = {
  schemaTable: `select name from sqlite_schema where type = 'table' and name = 'tidemark_migration' collate nocase`,
  schemaVersion: `select coalesce(max(version), 0) from tidemark_migration`,
  recordMigration: `
    insert into tidemark_migration (version, name, applied_at)
    values (?, ?, cast(round(unixepoch('subsec') * 1000) as integer))`,
  insertLog: `insert into tidemark_log (log_id, last_token) values (?, 0)`,
  logId: `select log_id from tidemark_log`,
  now: `select cast(round(unixepoch('subsec') * 1000) as integer)`,

  // Writes no row, but takes the write lock before anything is read: a transaction that was begun without "immediate"
  // can then still append, unless it has read before.
  takeWriteLock: `update tidemark_log set log_id = log_id where 0`,
  savepoint: `savepoint tidemark_call`,
  rollbackToSavepoint: `rollback to tidemark_call`,
  releaseSavepoint: `release tidemark_call`,

  // The version of an aggregate is read from the index that keeps it unique. Rows for heads, which other databases
  // need to lock, would be a second write per append: here the write lock of the whole file is held already.
  aggregateVersion: `
    select coalesce(max(version), 0) from tidemark_event where context = ? and aggregate_type = ? and aggregate_id = ?`,
  knownEvent: `
    select event_type as type, data, version, position from tidemark_event
    where context = ? and aggregate_type = ? and aggregate_id = ? and event_id = ?`,
  insertEvent: `
    insert into tidemark_event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data,
      metadata, occurred_on, recorded_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,

  head: `select coalesce(max(position), 0) from tidemark_event`,
  positionBefore: `
    select coalesce(max(position), 0) from tidemark_event
    where position < coalesce(
      (select position from tidemark_event where occurred_on >= ? order by position limit 1), 9223372036854775807)`,
  aggregateForward: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from tidemark_event
    where context = ? and aggregate_type = ? and aggregate_id = ? and version between ? and ?
    order by version limit ?`,
  aggregateBackward: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from tidemark_event
    where context = ? and aggregate_type = ? and aggregate_id = ? and version between ? and ?
    order by version desc limit ?`,
  // Every text sorts before every blob, so the empty one stands for the end.
  eventsById: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from tidemark_event
    where context = @context and aggregate_type = @type and aggregate_id = @id
      and event_id > @after and event_id <= coalesce(@until, x'')
      and occurred_on between coalesce(@from, -9223372036854775808) and coalesce(@to, 9223372036854775807)
    order by event_id limit @limit`,
  logPage: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from tidemark_event where position > ? order by position limit ?`,
  // No index serves the scope: it would cost every append, and rows are read in the order of positions anyhow.
  scopedLogPage: `
    select position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
      occurred_on, recorded_at
    from tidemark_event
    where position > @after
      and bucket & (@segments - 1) = @segment
      and (@contexts = '[]' or context in (select value from json_each(@contexts)))
      and (@aggregateTypes = '[]' or aggregate_type in (select value from json_each(@aggregateTypes)))
      and (@eventTypes = '[]' or event_type in (select value from json_each(@eventTypes)))
    order by position limit @limit`,

  consumer: `
    select name, version, kind, enabled, active, generation, layout_segments, layout_position, start_rule, log_id
    from tidemark_consumer
    where name = ? and version = ?`,
  consumersAfter: `
    select name, version, kind, enabled, active, generation, layout_segments, layout_position, start_rule, log_id
    from tidemark_consumer
    where (name, version) > (?, ?) order by name, version limit ?`,
  segments: `
    select segment, position, committed_at, owner, token,
      expires_at > cast(round(unixepoch('subsec') * 1000) as integer) as held,
      error_since, error_at, error_count, error_text
    from tidemark_consumer_segment where name = ? and version = ? and generation = ? order by segment`,
  segment: `
    select position, owner, token, expires_at > cast(round(unixepoch('subsec') * 1000) as integer) as held
    from tidemark_consumer_segment where name = ? and version = ? and generation = ? and segment = ?`,
  declareConsumer: `
    insert into tidemark_consumer (name, version, kind, enabled, active, generation, start_rule, log_id)
    values (@name, @version, @kind, 1, not exists (select 1 from tidemark_consumer where name = @name and active = 1), 1,
      @start, @logId)
    on conflict (name, version) do update set
      kind = excluded.kind, active = excluded.active, start_rule = excluded.start_rule, log_id = excluded.log_id
    where kind is null`,
  declareSegment: `
    insert into tidemark_consumer_segment (name, version, generation, segment, position)
    values (?, ?, 1, ?, ?)
    on conflict do update set position = excluded.position where position is null`,
  setEnabled: `
    insert into tidemark_consumer (name, version, enabled, generation) values (?, ?, ?, 1)
    on conflict do update set enabled = excluded.enabled`,
  knowConsumer: `
    insert into tidemark_consumer (name, version, enabled, generation) values (?, ?, 1, ?) on conflict do nothing`,
  // Of a consumer that is declared, all segments are there that it has.
  knowSegment: `
    insert into tidemark_consumer_segment (name, version, generation, segment)
    select name, version, generation, ? from tidemark_consumer
    where name = ? and version = ? and generation = ? and kind is null
    on conflict do nothing`,
  recordError: `
    update tidemark_consumer_segment set
      error_since = coalesce(error_since, cast(round(unixepoch('subsec') * 1000) as integer)),
      error_at = cast(round(unixepoch('subsec') * 1000) as integer),
      error_count = error_count + 1,
      error_text = ?
    where name = ? and version = ? and generation = ? and segment = ?`,
  anyHeld: `
    select exists (
      select 1 from tidemark_consumer_segment
      where name = ? and version = ? and expires_at > cast(round(unixepoch('subsec') * 1000) as integer))`,
  resetSegments: `
    update tidemark_consumer_segment set
      position = ?, committed_at = cast(round(unixepoch('subsec') * 1000) as integer),
      token = ?, owner = null, expires_at = 0
    where name = ? and version = ?`,
  requestLayout: `
    update tidemark_consumer set layout_segments = ?, layout_position = ? where name = ? and version = ?`,
  nextGeneration: `
    update tidemark_consumer set generation = generation + 1, layout_segments = null, layout_position = null
    where name = ? and version = ?`,
  insertSegment: `
    insert into tidemark_consumer_segment (name, version, generation, segment, position, committed_at, token)
    values (?, ?, ?, ?, ?, ?, ?)`,
  dropSegments: `delete from tidemark_consumer_segment where name = ? and version = ? and generation <= ?`,
  // To every segment, because which one's they are only the log knows, which may be elsewhere.
  carryCompletions: `
    insert into tidemark_completion (name, version, generation, segment, position)
    select distinct name, version, generation + 1, @segment, position from tidemark_completion
    where name = @name and version = @version and generation = @generation and position > @position`,
  dropCompletions: `delete from tidemark_completion where name = ? and version = ? and generation <= ?`,
  setActive: `update tidemark_consumer set active = ?, enabled = ? where name = ? and version = ?`,
  fenceSegments: `
    update tidemark_consumer_segment set token = ?, owner = null, expires_at = 0 where name = ? and version in (?, ?)`,
  copyCompletions: `
    insert into tidemark_completion (name, version, generation, segment, position)
    select name, @to, @generation, segment, position from tidemark_completion where name = @name and version = @from
    on conflict do nothing`,
  isNeeded: `
    select exists (select 1 from tidemark_consumer where name = @name and version = @version and active = 1)
      and exists (select 1 from tidemark_consumer where name = @name and version <> @version and kind is not null)`,
  removeSegments: `delete from tidemark_consumer_segment where name = ? and version = ?`,
  removeConsumer: `delete from tidemark_consumer where name = ? and version = ?`,
  removeConsumerLetters: `delete from tidemark_dead_letter where name = ? and version = ?`,
  removeConsumerSequences: `delete from tidemark_dead_letter_sequence where name = ? and version = ?`,
  removeConsumerClaims: `delete from tidemark_claim where name = ? and version = ?`,
  removeConsumerCompletions: `delete from tidemark_completion where name = ? and version = ?`,

  removeMembers: `delete from tidemark_consumer_member where name = ? and version = ?`,
  requestedBuckets: `
    select distinct bucket from tidemark_dead_letter
    where name = ? and version = ? and request is not null order by bucket`,
  earliestDeadline: `
    select due_at - cast(round(unixepoch('subsec') * 1000) as integer) as due_in from tidemark_saga_deadline
    where saga = ? order by due_at limit 1`,

  forgetMembers: `
    delete from tidemark_consumer_member
    where expires_at <= cast(round(unixepoch('subsec') * 1000) as integer)
      and (name, version) in (select value ->> 0, value ->> 1 from json_each(?))`,
  keepMember: `
    insert into tidemark_consumer_member (name, version, member, expires_at)
    select distinct value ->> 0, value ->> 1, ?, cast(round(unixepoch('subsec') * 1000) as integer) + ?
    from json_each(?) where true
    on conflict do update set expires_at = excluded.expires_at`,
  members: `
    select name, version, member from tidemark_consumer_member
    where (name, version) in (select value ->> 0, value ->> 1 from json_each(?))
      and expires_at > cast(round(unixepoch('subsec') * 1000) as integer)
    order by name, version, member`,
  leaveMember: `
    delete from tidemark_consumer_member
    where member = ? and (name, version) in (select value ->> 0, value ->> 1 from json_each(?))`,

  // One sequence for all zones: a consumer that was deleted and declared anew never gets a token that somebody holds.
  nextToken: `update tidemark_log set last_token = last_token + 1 returning last_token`,
  enterZone: `
    update tidemark_consumer_segment set
      owner = ?, token = ?, expires_at = cast(round(unixepoch('subsec') * 1000) as integer) + ?
    where name = ? and version = ? and generation = ? and segment = ?
      and position is not null and expires_at <= cast(round(unixepoch('subsec') * 1000) as integer)
    returning position`,
  renewZone: `
    update tidemark_consumer_segment set expires_at = cast(round(unixepoch('subsec') * 1000) as integer) + ?
    where name = ? and version = ? and generation = ? and segment = ? and token = ?`,
  // With a new token, so that a renewal or a commit that is still on its way cannot bring the lease back.
  leaveZone: `
    update tidemark_consumer_segment set owner = null, expires_at = 0, token = ?
    where name = ? and version = ? and generation = ? and segment = ? and token = ?`,
  fence: `
    update tidemark_consumer_segment set
      position = @to,
      committed_at = cast(round(unixepoch('subsec') * 1000) as integer),
      expires_at = cast(round(unixepoch('subsec') * 1000) as integer) + @leaseMs,
      error_since = iif(@clearError, null, error_since),
      error_at = iif(@clearError, null, error_at),
      error_count = iif(@clearError, 0, error_count),
      error_text = iif(@clearError, null, error_text)
    where name = @name and version = @version and generation = @generation and segment = @segment
      and token = @token and position = @from`,

  saga: `
    select id, version, data,
      (select json_group_array(json_array(property, value) order by property) from tidemark_saga_association as of_saga
        where of_saga.saga = found.saga and of_saga.id = found.id) as associations
    from tidemark_saga as found where saga = ? and id = ?`,
  sagasByAssociation: `
    select id, version, data,
      (select json_group_array(json_array(property, value) order by property) from tidemark_saga_association as of_saga
        where of_saga.saga = found.saga and of_saga.id = found.id) as associations
    from tidemark_saga_association join tidemark_saga as found using (saga, id)
    where saga = ? and property = ? and value = ? order by id`,
  sagasAfter: `
    select id, version, data,
      (select json_group_array(json_array(property, value) order by property) from tidemark_saga_association as of_saga
        where of_saga.saga = found.saga and of_saga.id = found.id) as associations
    from tidemark_saga as found where saga = ? and id > ? order by id limit ?`,
  insertSaga: `insert into tidemark_saga (saga, id, version, data) values (?, ?, 1, ?) on conflict do nothing`,
  updateSaga: `update tidemark_saga set data = ?, version = version + 1 where saga = ? and id = ? and version = ?`,
  removeSaga: `delete from tidemark_saga where saga = ? and id = ? and version = ?`,
  insertAssociations: `
    insert into tidemark_saga_association (saga, property, value, id)
    select ?, value ->> 'property', value ->> 'value', ? from json_each(?)`,
  removeAssociations: `delete from tidemark_saga_association where saga = ? and id = ?`,

  dueDeadlines: `
    select saga_id, name, due_at, data from tidemark_saga_deadline
    where saga = ? and due_at <= cast(round(unixepoch('subsec') * 1000) as integer)
    order by due_at, saga_id, name limit ?`,
  setDeadline: `
    insert into tidemark_saga_deadline (saga, saga_id, name, due_at, data) values (?, ?, ?, ?, ?)
    on conflict do update set due_at = excluded.due_at, data = excluded.data`,
  removeDeadline: `delete from tidemark_saga_deadline where saga = ? and saga_id = ? and name = ?`,
  removeDeadlines: `delete from tidemark_saga_deadline where saga = ? and saga_id = ?`,

  letter: `
    select position, bucket, event, cause, attempts, first_at, last_at, request,
      (select json_group_array(sequence order by sequence) from tidemark_dead_letter_sequence as of_letter
        where of_letter.name = letter.name and of_letter.version = letter.version
          and of_letter.position = letter.position) as sequences
    from tidemark_dead_letter as letter where name = ? and version = ? and position = ?`,
  letters: `
    select position, bucket, event, cause, attempts, first_at, last_at, request,
      (select json_group_array(sequence order by sequence) from tidemark_dead_letter_sequence as of_letter
        where of_letter.name = letter.name and of_letter.version = letter.version
          and of_letter.position = letter.position) as sequences
    from tidemark_dead_letter as letter
    where name = ? and version = ? and position > ? order by position limit ?`,
  requestedLetters: `
    select position, bucket, event, cause, attempts, first_at, last_at, request,
      (select json_group_array(sequence order by sequence) from tidemark_dead_letter_sequence as of_letter
        where of_letter.name = letter.name and of_letter.version = letter.version
          and of_letter.position = letter.position) as sequences
    from tidemark_dead_letter as letter
    where name = ? and version = ? and position > ? and request is not null order by position limit ?`,
  sequenceLetters: `
    select position, bucket, event, cause, attempts, first_at, last_at, request,
      (select json_group_array(sequence order by sequence) from tidemark_dead_letter_sequence as of_letter
        where of_letter.name = letter.name and of_letter.version = letter.version
          and of_letter.position = letter.position) as sequences
    from tidemark_dead_letter_sequence join tidemark_dead_letter as letter using (name, version, position)
    where name = @name and version = @version and sequence = @sequence and position > @after
      and (@requested = 0 or request is not null)
    order by position limit @limit`,
  anyLetter: `select exists (select 1 from tidemark_dead_letter where name = ? and version = ?)`,
  countLetters: `select count(*) from tidemark_dead_letter where name = ? and version = ?`,
  countSequenceLetters: `
    select count(*) from tidemark_dead_letter_sequence where name = ? and version = ? and sequence = ?`,
  parkedSequences: `
    select value as sequence from json_each(@sequences)
    where exists (
      select 1 from tidemark_dead_letter_sequence
      where name = @name and version = @version and sequence = value
        and position < coalesce(@before, 9223372036854775807))`,
  parkLetter: `
    insert into tidemark_dead_letter (name, version, position, bucket, event, cause, attempts, first_at, last_at)
    values (?, ?, ?, ?, ?, ?, ?, cast(round(unixepoch('subsec') * 1000) as integer),
      cast(round(unixepoch('subsec') * 1000) as integer))
    on conflict do update set
      bucket = excluded.bucket,
      event = excluded.event,
      cause = coalesce(excluded.cause, cause),
      attempts = attempts + excluded.attempts,
      last_at = excluded.last_at,
      request = null`,
  insertSequences: `
    insert into tidemark_dead_letter_sequence (name, version, sequence, position)
    select distinct ?, ?, value, ? from json_each(?)`,
  removeSequences: `delete from tidemark_dead_letter_sequence where name = ? and version = ? and position = ?`,
  removeLetter: `delete from tidemark_dead_letter where name = ? and version = ? and position = ?`,
  requestLetter: `update tidemark_dead_letter set request = ? where name = ? and version = ? and position = ?`,
  requestLetters: `update tidemark_dead_letter set request = ? where name = ? and version = ?`,
  // What an operator wants removed is not tried first.
  requestWaitingLetters: `
    update tidemark_dead_letter set request = 'retry'
    where name = @name and version = @version and attempts = 0 and request is null
      and position in (
        select position from tidemark_dead_letter_sequence
        where name = @name and version = @version and sequence in (select value from json_each(@sequences)))`,

  claim: `
    insert into tidemark_claim (name, version, key, token, expires_at)
    values (?, ?, ?, ?, cast(round(unixepoch('subsec') * 1000) as integer) + ?)
    on conflict do update set token = excluded.token, expires_at = excluded.expires_at
    where completed_at is null and expires_at <= cast(round(unixepoch('subsec') * 1000) as integer)`,
  claimCompleted: `
    select completed_at is not null from tidemark_claim where name = ? and version = ? and key = ?`,
  // The moment of the first completion stands.
  completeClaim: `
    insert into tidemark_claim (name, version, key, expires_at, completed_at)
    values (?, ?, ?, 0, cast(round(unixepoch('subsec') * 1000) as integer))
    on conflict do update set completed_at = excluded.completed_at where completed_at is null`,
  releaseClaim: `
    delete from tidemark_claim where name = ? and version = ? and key = ? and token = ? and completed_at is null`,
  sweepClaims: `delete from tidemark_claim where name = ? and version = ? and completed_at < ?`,

  insertCompletions: `
    insert into tidemark_completion (name, version, generation, segment, position)
    select @name, @version, @generation, @segment, value from json_each(@positions) where value > @checkpoint
    on conflict do nothing`,
  removeCompletions: `
    delete from tidemark_completion
    where name = @name and version = @version and generation = @generation and segment = @segment
      and position <= @checkpoint`,
  completions: `
    select position from tidemark_completion
    where name = ? and version = ? and generation = ? and segment = ? order by position`,

  // Who stores a snapshot updates the actor's row first: that is the lock under which heads are decided.
  changeActor: `
    insert into tidemark_actor (type, system_id, changes) values (?, ?, 1)
    on conflict do update set changes = changes + 1`,
  snapshot: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark_snapshot where type = ? and system_id = ? and vector = ?`,
  heads: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark_snapshot where type = ? and system_id = ? and is_head = 1 order by vector`,
  headVectors: `
    select vector from tidemark_snapshot where type = ? and system_id = ? and is_head = 1 order by vector`,
  insertSnapshot: `
    insert into tidemark_snapshot (type, system_id, vector, snapshot_id, version, ancestor, last_event_id,
      last_event_at, is_head, state)
    values (@type, @systemId, @vector, @snapshotId, @version, @ancestor, @lastEventId, @lastEventAt, @isHead, @state)`,
  dropHeads: `
    update tidemark_snapshot set is_head = 0
    where type = ? and system_id = ? and vector in (select value from json_each(?))`,
  // The links are counted, so that a circle ends.
  snapshotChain: `
    with recursive chain (link, vector, ancestor) as (
      select 1, vector, ancestor from tidemark_snapshot
      where type = @type and system_id = @systemId and vector = @vector
      union all
      select link + 1, snapshot.vector, snapshot.ancestor
      from chain join tidemark_snapshot as snapshot
        on snapshot.type = @type and snapshot.system_id = @systemId and snapshot.vector = chain.ancestor
      where link < @limit
    )
    select vector, ancestor from chain order by link limit @limit`,
  // The first vector may be the empty text, which is not after the empty text.
  snapshotLinks: `
    select vector, ancestor from tidemark_snapshot
    where type = @type and system_id = @systemId and vector >= coalesce(@after, '') and vector is not @after
    order by vector limit @limit`,
  snapshotAtEvent: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark_snapshot where type = ? and system_id = ? and last_event_id <= ?
    order by last_event_id desc, version desc, vector desc limit 1`,
  // Nulls sort before all ids.
  snapshotAtTime: `
    select vector, snapshot_id, version, ancestor, last_event_id, last_event_at, state
    from tidemark_snapshot where type = ? and system_id = ? and last_event_at <= ?
    order by last_event_at desc, last_event_id desc, version desc, vector desc limit 1`,

  systemIdAsOf: `
    select system_id as id from tidemark_identity
    where type = ? and actor_id = ? and since <= coalesce(?, 9223372036854775807)
    order by since desc limit 1`,
  actorIdAsOf: `
    select actor_id as id from tidemark_identity
    where type = ? and system_id = ? and since <= coalesce(?, 9223372036854775807)
    order by since desc limit 1`,
  changeIdentityKey: `
    insert into tidemark_identity_key (type, kind, id, changes, last_at) values (?, ?, ?, 1, 0)
    on conflict do update set changes = changes + 1
    returning last_at`,
  insertIdentity: `insert into tidemark_identity (type, actor_id, system_id, since) values (?, ?, ?, ?)`,
  keepIdentityTime: `update tidemark_identity_key set last_at = ? where type = ? and kind = ? and id = ?`,

  storePack: `
    insert into tidemark_pack (type, system_id, vector, events) values (?, ?, ?, ?)
    on conflict do update set events = excluded.events`,
  pack: `select events from tidemark_pack where type = ? and system_id = ? and vector = ?`,
} as const;
