import type { Position } from "@tidemark/core";
import type { StoredEvent } from "@tidemark/core/spi";
import { aggregateKey } from "@tidemark/core/spi";
import { aggregateLabel, effectsOf, type Plan } from "./plan.ts";
import type { SagaData, SagaEffects } from "./sagas.ts";
import type { SimulatedWorld, World } from "./world.ts";
import type { Witness } from "./witness.ts";
import type { Referee } from "./referee.ts";

/** Compares what is there in the end with a model that is computed from the log. */
export async function judge(world: World): Promise<void> {
  const log = await readLog(world);
  checkLog(world, log);
  for (const plan of world.plans) {
    const start = world.referee.starts.get(plan.name) ?? 0n;
    const events = log.filter((event) => event.position > start && plan.inScope(toPlain(event)));
    if (plan.kind === "projector") await checkProjector(world, plan, events);
    else if (plan.kind === "observer") checkObserver(world, plan, events);
    else await checkSaga(world, plan, events, log);
  }
}

export async function readLog({ adapter }: SimulatedWorld): Promise<readonly StoredEvent[]> {
  const scope = { contexts: [], aggregateTypes: [], eventTypes: [], segment: 0, segments: 1 };
  return (await adapter.readAll({ after: 0n as Position, bytes: Number.MAX_SAFE_INTEGER, limit: 10_000, scope }, {}))
    .events;
}

/** Whether the log is what the writers made it. */
export function checkLog(world: SimulatedWorld, log: readonly StoredEvent[]): void {
  checkVersions(world, log);
  checkAttempts(world, log);
}

function checkVersions({ referee }: SimulatedWorld, log: readonly StoredEvent[]): void {
  const heads = new Map<string, number>();
  let last = 0n;
  for (const { ref, version, position } of log) {
    const key = aggregateKey(ref);
    if (version !== (heads.get(key) ?? 0) + 1)
      referee.violation(`versions/contiguous: ${key} at ${position} is ${version}`);
    if (position <= last) referee.violation(`all/order: ${position} after ${last}`);
    heads.set(key, version);
    last = position;
  }
}

/** Appended together means there together, and once; what was acknowledged is there, what was refused is not. */
function checkAttempts({ referee, attempts }: SimulatedWorld, log: readonly StoredEvent[]): void {
  const counts = new Map<string, number>();
  for (const { id } of log) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const { ids, outcome } of attempts) {
    const found = ids.map((id) => counts.get(id) ?? 0);
    const total = found.reduce((sum, count) => sum + count, 0);
    if (found.some((count) => count > 1))
      referee.violation(`idempotent: ${ids.join(", ")} are there ${found.join(", ")} times`);
    if (total !== 0 && total !== ids.length) referee.violation(`atomic: of ${ids.join(", ")} there are ${total}`);
    if (outcome === "committed" && total === 0) referee.violation(`lost: ${ids.join(", ")} were acknowledged`);
    if (outcome === "nothing" && total > 0) referee.violation(`refused, but there: ${ids.join(", ")}`);
  }
}

async function checkProjector({ referee, database }: World, plan: Plan, events: readonly StoredEvent[]): Promise<void> {
  const effects = await database.table<readonly bigint[]>(effectsOf(plan.name)).entries();
  const expected = new Map<string, bigint[]>();
  for (const event of events) {
    const label = aggregateLabel(toPlain(event));
    const applied = effects.get(label)?.includes(event.position) === true;
    if (!applied && referee.mayBeMissing(plan, event.position)) continue;
    expected.set(label, [...(expected.get(label) ?? []), event.position]);
  }
  for (const label of new Set([...expected.keys(), ...effects.keys()])) {
    const [is, should] = [effects.get(label) ?? [], expected.get(label) ?? []];
    if (is.join() !== should.join()) {
      referee.violation(
        `exactly once, in order: ${plan.name} applied to ${label} ${is.join()} instead of ${should.join()}`,
      );
    }
  }
}

function checkObserver({ referee }: World, plan: Plan, events: readonly StoredEvent[]): void {
  for (const { position } of events) {
    if (referee.observed.has(`${plan.name}/${position}`) || referee.mayBeMissing(plan, position)) continue;
    referee.violation(`at least once: ${plan.name} never handled ${position}`);
  }
}

/** A world whose referee knows which events may be without an effect. */
interface JudgedWorld extends SimulatedWorld {
  readonly referee: Witness & Pick<Referee, "mayBeMissing">;
}

export async function checkSaga(
  world: JudgedWorld,
  plan: Pick<Plan, "name" | "failure" | "concerns">,
  events: readonly StoredEvent[],
  log: readonly StoredEvent[],
): Promise<void> {
  const { referee, database, adapter } = world;
  const { name } = plan;
  const effects = await database.table<SagaEffects>(effectsOf(name)).entries();
  const types = new Map(events.map(({ position, type }) => [String(position), type]));
  const sagas = new Map((await adapter.sagas.list(name, undefined, 10_000, {})).map((row) => [row.id, row]));
  const echoes = log.filter(({ ref }) => ref.type === "echo" && ref.id === name).map(({ data }) => data);
  const applied: string[] = [];
  for (const [id, effect] of effects) {
    applied.push(...effect.applied.map((position) => JSON.stringify({ position, sagaId: id })));
    const row = sagas.get(id);
    if (effect.ended === (row !== undefined))
      referee.violation(`end: saga ${id} of ${name} is ${effect.ended ? "" : "not "}ended`);
    if (row !== undefined) checkState(world, plan, effect, JSON.parse(row.data) as SagaData, row.version);
    for (const property of ["group", "pair"]) {
      const type = (position: string): boolean => (types.get(position) === "paired") === (property === "pair");
      if (!isAscending(effect.applied.filter(type)))
        referee.violation(`order: saga ${id} of ${name} got ${effect.applied.join()}`);
    }
    if (effect.applied.some((position) => !types.has(position)))
      referee.violation(`scope: saga ${id} of ${name} got too much`);
  }
  for (const id of sagas.keys())
    if (!effects.has(id)) referee.violation(`atomic: saga ${id} of ${name} is there without effects`);
  const [is, should] = [echoes.toSorted().join(), applied.toSorted().join()];
  if (is !== should) referee.violation(`appended exactly once: ${name} appended ${is} for ${should}`);
  const reached = new Set([...effects.values()].flatMap((effect) => effect.applied));
  for (const event of events) {
    if (!plan.concerns(event) || reached.has(String(event.position)) || referee.mayBeMissing(plan, event.position))
      continue;
    referee.violation(`lost: no saga of ${name} got ${event.position}`);
  }
}

function checkState(
  { referee }: SimulatedWorld,
  { name }: Pick<Plan, "name">,
  effect: SagaEffects,
  data: SagaData,
  version: number,
): void {
  const [is, should] = [JSON.stringify(data), JSON.stringify({ applied: effect.applied, woken: effect.woken })];
  if (is !== should) referee.violation(`atomic: a saga of ${name} has the state ${is}, its effects are ${should}`);
  if (effect.woken !== 1) referee.violation(`deadlines: a saga of ${name} was woken ${effect.woken} times`);
  if (version !== data.applied.length + data.woken)
    referee.violation(`versions: a saga of ${name} is at ${version} after ${is}`);
}

function isAscending(positions: readonly string[]): boolean {
  return positions.every((position, index) => index === 0 || BigInt(positions[index - 1] ?? "0") < BigInt(position));
}

export function toPlain({ ref, type }: StoredEvent): Parameters<Plan["inScope"]>[0] {
  return { aggregate: ref, type };
}
