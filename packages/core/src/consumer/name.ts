import type { ConsumerKey } from "../adapter/consumers.ts";
import { checkText, invalid } from "../store/requests.ts";

/** A consumer by its name, or by name and version of its read model; version 1 when absent. */
export type ConsumerInput = string | { readonly name: string; readonly version?: number | undefined };

export function resolveConsumer(input: ConsumerInput): ConsumerKey {
  const { name, version = 1 } = typeof input === "string" ? { name: input } : input;
  checkText("consumer.name", "consumerNameBytes", name);
  if (!Number.isSafeInteger(version) || version < 1) {
    throw invalid("consumer.version", `A consumer's version is a whole number from 1, got ${String(version)}.`);
  }
  return { name, version };
}

/** For messages and for maps in memory. */
export function consumerLabel(key: ConsumerKey): string {
  return key.version === 1 ? key.name : `${key.name} (version ${key.version})`;
}
