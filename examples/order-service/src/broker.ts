import { TransientError } from "@tidemark/core";

export interface Message {
  /** The idempotency key: a message with a key that the broker has seen is dropped. */
  readonly key: string;
  readonly subject: string;
  readonly body: unknown;
}

/** What the service needs of a broker. The README has it for NATS and RabbitMQ. */
export interface Broker {
  /** Resolves when the broker has the message. Throws TRANSIENT when it may not have it: publish again. */
  publish(message: Message, options: { readonly signal: AbortSignal }): Promise<void>;
}

/** The broker of `broker-server.ts`. */
export function createHttpBroker(url: string, publisher: string): Broker {
  return {
    publish: async (message, { signal }) => {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", publisher },
        body: JSON.stringify(message),
        signal,
      }).catch((cause: unknown) => {
        throw new TransientError("The broker does not answer.", { cause });
      });
      if (!response.ok) throw new TransientError(`The broker answered ${response.status}.`);
    },
  };
}
