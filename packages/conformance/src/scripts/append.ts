import process from "node:process";
import { isTidemarkError } from "@tidemark/core";
import { account, deposit, deposits } from "../events.ts";
import { atOnce, collect, elsewhere } from "../expect.ts";
import type { Script } from "../script.ts";

/** Versions that the processes of `append/race` compete for. */
export const RACE_ROUNDS = 25;

export const appendScripts: Readonly<Record<string, Script>> = {
  /** Tries to be the one who appends version 1, 2, 3 …; returns the versions that it was. */
  "append/race": async ({ open, say, hear }) => {
    const store = await open();
    say("ready");
    await hear("go");
    const won: number[] = [];
    for (let version = 1; version <= RACE_ROUNDS; version++) {
      try {
        await store.append({ aggregate: account("race"), events: deposits(1, version), expected: version - 1 });
        won.push(version);
      } catch (error) {
        if (!isTidemarkError(error, "VERSION_CONFLICT")) throw error;
      }
    }
    await store.close();
    return won;
  },

  /** Waits for an aggregate that other code holds; returns what became of that. */
  "append/bystander": async ({ open, database }) => {
    const store = await open();
    const raw = await database.begin();
    await elsewhere(() => store.within(raw.tx).append(deposit("busy")));
    const waiting = store.append(deposit("busy")).then(
      (result) => `version ${result.first}`,
      (error: unknown) => String(error),
    );
    await atOnce(waiting);
    await raw.commit();
    const result = await waiting;
    await store.close();
    return result;
  },

  /** In a time zone of its own: appends an event that occurred at a moment, and returns the moments of all events. */
  "values/time": async ({ open }, args) => {
    const { timeZone, occurredOn } = asTimeArgs(args);
    process.env["TZ"] = timeZone;
    const store = await open();
    await store.append({
      aggregate: account("clock"),
      events: [{ type: "struck", data: timeZone, occurredOn: new Date(occurredOn) }],
    });
    const events = await collect(store.readAggregate(account("clock")));
    await store.close();
    return events.map((event) => event.occurredOn.getTime());
  },
};

/** What the law hands over. */
function asTimeArgs(args: unknown): { readonly timeZone: string; readonly occurredOn: number } {
  return args as { readonly timeZone: string; readonly occurredOn: number };
}
