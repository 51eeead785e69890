import type { Migration } from "@tidemark/sql-kit";

export const sagas: Migration = {
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
};
