import type { SqliteStore } from "@tidemark/adapter-sqlite";
import type { AnyConsumer } from "@tidemark/core";
import type { Database } from "better-sqlite3";
import { defineAnnouncements } from "./announcements.ts";
import { Complaint } from "./complaint.ts";
import { announcementFiles } from "./database-file.ts";
import { defineRadar } from "./radar.ts";
import { createTables } from "./read-model.ts";
import { createTrainTable } from "./train-table.ts";
import { defineTrains } from "./trains.ts";

const NAMES = ["radar", "trains", "announcements", "carefree"] as const;

/** The consumers of this application: a projector, a saga, and an observer in two ways. */
export type ConsumerName = (typeof NAMES)[number];

export function consumerName(text: string): ConsumerName {
  const name = NAMES.find((candidate) => candidate === text);
  if (name === undefined) throw new Complaint(`--consumer is one of ${NAMES.join(", ")}, got ${JSON.stringify(text)}.`);
  return name;
}

export interface ConsumerParts {
  readonly store: SqliteStore;
  /** The database; announcements are written beside it. */
  readonly file: string;
  /** Of the radar's tables. */
  readonly version: number;
  readonly onWritten: () => Promise<void>;
}

/** Creates the tables of a consumer, and defines it. */
export async function prepareConsumer(
  name: ConsumerName,
  { store, file, version, onWritten }: ConsumerParts,
): Promise<AnyConsumer<Database>> {
  const files = announcementFiles(file);
  switch (name) {
    case "radar":
      await createTables(store, version);
      return defineRadar(version);
    case "trains":
      await createTrainTable(store);
      return defineTrains();
    case "announcements":
      return defineAnnouncements({ file: files.once, once: true, onWritten });
    case "carefree":
      return defineAnnouncements({ file: files.carefree, once: false, onWritten });
  }
}
