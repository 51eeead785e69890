import { once } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { isTidemarkError, START } from "@tidemark/core";
import { HeldZone, type ZoneParts } from "../src/consumer/zone.ts";

/** Short, so that a stall need not be long; and longer than a busy machine lets a process wait. */
const LEASE_MS = 200;

const ends: (() => unknown)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

describe("a zone whose process stalls beyond its lease", () => {
  test("stays held when its renewal was answered during the stall, and asks again at once", async () => {
    const { zone, server } = enter();
    await server.asked();
    await stall(() => server.answer(true));
    await server.asked();
    expect(zone.signal.aborted).toBe(false);
    server.answer(true);
  });

  test("is lost when its renewal was answered during the stall by no", async () => {
    const { zone, server } = enter();
    await server.asked();
    await stall(() => server.answer(false));
    await lost(zone);
  });

  test("is lost when its renewal is not answered", async () => {
    const { zone, server } = enter();
    await server.asked();
    await stall(() => undefined);
    await lost(zone);
    expect(server.count).toBe(1);
  });

  test("is not lost when its renewal is not answered while nobody can take over", async () => {
    const { zone, server } = enter({ takeoverIsImpossible: () => true });
    await server.asked();
    await stall(() => undefined);
    await turns();
    expect(zone.signal.aborted).toBe(false);
    server.answer(true);
    await server.asked();
    expect(zone.signal.aborted).toBe(false);
  });

  test("is left, not lost, when it was left after the stall", async () => {
    const { zone, server } = enter();
    await server.asked();
    // Due after the tick that finds the lease over and before it is decided what that means.
    setTimeout(() => void zone.leave(), LEASE_MS * 2);
    await stall(() => undefined);
    await turns();
    expect(zone.signal.aborted).toBe(false);
  });
});

/** A zone whose renewals are answered as over a socket: what the test sends is read by the event loop when it polls. */
function enter(parts: Partial<ZoneParts<unknown>> = {}): { readonly zone: HeldZone<unknown>; readonly server: Server } {
  const server = new Server();
  const zone = new HeldZone<unknown>({
    adapter: {
      within: unused,
      zones: { enter: unused, renew: () => server.renew(), leave: async () => undefined },
    },
    key: { name: "orders", version: 1, generation: 1, segment: 0 },
    segments: 1,
    token: 1n,
    position: START,
    leaseMs: LEASE_MS,
    transaction: unused,
    prepare: unused,
    codec: { encode: unused, decode: unused, same: unused },
    patienceMs: 1_000,
    onCommit: () => undefined,
    call: (_name, _writes, work) => work(),
    takeoverIsImpossible: () => false,
    onLeave: () => undefined,
    ...parts,
  });
  ends.push(
    () => zone.release(),
    () => server.close(),
  );
  return { zone, server };
}

class Server {
  count = 0;
  readonly #line = new MessageChannel();
  #askedFor = 0;
  #onAsked: () => void = () => undefined;

  renew(): Promise<boolean> {
    this.count += 1;
    this.#onAsked();
    return new Promise((resolve) => this.#line.port1.once("message", resolve));
  }

  /** Resolves with the next renewal. */
  async asked(): Promise<void> {
    this.#askedFor += 1;
    if (this.count < this.#askedFor) await new Promise<void>((resolve) => (this.#onAsked = resolve));
  }

  answer(isRenewed: boolean): void {
    this.#line.port2.postMessage(isRenewed);
  }

  close(): void {
    this.#line.port1.close();
  }
}

/** Stands still until the lease is over, and does `meanwhile`: whatever comes in is read after timers have run. */
function stall(meanwhile: () => void): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => {
      meanwhile();
      const end = performance.now() + LEASE_MS * 3;
      while (performance.now() < end);
      resolve();
    });
  });
}

async function lost({ signal }: HeldZone<unknown>): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
  expect(isTidemarkError(signal.reason, "ZONE_LOST")).toBe(true);
}

/** Lets the event loop go round a few times. */
async function turns(): Promise<void> {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setTimeout(resolve, 1));
}

function unused(): never {
  throw new Error("Nothing here asks for it.");
}
