import type { Finding, Report } from "./check.ts";

/** The table "law × adapter" in Markdown, from reports of the same laws. */
export function renderTable(reports: readonly Report[]): string {
  const promises = new Map(
    reports.flatMap((report) => report.findings).map((finding) => [finding.law, finding.promise]),
  );
  const header = ["law", ...reports.map((report) => report.subject), "promise"];
  const rows = [...promises].map(([law, promise]) => [
    `\`${law}\``,
    ...reports.map((report) => mark(report.findings.find((finding) => finding.law === law))),
    promise.replaceAll("|", "\\|"),
  ]);
  return [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** The table "group of laws × adapter" in Markdown: how many laws of each group hold, and how many there are. */
export function renderSummary(reports: readonly Report[]): string {
  const groups = new Set(reports.flatMap((report) => report.findings.map(groupOf)));
  const header = ["laws about", ...reports.map((report) => report.subject)];
  const rows = [...groups].map((group) => [
    group,
    ...reports.map((report) => count(report.findings.filter((finding) => groupOf(finding) === group))),
  ]);
  const total = ["all", ...reports.map((report) => count(report.findings))];
  return [header, header.map(() => "---"), ...rows, total].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function groupOf(finding: Finding): string {
  return finding.law.split("/", 1)[0] ?? finding.law;
}

function count(findings: readonly Finding[]): string {
  const number = (kind: Finding["kind"]): number => findings.filter((finding) => finding.kind === kind).length;
  const parts: readonly (readonly [number, string])[] = [
    [number("holds"), "✓"],
    [number("fails"), "✗"],
    [number("deviates"), "deviate"],
    [number("not-applicable"), "–"],
  ];
  return parts.flatMap(([amount, sign]) => (amount === 0 ? [] : [`${amount} ${sign}`])).join(" · ");
}

function mark(finding: Finding | undefined): string {
  switch (finding?.kind) {
    case undefined:
      return "";
    case "holds":
      return "✓";
    case "deviates":
      return `deviates: ${finding.why}`;
    case "not-applicable":
      return "–";
    case "fails":
      return "✗";
  }
}
