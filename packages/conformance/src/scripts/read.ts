import { deposit } from "../events.ts";
import { turn } from "../expect.ts";
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

  /** It may take a while until what this process tells is told to anyone. */
  "read/append-until-heard": async ({ open, say, hear }) => {
    const store = await open();
    say("ready");
    await hear("append");
    let isHeard = false;
    const heard = hear("heard").then(() => (isHeard = true));
    while (!isHeard) {
      await store.append(deposit("alice"));
      await Promise.race([heard, turn(50)]);
    }
    await store.close();
    return undefined;
  },
};
