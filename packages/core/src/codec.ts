import { isDeepStrictEqual } from "node:util";
import { TidemarkError } from "./errors.ts";
import { LIMITS } from "./values/limits.ts";

/**
 * What a value belongs to. `type` is the event type, the saga's name, the actor's type. An `"event-pack"` is a list of
 * events whose data and metadata are texts already, each encoded as `"event-data"` and `"event-metadata"`.
 */
export interface CodecSubject {
  readonly kind: "event-data" | "event-metadata" | "saga-state" | "deadline-data" | "snapshot-state" | "event-pack";
  readonly type: string;
}

/**
 * Maps between an application's values and JSON values: the place for object mapping, upcasting old events and
 * encryption. What `toJson` returns must be plain JSON; what `fromJson` returns is what handlers see.
 */
export interface Serializer {
  readonly toJson: (value: unknown, subject: CodecSubject) => unknown;
  readonly fromJson: (json: unknown, subject: CodecSubject) => unknown;
}

/** The only place where JSON is written and read. */
export interface Codec {
  /** Throws INVALID_EVENT, naming the path, for what JSON cannot hold. */
  readonly encode: (value: unknown, subject: CodecSubject) => string;
  /** Throws UNREADABLE when `text` is not JSON or the serializer refuses it. */
  readonly decode: (text: string, subject: CodecSubject) => unknown;
  /**
   * Whether two stored texts hold the same value, whatever the order of their keys. With a serializer: whether it writes
   * what it reads from them as the same; where it never writes the same twice, as with encryption, whether what it reads is
   * deeply equal.
   */
  readonly same: (a: string, b: string, subject: CodecSubject) => boolean;
}

export function createCodec(serializer?: Serializer): Codec {
  const decode = (text: string, subject: CodecSubject): unknown => {
    try {
      const json: unknown = JSON.parse(text);
      return serializer === undefined ? json : serializer.fromJson(json, subject);
    } catch (cause) {
      throw new TidemarkError(
        "UNREADABLE",
        `The ${subject.kind} of ${subject.type} cannot be decoded. Look at the cause: the stored text is not JSON, or ` +
          "the serializer does not know this form of it.",
        { position: undefined },
        { cause },
      );
    }
  };
  const encode = (value: unknown, subject: CodecSubject): string => {
    const json = serializer === undefined ? value : serializer.toJson(value, subject);
    refuseWhatJsonCannotHold(json, subject);
    return JSON.stringify(json);
  };
  /** As it would be written now: what was written in an older form as well. */
  const rewritten = (text: string, subject: CodecSubject): string => canonical(encode(decode(text, subject), subject));
  return {
    encode,
    decode,
    same: (a, b, subject) => {
      if (a === b) return true;
      const form = rewritten(a, subject);
      if (form === rewritten(b, subject)) return true;
      const repeats = serializer === undefined || form === rewritten(a, subject);
      return !repeats && isDeepStrictEqual(decode(a, subject), decode(b, subject));
    },
  };
}

interface Frame {
  readonly subject: CodecSubject;
  readonly ancestors: object[];
  readonly path: (string | number)[];
}

function refuseWhatJsonCannotHold(value: unknown, subject: CodecSubject): void {
  check(value, { subject, ancestors: [], path: [] });
}

function check(value: unknown, frame: Frame): void {
  switch (typeof value) {
    case "string":
    case "boolean":
      return;
    case "number":
      if (!Number.isFinite(value)) refuse(String(value), "a finite number or null", frame);
      return;
    case "object":
      if (value !== null) checkObject(value, frame);
      return;
    case "undefined":
      return refuse("undefined", "null, or leave it out", frame);
    case "bigint":
      return refuse("a bigint", "a string of its digits", frame);
    case "function":
      return refuse("a function", "plain data", frame);
    case "symbol":
      return refuse("a symbol", "a string", frame);
  }
}

function checkObject(value: object, frame: Frame): void {
  if (frame.ancestors.includes(value)) refuse("a cycle", "a tree without references back to its parents", frame);
  if (frame.ancestors.length === LIMITS.nesting) {
    throw new TidemarkError(
      "LIMIT_EXCEEDED",
      `The ${frame.subject.kind} of ${frame.subject.type} is nested deeper than ${LIMITS.nesting} levels. Flatten it.`,
      { limit: "nesting", allowed: LIMITS.nesting, actual: LIMITS.nesting + 1 },
    );
  }
  frame.ancestors.push(value);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) checkMember(value[index], index, frame);
  } else if ("toJSON" in value && typeof value.toJSON === "function") {
    checkOwnForm(value, Reflect.apply(value.toJSON, value, [frame.path.at(-1)?.toString() ?? ""]), frame);
  } else {
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    if (kind !== "Object" || ArrayBuffer.isView(value)) refuse(`a ${kind}`, "a plain object or an array", frame);
    // An absent property and an undefined one mean the same, so an undefined property is left out, as JSON does.
    for (const [name, member] of Object.entries(value)) if (member !== undefined) checkMember(member, name, frame);
  }
  frame.ancestors.pop();
}

/** A value that brings its own JSON form, such as a `Date`, is stored in that form. */
function checkOwnForm(value: object, form: unknown, frame: Frame): void {
  if (value instanceof Date && form === null) refuse("an invalid Date", "a valid one", frame);
  check(form, frame);
}

function checkMember(member: unknown, name: string | number, frame: Frame): void {
  frame.path.push(name);
  check(member, frame);
  frame.path.pop();
}

function refuse(found: string, instead: string, frame: Frame): never {
  const path = frame.path.reduce<string>((text, step) => text + formatStep(step), "$");
  throw new TidemarkError(
    "INVALID_EVENT",
    `The ${frame.subject.kind} of ${frame.subject.type} holds ${found} at ${path}, which JSON cannot hold. Use ${instead}.`,
    { path },
  );
}

function formatStep(step: string | number): string {
  if (typeof step === "number") return `[${step}]`;
  return /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}

/** The canonical encoding of a JSON text: keys in code-unit order on every level. */
function canonical(text: string): string {
  return JSON.stringify(JSON.parse(text), (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
