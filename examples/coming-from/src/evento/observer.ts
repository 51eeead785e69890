import { defineObserver, type Observer } from "@tidemark/core";
import type { Events } from "./events.ts";

export interface Mailer {
  /** Sends nothing when it has sent this key before. */
  send(
    message: { readonly key: string; readonly text: string },
    options: { readonly signal: AbortSignal },
  ): Promise<void>;
}

export const receipts = (mailer: Mailer): Observer =>
  defineObserver<Events>({
    name: "receipts",
    concurrency: 8, // handlers at once, each of another aggregate
    dedupe: "claim", // what was completed before a crash is not run again
    handlers: {
      "order-paid": ({ id, aggregate }, { signal }) =>
        mailer.send({ key: id, text: `Order ${aggregate.id} is paid. Thank you!` }, { signal }),
    },
  });
