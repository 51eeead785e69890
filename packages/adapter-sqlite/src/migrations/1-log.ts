import type { Migration } from "@tidemark/sql-kit";

export const log: Migration = {
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
};
