import type { Migration } from "@tidemark/sql-kit";

export const consumers: Migration = {
  version: 2,
  name: "consumers, sagas, dead letters, claims",
  sql: `
      create table tidemark.consumer (
        name text collate "C" not null,
        version bigint not null,
        kind text,
        enabled boolean not null,
        active boolean not null default false,
        generation integer not null,
        layout_segments integer,
        layout_position bigint,
        start_rule text,
        log_id text,
        primary key (name, version)
      );
      create unique index consumer_active on tidemark.consumer (name) where active;

      create table tidemark.consumer_member (
        name text collate "C" not null,
        version bigint not null,
        member text collate "C" not null,
        expires_at bigint not null,
        primary key (name, version, member)
      );

      -- One sequence for all zones: a consumer that was deleted and declared anew never gets a token that somebody holds.
      create sequence tidemark.fencing_token as bigint cache 1;

      -- Times are milliseconds since 1970.
      create table tidemark.consumer_segment (
        name text collate "C" not null,
        version bigint not null,
        generation integer not null,
        segment integer not null,
        position bigint,
        committed_at bigint,
        owner text,
        token bigint not null default 0,
        expires_at bigint not null default 0,
        error_since bigint,
        error_at bigint,
        error_count integer not null default 0,
        error_text text,
        primary key (name, version, generation, segment)
      ) with (fillfactor = 50);

      create table tidemark.saga (
        saga text collate "C" not null,
        id text collate "C" not null,
        version integer not null,
        data json not null,
        primary key (saga, id)
      ) with (fillfactor = 80);

      -- The digest stands for property and value in the index, whose entries may not be as long as these may be.
      create table tidemark.saga_association (
        saga text collate "C" not null,
        digest bytea not null,
        id text collate "C" not null,
        property text collate "C" not null,
        value text collate "C" not null,
        primary key (saga, digest, id)
      );
      create index saga_association_of on tidemark.saga_association (saga, id);

      create table tidemark.saga_deadline (
        saga text collate "C" not null,
        saga_id text collate "C" not null,
        name text collate "C" not null,
        due_at bigint not null,
        data json not null,
        primary key (saga, saga_id, name)
      );
      create index saga_deadline_due on tidemark.saga_deadline (saga, due_at, saga_id, name);

      create table tidemark.dead_letter (
        name text collate "C" not null,
        version bigint not null,
        position bigint not null,
        bucket smallint not null,
        event json not null,
        cause json,
        attempts integer not null,
        first_at bigint not null,
        last_at bigint not null,
        request text,
        primary key (name, version, position)
      );
      create index dead_letter_requested on tidemark.dead_letter (name, version, position) where request is not null;

      create table tidemark.dead_letter_sequence (
        name text collate "C" not null,
        version bigint not null,
        sequence text collate "C" not null,
        position bigint not null,
        primary key (name, version, sequence, position)
      );
      create index dead_letter_sequence_of on tidemark.dead_letter_sequence (name, version, position);

      create table tidemark.claim (
        name text collate "C" not null,
        version bigint not null,
        key text collate "C" not null,
        token text,
        expires_at bigint not null,
        completed_at bigint,
        primary key (name, version, key)
      );
      create index claim_completed on tidemark.claim (name, version, completed_at) where completed_at is not null;

      create table tidemark.completion (
        name text collate "C" not null,
        version bigint not null,
        generation integer not null,
        segment integer not null,
        position bigint not null,
        primary key (name, version, generation, segment, position)
      );`,
};
