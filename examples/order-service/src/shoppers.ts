import { setTimeout as sleep } from "node:timers/promises";
import type { Service } from "./fleet.ts";
import type { Sales } from "./shop.ts";

const CUSTOMERS = ["ada", "alan", "barbara", "donald", "edsger", "frances", "grace", "john", "ken", "leslie"];

interface Order {
  readonly id: string;
  readonly customer: string;
  readonly cents: number;
}

export function makeOrders(count: number): readonly Order[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `order-${index + 1}`,
    customer: CUSTOMERS[index % CUSTOMERS.length] ?? "",
    cents: 100 + index,
  }));
}

/** What the read model has to say after them, by plain code. */
export function salesOf(orders: readonly Order[]): readonly Sales[] {
  return CUSTOMERS.map((customer) => {
    const theirs = orders.filter((order) => order.customer === customer);
    return { customer, orders: theirs.length, cents: theirs.reduce((sum, { cents }) => sum + cents, 0) };
  });
}

/** Places orders, `shoppers` at once, each at another service. Resolves with how many requests had to be repeated. */
export async function placeAll(fleet: readonly Service[], orders: readonly Order[], shoppers = 32): Promise<number> {
  let repeated = 0;
  const queue = orders.entries();
  const shop = async (): Promise<void> => {
    for (const [index, order] of queue) {
      for (let attempt = 0; !(await place(fleet[(index + attempt) % fleet.length], order)); attempt++) {
        repeated += 1;
        await sleep(50);
      }
    }
  };
  await Promise.all(Array.from({ length: shoppers }, shop));
  return repeated;
}

/** Resolves with false when nobody knows what became of it: the process has died, or is too busy. */
async function place(service: Service | undefined, { id, customer, cents }: Order): Promise<boolean> {
  const response = await fetch(`${service?.url}/customers/${customer}/orders`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ order: id, cents }),
  }).catch(() => undefined);
  if (response === undefined || response.status === 503) return false;
  if (!response.ok) throw new Error(`${id} was answered with ${response.status}: ${await response.text()}`);
  return true;
}
