import type { Migration } from "@tidemark/sql-kit";

/** Released migrations are never edited; a change of the schema is a new one. Written with the default prefix. */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: "log and consumers",
    sql: `
      create table tidemark_migration (
        version integer primary key,
        name text not null,
        applied_at integer not null
      ) strict;

      create table tidemark_log (
        log_id text primary key,
        last_token integer not null
      ) strict, without rowid;

      -- autoincrement: a position is never given out twice, whatever became of the row that had it.
      create table tidemark_event (
        position integer primary key autoincrement,
        context text not null,
        aggregate_type text not null,
        aggregate_id text not null,
        version integer not null,
        bucket integer not null,
        event_id text not null,
        event_type text not null,
        data text not null,
        metadata text not null,
        occurred_on integer not null,
        recorded_at integer not null,
        unique (context, aggregate_type, aggregate_id, version),
        unique (context, aggregate_type, aggregate_id, event_id)
      ) strict;

      create table tidemark_consumer (
        name text not null,
        version integer not null,
        kind text,
        enabled integer not null,
        generation integer not null,
        start_rule text,
        log_id text,
        primary key (name, version)
      ) strict, without rowid;

      create table tidemark_consumer_segment (
        name text not null,
        version integer not null,
        generation integer not null,
        segment integer not null,
        position integer,
        committed_at integer,
        owner text,
        token integer not null default 0,
        expires_at integer not null default 0,
        error_since integer,
        error_at integer,
        error_count integer not null default 0,
        error_text text,
        primary key (name, version, generation, segment)
      ) strict, without rowid;`,
  },
  {
    version: 2,
    name: "sagas, deadlines, dead letters, claims, completions",
    sql: `
      -- Tables whose rows hold texts of any length have a rowid: large rows make a slow primary key.
      create table tidemark_saga (
        saga text not null,
        id text not null,
        version integer not null,
        data text not null,
        primary key (saga, id)
      ) strict;

      create table tidemark_saga_association (
        saga text not null,
        property text not null,
        value text not null,
        id text not null,
        primary key (saga, property, value, id)
      ) strict, without rowid;
      create index tidemark_saga_association_of on tidemark_saga_association (saga, id, property, value);

      create table tidemark_saga_deadline (
        saga text not null,
        saga_id text not null,
        name text not null,
        due_at integer not null,
        data text not null,
        primary key (saga, saga_id, name)
      ) strict;
      create index tidemark_saga_deadline_due on tidemark_saga_deadline (saga, due_at, saga_id, name);

      create table tidemark_dead_letter (
        name text not null,
        version integer not null,
        position integer not null,
        bucket integer not null,
        event text not null,
        cause text,
        attempts integer not null,
        first_at integer not null,
        last_at integer not null,
        request text,
        primary key (name, version, position)
      ) strict;
      create index tidemark_dead_letter_requested on tidemark_dead_letter (name, version, position)
        where request is not null;

      create table tidemark_dead_letter_sequence (
        name text not null,
        version integer not null,
        sequence text not null,
        position integer not null,
        primary key (name, version, sequence, position)
      ) strict, without rowid;
      create index tidemark_dead_letter_sequence_of
        on tidemark_dead_letter_sequence (name, version, position, sequence);

      create table tidemark_claim (
        name text not null,
        version integer not null,
        key text not null,
        token text,
        expires_at integer not null,
        completed_at integer,
        primary key (name, version, key)
      ) strict, without rowid;
      create index tidemark_claim_completed on tidemark_claim (name, version, completed_at)
        where completed_at is not null;

      create table tidemark_completion (
        name text not null,
        version integer not null,
        generation integer not null,
        segment integer not null,
        position integer not null,
        primary key (name, version, generation, segment, position)
      ) strict, without rowid;`,
  },
  {
    version: 3,
    name: "active versions, requested layouts, members",
    sql: `
      alter table tidemark_consumer add column active integer not null default 0;
      alter table tidemark_consumer add column layout_segments integer;
      alter table tidemark_consumer add column layout_position integer;

      -- Until now a new version was put in force by running it.
      update tidemark_consumer set active = 1
      where kind is not null and version = (
        select max(version) from tidemark_consumer as of_name
        where of_name.name = tidemark_consumer.name and of_name.kind is not null);

      create unique index tidemark_consumer_active on tidemark_consumer (name) where active = 1;

      create table tidemark_consumer_member (
        name text not null,
        version integer not null,
        member text not null,
        expires_at integer not null,
        primary key (name, version, member)
      ) strict, without rowid;`,
  },
];

export const SCHEMA_VERSION: number = MIGRATIONS.length;
