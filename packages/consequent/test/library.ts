// The real consequent, where it is: `TIDEMARK_CONSEQUENT` is the path of an installed and built package, 2.x.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type {
  ConsequentActorStore,
  ConsequentEvent,
  ConsequentEventStore,
  ConsequentLibrary,
} from "@tidemark/consequent";
import { describe, it } from "vitest";

/** What these tests use of it. */
export interface Library {
  (config: {
    readonly actors: readonly ActorDefinition[];
    readonly actorStore: ConsequentLibrary<ConsequentActorStore<unknown>>;
    readonly eventStore: ConsequentLibrary<ConsequentEventStore>;
    readonly actorCache?: unknown;
    readonly eventCache?: unknown;
    readonly nodeId: string;
  }): Promise<Api>;
}

export interface Api {
  readonly handle: (id: unknown, topic: string, message: object) => Promise<readonly Result[]>;
  readonly fetch: (type: string, id: unknown, readOnly?: boolean) => Promise<Instance>;
  readonly fetchAll: (ids: object, readOnly?: boolean) => Promise<Readonly<Record<string, Instance | Instance[]>>>;
  readonly getEventStream: (id: unknown, options: object) => Promise<Iterable<ConsequentEvent>>;
  readonly getActorStream: (type: string, id: unknown, options: object) => AsyncIterable<State>;
  readonly actors: Readonly<Record<string, { readonly factory: (id?: unknown) => unknown }>>;
}

interface Result {
  readonly rejected?: boolean;
  readonly reason?: Error;
  readonly events?: readonly ConsequentEvent[];
}

type State = Readonly<Record<string, unknown>>;

interface Instance {
  readonly state: State;
}

export interface ActorDefinition {
  readonly actor: object;
  readonly state: object;
  readonly commands: object;
  readonly events: object;
}

/** Tests that need it. Without it there is one in their place whose name says why: consequent is no dependency of ours. */
export function describeWithLibrary(define: (consequent: Library) => void): void {
  const folder = process.env["TIDEMARK_CONSEQUENT"];
  if (folder === undefined) {
    it.skip("not tested: TIDEMARK_CONSEQUENT is not the path of an installed consequent 2.x", () => {});
    return;
  }
  const { version, main } = manifestOf(folder);
  describe(`consequent ${version}`, async () => {
    const library = (await import(pathToFileURL(join(folder, main)).href)) as { readonly default: Library };
    define(library.default);
  });
}

function manifestOf(folder: string): { readonly version: string; readonly main: string } {
  const file = join(folder, "package.json");
  if (!existsSync(file)) throw new Error(`TIDEMARK_CONSEQUENT: there is no ${file}.`);
  const { name, version, main } = JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, string>>;
  if (name !== "consequent" || version === undefined || !version.startsWith("2.") || main === undefined) {
    throw new Error(`TIDEMARK_CONSEQUENT: ${file} is not that of consequent 2.x.`);
  }
  return { version, main };
}
