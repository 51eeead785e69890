import { createHash } from "node:crypto";
import type { Association } from "../adapter/sagas.ts";
import type { AggregateRef } from "../values/aggregate.ts";

/**
 * What has to be handled in order, as texts of fixed length: while an event of a sequence is parked, the later ones of
 * that sequence wait behind it. Part of the stored format.
 */
export function aggregateSequence({ context, type, id }: AggregateRef): string {
  return digest(["aggregate", context, type, id]);
}

export function associationSequence(saga: string, { property, value }: Association): string {
  return digest(["association", saga, property, value]);
}

export function sagaSequence(saga: string, id: string): string {
  return digest(["saga", saga, id]);
}

function digest(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}
