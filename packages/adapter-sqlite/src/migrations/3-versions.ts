import type { Migration } from "@tidemark/sql-kit";

export const versions: Migration = {
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
};
