import { randomUUID } from "node:crypto";
import { TidemarkError } from "@tidemark/core";
import { override, type Tooth } from "../law.ts";

export const refusesSecondClose: Tooth = {
  lie: "refuses to be closed twice",
  store: (real) => {
    let closed = false;
    return override(real, () => ({
      close: async () => {
        if (closed) throw closedError();
        closed = true;
        await real.close();
      },
    }));
  },
};

export const leavesCallsUnanswered: Tooth = {
  lie: "leaves appends that are under way without an answer when it closes",
  store: (real) => {
    let closing = false;
    return override(real, () => ({
      append: async (request, options) => {
        const result = await real.append(request, options);
        return closing ? new Promise(() => undefined) : result;
      },
      close: () => {
        closing = true;
        return real.close();
      },
    }));
  },
};

export const remembersTheHead: Tooth = {
  lie: "goes on telling the head that it knew when it was closed",
  store: (real) => {
    let known = real.head();
    return override(real, () => ({
      head: (options) => {
        const before = known;
        known = real.head(options).catch(() => before);
        return known;
      },
    }));
  },
};

export const keepsZones: Tooth = {
  lie: "keeps its zones when it closes",
  adapter: (real) => override(real, () => ({ zones: override(real.zones, () => ({ leave: async () => undefined })) })),
};

export const disposesOfNothing: Tooth = {
  lie: "is not closed when it is disposed of",
  store: (real) => override(real, () => ({ [Symbol.asyncDispose]: async () => undefined })),
};

const togetherOpen = new Set<{ closed: boolean }>();

/** What a connection does that all stores of a process share, and the first one closes. */
export const closesAll: Tooth = {
  lie: "closes every other store with the first",
  adapter: (real) => {
    const state = { closed: false };
    togetherOpen.add(state);
    return override(real, () => ({
      appendBatch: async (units, op) => {
        if (state.closed) throw closedError();
        return real.appendBatch(units, op);
      },
      close: async () => {
        for (const other of togetherOpen) other.closed = true;
        togetherOpen.clear();
        await real.close();
      },
    }));
  },
};

/** Whatever it finds, it takes for a database that nobody has used yet. */
export const mintsNewLog: Tooth = {
  lie: "gives the log a new identity whenever it is opened",
  adapter: (real) =>
    override(real, () => ({
      open: async (schema, op) => {
        await real.open(schema, op);
        return { logId: randomUUID() };
      },
    })),
};

export const takesLogsForOne: Tooth = {
  lie: "gives all logs the same identity",
  adapter: (real) =>
    override(real, () => ({
      open: async (schema, op) => {
        await real.open(schema, op);
        return { logId: "log" };
      },
    })),
};

export const startsOnAnySchema: Tooth = {
  lie: "starts on a schema that does not fit",
  adapter: (real) =>
    override(real, () => ({ open: (schema, op) => real.open(schema, op).catch(() => ({ logId: "unchecked" })) })),
};

export const migratesUnasked: Tooth = {
  lie: "migrates when it was told to check",
  adapter: (real) => override(real, () => ({ open: (_schema, op) => real.open("migrate", op) })),
};

export const boasts: Tooth = {
  lie: "claims to be what its adapter is not",
  store: (real) =>
    override(real, () => ({ capabilities: { ...real.capabilities, durable: !real.capabilities.durable } })),
};

function closedError(): TidemarkError<"CLOSED"> {
  return new TidemarkError("CLOSED", "The store is closed.", {});
}
