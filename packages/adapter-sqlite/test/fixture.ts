// A fresh folder for each test, what is opened in it, and what is made of it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createSqliteStore, type SqliteOptions, type SqliteStore } from "@tidemark/adapter-sqlite";
import { type AppendRequest, isTidemarkError, type StoreOptions } from "@tidemark/core";
import Database from "better-sqlite3";
import { afterEach, beforeEach } from "vitest";

export let folder: string;
export let file: string;
export const cleanups: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-sqlite-"));
  file = join(folder, "test.db");
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  rmSync(folder, { recursive: true, force: true });
});

export async function open(options: SqliteOptions & StoreOptions): Promise<SqliteStore> {
  const store = await createSqliteStore(options);
  cleanups.push(() => store.close());
  return store;
}

export function openHandle(path: string = file): Database.Database {
  const handle = new Database(path, { timeout: 0 });
  cleanups.push(() => handle.close());
  return handle;
}

export function startChild(action: string): ChildProcess {
  const script = fileURLToPath(new URL("./sqlite.child.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, action, file], { stdio: ["ignore", "pipe", "inherit"] });
  cleanups.push(() => child.kill("SIGKILL"));
  return child;
}

export async function firstOutput(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("The child has no output.");
  const chunks: readonly unknown[] = await once(child.stdout, "data");
  return String(chunks[0]);
}

/** A promise to be resolved by hand. */
export function latch(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

export function placed(id: string): AppendRequest {
  return { aggregate: { type: "order", id }, events: [{ type: "placed", data: { id } }] };
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return isTidemarkError(error) ? error.code : String(error);
  }
}

export async function countEvents(store: SqliteStore): Promise<number> {
  return (await store.readAll({ limit: 10_000 })).events.length;
}
