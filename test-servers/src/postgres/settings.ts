/** What every PostgreSQL server of ours is started with. */
export function settings(durable: boolean): readonly string[] {
  const fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
  return ["max_connections=300", "max_prepared_transactions=20", ...(durable ? [] : fast)].flatMap((set) => [
    "-c",
    set,
  ]);
}

export const USER = "tidemark";
