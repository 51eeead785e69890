import type { Migration } from "@tidemark/sql-kit";

export const actors: Migration = {
  version: 4,
  name: "actors: snapshots, identities, packs",
  sql: `
      create table tidemark_actor (
        type text not null,
        system_id text not null,
        changes integer not null,
        primary key (type, system_id)
      ) strict, without rowid;

      -- The state comes last: what is read without it does not go through it.
      create table tidemark_snapshot (
        type text not null,
        system_id text not null,
        vector text not null,
        snapshot_id text not null,
        version integer not null,
        ancestor text,
        last_event_id text,
        last_event_at integer,
        is_head integer not null,
        state text not null,
        primary key (type, system_id, vector)
      ) strict;
      create index tidemark_snapshot_head on tidemark_snapshot (type, system_id, vector) where is_head = 1;
      create index tidemark_snapshot_event on tidemark_snapshot (type, system_id, last_event_id, version, vector)
        where last_event_id is not null;
      create index tidemark_snapshot_time
        on tidemark_snapshot (type, system_id, last_event_at, last_event_id, version, vector)
        where last_event_at is not null;

      create table tidemark_identity (
        type text not null,
        actor_id text not null,
        system_id text not null,
        since integer not null,
        primary key (type, actor_id, since)
      ) strict, without rowid;
      create unique index tidemark_identity_system on tidemark_identity (type, system_id, since);

      create table tidemark_identity_key (
        type text not null,
        kind text not null,
        id text not null,
        changes integer not null,
        last_at integer not null,
        primary key (type, kind, id)
      ) strict, without rowid;

      create table tidemark_pack (
        type text not null,
        system_id text not null,
        vector text not null,
        events text not null,
        primary key (type, system_id, vector)
      ) strict;`,
};
