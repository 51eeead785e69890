import type { SqliteTransaction } from "@tidemark/adapter-sqlite";
import { defineSaga, type SagaConsumer } from "@tidemark/core";
import type { Events } from "./events.ts";

interface Payment {
  readonly total: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export const payment: SagaConsumer<SqliteTransaction> = defineSaga<SqliteTransaction, Payment, Events>({
  name: "payment",
  handlers: {
    "order-placed": {
      association: { property: "orderId", value: (event) => event.aggregate.id },
      starts: true, // an init handler
      handle: ({ aggregate, data, occurredOn }, _state, { schedule }) => {
        schedule("payment-due", new Date(occurredOn.getTime() + DAY_MS));
        return { associations: { orderId: aggregate.id }, data: { total: data.total } };
      },
    },
    "order-paid": {
      association: { property: "orderId", value: (event) => event.aggregate.id },
      handle: ({ data }, state, { cancel }) => {
        if (state === undefined) return;
        cancel("payment-due");
        return { ...state, associations: { ...state.associations, paymentId: data.paymentId } };
      },
    },
    "payment-settled": {
      association: { property: "paymentId", value: (event) => event.data.paymentId },
      handle: (_event, state) => state && { ...state, ended: true },
    },
  },
  deadlines: {
    "payment-due": (_deadline, state, { append }) => {
      if (state === undefined) return;
      const aggregate = { type: "order", id: state.associations["orderId"] ?? "" };
      append({ aggregate, events: [{ type: "order-cancelled", data: { reason: "not paid in time" } }] });
      return { ...state, ended: true };
    },
  },
});
