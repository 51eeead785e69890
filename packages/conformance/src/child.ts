import process from "node:process";
import { consume, openStore } from "@tidemark/core";
import { laws } from "./laws.ts";
import type { Assignment, ChildMessage } from "./processes.ts";
import type { ScriptBench } from "./script.ts";
import { scripts } from "./scripts.ts";
import type { TestDatabase } from "./subject.ts";

/** The other process of a law: gets one assignment, runs its script, reports, and ends. */
const heard: { readonly what: string; readonly value: unknown }[] = [];
const listeners = new Set<() => void>();

process.once("message", (assignment: Assignment) => {
  process.on("message", (message: { readonly what: string; readonly value: unknown }) => {
    heard.push(message);
    for (const listener of [...listeners]) listener();
  });
  run(assignment).then(
    (value) => report({ kind: "done", value }),
    (error: unknown) =>
      report({ kind: "failed", error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});

// Without its parent a child has no purpose, and must not stay behind.
process.on("disconnect", () => process.exit(1));

async function run(assignment: Assignment): Promise<unknown> {
  const script = scripts[assignment.script];
  if (script === undefined) throw new Error(`There is no script ${assignment.script}.`);
  const tooth = laws.find((law) => law.id === assignment.tooth)?.tooth;
  const { openDatabase } = asSubjectModule(await import(assignment.module));
  const database = await openDatabase(assignment.config);
  const bench: ScriptBench<unknown> = {
    database,
    open: async (options, change = (adapter) => adapter, config) => {
      const site = config === undefined ? database : await openDatabase(config);
      const real = change(site.adapter());
      const store = await openStore(tooth?.adapter?.(real) ?? real, options);
      return tooth?.store?.(store) ?? store;
    },
    consume: tooth?.consume ?? consume,
    say: (what, value) => void process.send?.({ kind: "said", what, value } satisfies ChildMessage),
    hear,
    die: () => {
      process.kill(process.pid, "SIGKILL");
      // The signal is on its way; nothing more may happen here.
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
    },
  };
  return script(bench, assignment.args);
}

async function hear(what: string): Promise<unknown> {
  for (;;) {
    const index = heard.findIndex((message) => message.what === what);
    if (index !== -1) return heard.splice(index, 1)[0]?.value;
    await new Promise<void>((resolve) => {
      const listener = (): void => {
        listeners.delete(listener);
        resolve();
      };
      listeners.add(listener);
    });
  }
}

function report(message: ChildMessage): void {
  process.send?.(message, () => process.exit(0));
}

/** The module that a subject named; its export is checked here, its database by the laws. */
function asSubjectModule(module: unknown): {
  openDatabase(config: unknown): TestDatabase<unknown> | Promise<TestDatabase<unknown>>;
} {
  if (typeof module === "object" && module !== null && "openDatabase" in module) {
    return module as { openDatabase(config: unknown): TestDatabase<unknown> | Promise<TestDatabase<unknown>> };
  }
  throw new TypeError("The subject's process module does not export openDatabase(config).");
}
