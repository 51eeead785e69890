// Another process, for sqlite.test.ts: does what its first argument names with the file of its second.
import { createSqliteStore } from "@tidemark/adapter-sqlite";
import Database from "better-sqlite3";

const [, , action, file] = process.argv;

switch (action ?? "") {
  case "migrate": {
    const store = await createSqliteStore({ file });
    process.stdout.write(store.logId);
    await store.close();
    break;
  }
  case "lock": {
    new Database(file).exec("begin immediate");
    process.stdout.write("locked");
    setInterval(() => undefined, 1_000);
    break;
  }
  case "append-and-hang": {
    const store = await createSqliteStore({ file });
    await store.transaction(async (tx, inside) => {
      await inside.append({ aggregate: { type: "order", id: "1" }, events: [{ type: "placed", data: {} }] });
      process.stdout.write("appended");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });
    break;
  }
  default:
    throw new Error(`There is no action ${action}.`);
}
