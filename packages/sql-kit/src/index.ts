export { digestOf } from "./associations.ts";
export { invalidArgument, notOpen, otherLog, transactionEnded } from "./errors.ts";
export { isIncomplete, type Migration, schemaMismatch, type SchemaWords } from "./migrations.ts";
export { type Ident, ident, type NameRule, quoted, rename, renameAll } from "./names.ts";
export {
  decodeConsumer,
  decodeDeadline,
  decodeEvent,
  decodeKnown,
  decodeLetter,
  decodePosition,
  decodeSaga,
  decodeSegment,
  decodeSegmentState,
} from "./rows.ts";
export { isWhole } from "./scope.ts";
