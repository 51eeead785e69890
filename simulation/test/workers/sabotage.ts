import { override } from "@tidemark/conformance";
import type { Position } from "@tidemark/core";
import type { SegmentKey } from "@tidemark/core/spi";
import { SABOTAGES as BROKEN_ADAPTERS, withPort } from "../memory/sabotage.ts";
import type { Sabotage } from "../memory/world.ts";
import { seeing, withConsumers } from "../../../packages/worker/test/laws/lies.ts";
import type { WorkerSimulationOptions } from "./world.ts";

/** What is broken in one way each, below the worker or in what it is told: the simulation has to notice every one. */
export const SABOTAGES: Readonly<Record<string, Pick<WorkerSimulationOptions, "sabotage" | "lie">>> = {
  "a fence always says yes": {
    sabotage: withPort((port) => ({
      fence: async (fence, op) => {
        await port.fence(fence, op);
        return true;
      },
    })),
  },
  ...Object.fromEntries(
    [
      "the fence ignores the token",
      "the fence stands in a transaction of its own",
      "a zone can be entered while it is held",
      "parking forgets the sequence",
    ].map((name) => [name, { sabotage: BROKEN_ADAPTERS[name] }]),
  ),
  "completions are dropped when a layout or a version changes": { sabotage: forgetful },
  "another layout is written before every segment has got to its position": { sabotage: hasty },
  "promote fences nobody": { sabotage: unfenced },
  "promote does not compare positions": { sabotage: blind },
  "a worker ignores the position of a requested layout": {
    lie: (store) => seeing(store, (sight) => ({ ...sight, layout: undefined })),
  },
  "the ring skips an event": {
    lie: (store) =>
      override(store, () => ({
        readAll: async (options) => {
          const page = await store.readAll(options);
          // Only the ring reads what is for everybody.
          return options?.scope === undefined && page.events.length > 1
            ? { ...page, events: page.events.slice(1) }
            : page;
        },
      })),
  },
  "a worker takes every version for the active one": {
    lie: (store) => seeing(store, (sight) => ({ ...sight, active: true })),
  },
  "a worker never writes a new layout": {
    lie: (store) => withConsumers(store, () => ({ finishResegment: async () => "none" })),
  },
};

/** What was completed in the layout or version before is not known in the new one. */
function forgetful(...[adapter, database, dice]: Parameters<Sabotage>): ReturnType<Sabotage> {
  const recorded = new Map<string, Set<Position>>();
  const forgotten = new Set<string>();
  const idOf = ({ name, version, generation }: Omit<SegmentKey, "segment">, position: Position): string =>
    `${name}/${version}/${generation}/${position}`;
  const ported = withPort(({ completions }) => ({
    completions: {
      record: (key, positions, checkpoint, op) => {
        const label = `${key.name}/${key.version}`;
        recorded.set(label, new Set([...(recorded.get(label) ?? []), ...positions]));
        for (const position of positions) forgotten.delete(idOf(key, position));
        return completions.record(key, positions, checkpoint, op);
      },
      list: async (key, op) =>
        (await completions.list(key, op)).filter((position) => !forgotten.has(idOf(key, position))),
    },
  }))(adapter, database, dice);
  return {
    ...ported,
    consumers: {
      ...adapter.consumers,
      applyLayout: async (key, op) => {
        const outcome = await adapter.consumers.applyLayout(key, op);
        const row = await adapter.consumers.get(key, op);
        if (outcome !== "done" || row === undefined) return outcome;
        for (const position of recorded.get(`${key.name}/${key.version}`) ?? [])
          forgotten.add(idOf({ ...key, generation: row.generation }, position));
        return outcome;
      },
      promote: async (name, from, to, op) => {
        const outcome = await adapter.consumers.promote(name, from, to, op);
        const row = await adapter.consumers.get({ name, version: to }, op);
        if (outcome !== "done" || row === undefined) return outcome;
        for (const position of recorded.get(`${name}/${from}`) ?? [])
          forgotten.add(idOf({ ...row.key, generation: row.generation }, position));
        return outcome;
      },
    },
  };
}

function hasty(...[adapter]: Parameters<Sabotage>): ReturnType<Sabotage> {
  return {
    ...adapter,
    consumers: {
      ...adapter.consumers,
      // Asked of everybody, it takes whoever is behind to the position by itself.
      applyLayout: async (key, op) => {
        const row = await adapter.consumers.get(key, op);
        const { layout } = row ?? {};
        if (row?.segments.some(({ held }) => held) === true) return "held";
        for (const { segment, token, position } of row?.segments ?? []) {
          if (row === undefined || layout === undefined || position === undefined) break;
          const ids = { ...row.key, generation: row.generation, segment };
          const fence = { key: ids, token, from: position, to: layout.position, leaseMs: 0, clearError: false };
          if (position < layout.position) await adapter.transaction((tx) => adapter.within(tx).fence(fence, op), op);
        }
        return adapter.consumers.applyLayout(key, op);
      },
    },
  };
}

/** Whoever had a zone before the promotion commits after it. */
function unfenced(...[adapter, database, dice]: Parameters<Sabotage>): ReturnType<Sabotage> {
  const promoted = new Set<string>();
  const ported = withPort((port) => ({
    fence: async (fence, op) => {
      const stored = promoted.has(fence.key.name) ? await port.segment(fence.key, op) : undefined;
      return port.fence({ ...fence, token: stored?.token ?? fence.token }, op);
    },
  }))(adapter, database, dice);
  return {
    ...ported,
    consumers: {
      ...adapter.consumers,
      promote: async (name, from, to, op) => {
        const outcome = await adapter.consumers.promote(name, from, to, op);
        if (outcome === "done") promoted.add(name);
        return outcome;
      },
    },
  };
}

/** The new version is taken to where the old one stands. */
function blind(...[adapter]: Parameters<Sabotage>): ReturnType<Sabotage> {
  return {
    ...adapter,
    consumers: {
      ...adapter.consumers,
      promote: async (name, from, to, op) => {
        const [old, fresh] = [
          await adapter.consumers.get({ name, version: from }, op),
          await adapter.consumers.get({ name, version: to }, op),
        ];
        for (const { segment, token, position, held } of fresh?.segments ?? []) {
          const target = old?.segments[segment]?.position;
          if (fresh === undefined || position === undefined || target === undefined || target <= position) continue;
          const key = { ...fresh.key, generation: fresh.generation, segment };
          const leaseMs = held ? 10_000 : 0;
          const fence = { key, token, from: position, to: target, leaseMs, clearError: false };
          await adapter.transaction((tx) => adapter.within(tx).fence(fence, op), op);
        }
        return adapter.consumers.promote(name, from, to, op);
      },
    },
  };
}
