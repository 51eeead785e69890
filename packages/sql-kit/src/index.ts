export { batchState, eventKey, inLockOrder, positionAt, refsOf } from "./append.ts";
export { digestOf } from "./associations.ts";
export { timeAfter } from "./clock.ts";
export { invalidArgument, notOpen, otherLog, transactionEnded } from "./errors.ts";
export { insist, pause } from "./insist.ts";
export { keepingLast } from "./kept.ts";
export { oneForEachPosition } from "./letters.ts";
export { decodeMember, type MemberColumns, membersOf } from "./members.ts";
export { emptySchema, isIncomplete, type Migration, schemaMismatch, type SchemaWords } from "./migrations.ts";
export { type Ident, ident, type NameRule, quoted, rename, renameAll } from "./names.ts";
export { milliseconds } from "./options.ts";
export { NO_VERSION, Told } from "./reads.ts";
export {
  decodeConsumer,
  decodeDeadline,
  decodeEvent,
  decodeHolder,
  decodeKnown,
  decodeLetter,
  decodeLink,
  decodeNumber,
  decodePosition,
  decodeSaga,
  decodeSegment,
  decodeSegmentState,
  decodeSequence,
  decodeSnapshot,
  storable,
} from "./rows.ts";
export { isWhole } from "./scope.ts";
