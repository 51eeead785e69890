import { isTidemarkError, isTransient, type Store } from "@tidemark/core";
import { traced, type Worker } from "@tidemark/worker";
import fastify, { type FastifyInstance } from "fastify";
import { SALES } from "./consumers.ts";
import { metricsOf } from "./metrics.ts";
import type { SalesTable } from "./shop.ts";

export interface AppParts<Tx> {
  readonly store: Store<Tx>;
  readonly sales: SalesTable<Tx>;
  readonly worker: Worker;
}

/** How long a request waits to see its own order. */
const PATIENCE_MS = 10_000;

const ORDER = {
  type: "object",
  required: ["order", "cents"],
  properties: { order: { type: "string", minLength: 1 }, cents: { type: "integer", minimum: 1 } },
};

interface PlaceOrder {
  Params: { readonly customer: string };
  Body: { readonly order: string; readonly cents: number };
}

export function createApp<Tx>({ store, sales, worker }: AppParts<Tx>): FastifyInstance {
  const app = fastify();

  /**
   * The same order again changes nothing, because its id is the event's. So a client that got no answer may ask again,
   * and need not ask the same process.
   */
  app.post<PlaceOrder>("/customers/:customer/orders", { schema: { body: ORDER } }, async ({ params, body }, reply) => {
    const aggregate = { type: "customer", id: params.customer };
    const event = { id: body.order, type: "order-placed", data: { cents: body.cents }, metadata: traced() };
    const { positions } = await store.append({ aggregate, events: [event] });
    for (const position of positions) {
      // By whichever process has the customer's segment.
      const became = await store.waitFor(SALES, position, { aggregate, timeoutMs: PATIENCE_MS });
      if (became === "parked") return reply.code(202).send({ placed: true, seen: "parked" });
    }
    return reply.code(201).send(await sales.read(params.customer));
  });

  app.get<{ Params: PlaceOrder["Params"] }>("/customers/:customer", ({ params }) => sales.read(params.customer));

  app.get("/live", (_, reply) => reply.code(worker.status().live ? 200 : 503).send());

  app.get("/ready", async (_, reply) => {
    const { ready, phase, healthy, consumers } = worker.status();
    const held = consumers.map(({ name, state, segments }) => ({
      name,
      state,
      segments: segments.flatMap((one) => (one.held ? [one.segment] : [])),
    }));
    return reply.code(ready ? 200 : 503).send({ phase, healthy, consumers: held });
  });

  app.get("/metrics", async (_, reply) => reply.type("text/plain; version=0.0.4").send(metricsOf(worker.status())));

  app.setErrorHandler((error, _, reply) => {
    // It is in the log, only nobody has seen to it yet.
    if (isTidemarkError(error, "WAIT_TIMEOUT")) return reply.code(202).send({ placed: true, seen: "later" });
    if (isTidemarkError(error, "KNOWN_EVENT_IDS")) return reply.code(409).send({ error: "another order has this id" });
    if (isTransient(error)) return reply.code(503).header("retry-after", "1").send({ error: "try again" });
    return reply.send(error);
  });

  return app;
}
