import { type Ident, rename, renameAll } from "@tidemark/sql-kit";

/** Statements are written with the default prefix and no database, so that they can be pasted into a console. */
const WRITTEN_NAME = /(?<![@\w])tidemark_(?=[a-z])/g;

/** Tables are named with their database: whoever lends a connection may have turned to another one on it. */
export function inSchema(sql: string, database: Ident, prefix: Ident): string {
  return rename(sql, WRITTEN_NAME, inDatabase(database, prefix));
}

export type Statements = { readonly [Name in keyof typeof WRITTEN]: string };

export function createStatements(database: Ident, prefix: Ident): Statements {
  return renameAll(WRITTEN, WRITTEN_NAME, inDatabase(database, prefix));
}

function inDatabase(database: Ident, prefix: Ident): Ident {
  return ("`" + database + "`." + prefix) as Ident;
}

/** Milliseconds since 1970, whatever the server's and the session's zones. */
export const NOW_MS = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) div 1000";

/** Whoever was lent a session, or has one of its own, may have set it otherwise since it was looked at: then no row is written. */
const COUNTS_BY_ONE = "@@session.auto_increment_increment = 1";

/** The same of what all statements rely on, see profile.ts. */
const FITS = `@@session.character_set_client = 'utf8mb4' and @@session.character_set_connection = 'utf8mb4'
      and @@session.character_set_results = 'utf8mb4'
      and find_in_set('STRICT_TRANS_TABLES', @@session.sql_mode) + find_in_set('STRICT_ALL_TABLES', @@session.sql_mode) > 0
      and find_in_set('NO_BACKSLASH_ESCAPES', @@session.sql_mode) + find_in_set('EMPTY_STRING_IS_NULL', @@session.sql_mode) = 0
      and @@session.sql_select_limit = 18446744073709551615 and @@session.unique_checks = 1`;

/** Of an event: what the decoder of rows takes. Names are bytes in their columns and text in a row. */
const EVENT = eventWith("data, metadata");

/** Of an event that is larger than $7, all but data and metadata. */
const SMALL_EVENT = eventWith("if(size <= $7, data, null) as data, if(size <= $7, metadata, null) as metadata");

function eventWith(texts: string): string {
  return `position, convert(context using utf8mb4) as context,
      convert(aggregate_type using utf8mb4) as aggregate_type, convert(aggregate_id using utf8mb4) as aggregate_id, version,
      bucket, convert(event_id using utf8mb4) as event_id, convert(event_type using utf8mb4) as event_type, ${texts},
      occurred_on, recorded_at`;
}

/** The list that the next statement has read, or none where it is no list. */
const REGISTERED = "if(json_valid(@tidemark_registered), @tidemark_registered, '[]')";

/**
 * The position up to which nothing can appear any more that is not visible to a statement that begins afterwards. The
 * order matters: first the mark, a committed position; then who is registered, committed or not; then who of these is
 * committed. Whoever took a position below the mark had registered before, and is among the second and not the third as
 * long as it has not ended, visibly. Run on reader sessions, whose isolation is READ COMMITTED. Docs: decisions, order.
 *
 * A list that is longer than the server makes one (max_allowed_packet, group_concat_max_len) is null or cut off, with a
 * warning at most. Then all of them count as not committed, until readers have removed enough of them.
 */
const FRONTIER = `
    select coalesce(max(position), 0) into @tidemark_mark from tidemark_event;
    set transaction isolation level read uncommitted;
    select json_arrayagg(json_array(id, generation, low, session, since)), count(*), min(low)
      into @tidemark_registered, @tidemark_registrations, @tidemark_lowest from tidemark_registration;
    select least(@tidemark_mark, coalesce(min(registered.low), @tidemark_mark),
        if(coalesce(json_length(@tidemark_registered), 0) = @tidemark_registrations, @tidemark_mark, @tidemark_lowest))
      into @tidemark_frontier
      from json_table(${REGISTERED}, '$[*]' columns (
        id bigint unsigned path '$[0]', generation bigint path '$[1]', low bigint path '$[2]'
      )) registered
      where not exists (
        select 1 from tidemark_registration ended
        where ended.id = registered.id and ended.generation >= registered.generation);`;

/** With `ordering: "counter"` events are committed in the order of their positions: what is visible is a prefix. */
const COUNTED = `
    select coalesce(max(position), 0), 0 into @tidemark_frontier, @tidemark_registrations from tidemark_event;`;

/**
 * What fits into a page, then the head with the number of registrations, then the events, in two steps because the first
 * reads no data.
 */
const PAGE = `
    select coalesce(max(position), 0), coalesce(sum(size), 0) into @tidemark_last, @tidemark_bytes from (
      select position, size from tidemark_event
      where position > $1 and position <= @tidemark_frontier and $4 order by position limit $2
    ) page;
    select coalesce(max(position), @tidemark_last) into @tidemark_last from (
      select position, sum(size) over (order by position) - size as bytes_before from tidemark_event
      where @tidemark_bytes > $3 and position > $1 and position <= @tidemark_last and $4
    ) page where bytes_before < $3;
    select coalesce(max(position), 0) as head, @tidemark_registrations as registrations
      from tidemark_event where position <= @tidemark_frontier;
    select ${EVENT}, size from tidemark_event
      where position > $1 and position <= @tidemark_last and $4 order by position`;

const HEAD = `
    select coalesce(max(position), 0) as head from tidemark_event where position <= @tidemark_frontier`;

// In two statements: where a subquery has a variable in it, MySQL runs it for each row.
const POSITION_BEFORE = `
    select (
      select position from tidemark_event
      where occurred_on >= $1 and position <= @tidemark_frontier order by position limit 1
    ) into @tidemark_after;
    select coalesce(max(position), 0) as position from tidemark_event
      where position <= coalesce(@tidemark_after - 1, @tidemark_frontier)`;

