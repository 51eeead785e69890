import { consume, type Position, type Projector, START, type Store } from "@tidemark/core";

/** One step of a rebuild: version 2 goes as far as version 1 has come, and no further. */
export async function rebuild<Tx>(store: Store<Tx>, next: Projector<Tx>): Promise<Position> {
  const { name } = next.key;
  const until = (await store.consumers.get(name))?.segments[0]?.position ?? START;
  await consume(store, next, { until });
  return until;
}

/** Call it when the new version is close behind the old one. */
export async function replace<Tx>(store: Store<Tx>, next: Projector<Tx>): Promise<void> {
  const { name, version } = next.key;
  await store.consumers.disable(name);
  await rebuild(store, next);
  await store.consumers.promote(name, { from: 1, to: version }); // refused if version 1 was still in a batch: again, then
  await store.consumers.retire(name); // when nobody reads its tables any more
}
