// Compares a database that the demo has left with the input files once more:
//
//   node dist/verify.js [--version 2] [--file …]
import { parseArgs } from "node:util";
import Database from "better-sqlite3";
import { compareTables } from "./compare.ts";
import { Complaint, runProgram } from "./complaint.ts";
import { DEFAULT_FILE, existingFile } from "./database-file.ts";
import { expectedTables, expectedTrains } from "./expected.ts";
import { wholeNumber } from "./options.ts";
import { hasTables, readTables } from "./read-model.ts";
import { readReleases } from "./releases.ts";
import { readTrains } from "./train-table.ts";
import { showComparison } from "./verdict.ts";
import { createTerminal } from "./terminal.ts";

await runProgram(async () => {
  const { values } = parseArgs({
    options: {
      file: { type: "string", default: DEFAULT_FILE },
      version: { type: "string", default: "1" },
      limit: { type: "string" },
    },
  });
  const version = wholeNumber("version", values.version, 1);
  const limit = values.limit === undefined ? undefined : wholeNumber("limit", values.limit, 1);
  const db = new Database(existingFile(values.file), { readonly: true });
  try {
    if (!hasTables(db, version)) {
      throw new Complaint(`${values.file} has no tables of version ${version}. Build them with dist/consume.js.`);
    }
    const found = { ...readTables(db, version), trains: readTrains(db) };
    const releases = readReleases(limit);
    const trains = found.trains === undefined ? undefined : expectedTrains(releases);
    return showComparison(createTerminal(), compareTables({ ...expectedTables(releases), trains }, found)) ? 0 : 1;
  } finally {
    db.close();
  }
});
