export {
  checkConformance,
  type CheckOptions,
  checkLaw,
  checkTooth,
  type Deviation,
  type Finding,
  type Report,
} from "./check.ts";
export { judge, type JudgeOptions, type Verdict } from "./judge.ts";
export { type Bench, type Conditions, inapplicable, type Law, override, type Site, type Tooth } from "./law.ts";
export { laws, lawsOf } from "./laws.ts";
export type { Child } from "./processes.ts";
export { type ReaderResult, storm, type StormOptions, type StormResult } from "./storm.ts";
export type {
  AdapterOptions,
  Borrowed,
  Effects,
  Line,
  RawTransaction,
  SchemaHooks,
  Subject,
  TestDatabase,
} from "./subject.ts";
export { renderSummary, renderTable } from "./table.ts";
