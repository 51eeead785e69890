import type { ConsumerKey, ConsumerRow } from "../adapter/consumers.ts";
import { TidemarkError } from "../errors.ts";
import { consumerLabel } from "./name.ts";

export function refuseOtherLog(row: ConsumerRow, logId: string): void {
  if (row.logId === undefined || row.logId === logId) return;
  const consumer = consumerLabel(row.key);
  throw new TidemarkError(
    "LOG_MISMATCH",
    `The checkpoint of ${consumer} belongs to log ${row.logId}, but events would be read from log ${logId}. Open the ` +
      "log that it belongs to, use another consumer name or version, or delete the consumer to begin anew.",
    { consumer, stored: row.logId, given: logId },
  );
}

export function unknownConsumer(key: ConsumerKey): TidemarkError<"CONSUMER_UNKNOWN"> {
  const consumer = consumerLabel(key);
  return new TidemarkError("CONSUMER_UNKNOWN", `${consumer} is not declared. Call consumers.declare first.`, {
    consumer,
  });
}

export function versionActive(key: ConsumerKey): TidemarkError<"VERSION_ACTIVE"> {
  const consumer = `${key.name} (version ${key.version})`;
  return new TidemarkError(
    "VERSION_ACTIVE",
    `${consumer} is the active version. Promote another one first; to be rid of the consumer altogether, retire the ` +
      "other versions and then delete it.",
    { consumer },
  );
}
