import { styleText } from "node:util";

type Style = "bold" | "dim" | "green" | "red" | "cyan";

export interface Terminal {
  /** Columns to write in: never more than the terminal has, nor more than reads well. */
  readonly width: number;
  /** Whether a line can be written over: false for files and pipes. */
  readonly isLive: boolean;
  line(text?: string): void;
  /** Writes over the current line, and stays on it. Only where {@link isLive}. */
  rewrite(text: string): void;
  /** Coloured, where colours are wanted. */
  paint(style: Style, text: string): string;
}

const WIDEST = 100;
const NARROWEST = 20;

export function createTerminal(
  stream: NodeJS.WriteStream = process.stdout,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Terminal {
  const isLive = stream.isTTY && env["TERM"] !== "dumb";
  const isColoured = isLive && (env["NO_COLOR"] ?? "") === "";
  return {
    // One column stays free: some terminals wrap after the last one.
    width: Math.max(NARROWEST, Math.min((stream.columns || WIDEST) - 1, WIDEST)),
    isLive,
    line: (text = "") => void stream.write(`${text}\n`),
    rewrite: (text) => void stream.write(`\r\u001B[2K${text}`),
    paint: (style, text) => (isColoured ? styleText(style, text) : text),
  };
}

/** 13,172 */
export function count(value: number | bigint): string {
  return value.toLocaleString("en-US");
}

/** `1 row`, `2 rows` */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}
