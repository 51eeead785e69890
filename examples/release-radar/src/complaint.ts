import { isTidemarkError } from "@tidemark/core";

/** Something that the reader can mend. Its message says how; nobody needs a stack trace. */
export class Complaint extends Error {}

/** Runs a program: its result is the exit code. What goes wrong is said in words, on stderr, with exit code 1. */
export async function runProgram(program: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await program();
  } catch (error) {
    console.error(`\n${inWords(error)}`);
    process.exitCode = 1;
  }
}

/** A file or database that refuses is not a bug either. Everything else is, and shows where. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { readonly code?: unknown };
  if (error instanceof Complaint || isTidemarkError(error, "UNAVAILABLE")) return error.message;
  if (typeof code === "string" && /^(ERR_PARSE_ARGS|SQLITE_|E[A-Z]+$)/.test(code)) return error.message;
  return error.stack ?? error.message;
}
