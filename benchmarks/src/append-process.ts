import process from "node:process";
import { createPostgresStore } from "@tidemark/adapter-postgres";
import { appendByCallers } from "./callers.ts";

/** A process of its own that appends when it is told to. */
const [url = ""] = process.argv.slice(2);
const store = await createPostgresStore({ connection: url });

process.on("message", (work: { readonly callers: number; readonly eventsEach: number }) => {
  void appendByCallers(store, work.callers, work.eventsEach).then(() => process.send?.("done"));
});
process.on("disconnect", () => void store.close().then(() => process.exit(0)));
process.send?.("ready");
