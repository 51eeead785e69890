import type { ActorEvent, Snapshot } from "@tidemark/core";

/** What happened to accounts, by event type. */
export type AccountEvent =
  | { readonly type: "opened"; readonly data: { readonly owner: string } }
  | { readonly type: "deposited"; readonly data: { readonly amount: number } }
  | { readonly type: "withdrawn"; readonly data: { readonly amount: number } };

export interface Account {
  readonly owner?: string;
  readonly balance: number;
}

/** The state after these events. The same ones in the same order give the same state, on every node: no clock in here. */
export function replay(snapshot: Snapshot | undefined, events: readonly ActorEvent[]): Account {
  const { owner, balance = 0 } = (snapshot?.state ?? {}) as Partial<Account>; // not the system fields
  const known = { ...(owner === undefined ? {} : { owner }), balance };
  return events.map(({ type, data }) => ({ type, data }) as AccountEvent).reduce(apply, known);
}

function apply(account: Account, { type, data }: AccountEvent): Account {
  switch (type) {
    case "opened":
      return { ...account, owner: data.owner };
    case "deposited":
      return { ...account, balance: account.balance + data.amount };
    case "withdrawn":
      return { ...account, balance: account.balance - data.amount };
  }
}
