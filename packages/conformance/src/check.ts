import { inapplicable, type Law } from "./law.ts";
import { laws as allLaws } from "./laws.ts";
import { judge, type Verdict } from "./judge.ts";
import type { Subject } from "./subject.ts";

/**
 * A law that an adapter is known to break. Strict: when the law holds, or breaks in another way, the deviation itself
 * is what fails.
 */
export interface Deviation {
  readonly law: string;
  /** Matches what the law says when it breaks. */
  readonly how: RegExp;
  readonly why: string;
  /** The release or event that ends it. */
  readonly until: string;
}

export interface CheckOptions {
  /** Default: all. */
  readonly laws?: readonly Law[] | undefined;
  readonly deviations?: readonly Deviation[] | undefined;
  /** Told of each finding as it is made. */
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

/** What was found about one law. All of it survives JSON. */
export type Finding =
  | { readonly law: string; readonly promise: string; readonly kind: "holds" }
  | {
      readonly law: string;
      readonly promise: string;
      readonly kind: "deviates";
      readonly why: string;
      readonly until: string;
    }
  | {
      readonly law: string;
      readonly promise: string;
      readonly kind: "not-applicable";
      /** The capability, or `server`, of which the law speaks only when it is there, or only when it is not. */
      readonly capability: string;
    }
  | { readonly law: string; readonly promise: string; readonly kind: "fails"; readonly how: string };

export interface Report {
  readonly subject: string;
  readonly conforms: boolean;
  readonly findings: readonly Finding[];
}

/** Judges every law against the subject, without any test runner. */
export async function checkConformance<Tx>(subject: Subject<Tx>, options: CheckOptions = {}): Promise<Report> {
  const findings: Finding[] = [];
  for (const law of options.laws ?? allLaws) {
    const finding = await checkLaw(law, subject, options.deviations);
    findings.push(finding);
    options.onFinding?.(finding);
  }
  return { subject: subject.name, conforms: findings.every((finding) => finding.kind !== "fails"), findings };
}

/** Judges one law and holds its verdict against the deviations. */
export async function checkLaw<Tx>(
  law: Law,
  subject: Subject<Tx>,
  deviations: readonly Deviation[] = [],
): Promise<Finding> {
  const about = { law: law.id, promise: law.promise };
  const capability = inapplicable(law, subject);
  if (capability !== undefined) return { ...about, kind: "not-applicable", capability };
  const verdict = await judge(law, subject);
  const deviation = deviations.find((candidate) => candidate.law === law.id);
  if (deviation === undefined) {
    return verdict.kind === "holds" ? { ...about, kind: "holds" } : { ...about, kind: "fails", how: describe(verdict) };
  }
  if (verdict.kind === "broken" && deviation.how.test(verdict.how)) {
    return { ...about, kind: "deviates", why: deviation.why, until: deviation.until };
  }
  return {
    ...about,
    kind: "fails",
    how: `The declared deviation (${deviation.how}) does not fit: ${describe(verdict)}`,
  };
}

/** Runs a law against its own broken store; undefined when it caught it, else what went wrong. */
export async function checkTooth<Tx>(law: Law, subject: Subject<Tx>): Promise<string | undefined> {
  const verdict = await judge(law, subject, { tooth: law.tooth, timeoutMs: 20_000 });
  switch (verdict.kind) {
    case "broken":
      return undefined;
    case "holds":
      return `The law did not notice a store that ${law.tooth.lie}.`;
    case "error":
      return `The law crashed instead of catching a store that ${law.tooth.lie}: ${describe(verdict)}`;
  }
}

function describe(verdict: Verdict): string {
  switch (verdict.kind) {
    case "holds":
      return "the law holds.";
    case "broken":
      return `${verdict.how}\n${verdict.where}`;
    case "error":
      return verdict.error instanceof Error ? (verdict.error.stack ?? verdict.error.message) : String(verdict.error);
  }
}
