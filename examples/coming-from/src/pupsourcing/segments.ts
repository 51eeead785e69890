import type { SqliteStore } from "@tidemark/adapter-sqlite";

const SEGMENTS = 4;

/** Claims the lowest free segment of four and works until it has caught up. Undefined when all are taken. */
export async function consumeASegment(store: SqliteStore): Promise<number | undefined> {
  await store.consumers.declare("totals", { kind: "projector", segments: SEGMENTS });
  for (let segment = 0; segment < SEGMENTS; segment++) {
    await using zone = await store.enterZone("totals", { segment });
    if (zone === undefined) continue;
    for (;;) {
      const scope = { segment: { index: segment, of: SEGMENTS } };
      const { events, next } = await store.readAll({ after: zone.position, scope });
      if (next === zone.position) return segment;
      await zone.commit(({ tx }) => {
        for (const event of events) tx.prepare("update totals set events = events + 1 where type = ?").run(event.type);
        return next; // the checkpoint, committed with the effects
      });
    }
  }
  return undefined;
}
