/** Where a server came from. `binaries`: installed on this machine; `npm`: shipped in a package. */
export type Source = "url" | "container" | "binaries" | "npm";

export interface TestServer {
  readonly name: string;
  /** Connects as a user who may create databases, to a database that every server has. */
  readonly url: string;
  /** What the server says: `"17.11"`. */
  readonly version: string;
  readonly source: Source;
  /**
   * Stops the server at once, as a crash of it would, and starts it again behind the same URL; settles when it answers.
   * A durable server then has everything that was committed, a fast one may have lost the last commits. Absent where the
   * server is not ours: behind a URL of the environment.
   */
  readonly restart?: () => Promise<void>;
  /**
   * Ends what was started for it and removes what it left; may be called twice. A server behind a URL of the environment
   * is left alone. It also happens by itself when this process ends, in whichever way.
   */
  readonly stop: () => Promise<void>;
}

export interface Found {
  readonly kind: "found";
  readonly server: TestServer;
}

export interface Missing {
  readonly kind: "missing";
  readonly name: string;
  /** Every way that was tried, in order. */
  readonly tried: readonly Tried[];
  /** How to get one. */
  readonly advice: string;
}

export interface Tried {
  readonly way: Source;
  readonly why: string;
}

/** A server that tests can ask for by name. Adding one is a file with its definition, and a line in `servers.ts`. */
export interface ServerDefinition {
  readonly name: string;
  /** The environment variable with the URL of a server that runs already. */
  readonly variable: string;
  readonly advice: string;
  readonly askVersion: Reach["askVersion"];
  /** How to start one, best first. */
  readonly ways: readonly Way[];
}

export interface Way {
  readonly source: Exclude<Source, "url">;
  /** Starts one that answers. Fails with the reason where this way is closed, and leaves nothing behind then. */
  readonly start: (order: Order) => Promise<OwnServer>;
}

export interface Order {
  readonly env: Environment;
  /** What was committed survives a power failure, as in production. Otherwise the server is as fast as it can be. */
  readonly durable: boolean;
  readonly signal: AbortSignal | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** How a server that we have started is reached. */
export interface Reach {
  readonly url: (at: { readonly host: string; readonly port: number; readonly password: string }) => string;
  /** Asks the server for its version; fails where it does not answer. */
  readonly askVersion: (url: string) => Promise<string>;
}

export interface OwnServer {
  readonly url: string;
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
}
