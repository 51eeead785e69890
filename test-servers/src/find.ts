import { requiredServers } from "./required.ts";
import type { Environment, Found, Missing, ServerDefinition, Source, TestServer, Tried, Way } from "./server.ts";
import { definitionOf } from "./servers.ts";

export interface FindOptions {
  /**
   * `true`: what was committed survives a power failure, as in production; for benchmarks and tests of crashes. Default
   * `false`: as fast as possible. A server behind a URL is as it is.
   */
  readonly durable?: boolean | undefined;
  /** The ways that may be tried, in the order of the chain all the same. Without `"url"` the server is surely ours. */
  readonly ways?: readonly Source[] | undefined;
  /** Default `process.env`. */
  readonly env?: Environment | undefined;
  /** Gives up between two ways and while a server starts. What was started is removed. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds the server of that name, or starts one: a URL in the environment, a container, binaries on this machine,
 * binaries from npm, whichever comes first. Each call starts its own.
 *
 * @throws where `TIDEMARK_REQUIRE` lists the server and it is missing
 */
export async function findServer(name: string, options: FindOptions = {}): Promise<Found | Missing> {
  const answer = await seekServer(name, options);
  if (answer.kind === "missing" && requiredServers(options.env).has(name)) {
    throw new Error(`TIDEMARK_REQUIRE lists ${name}, and it is missing.\n${explain(answer)}`);
  }
  return answer;
}

/** As `findServer`, but missing is an answer even where the server is required. */
export async function seekServer(name: string, options: FindOptions = {}): Promise<Found | Missing> {
  const { durable = false, env = process.env, signal } = options;
  const definition = definitionOf(name, "findServer");
  const allowed = (source: Source): boolean => options.ways?.includes(source) ?? true;
  const tried: Tried[] = [];
  const missing = (): Missing => ({ kind: "missing", name, tried, advice: definition.advice });

  if (allowed("url")) {
    const url = env[definition.variable];
    if (url) {
      try {
        return { kind: "found", server: await borrowed(definition, url) };
      } catch (error) {
        // The end of the chain: whoever gave a URL wants that server, and not to be served by another one in silence.
        tried.push({ way: "url", why: `${definition.variable} is set, but: ${reason(error)}` });
        return missing();
      }
    }
    tried.push({ way: "url", why: `${definition.variable} is not set` });
  }
  for (const way of definition.ways.filter(({ source }) => allowed(source))) {
    signal?.throwIfAborted();
    try {
      return { kind: "found", server: await started(definition, way, { env, durable, signal }) };
    } catch (error) {
      signal?.throwIfAborted();
      tried.push({ way: way.source, why: reason(error) });
    }
  }
  return missing();
}

/** What was tried and how to get the server, in a few lines. */
export function explain({ name, tried, advice }: Missing): string {
  return [`${name} is missing:`, ...tried.map(({ way, why }) => `  ${way}: ${why}`), `  To get it: ${advice}`].join(
    "\n",
  );
}

async function borrowed(definition: ServerDefinition, url: string): Promise<TestServer> {
  const version = await definition.askVersion(url);
  return { name: definition.name, url, version, source: "url", stop: async () => {} };
}

async function started(
  definition: ServerDefinition,
  way: Way,
  order: Parameters<Way["start"]>[0],
): Promise<TestServer> {
  const { url, restart, stop } = await way.start(order);
  try {
    return { name: definition.name, url, version: await definition.askVersion(url), source: way.source, restart, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** An error in one line. Those of sockets come as a group, which has no words of its own. */
function reason(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(reason).join(", ");
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().replaceAll(/\s*\n\s*/g, " / ");
}
