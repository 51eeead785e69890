import { defineObserver, defineProjector, formatPosition, type Observer, type Projector } from "@tidemark/core";
import type { Broker } from "./broker.ts";
import type { OrderEvents } from "./events.ts";
import type { SalesTable } from "./shop.ts";

/** Of each consumer. Four processes hold two each; when one dies, the others share its two. */
export const SEGMENTS = 8;

export const SALES = "sales";

/** Keeps the read model. All orders of a customer are in one segment, so no two processes wait for the same row. */
export function defineSales<Tx>(sales: SalesTable<Tx>): Projector<Tx> {
  return defineProjector<Tx, OrderEvents>({
    name: SALES,
    segments: SEGMENTS,
    handlers: {
      "order-placed": ({ aggregate, data }, { tx }) => sales.add(tx, aggregate.id, data.cents),
    },
  });
}

/** Tells the world. It may be told twice, after a crash; the position tells the broker that it is the same event. */
export function definePublisher(broker: Broker): Observer {
  return defineObserver<OrderEvents>({
    name: "publisher",
    segments: SEGMENTS,
    start: "beginning",
    handlers: {
      "order-placed": ({ position, type, id, aggregate, data }, { signal }) =>
        broker.publish(
          { key: formatPosition(position), subject: type, body: { order: id, customer: aggregate.id, ...data } },
          { signal },
        ),
    },
  });
}
