import { effectsOf, aggregateLabel } from "../memory/plan.ts";
import { checkLog, checkSaga, readLog, toPlain } from "../memory/verdict.ts";
import type { StoredEvent } from "@tidemark/core/spi";
import { type Effect, labelOf, type Plan } from "./plan.ts";
import type { World } from "./world.ts";

/** Compares what is there in the end with what the log and the operators say. */
export async function judge(world: World): Promise<void> {
  const log = await readLog(world);
  checkLog(world, log);
  for (const plan of world.plans) {
    const events = log.filter((event) => plan.inScope(toPlain(event)));
    if (plan.kind === "saga") await checkSaga(world, plan, events, log);
    else if (plan.kind === "projector") await checkProjector(world, plan, events);
    else checkObserver(world, plan, events);
    await checkLayouts(world, plan);
  }
}

/** Each version's read model is what the log says; and what is seen outside happened in one of them. */
async function checkProjector(world: World, plan: Plan, events: readonly StoredEvent[]): Promise<void> {
  const { referee, database, poison } = world;
  const expected = new Map<string, bigint[]>();
  for (const event of events) {
    const label = aggregateLabel(toPlain(event));
    expected.set(label, [...(expected.get(label) ?? []), event.position]);
  }
  const lives = new Map<bigint, number>();
  for (let version = 1; version <= plan.versions; version++) {
    const consumer = labelOf(plan.name, version);
    const effects = await database.table<readonly Effect[]>(effectsOf(consumer)).entries();
    for (const label of new Set([...expected.keys(), ...effects.keys()])) {
      const rows = effects.get(label) ?? [];
      const [is, should] = [rows.map(({ position }) => position), expected.get(label) ?? []];
      if (is.join() !== should.join())
        referee.violation(`exactly once, in order: ${consumer} applied to ${label} ${is.join()}, not ${should.join()}`);
      for (const { position, live } of rows) if (live) lives.set(position, (lives.get(position) ?? 0) + 1);
    }
  }
  // A letter is replayed when somebody asks for it: perhaps after the versions have changed places.
  const hasFailed = Array.from({ length: plan.versions }, (_, index) => labelOf(plan.name, index + 1)).some((label) =>
    events.some(({ position }) => poison.failures(label, position) > 0),
  );
  if (hasFailed) return;
  for (const { position } of events) {
    const count = lives.get(position) ?? 0;
    if (count !== 1) referee.violation(`promote: ${position} was live in ${count} versions of ${plan.name}`);
  }
}

function checkObserver({ referee }: World, plan: Plan, events: readonly StoredEvent[]): void {
  for (let version = 1; version <= plan.versions; version++) {
    const consumer = labelOf(plan.name, version);
    for (const { position } of events) {
      if (!referee.observed.has(`${consumer}/${position}`))
        referee.violation(`at least once: ${consumer} never handled ${position}`);
    }
  }
}

async function checkLayouts({ referee, adapter }: World, plan: Plan): Promise<void> {
  for (let version = 1; version <= plan.versions; version++) {
    const consumer = labelOf(plan.name, version);
    const row = await adapter.consumers.get({ name: plan.name, version }, {});
    const [is, should] = [row?.segments.length, referee.layouts.get(consumer)];
    if (is !== should || row?.layout !== undefined)
      referee.violation(`layout: ${consumer} has ${is} segments in the end instead of ${should}`);
  }
}
