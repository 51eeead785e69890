import type { SagaContext } from "@tidemark/core";
import { account } from "../events.ts";
import { type CrashStep, crashingAt } from "../faults.ts";
import { follow, type OrderEvent, orders, type TrailState } from "../sagas.ts";
import { argsOf, consumeOn, type Script } from "../script.ts";

export const sagaScripts: Readonly<Record<string, Script>> = {
  /** Follows orders in batches of two, and is killed on the way of its second batch. */
  "sagas/die": async ({ open, consume, die }, args) => {
    const { step, config } = argsOf<{ readonly step: CrashStep; readonly config?: unknown }>(args);
    let armed = false;
    const crash = (): void => {
      if (armed) die();
    };
    const store = await open({}, (real) => crashingAt(real, step, crash));
    const log = config === undefined ? store : await open({}, undefined, config);
    const handle = (event: OrderEvent, state: TrailState | undefined, context: SagaContext<unknown>): TrailState => {
      armed ||= event.data.step === "4";
      if (step === "before-handler") crash();
      context.append({ aggregate: account(step), events: [{ type: "reacted", data: event.data.step }] });
      if (step === "after-effect") crash();
      return follow(event, state);
    };
    return consumeOn(() => consume(store, orders(handle, { name: step }), { log, fetchSize: 2, leaseMs: 300 }));
  },
};
