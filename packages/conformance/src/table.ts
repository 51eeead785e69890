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
