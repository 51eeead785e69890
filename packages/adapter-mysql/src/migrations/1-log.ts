import type { Migration } from "@tidemark/sql-kit";

export const log: Migration = {
  version: 1,
  name: "log",
  sql: `
      create table if not exists tidemark_migration (
        version int not null primary key,
        name varchar(200) not null,
        applied_at timestamp(6) not null default current_timestamp(6)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

      -- One row. Tokens of new segments begin at base_token, above those of all consumers that were removed.
      create table if not exists tidemark_log (
        only_row tinyint not null primary key,
        log_id varchar(36) not null,
        ordering varchar(10) not null,
        base_token bigint not null
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

      -- Where ordering is 'counter': one row, the position that was given out last.
      create table if not exists tidemark_counter (
        only_row tinyint not null primary key,
        position bigint not null
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin;
      insert ignore into tidemark_counter (only_row, position) values (1, 0);

      -- What appends to an aggregate lock.
      create table if not exists tidemark_aggregate (
        context varbinary(100) not null,
        type varbinary(100) not null,
        id varbinary(400) not null,
        version int not null,
        primary key (context, type, id)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      -- Insert through a store only: whoever does not register beforehand is skipped by readers. Size: bytes of JSON, so
      -- that a page can be bounded without reading what does not fit into it. Times are milliseconds since 1970.
      create table if not exists tidemark_event (
        position bigint not null auto_increment primary key,
        context varbinary(100) not null,
        aggregate_type varbinary(100) not null,
        aggregate_id varbinary(400) not null,
        version int not null,
        bucket smallint not null,
        event_id varbinary(200) not null,
        event_type varbinary(200) not null,
        data longtext not null,
        metadata longtext not null,
        occurred_on bigint not null,
        recorded_at bigint not null,
        size int generated always as (octet_length(data) + octet_length(metadata)) stored,
        unique key event_version (context, aggregate_type, aggregate_id, version),
        unique key event_id (context, aggregate_type, aggregate_id, event_id)
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin row_format = dynamic;

      -- Who is appending: written before the events, in the same transaction, and never taken back, so that a row that is
      -- not committed is an append that is not. 'low': a committed position from before, above which its events will lie.
      -- What is committed means nothing any more. 'generation' tells the times apart that a session has used a row.
      create table if not exists tidemark_registration (
        id bigint unsigned not null primary key,
        generation bigint not null,
        low bigint not null,
        session bigint not null,
        since bigint not null
      ) engine = innodb default character set utf8mb4 collate utf8mb4_bin;`,
};
