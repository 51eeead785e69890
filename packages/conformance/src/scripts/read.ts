import { deposit } from "../events.ts";
import type { Script } from "../script.ts";

export const readScripts: Readonly<Record<string, Script>> = {
  "read/append-when-told": async ({ open, say, hear }) => {
    const store = await open();
    say("ready");
    await hear("append");
    await store.append(deposit("alice"));
    await store.close();
    return undefined;
  },
};
