import type { RecordedEvent } from "@tidemark/core";

/**
 * What an event takes in memory, roughly, in bytes; undefined when it holds anything but JSON values: what a serializer
 * has made of it cannot be copied by those who do not know it.
 */
export function measure(event: RecordedEvent): number | undefined {
  const data = sizeOf(event.data);
  const metadata = sizeOf(event.metadata);
  return data === undefined || metadata === undefined ? undefined : 200 + data + metadata;
}

/** The event again, of which nothing is shared: whoever gets it may change it. */
export function copyEvent(event: RecordedEvent): RecordedEvent {
  const { aggregate, data, metadata, occurredOn, recordedAt } = event;
  return {
    ...event,
    aggregate: { ...aggregate },
    data: copy(data),
    metadata: copy(metadata),
    occurredOn: new Date(occurredOn),
    recordedAt: new Date(recordedAt),
  };
}

function sizeOf(value: unknown): number | undefined {
  if (typeof value === "string") return 16 + 2 * value.length;
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) return 8;
  if (typeof value !== "object" || !isPlain(value)) return undefined;
  let size = 32;
  for (const [key, member] of Object.entries(value)) {
    const memberSize = sizeOf(member);
    if (memberSize === undefined) return undefined;
    size += memberSize + (Array.isArray(value) ? 8 : 16 + 2 * key.length);
  }
  return size;
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function copy<T>(value: T): T;
function copy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Array.from<unknown, unknown>(value, (member) => copy(member));
  const copied: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    // As JSON.parse does it: `__proto__` is a name like any other.
    if (name === "__proto__") {
      Object.defineProperty(copied, name, {
        value: copy(member),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } else copied[name] = copy(member);
  }
  return copied;
}
