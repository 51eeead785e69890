import type { Migration } from "@tidemark/sql-kit";

export const actors: Migration = {
  version: 3,
  name: "actors: snapshots, identities, packs",
  sql: `
      -- What those who store a snapshot of an actor change. Heads: a JSON array of the vectors that no other one's dominates.
      create table if not exists tidemark_actor (
        type varbinary(100) not null,
        system_id varbinary(400) not null,
        changes bigint not null,
        heads longtext not null,
        primary key (type, system_id)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      -- Never changed. The digest stands for the vector in the index, whose entries may not be as long as a vector may be. By
      -- an index on the beginning of a column the servers find rows, and put none in order: the beginning is a column itself.
      create table if not exists tidemark_snapshot (
        type varbinary(100) not null,
        system_id varbinary(400) not null,
        digest binary(32) not null,
        vector_clock varbinary(4000) not null,
        snapshot_id varbinary(200) not null,
        version bigint not null,
        ancestor varbinary(4000),
        last_event_id varbinary(200),
        last_event_at bigint,
        state longtext not null,
        vector_start varbinary(400) generated always as (left(vector_clock, 400)) stored,
        primary key (type, system_id, digest),
        key snapshot_by_vector (type, system_id, vector_start),
        key snapshot_at_event (type, system_id, last_event_id, version),
        key snapshot_at_time (type, system_id, last_event_at, last_event_id, version)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      -- Never changed: a mapping holds until a later one of the same id. No two of an id begin in one millisecond.
      create table if not exists tidemark_identity (
        type varbinary(100) not null,
        actor_id varbinary(400) not null,
        system_id varbinary(400) not null,
        since bigint not null,
        primary key (type, actor_id, since),
        unique key identity_of_system (type, system_id, since)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      -- What those who map an id change, with the id that it stands for now: in REPEATABLE READ the row is all that needs to
      -- be locked, and shows what is in force to whoever has changed it. Kind: 'actor' or 'system'.
      create table if not exists tidemark_identity_key (
        type varbinary(100) not null,
        kind varbinary(10) not null,
        id varbinary(400) not null,
        changes bigint not null,
        last_at bigint not null,
        latest varbinary(400),
        primary key (type, kind, id)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      -- One row for each piece: a pack may be longer than the server's packets. Changes are counted in the first one.
      create table if not exists tidemark_pack (
        type varbinary(100) not null,
        system_id varbinary(400) not null,
        digest binary(32) not null,
        piece int not null,
        vector_clock varbinary(4000) not null,
        changes bigint not null,
        events longtext not null,
        primary key (type, system_id, digest, piece)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;`,
};
