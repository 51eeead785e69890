// An actor, as applications of consequent define it.
import type { ActorDefinition } from "./library.ts";

/** Counts what is applied to any account, by the event's id: a snapshot spares that. */
export interface Applied {
  readonly ids: string[];
}

export function defineAccount(applied: Applied, settings: object = {}): ActorDefinition {
  interface Account {
    balance: number;
    history: string[];
  }
  const change = (account: Account, event: { id?: string; text: string; amount: number }): void => {
    // Those that a command has just made have no id yet.
    if (event.id !== undefined) applied.ids.push(event.id);
    account.balance += event.amount;
    account.history.push(event.text);
  };
  return {
    actor: { type: "account", identifiedBy: "number", eventThreshold: 3, storeEventPack: true, ...settings },
    state: { balance: 0, history: [] },
    commands: {
      deposit: {
        then: (_account: object, { text, amount }: { text: string; amount: number }) => ({
          type: "account.deposited",
          text,
          amount,
        }),
        map: false,
      },
      withdraw: {
        // One that throws at once, and not by its promise, leaves consequent's `handle` pending for ever.
        then: async ({ state }: { state: Account }, { text, amount }: { text: string; amount: number }) => {
          if (state.balance < amount) throw new Error("not enough");
          return [
            { type: "account.withdrawn", text, amount: -amount },
            { type: "account.withdrawn", text: `${text}: fee`, amount: -1 },
          ];
        },
        map: false,
      },
    },
    events: { deposited: { then: change, map: false }, withdrawn: { then: change, map: false } },
  };
}
