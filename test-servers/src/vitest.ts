import { describe, inject, it } from "vitest";

declare module "vitest" {
  interface ProvidedContext extends Partial<Asks> {
    /** What became of them, by name; from `vitest-setup.ts`. */
    "tidemark.servers"?: Readonly<Record<string, ProvidedServer | NoServer>>;
  }
}

/** What a project provides in vitest.config.ts, beside the global setup. */
export interface Asks {
  /** The servers that its tests ask for. */
  readonly "tidemark.wanted": readonly string[];
}

/** A server that runs as long as the test run does, for all test files. Make a database of your own on it. */
export interface ProvidedServer {
  readonly kind: "found";
  readonly name: string;
  readonly url: string;
  readonly version: string;
}

export interface NoServer {
  readonly kind: "missing";
  readonly name: string;
  /** In one line: what was tried and how to get one. */
  readonly why: string;
  /** `TIDEMARK_REQUIRE` lists it. */
  readonly required: boolean;
}

/**
 * Tests that need a server. Where it is missing, there is one test in their place whose name says why and how to get it:
 * skipped, or failing if `TIDEMARK_REQUIRE` lists the server.
 */
export function describeWithServer(name: string, define: (server: ProvidedServer) => void | Promise<void>): void {
  const server = inject("tidemark.servers")?.[name];
  if (server === undefined) {
    throw new Error(`This project does not ask for the server ${name}: add it to \`servers\` in vitest.config.ts.`);
  }
  describe(`on ${name}`, () => {
    switch (server.kind) {
      case "found":
        return define(server);
      case "missing":
        return server.required
          ? it(`${name} is there, as TIDEMARK_REQUIRE demands`, () => {
              throw new Error(server.why);
            })
          : it.skip(`not tested: ${server.why}`, () => {});
    }
  });
}
