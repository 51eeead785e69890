import fastify from "fastify";
import type { Message } from "./broker.ts";

export interface BrokerServer {
  readonly url: string;
  /** What subscribers got, in order. */
  readonly accepted: readonly Message[];
  /** How many were dropped, because their keys were known. */
  readonly duplicates: number;
  close(): Promise<void>;
}

/**
 * A broker in memory that takes messages by HTTP and drops those whose key it knows. `beforeAnswer` is called when a
 * message is taken and its publisher, whose name it gets, does not know that yet.
 */
export async function startBroker(beforeAnswer?: (publisher: string, accepted: number) => void): Promise<BrokerServer> {
  const app = fastify();
  const messages = new Map<string, Message>();
  let duplicates = 0;
  app.post<{ Body: Message; Headers: { publisher: string } }>("/", async ({ body, headers }, reply) => {
    if (messages.has(body.key)) duplicates += 1;
    else messages.set(body.key, body);
    beforeAnswer?.(headers.publisher, messages.size);
    return reply.code(204).send();
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    url,
    get accepted() {
      return [...messages.values()];
    },
    get duplicates() {
      return duplicates;
    },
    close: () => app.close(),
  };
}
