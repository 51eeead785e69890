import { parseArgs } from "node:util";
import { Complaint } from "./complaint.ts";
import { DEFAULT_FILE } from "./database-file.ts";

export interface DemoOptions {
  readonly file: string;
  /** How often the projector is killed; the saga and the observer at most twice. */
  readonly kills: number;
  /** Only the first so many releases. */
  readonly limit: number;
}

export const USAGE = `Usage: npm run demo -- [options]

  --file <path>   where to put the database; must not exist yet
                  default: examples/release-radar/.data/release-radar.sqlite, made anew each time;
                  announcements are written beside it
  --kills <n>     how often the projector is killed, default 5; the others at most twice
  --limit <n>     import only the first n releases, default all`;

/** Undefined when help was asked for. */
export function parseDemoOptions(args: readonly string[]): DemoOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      file: { type: "string", default: DEFAULT_FILE },
      kills: { type: "string", default: "5" },
      limit: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    file: values.file,
    kills: wholeNumber("kills", values.kills, 0),
    limit: values.limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber("limit", values.limit, 1),
  };
}

export function wholeNumber(name: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= 0x7fff_ffff) return value;
  throw new Complaint(`--${name} is a whole number from ${least}, got ${JSON.stringify(text)}.`);
}
