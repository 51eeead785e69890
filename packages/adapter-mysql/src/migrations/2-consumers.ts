import type { Migration } from "@tidemark/sql-kit";

export const consumers: Migration = {
  version: 2,
  name: "consumers, sagas, dead letters, claims",
  sql: `
      -- A row for everything that is about all versions of a consumer. It is changed, not only locked: between the nodes of a
      -- Galera cluster a lock is no obstacle, and a change is.
      create table if not exists tidemark_consumer_name (
        name varbinary(200) not null primary key,
        changes bigint not null
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

      create table if not exists tidemark_consumer (
        name varbinary(200) not null,
        version bigint not null,
        kind varchar(20),
        enabled tinyint not null,
        active tinyint not null default 0,
        generation int not null,
        layout_segments int,
        layout_position bigint,
        start_rule longtext,
        log_id varchar(36),
        primary key (name, version)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_consumer_member (
        name varbinary(200) not null,
        version bigint not null,
        member varbinary(400) not null,
        expires_at bigint not null,
        primary key (name, version, member)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_consumer_segment (
        name varbinary(200) not null,
        version bigint not null,
        generation int not null,
        segment int not null,
        position bigint,
        committed_at bigint,
        owner longtext,
        token bigint not null,
        expires_at bigint not null default 0,
        error_since bigint,
        error_at bigint,
        error_count int not null default 0,
        error_text longtext,
        primary key (name, version, generation, segment)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_saga (
        saga varbinary(200) not null,
        id varbinary(200) not null,
        version int not null,
        data longtext not null,
        primary key (saga, id)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      -- The digest stands for property and value in the index, whose entries may not be as long as these may be.
      create table if not exists tidemark_saga_association (
        saga varbinary(200) not null,
        digest binary(32) not null,
        id varbinary(200) not null,
        property longtext not null,
        value longtext not null,
        primary key (saga, digest, id),
        key saga_association_of (saga, id)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_saga_deadline (
        saga varbinary(200) not null,
        saga_id varbinary(200) not null,
        name varbinary(200) not null,
        due_at bigint not null,
        data longtext not null,
        primary key (saga, saga_id, name),
        key saga_deadline_due (saga, due_at, saga_id, name)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_dead_letter (
        name varbinary(200) not null,
        version bigint not null,
        position bigint not null,
        bucket smallint not null,
        event longtext not null,
        cause longtext,
        attempts int not null,
        first_at bigint not null,
        last_at bigint not null,
        request varchar(10),
        primary key (name, version, position),
        key dead_letter_requested (name, version, request, position, bucket)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_dead_letter_sequence (
        name varbinary(200) not null,
        version bigint not null,
        sequence varbinary(200) not null,
        position bigint not null,
        primary key (name, version, sequence, position),
        key dead_letter_sequence_of (name, version, position)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_claim (
        name varbinary(200) not null,
        version bigint not null,
        claim_key varbinary(400) not null,
        token varbinary(200),
        expires_at bigint not null,
        completed_at bigint,
        primary key (name, version, claim_key),
        key claim_completed (name, version, completed_at)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      create table if not exists tidemark_completion (
        name varbinary(200) not null,
        version bigint not null,
        generation int not null,
        segment int not null,
        position bigint not null,
        primary key (name, version, generation, segment, position)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;`,
};