/** Of a consumer with one of its segments. What all rows of a declared consumer would repeat is with segment 0, which it has. */
const CONSUMER = `convert(found.name using utf8mb4) as name, found.version, found.kind, found.enabled, found.active,
      found.generation, found.layout_segments, found.layout_position,
      case when known.segment = 0 then found.start_rule end as start_rule,
      case when known.segment = 0 then found.log_id end as log_id,
      known.segment, known.position, known.committed_at, known.owner, known.token,
      known.expires_at > ${NOW_MS} as held, known.error_since, known.error_at, known.error_count, known.error_text`;

/** Those of a page of positions, each with its event once; and their sequences. */
const LETTERS = `select letter.position, letter.bucket, letter.event, letter.cause, letter.attempts, letter.first_at,
      letter.last_at, letter.request, null as sequence
    from page straight_join tidemark_dead_letter letter force index (primary)
      on letter.name = $1 and letter.version = $2 and letter.position = page.position
    union all
    select of_letter.position, null, null, null, null, null, null, null, convert(of_letter.sequence using utf8mb4)
    from page straight_join tidemark_dead_letter_sequence of_letter force index (dead_letter_sequence_of)
      on of_letter.name = $1 and of_letter.version = $2 and of_letter.position = page.position`;

/** Of a snapshot: what the decoder of rows takes. For MariaDB, "vector" is a key word, and a name in quotes only. */
const SNAPSHOT = `convert(found.vector_clock using utf8mb4) as 'vector', convert(found.snapshot_id using utf8mb4) as snapshot_id,
      found.version, convert(found.ancestor using utf8mb4) as ancestor,
      convert(found.last_event_id using utf8mb4) as last_event_id, found.last_event_at, found.state`;

