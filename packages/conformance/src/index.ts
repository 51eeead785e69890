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
export { type Bench, inapplicable, type Law, override, type Site, type Tooth } from "./law.ts";
export { laws } from "./laws.ts";
export type { Child } from "./processes.ts";
export type { Effects, RawTransaction, Subject, TestDatabase } from "./subject.ts";
export { renderSummary, renderTable } from "./table.ts";
