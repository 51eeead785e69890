import { deposit } from "../events.ts";
import type { Script } from "../script.ts";

/** What a process found when it started on a database that no other had migrated yet. */
export interface FirstStart {
  readonly logId: string;
  readonly version: number;
}

export const lifetimeScripts: Readonly<Record<string, Script>> = {
  "lifetime/first-start": async ({ open, say, hear }) => {
    say("ready");
    await hear("go");
    const store = await open();
    const { first } = await store.append(deposit("alice"));
    await store.close();
    return { logId: store.logId, version: first } satisfies FirstStart;
  },
};
