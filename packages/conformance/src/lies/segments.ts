import { consume, START } from "@tidemark/core";
import { changeRecords } from "../faults.ts";
import type { Tooth } from "../law.ts";
import { handsOut, operates } from "./zones.ts";

/** Broken stores that laws about segments are held against. */

export const forgetsLayout: Tooth = handsOut("hands every segment the events of all", () => ({ segments: 1 }));

export const takesTheFirst: Tooth = {
  lie: "consumes the first segment when none is named",
  consume: (store, consumer, options) => consume(store, consumer, { ...options, segment: options?.segment ?? 0 }),
};

export const blamesTheFirst: Tooth = operates("records every failure on the first segment", (real) => ({
  recordError: (consumer, error) => real.recordError(consumer, error),
}));

export const startsAnew: Tooth = {
  lie: "starts new segments at the beginning",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      applyLayout: async (key, op) => {
        const outcome = await records.applyLayout(key, op);
        if (outcome === "done") await records.reset(key, START, op);
        return outcome;
      },
    })),
};

export const waitsForNobody: Tooth = {
  lie: "writes the layout before every segment has stopped",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      applyLayout: async (key, op) => {
        const position = (await records.get(key, op))?.layout?.position;
        if (position !== undefined) await records.reset(key, position, op);
        return records.applyLayout(key, op);
      },
    })),
};

export const evicts: Tooth = {
  lie: "writes the layout while somebody holds a segment",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      applyLayout: async (key, op) => {
        const row = await records.get(key, op);
        for (const { segment, token, held } of row?.segments ?? []) {
          if (held) await real.zones.leave({ ...key, generation: row?.generation ?? 1, segment }, token, op);
        }
        return records.applyLayout(key, op);
      },
    })),
};

export const keepsThePosition: Tooth = {
  lie: "stops at the position that was asked for, whoever has gone past it",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      applyLayout: async (key, op) => {
        const layout = (await records.get(key, op))?.layout;
        const outcome = await records.applyLayout(key, op);
        if (outcome !== "not-drained") return outcome;
        await records.requestLayout(key, undefined, op);
        await records.requestLayout(key, layout, op);
        return outcome;
      },
    })),
};

export const lastRequestWins: Tooth = {
  lie: "takes the last request for a layout",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      requestLayout: async (key, layout, op) => {
        await records.requestLayout(key, undefined, op);
        return records.requestLayout(key, layout, op);
      },
    })),
};

export const forgetsWhatIsAhead: Tooth = {
  lie: "forgets with the old layout what was completed ahead",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      applyLayout: async (key, op) => {
        const position = (await records.get(key, op))?.layout?.position;
        const outcome = await records.applyLayout(key, op);
        if (outcome === "done" && position !== undefined) await records.reset(key, position, op);
        return outcome;
      },
    })),
};

export const writesAgain: Tooth = {
  lie: "writes the layout once more when asked again",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      applyLayout: async (key, op) => {
        const outcome = await records.applyLayout(key, op);
        const row = await records.get(key, op);
        const [first] = row?.segments ?? [];
        if (outcome !== "none" || row === undefined || first?.position === undefined) return outcome;
        await records.requestLayout(key, { segments: row.segments.length, position: first.position }, op);
        return records.applyLayout(key, op);
      },
    })),
};

export const keepsErrorsOfAll: Tooth = {
  lie: "makes a segment that is not there for an error of it",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      recordError: (key, text, op) => records.recordError({ ...key, segment: 0 }, text, op),
    })),
};

export const looksOnceOnly: Tooth = {
  lie: "answers a look by what it has seen first",
  adapter: (real) => {
    let seen: Awaited<ReturnType<typeof real.consumers.look>> | undefined;
    return changeRecords(real, (records) => ({
      look: async (looked, op) => (seen ??= await records.look(looked, op)),
    }));
  },
};