const WRITTEN = {
  schemaTable: `
    select count(*) from information_schema.tables where table_schema = $1 and table_name = $2`,
  schemaVersion: `select coalesce(max(version), 0) from tidemark_migration`,
  log: `select log_id, ordering from tidemark_log`,
  // What the server is set to for everybody, by the names that it has.
  serverVariables: `
    show global variables where variable_name in ('auto_increment_increment', 'read_only', 'super_read_only', 'version',
      'wsrep_on', 'group_replication_group_name', 'group_replication_single_primary_mode')`,
  // All but the first lines are there to be put back.
  sessionVariables: `
    show session variables where variable_name in ('autocommit', 'character_set_connection', 'max_allowed_packet',
      'version', 'auto_increment_increment', 'auto_increment_offset', 'character_set_client', 'character_set_results',
      'collation_connection', 'completion_type', 'foreign_key_checks', 'group_concat_max_len',
      'innodb_lock_wait_timeout', 'lock_wait_timeout', 'max_execution_time', 'max_statement_time', 'secure_timestamp',
      'session_track_schema', 'session_track_system_variables', 'sql_mode',
      'sql_big_selects', 'sql_safe_updates', 'sql_select_limit', 'time_zone', 'transaction_isolation', 'transaction_read_only',
      'tx_isolation', 'tx_read_only', 'unique_checks', 'wait_timeout')`,

  // Yields no rows, so that the answer says whether a transaction is open; and a warning unless the session fits. $1: whether
  // positions come from the counter. Not by "do", which does nothing on MySQL where sql_select_limit is 0.
  checkSession: `set @tidemark_session = if(${FITS} and ($1 or ${COUNTS_BY_ONE}), 1, cast('unfit' as signed))`,

  // Existing rows only: of one that is not there nothing is locked. One that somebody else has locked is left out, or
  // waited for, in the order of the index, which is everybody's.
  lockFreeAggregates: `
    select convert(context using utf8mb4) as context, convert(type using utf8mb4) as type,
      convert(id using utf8mb4) as id, version
    from tidemark_aggregate force index (primary) where $1 for update skip locked`,
  lockAggregates: `
    select convert(context using utf8mb4) as context, convert(type using utf8mb4) as type,
      convert(id using utf8mb4) as id, version
    from tidemark_aggregate force index (primary) where $1 for update`,
  // Fails where somebody has one of them locked, so also where somebody is making it.
  findNoAggregate: `
    select version from tidemark_aggregate force index (primary) where $1 for update nowait`,
  insertAggregates: `insert into tidemark_aggregate (context, type, id, version) values $1`,
  makeAggregates: `
    insert into tidemark_aggregate (context, type, id, version) values $1 on duplicate key update version = version`,
  setVersions: `
    insert into tidemark_aggregate (context, type, id, version) values $1
    on duplicate key update version = values(version)`,
  removeUnusedAggregates: `delete from tidemark_aggregate where version = 0 and $1`,
  knownEvents: `
    select convert(context using utf8mb4) as context, convert(aggregate_type using utf8mb4) as aggregate_type,
      convert(aggregate_id using utf8mb4) as aggregate_id, convert(event_id using utf8mb4) as event_id,
      convert(event_type using utf8mb4) as type, data, version, position
    from tidemark_event force index (event_id) where $1`,
  mark: `select coalesce(max(position), 0) from tidemark_event`,
  // In READ COMMITTED: in another isolation the inner select would lock the end of the log.
  registerSession: `
    insert into tidemark_registration (id, generation, low, session, since)
    select connection_id(), 1, coalesce(max(position), 0), connection_id(), ${NOW_MS} from tidemark_event
    on duplicate key update generation = generation + 1, low = values(low), since = values(since)`,
  // Where the row is there already it stands, with the lower position. A savepoint that is rolled back takes it away.
  registerLent: `
    insert into tidemark_registration (id, generation, low, session, since)
    select $1, 1, coalesce(max(position), 0), connection_id(), ${NOW_MS} from tidemark_event
    having ${COUNTS_BY_ONE} and ${FITS}
    on duplicate key update id = id`,
  // A row for each append: nobody knows where transactions of others begin.
  registerCallers: `
    insert into tidemark_registration (id, generation, low, session, since)
    select $1, 1, $2, connection_id(), ${NOW_MS} from dual where ${COUNTS_BY_ONE} and ${FITS}`,
  // In the place of a value of the first row: null, which its column refuses, where somebody has taken the row away by a
  // savepoint in the meantime.
  whereRegistered: `select $1 from tidemark_registration where id = $2`,
  whereCounted: `select $1 from tidemark_counter where position = $2`,
  endedRegistrations: `select cast(id as char) as id from tidemark_registration limit 1000 for update skip locked`,
  // One by one: of a list the server makes a scan, which waits for those that are not committed.
  removeRegistration: `delete from tidemark_registration where id = $1`,
  // No number where the session does not fit.
  lockCounter: `select if(${FITS}, position, null) as position from tidemark_counter for update`,
  setCounter: `update tidemark_counter set position = $1 where only_row = 1`,
  // One statement for all events of an append: their positions have none in between, and the server tells the first.
  insertEvents: `
    insert into tidemark_event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data,
      metadata, occurred_on, recorded_at)
    values $1`,
  insertAt: `
    insert into tidemark_event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data,
      metadata, occurred_on, recorded_at, position)
    values $1`,
  // Of a row that was inserted without them.
  setData: `update tidemark_event set data = $2, metadata = $3 where position = $1`,
  appendData: `update tidemark_event set data = concat(data, $2) where position = $1`,
  appendMetadata: `update tidemark_event set metadata = concat(metadata, $2) where position = $1`,

  logPage: `${FRONTIER}${PAGE}`,
  countedLogPage: `${COUNTED}${PAGE}`,
  head: `${FRONTIER}${HEAD}`,
  countedHead: `${COUNTED}${HEAD}`,
  eventsAt: `select count(*) from tidemark_event where position = $1`,
  positionBefore: `${FRONTIER}${POSITION_BEFORE}`,
  countedPositionBefore: `${COUNTED}${POSITION_BEFORE}`,
  frontierHolders: `${FRONTIER}
    select registered.low as position, registered.since, registered.session
      from json_table(${REGISTERED}, '$[*]' columns (
        id bigint unsigned path '$[0]', generation bigint path '$[1]', low bigint path '$[2]',
        session bigint path '$[3]', since bigint path '$[4]'
      )) registered
      where not exists (
        select 1 from tidemark_registration ended
        where ended.id = registered.id and ended.generation >= registered.generation)
      order by registered.low, registered.since`,
  aggregateForward: `
    select ${SMALL_EVENT} from tidemark_event force index (event_version)
    where context = $1 and aggregate_type = $2 and aggregate_id = $3 and version between $4 and $5
    order by version limit $6`,
  aggregateBackward: `
    select ${SMALL_EVENT} from tidemark_event force index (event_version)
    where context = $1 and aggregate_type = $2 and aggregate_id = $3 and version between $4 and $5
    order by version desc limit $6`,
  // What fits into the page is found without reading data.
  fittingForward: `
    select ${EVENT}
    from (
      select place, place_version,
        sum(place_size) over (order by place_version rows unbounded preceding) - place_size as bytes_before
      from (
        select position as place, version as place_version, size as place_size
        from tidemark_event force index (event_version)
        where context = $1 and aggregate_type = $2 and aggregate_id = $3 and version between $4 and $5
        order by version limit $6
      ) page
    ) fitting straight_join tidemark_event found force index (primary) on found.position = fitting.place
    where fitting.bytes_before < $7
    order by fitting.place_version`,
  fittingBackward: `
    select ${EVENT}
    from (
      select place, place_version,
        sum(place_size) over (order by place_version desc rows unbounded preceding) - place_size as bytes_before
      from (
        select position as place, version as place_version, size as place_size
        from tidemark_event force index (event_version)
        where context = $1 and aggregate_type = $2 and aggregate_id = $3 and version between $4 and $5
        order by version desc limit $6
      ) page
    ) fitting straight_join tidemark_event found force index (primary) on found.position = fitting.place
    where fitting.bytes_before < $7
    order by fitting.place_version desc`,

  // The order is that of the bytes in the table, not of the texts that are yielded under the same name. What fits into the
  // page is found without reading data.
  eventsById: `
    select ${EVENT}
    from (
      select place, sum(place_size) over (order by place_id) - place_size as bytes_before
      from (
        select position as place, event_id as place_id, size as place_size from tidemark_event force index (event_id)
        where context = $1 and aggregate_type = $2 and aggregate_id = $3
          and event_id > $4 and ($5 is null or event_id <= $5)
          and ($6 is null or occurred_on >= $6) and ($7 is null or occurred_on <= $7)
        order by event_id limit $8
      ) page
    ) fitting straight_join tidemark_event found force index (primary) on found.position = fitting.place
    where fitting.bytes_before < $9
    order by found.event_id`,

  // Consumers.

  consumer: `
    select ${CONSUMER}
    from tidemark_consumer found left join tidemark_consumer_segment known force index (primary)
      on known.name = found.name and known.version = found.version and known.generation = found.generation
    where found.name = $1 and found.version = $2`,
  consumersAfter: `
    select ${CONSUMER}
    from (
      select * from tidemark_consumer where name > $1 or (name = $1 and version > $2) order by name, version limit $3
    ) found left join tidemark_consumer_segment known force index (primary)
      on known.name = found.name and known.version = found.version and known.generation = found.generation
    order by found.name, found.version`,
  segment: `
    select position, token from tidemark_consumer_segment
    where name = $1 and version = $2 and generation = $3 and segment = $4`,
  // One after the other, so that of two versions of a name one is the active one. The row stays: it is what is locked.
  lockName: `
    insert into tidemark_consumer_name (name, changes) values ($1, 1) on duplicate key update changes = changes + 1`,
  // Under the lock on the name, which whoever makes a version active has.
  anyActive: `select count(*) from tidemark_consumer where name = $1 and active = 1`,
  // Of a consumer that is known and not declared. Whoever else makes its row is waited for.
  declareConsumer: `
    insert into tidemark_consumer (name, version, kind, enabled, active, generation, start_rule, log_id)
    values ($1, $2, $3, 1, $4, 1, $5, $6)
    on duplicate key update
      kind = values(kind), active = values(active), start_rule = values(start_rule), log_id = values(log_id)`,
  // Under the lock on the name, which whoever removes a version of it has. No token as low as this one was given out.
  baseToken: `select base_token from tidemark_log`,
  declareSegments: `
    insert into tidemark_consumer_segment (name, version, generation, segment, position, token) values $1
    on duplicate key update position = values(position)`,
  setEnabled: `
    insert into tidemark_consumer (name, version, enabled, generation) values ($1, $2, $3, 1)
    on duplicate key update enabled = values(enabled)`,
  // Makes the consumer's row or locks it. A row that is not there cannot be locked: somebody could make it meanwhile.
  knowConsumer: `
    insert into tidemark_consumer (name, version, enabled, generation) values ($1, $2, 1, $3)
    on duplicate key update generation = tidemark_consumer.generation`,
  // Of a consumer that is declared, all segments are there that it has.
  knowSegment: `
    insert into tidemark_consumer_segment (name, version, generation, segment, token)
    select known.name, known.version, known.generation, $4, tidemark_log.base_token
    from tidemark_consumer known, tidemark_log
    where known.name = $1 and known.version = $2 and known.generation = $3 and known.kind is null
    on duplicate key update token = tidemark_consumer_segment.token`,
  recordError: `
    update tidemark_consumer_segment set
      error_since = coalesce(error_since, ${NOW_MS}),
      error_at = ${NOW_MS},
      error_count = error_count + 1,
      error_text = $5
    where name = $1 and version = $2 and generation = $3 and segment = $4`,
  lockConsumer: `select kind from tidemark_consumer where name = $1 and version = $2 for update`,
  // Whether a lease runs, or a row is locked, as a holder's is who commits at this moment: then there are fewer here than
  // in the table. A holder whose lease has run out may still be inside its transaction, and has completions locked: to
  // wait for those while it waits for its segment would be to wait in a circle.
  lockSegments: `
    select count(*) as segments, coalesce(max(expires_at > ${NOW_MS}), 0) as held
    from tidemark_consumer_segment force index (primary) where name = $1 and version = $2 for update skip locked`,
  lockCompletions: `
    select count(*) as completions
    from tidemark_completion force index (primary) where name = $1 and version = $2 for update skip locked`,
  countProgress: `
    select
      (select count(*) from tidemark_consumer_segment force index (primary) where name = $1 and version = $2) as segments,
      (select count(*) from tidemark_completion force index (primary) where name = $1 and version = $2) as completions`,
  // In statements that write all rows of a consumer, the index keeps the server from looking through the whole table, and
  // from locking what it looks at. To delete by an index takes an alias.
  resetSegments: `
    update tidemark_consumer_segment force index (primary) set
      position = $3, committed_at = ${NOW_MS}, token = token + 1, owner = null, expires_at = 0
    where name = $1 and version = $2`,
  removeConsumerClaims: `
    delete old from tidemark_claim old force index (primary) where old.name = $1 and old.version = $2`,
  removeConsumerCompletions: `
    delete old from tidemark_completion old force index (primary) where old.name = $1 and old.version = $2`,
  requestLayout: `
    update tidemark_consumer set layout_segments = $3, layout_position = $4 where name = $1 and version = $2`,
  nextGeneration: `
    update tidemark_consumer set generation = generation + 1, layout_segments = null, layout_position = null
    where name = $1 and version = $2`,
  insertSegments: `
    insert into tidemark_consumer_segment (name, version, generation, segment, position, committed_at, token) values $1`,
  // To every segment, because which one's they are only the log knows, which may be elsewhere.
  carryCompletions: `
    insert into tidemark_completion (name, version, generation, segment, position)
    select distinct every.name, every.version, every.generation, every.segment, done.position
    from tidemark_completion done force index (primary)
    straight_join tidemark_consumer_segment every force index (primary)
      on every.name = done.name and every.version = done.version and every.generation = done.generation + 1
    where done.name = $1 and done.version = $2 and done.generation = $3 and done.position > $4`,
  dropCompletions: `
    delete old from tidemark_completion old force index (primary)
    where old.name = $1 and old.version = $2 and old.generation <= $3`,
  dropSegments: `
    delete old from tidemark_consumer_segment old force index (primary)
    where old.name = $1 and old.version = $2 and old.generation <= $3`,
  // Waits for what is under way, so that nobody commits between a look at the positions and the promotion. Rows are locked
  // in the order of the index.
  lockVersions: `
    select version from tidemark_consumer force index (primary)
    where name = $1 and version in ($2, $3) order by version for update`,
  lockSegmentsOf: `
    select segment from tidemark_consumer_segment force index (primary)
    where name = $1 and version in ($2, $3) order by version, generation, segment for update`,
  setActive: `update tidemark_consumer set active = $3, enabled = $3 where name = $1 and version = $2`,
  fenceSegments: `
    update tidemark_consumer_segment force index (primary) set token = token + 1, owner = null, expires_at = 0
    where name = $1 and version in ($2, $3)`,
  copyCompletions: `
    insert into tidemark_completion (name, version, generation, segment, position)
    select done.name, $3, $4, done.segment, done.position
    from tidemark_completion done force index (primary) where done.name = $1 and done.version = $2
    on duplicate key update position = values(position)`,
  isNeeded: `
    select exists (select 1 from tidemark_consumer where name = $1 and version = $2 and active = 1)
      and exists (select 1 from tidemark_consumer where name = $1 and version <> $2 and kind is not null) as needed`,
  removeConsumer: `delete from tidemark_consumer where name = $1 and version = $2`,
  // Locks what is removed next. The next token, above all that were given out; 0 where there are no segments.
  tokenAbove: `
    select coalesce(max(token) + 1, 0) from tidemark_consumer_segment force index (primary)
    where name = $1 and version = $2 for update`,
  removeSegments: `
    delete old from tidemark_consumer_segment old force index (primary) where old.name = $1 and old.version = $2`,
  removeConsumerSequences: `
    delete old from tidemark_dead_letter_sequence old force index (primary) where old.name = $1 and old.version = $2`,
  removeConsumerLetters: `
    delete old from tidemark_dead_letter old force index (primary) where old.name = $1 and old.version = $2`,
  removeMembers: `
    delete old from tidemark_consumer_member old force index (primary) where old.name = $1 and old.version = $2`,
  raiseBaseToken: `update tidemark_log set base_token = greatest(base_token, $1) where only_row = 1`,

  // Rows of three kinds, of one moment: consumers with their segments, buckets with requests, and deadlines.
  look: `
    select 'consumer' as part, ${CONSUMER}, null as bucket, null as due_in
    from tidemark_consumer found left join tidemark_consumer_segment known force index (primary)
      on known.name = found.name and known.version = found.version and known.generation = found.generation
    where $1
    union all
    select 'request', convert(letter.name using utf8mb4), letter.version, null, null, null, null, null, null, null, null,
      null, null, null, null, null, null, null, null, null, null, letter.bucket, null
    from (
      select distinct name, version, bucket from tidemark_dead_letter force index (dead_letter_requested)
      where $2 and request is not null
    ) letter
    union all
    select 'deadline', convert(deadline.saga using utf8mb4), null, null, null, null, null, null, null, null, null,
      null, null, null, null, null, null, null, null, null, null, null, deadline.due_at - ${NOW_MS}
    from (
      select saga, min(due_at) as due_at from tidemark_saga_deadline force index (saga_deadline_due)
      where saga in $3 group by saga
    ) deadline`,

  // Whoever meets writes rows of its own only, and then forgets those that nobody else is at: it never waits long.
  keepMember: `
    insert into tidemark_consumer_member (name, version, member, expires_at) values $1
    on duplicate key update expires_at = values(expires_at)`,
  members: `
    select convert(name using utf8mb4) as name, version, convert(member using utf8mb4) as member,
      expires_at <= ${NOW_MS} as expired
    from tidemark_consumer_member force index (primary) where $1`,
  lockExpiredMembers: `
    select convert(name using utf8mb4) as name, version, convert(member using utf8mb4) as member
    from tidemark_consumer_member force index (primary) where $1 and expires_at <= ${NOW_MS} for update skip locked`,
  // By a join, because a list of keys may make MySQL look through the whole table.
  forgetMembers: `
    delete old from json_table($1, '$[*]' columns (
      name varchar(200) character set utf8mb4 path '$[0]',
      version bigint path '$[1]',
      member varchar(400) character set utf8mb4 path '$[2]'
    )) given straight_join tidemark_consumer_member old force index (primary)
      on old.name = given.name and old.version = given.version and old.member = given.member`,

  // Zones.

  // Looked at before it is locked: a locking read locks what it looks at, also where the conditions do not hold, and
  // whoever holds the zone could not renew it meanwhile.
  freeZone: `
    select token, position from tidemark_consumer_segment
    where name = $1 and version = $2 and generation = $3 and segment = $4
      and position is not null and expires_at <= ${NOW_MS}`,
  // In the transaction of the next statement. One that somebody has locked is not found, nor is one that was changed since
  // so that the conditions do not hold any more.
  lockFreeZone: `
    select token, position from tidemark_consumer_segment
    where name = $1 and version = $2 and generation = $3 and segment = $4
      and position is not null and expires_at <= ${NOW_MS}
    for update skip locked`,
  enterZone: `
    update tidemark_consumer_segment set owner = $5, token = token + 1, expires_at = ${NOW_MS} + $6
    where name = $1 and version = $2 and generation = $3 and segment = $4`,
  lockOwnZone: `
    select token, position from tidemark_consumer_segment
    where name = $1 and version = $2 and generation = $3 and segment = $4 and token = $5
    for update skip locked`,
  renewZone: `
    update tidemark_consumer_segment set expires_at = ${NOW_MS} + $5
    where name = $1 and version = $2 and generation = $3 and segment = $4`,
  // With a new token, so that a renewal or a commit that is still on its way cannot bring the lease back.
  leaveZone: `
    update tidemark_consumer_segment set owner = null, expires_at = 0, token = token + 1
    where name = $1 and version = $2 and generation = $3 and segment = $4 and token = $5`,
  fence: `
    update tidemark_consumer_segment set
      position = $7,
      committed_at = ${NOW_MS},
      expires_at = ${NOW_MS} + $8,
      error_since = case when $9 then null else error_since end,
      error_at = case when $9 then null else error_at end,
      error_count = case when $9 then 0 else error_count end,
      error_text = case when $9 then null else error_text end
    where name = $1 and version = $2 and generation = $3 and segment = $4 and token = $5 and position = $6`,

  // Sagas.

  // Rows of two kinds, of one moment: sagas, and associations of theirs.
  saga: `
    select convert(id using utf8mb4) as id, version, data, null as property, null as value
    from tidemark_saga where saga = $1 and id = $2
    union all
    select convert(id using utf8mb4), null, null, property, value
    from tidemark_saga_association force index (saga_association_of) where saga = $1 and id = $2`,
  sagasByAssociation: `
    select convert(found.id using utf8mb4) as id, found.version, found.data, null as property, null as value
    from tidemark_saga_association association force index (primary)
    straight_join tidemark_saga found force index (primary)
      on found.saga = association.saga and found.id = association.id
    where association.saga = $1 and association.digest = $2
    union all
    select convert(of_saga.id using utf8mb4), null, null, of_saga.property, of_saga.value
    from tidemark_saga_association association force index (primary)
    straight_join tidemark_saga_association of_saga force index (saga_association_of)
      on of_saga.saga = association.saga and of_saga.id = association.id
    where association.saga = $1 and association.digest = $2`,
  sagasAfter: `
    with page as (select id from tidemark_saga where saga = $1 and id > $2 order by id limit $3)
    select convert(found.id using utf8mb4) as id, found.version, found.data, null as property, null as value
    from page straight_join tidemark_saga found force index (primary) on found.saga = $1 and found.id = page.id
    union all
    select convert(of_saga.id using utf8mb4), null, null, of_saga.property, of_saga.value
    from page straight_join tidemark_saga_association of_saga force index (saga_association_of)
      on of_saga.saga = $1 and of_saga.id = page.id`,
  // What "ignore" ignores is that the id is taken: names and ids are as long as their columns at most.
  insertSaga: `insert ignore into tidemark_saga (saga, id, version, data) values ($1, $2, 1, $3)`,
  insertAssociations: `
    insert into tidemark_saga_association (saga, digest, id, property, value) values $1
    on duplicate key update id = values(id)`,
  updateSaga: `
    update tidemark_saga set data = $3, version = version + 1 where saga = $1 and id = $2 and version = $4`,
  removeSaga: `delete from tidemark_saga where saga = $1 and id = $2 and version = $3`,
  // Associations that stay are left alone. In an empty list, nothing is not true either.
  removeAssociations: `
    delete old from tidemark_saga_association old force index (saga_association_of)
    where old.saga = $1 and old.id = $2 and (old.digest in $3) is not true`,

  // Deadlines.

  // The order is that of the bytes in the table, not of the texts that are yielded under the same names.
  dueDeadlines: `
    select convert(deadline.saga_id using utf8mb4) as saga_id, convert(deadline.name using utf8mb4) as name,
      deadline.due_at, deadline.data
    from tidemark_saga_deadline deadline force index (saga_deadline_due)
    where deadline.saga = $1 and deadline.due_at <= ${NOW_MS}
    order by deadline.due_at, deadline.saga_id, deadline.name limit $2`,
  setDeadline: `
    insert into tidemark_saga_deadline (saga, saga_id, name, due_at, data) values ($1, $2, $3, $4, $5)
    on duplicate key update due_at = values(due_at), data = values(data)`,
  removeDeadline: `delete from tidemark_saga_deadline where saga = $1 and saga_id = $2 and name = $3`,
  removeDeadlines: `
    delete old from tidemark_saga_deadline old force index (primary) where old.saga = $1 and old.saga_id = $2`,

  // Dead letters.

  // Rows of two kinds, of one moment: letters, and sequences of theirs.
  letter: `
    select position, bucket, event, cause, attempts, first_at, last_at, request, null as sequence
    from tidemark_dead_letter where name = $1 and version = $2 and position = $3
    union all
    select position, null, null, null, null, null, null, null, convert(sequence using utf8mb4)
    from tidemark_dead_letter_sequence force index (dead_letter_sequence_of)
    where name = $1 and version = $2 and position = $3`,
  letters: `
    with page as (
      select position from tidemark_dead_letter force index (primary)
      where name = $1 and version = $2 and position > $3 order by position limit $4
    )
    ${LETTERS}`,
  requestedLetters: `
    with page as (
      (select position from tidemark_dead_letter force index (dead_letter_requested)
        where name = $1 and version = $2 and request = 'remove' and position > $3 order by position limit $4)
      union all
      (select position from tidemark_dead_letter force index (dead_letter_requested)
        where name = $1 and version = $2 and request = 'retry' and position > $3 order by position limit $4)
      order by position limit $4
    )
    ${LETTERS}`,
  sequenceLetters: `
    with page as (
      select of_sequence.position from tidemark_dead_letter_sequence of_sequence force index (primary)
      straight_join tidemark_dead_letter letter force index (primary)
        on letter.name = of_sequence.name and letter.version = of_sequence.version
        and letter.position = of_sequence.position
      where of_sequence.name = $1 and of_sequence.version = $2 and of_sequence.sequence = $3
        and of_sequence.position > $4 and (not $6 or letter.request is not null)
      order by of_sequence.position limit $5
    )
    ${LETTERS}`,
  anyLetter: `
    select count(*) from (
      select 1 as one from tidemark_dead_letter force index (primary) where name = $1 and version = $2 limit 1
    ) first`,
  // One row of each sequence is looked at. As a mere condition, "exists" may become a join that reads all of the consumer's.
  parkedSequences: `
    select given.sequence
    from json_table($3, '$[*]' columns (sequence varchar(200) character set utf8mb4 path '$')) given
    where 1 = exists (
      select 1 from tidemark_dead_letter_sequence known force index (primary)
      where known.name = $1 and known.version = $2 and known.sequence = given.sequence)`,
  // Of a few sequences, which may be long.
  sequencesParkedBefore: `
    select convert(known.sequence using utf8mb4) as sequence, min(known.position) as first
    from tidemark_dead_letter_sequence known force index (primary)
    where known.name = $1 and known.version = $2 and known.sequence in $3 and known.position < $4
    group by known.name, known.version, known.sequence`,
  countLetters: `select count(*) from tidemark_dead_letter where name = $1 and version = $2`,
  countSequenceLetters: `
    select count(*) from tidemark_dead_letter_sequence force index (primary)
    where name = $1 and version = $2 and sequence = $3`,
  // Who locks several letters locks them in the order of their positions.
  parkLetters: `
    insert into tidemark_dead_letter (name, version, position, bucket, cause, attempts, first_at, last_at, event) values $1
    on duplicate key update
      bucket = values(bucket),
      event = values(event),
      cause = coalesce(values(cause), tidemark_dead_letter.cause),
      attempts = tidemark_dead_letter.attempts + values(attempts),
      last_at = values(last_at),
      request = null`,
  appendToLetter: `
    update tidemark_dead_letter set event = concat(event, $4) where name = $1 and version = $2 and position = $3`,
  // Sequences that stay are left alone. By a join, so that nothing is locked of letters at other positions.
  removeOtherSequences: `
    delete old from json_table($3, '$[*]' columns (position bigint path '$')) given
    straight_join tidemark_dead_letter_sequence old force index (dead_letter_sequence_of)
      on old.name = $1 and old.version = $2 and old.position = given.position
    where not $4`,
  insertSequences: `
    insert into tidemark_dead_letter_sequence (name, version, sequence, position) values $1
    on duplicate key update position = values(position)`,
  removeLetter: `delete from tidemark_dead_letter where name = $1 and version = $2 and position = $3`,
  removeSequences: `
    delete old from tidemark_dead_letter_sequence old force index (dead_letter_sequence_of)
    where old.name = $1 and old.version = $2 and old.position = $3`,
  requestLetter: `update tidemark_dead_letter set request = $4 where name = $1 and version = $2 and position = $3`,
  requestLetters: `
    update tidemark_dead_letter force index (primary) set request = $3 where name = $1 and version = $2`,
  positionsOfSequences: `
    select distinct known.position
    from json_table($3, '$[*]' columns (sequence varchar(200) character set utf8mb4 path '$')) given
    straight_join tidemark_dead_letter_sequence known force index (primary)
      on known.name = $1 and known.version = $2 and known.sequence = given.sequence`,
  // What an operator wants removed is not tried first.
  requestWaitingLetters: `
    update tidemark_dead_letter force index (primary) set request = 'retry'
    where name = $1 and version = $2 and position in $3 and attempts = 0 and request is null`,

  // Claims.

  // What "ignore" ignores is that the key is claimed: names and keys are as long as their columns at most.
  insertClaim: `
    insert ignore into tidemark_claim (name, version, claim_key, token, expires_at)
    values ($1, $2, $3, $4, ${NOW_MS} + $5)`,
  takeOverClaim: `
    update tidemark_claim set token = $4, expires_at = ${NOW_MS} + $5
    where name = $1 and version = $2 and claim_key = $3 and completed_at is null and expires_at <= ${NOW_MS}`,
  claimCompleted: `
    select count(*) from tidemark_claim
    where name = $1 and version = $2 and claim_key = $3 and completed_at is not null`,
  // The moment of the first completion stands.
  completeClaim: `
    insert into tidemark_claim (name, version, claim_key, expires_at, completed_at) values ($1, $2, $3, 0, ${NOW_MS})
    on duplicate key update completed_at = coalesce(tidemark_claim.completed_at, values(completed_at))`,
  releaseClaim: `
    delete from tidemark_claim
    where name = $1 and version = $2 and claim_key = $3 and token = $4 and completed_at is null`,
  sweepClaims: `
    delete old from tidemark_claim old force index (claim_completed)
    where old.name = $1 and old.version = $2 and old.completed_at < $3`,

  // Completions.

  removeOldCompletions: `
    delete old from tidemark_completion old force index (primary)
    where old.name = $1 and old.version = $2 and old.generation = $3 and old.segment = $4 and old.position <= $5`,
  insertCompletions: `
    insert into tidemark_completion (name, version, generation, segment, position) values $1
    on duplicate key update position = values(position)`,
  completions: `
    select position from tidemark_completion
    where name = $1 and version = $2 and generation = $3 and segment = $4 order by position`,

  // Snapshots.

  // Who stores a snapshot changes the actor's row first: that is the lock under which heads are decided.
  changeActor: `
    insert into tidemark_actor (type, system_id, changes, heads) values ($1, $2, 1, '[]')
    on duplicate key update changes = changes + 1`,
  // Of the row as it is now, also in REPEATABLE READ.
  lockedHeads: `select heads from tidemark_actor where type = $1 and system_id = $2 for update`,
  setHeads: `update tidemark_actor set heads = $3 where type = $1 and system_id = $2`,
  snapshot: `
    select ${SNAPSHOT} from tidemark_snapshot found
    where found.type = $1 and found.system_id = $2 and found.digest = unhex(sha2($3, 256))`,
  // Of one that is there: in REPEATABLE READ, to look for one that is not would keep others from storing its neighbours.
  lockedSnapshot: `
    select ${SNAPSHOT} from tidemark_snapshot found
    where found.type = $1 and found.system_id = $2 and found.digest = unhex(sha2($3, 256)) lock in share mode`,
  heads: `
    select head.vector_clock as head, ${SNAPSHOT}
    from tidemark_actor actor
    straight_join json_table(actor.heads, '$[*]' columns (vector_clock varchar(4000) character set utf8mb4 path '$')) head
    left join tidemark_snapshot found force index (primary)
      on found.type = $1 and found.system_id = $2 and found.digest = unhex(sha2(head.vector_clock, 256))
    where actor.type = $1 and actor.system_id = $2`,
  insertSnapshot: `
    insert into tidemark_snapshot (type, system_id, digest, vector_clock, snapshot_id, version, ancestor, last_event_id,
      last_event_at, state)
    values ($1, $2, unhex(sha2($3, 256)), $3, $4, $5, $6, $7, $8, $9)`,
  // Of a row that was inserted without.
  appendState: `
    update tidemark_snapshot set state = concat(state, $4)
    where type = $1 and system_id = $2 and digest = unhex(sha2($3, 256))`,
  // In a circle it goes round. Both servers end a recursion early, by a setting with a name of its own on each: the comment
  // at the beginning is for MariaDB, the other one for MySQL.
  snapshotChain: `
    /*M! set statement max_recursive_iterations = 4294967295 for */
    with recursive chain (n, vector_clock, ancestor) as (
      select 1, found.vector_clock, found.ancestor from tidemark_snapshot found
      where found.type = $1 and found.system_id = $2 and found.digest = unhex(sha2($3, 256)) and $4 > 0
      union all
      select chain.n + 1, link.vector_clock, link.ancestor
      from chain straight_join tidemark_snapshot link force index (primary)
        on link.type = $1 and link.system_id = $2 and link.digest = unhex(sha2(chain.ancestor, 256))
      where chain.n < $4
    )
    select /*+ set_var(cte_max_recursion_depth = 4294967295) */
      convert(vector_clock using utf8mb4) as 'vector', convert(ancestor using utf8mb4) as ancestor
    from chain order by n`,
  // Vectors that begin with the same 400 bytes share an entry of the index, and are read together. Ordered piece by piece:
  // of each, the servers may compare the first 1 024 bytes only.
  snapshotLinks: `
    select convert(found.vector_clock using utf8mb4) as 'vector', convert(found.ancestor using utf8mb4) as ancestor
    from (
      select max(vector_start) as vector_start from (
        select vector_start from tidemark_snapshot force index (snapshot_by_vector)
        where type = $1 and system_id = $2 and vector_start >= left(cast(coalesce($3, '') as binary), 400)
          and ($3 is null or vector_clock > $3)
        order by vector_start limit $4
      ) page
    ) last
    straight_join tidemark_snapshot found force index (snapshot_by_vector)
      on found.type = $1 and found.system_id = $2
      and found.vector_start between left(cast(coalesce($3, '') as binary), 400) and last.vector_start
    where $3 is null or found.vector_clock > $3
    order by found.vector_start, substring(found.vector_clock, 401, 1000), substring(found.vector_clock, 1401, 1000),
      substring(found.vector_clock, 2401, 1000), substring(found.vector_clock, 3401)
    limit $4`,
  // In steps, because states are no good to sort.
  snapshotAtEvent: `
    with nearest as (
      select last_event_id, version from tidemark_snapshot force index (snapshot_at_event)
      where type = $1 and system_id = $2 and last_event_id <= $3 order by last_event_id desc, version desc limit 1
    ), chosen as (
      select max(known.vector_clock) as vector_clock
      from nearest straight_join tidemark_snapshot known force index (snapshot_at_event)
        on known.type = $1 and known.system_id = $2 and known.last_event_id = nearest.last_event_id
        and known.version = nearest.version
    )
    select ${SNAPSHOT} from chosen straight_join tidemark_snapshot found force index (primary)
      on found.type = $1 and found.system_id = $2 and found.digest = unhex(sha2(chosen.vector_clock, 256))`,
  // Where there is no last event, its id sorts before all others.
  snapshotAtTime: `
    with nearest as (
      select last_event_at, last_event_id, version from tidemark_snapshot force index (snapshot_at_time)
      where type = $1 and system_id = $2 and last_event_at <= $3
      order by last_event_at desc, last_event_id desc, version desc limit 1
    ), chosen as (
      select max(known.vector_clock) as vector_clock
      from nearest straight_join tidemark_snapshot known force index (snapshot_at_time)
        on known.type = $1 and known.system_id = $2 and known.last_event_at = nearest.last_event_at
        and known.last_event_id <=> nearest.last_event_id and known.version = nearest.version
    )
    select ${SNAPSHOT} from chosen straight_join tidemark_snapshot found force index (primary)
      on found.type = $1 and found.system_id = $2 and found.digest = unhex(sha2(chosen.vector_clock, 256))`,

  // Identities.

  systemIdAsOf: `
    select convert(system_id using utf8mb4) as id from tidemark_identity force index (primary)
    where type = $1 and actor_id = $2 and since <= $3 order by since desc limit 1`,
  actorIdAsOf: `
    select convert(actor_id using utf8mb4) as id from tidemark_identity force index (identity_of_system)
    where type = $1 and system_id = $2 and since <= $3 order by since desc limit 1`,
  latestIdentity: `
    select convert(latest using utf8mb4) as id from tidemark_identity_key where type = $1 and kind = $2 and id = $3`,
  // Who maps an id changes its row first, as with actors: the actor id's, then the system id's.
  changeIdentityKey: `
    insert into tidemark_identity_key (type, kind, id, changes, last_at) values ($1, $2, $3, 1, 0)
    on duplicate key update changes = changes + 1`,
  lockedIdentityKey: `
    select last_at, convert(latest using utf8mb4) as latest
    from tidemark_identity_key where type = $1 and kind = $2 and id = $3 for update`,
  // Under both locks: the clock of a statement is when it began, so one that has waited must not be asked.
  now: `select ${NOW_MS}`,
  setIdentityKey: `
    update tidemark_identity_key set last_at = $4, latest = $5
    where type = $1 and kind = $2 and id = $3`,
  insertIdentity: `
    insert into tidemark_identity (type, actor_id, system_id, since) values ($1, $2, $3, $4)`,

  // Packs.

  // The first piece is what those who store a pack change first, also when nothing else is.
  storePackPiece: `
    insert into tidemark_pack (type, system_id, digest, vector_clock, piece, changes, events)
    values ($1, $2, unhex(sha2($3, 256)), $3, $4, 1, $5)
    on duplicate key update changes = changes + 1, events = values(events)`,
  removePackPieces: `
    delete old from tidemark_pack old force index (primary)
    where old.type = $1 and old.system_id = $2 and old.digest = unhex(sha2($3, 256)) and old.piece >= $4`,
  pack: `
    select events from tidemark_pack force index (primary)
    where type = $1 and system_id = $2 and digest = unhex(sha2($3, 256)) order by piece`,
};
