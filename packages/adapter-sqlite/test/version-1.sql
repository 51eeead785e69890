-- A file as the first migration left it, in use: what the later ones have to keep.

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
) strict, without rowid;

insert into tidemark_migration values (1, 'log and consumers', 1750000000000);
insert into tidemark_log values ('5f0c1f0e-9d0f-4d53-a5a1-2f5b8c1d7e11', 7);

insert into tidemark_event values
  (3, 'default', 'order', '42', 1, 629, 'e1', 'placed', '{"total":1999}', '{}', 1750000000000, 1750000000001);

insert into tidemark_consumer values ('revenue', 1, 'projector', 0, 1, 'beginning', '5f0c1f0e-9d0f-4d53-a5a1-2f5b8c1d7e11');
insert into tidemark_consumer_segment
  values ('revenue', 1, 1, 0, 3, 1750000000002, null, 7, 0, 1750000000003, 1750000000004, 2, '{"message":"late"}');
