import type { DeclareOptions, EnterOptions, Position, Store, Zone } from "@tidemark/core";
import { deposit } from "./events.ts";
import { assert, eventually } from "./expect.ts";
import { unaware } from "./faults.ts";
import type { Site } from "./law.ts";

/** The consumer of most laws. */
export const ORDERS = "orders";

export async function declare<Tx>(
  store: Store<Tx>,
  name: string = ORDERS,
  options: Partial<DeclareOptions> = {},
): Promise<void> {
  await store.consumers.declare(name, { kind: "projector", ...options });
}

/** Enters a zone that must be free. */
export async function enter<Tx>(
  store: Store<Tx>,
  name: string = ORDERS,
  options: EnterOptions = {},
): Promise<Zone<Tx>> {
  const zone = await store.enterZone(name, options);
  assert.ok(zone !== undefined, `The free zone of ${name} can be entered.`);
  return zone;
}

/** Enters a zone as soon as the lease of its holder has run out. */
export function inherit<Tx>(store: Store<Tx>, name: string = ORDERS, options: EnterOptions = {}): Promise<Zone<Tx>> {
  return eventually("A zone whose lease ran out can be entered", () => store.enterZone(name, options));
}

/** Two holders of one zone: the lease of `old` ran out without its noticing, and `heir` has taken over since. */
export async function takeOver<Tx>(
  bench: Site<Tx> & { readonly store: Store<Tx> },
  segments = 1,
): Promise<{ readonly old: Zone<Tx>; readonly heir: Zone<Tx> }> {
  const stale = await bench.open({}, unaware);
  await declare(stale, ORDERS, { segments });
  const old = await enter(stale, ORDERS, { leaseMs: 1 });
  const heir = await inherit(bench.store);
  return { old, heir };
}

/** Positions to move a checkpoint to: those of three events that are appended for the purpose. */
export async function threeSteps<Tx>(store: Store<Tx>): Promise<readonly [Position, Position, Position]> {
  const { positions } = await store.append(deposit("steps", 3));
  const [first, second, third] = positions;
  assert.ok(first !== undefined && second !== undefined && third !== undefined, "Three events have three positions.");
  return [first, second, third];
}
