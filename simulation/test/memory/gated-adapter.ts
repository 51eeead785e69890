import type { MemoryTransaction } from "@tidemark/adapter-memory";
import { type Position, TidemarkError } from "@tidemark/core";
import type { Adapter, Fence, LetterPort, TransactionPort } from "@tidemark/core/spi";
import type { Dice } from "./dice.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { Witness } from "./witness.ts";

/** A fence that held, and when. */
export interface FenceHeld extends Fence {
  readonly at: number;
}

export interface Gate {
  readonly process: Process;
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly referee: Witness;
  /** How probable it is that a call fails before it was carried out, and as probable again that its answer is lost. */
  readonly faults: () => number;
}

/**
 * The adapter as one process has it: every call waits for its turn, may fail, may be carried out without an answer, and
 * stops answering with the process. The referee is told what was really done.
 */
export function gateAdapter(inner: Adapter<MemoryTransaction>, gate: Gate): Adapter<MemoryTransaction> {
  const { process, scheduler, referee } = gate;
  const fences = new WeakMap<MemoryTransaction, FenceHeld>();
  const removals = new WeakMap<MemoryTransaction, [consumer: string, position: Position][]>();
  const gated = <T extends object>(name: string, port: T): T => gateAll(name, port, gate);

  async function transaction<T>(
    work: (tx: MemoryTransaction) => Promise<T>,
    op: Parameters<typeof inner.transaction>[1],
  ): Promise<T> {
    await scheduler.turn(process, "begin");
    failPerhaps(gate);
    let result: T;
    let rollBack: (() => void) | undefined;
    try {
      result = await inner.transaction(async (tx) => {
        // As a database does with the transaction of a connection that is gone.
        rollBack = () => void tx.rollback().catch(() => undefined);
        process.onCrash.add(rollBack);
        const value = await work(tx);
        await scheduler.turn(process, "commit");
        failPerhaps(gate);
        // Nothing comes between this and the commit: the last word on whether it may commit is had here.
        const fence = fences.get(tx);
        if (fence !== undefined) referee.fenceCommits(process, fence);
        for (const [consumer, position] of removals.get(tx) ?? []) referee.gaveUp(consumer, position);
        return value;
      }, op);
    } finally {
      if (rollBack !== undefined) process.onCrash.delete(rollBack);
    }
    await scheduler.turn(process, "committed");
    failPerhaps(gate);
    return result;
  }

  function within(tx: MemoryTransaction): TransactionPort {
    const port = inner.within(tx);
    const toRemove = new Set<string>();
    const fence: TransactionPort["fence"] = async (asked, op) => {
      const held = await port.fence(asked, op);
      if (held) fences.set(tx, { ...asked, at: referee.clock() });
      return held;
    };
    const letters: LetterPort = {
      ...port.deadLetters,
      get: async (consumer, position, op) => {
        const letter = await port.deadLetters.get(consumer, position, op);
        if (letter?.request === "remove") toRemove.add(`${consumer.name}/${position}`);
        else toRemove.delete(`${consumer.name}/${position}`);
        return letter;
      },
      remove: async (consumer, position, op) => {
        const removed = await port.deadLetters.remove(consumer, position, op);
        if (removed && toRemove.has(`${consumer.name}/${position}`)) {
          removals.set(tx, [...(removals.get(tx) ?? []), [consumer.name, position]]);
        }
        return removed;
      },
    };
    return {
      ...gated("tx", { ...port, fence }),
      isOpen: () => port.isOpen(),
      get sagas() {
        return gated("tx.sagas", port.sagas);
      },
      get deadlines() {
        return gated("tx.deadlines", port.deadlines);
      },
      get deadLetters() {
        return gated("tx.letters", letters);
      },
      get completions() {
        return gated("tx.completions", port.completions);
      },
    };
  }

  return {
    ...gated("", { ...inner }),
    name: inner.name,
    open: (schema, op) => inner.open(schema, op),
    close: async () => undefined,
    transaction,
    within,
    consumers: gated("consumers", {
      ...inner.consumers,
      declare: async (declaration, op) => {
        const row = await inner.consumers.declare(declaration, op);
        referee.declared(declaration.key.name, row);
        return row;
      },
    }),
    zones: gated("zones", {
      enter: async (key, lease, op) => {
        const entry = await inner.zones.enter(key, lease, op);
        if (entry.kind === "entered") referee.entered(process, key, entry.token, lease.ms);
        return entry;
      },
      renew: async (key, token, ms, op) => {
        const renewed = await inner.zones.renew(key, token, ms, op);
        if (renewed) referee.renewed(process, key, token, ms);
        return renewed;
      },
      leave: async (key, token, op) => {
        await inner.zones.leave(key, token, op);
        referee.left(key, token);
      },
    }),
    sagas: gated("sagas", inner.sagas),
    deadlines: gated("deadlines", inner.deadlines),
    deadLetters: gated("letters", inner.deadLetters),
    members: gated("members", inner.members),
    claims: gated("claims", {
      ...inner.claims,
      claim: async (consumer, key, claim, op) => {
        const outcome = await inner.claims.claim(consumer, key, claim, op);
        if (outcome === "claimed") referee.claimed(process, consumer.name, key, claim.ms);
        return outcome;
      },
      release: async (consumer, key, token, op) => {
        await inner.claims.release(consumer, key, token, op);
        referee.claimReleased(process, consumer.name, key);
      },
      complete: async (consumer, key, op) => {
        await inner.claims.complete(consumer, key, op);
        referee.claimCompleted(consumer.name, key);
      },
    }),
  };
}

function gateAll<T extends object>(name: string, port: T, gate: Gate): T {
  const calls = Object.entries(port).map(([key, value]: [string, unknown]) => {
    if (typeof value !== "function") return [key, value];
    return [key, gateCall(`${name}.${key}`, value as (...args: readonly unknown[]) => Promise<unknown>, gate)];
  });
  return Object.fromEntries(calls) as T;
}

function gateCall<Args extends readonly unknown[], T>(
  label: string,
  call: (...args: Args) => Promise<T>,
  gate: Gate,
): (...args: Args) => Promise<T> {
  const { process, scheduler } = gate;
  return async (...args) => {
    await scheduler.turn(process, label);
    failPerhaps(gate);
    const outcome = await call(...args).then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    // It waited for a lock: whoever let go of it has the turn now, so this process has to wait for its own.
    if (scheduler.current !== process || process.crashed) await scheduler.turn(process, `${label} answered`);
    const answer = outcome();
    failPerhaps(gate);
    return answer;
  };
}

function failPerhaps({ dice, faults, process, scheduler }: Gate): void {
  if (!dice.chance(faults())) return;
  scheduler.note(process, "FAULT");
  throw new TidemarkError("UNAVAILABLE", "The simulated database does not answer.", { adapter: "simulation" });
}
