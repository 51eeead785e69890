import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { run } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "siblings-"));
try {
  const { together } = await run(folder, (line) => console.log(line));
  const [one, other] = together;
  const isSame = one !== undefined && isDeepStrictEqual(one, other);
  console.log(isSame ? "✓ The same state on both." : "✗ Not the same.");
  process.exitCode = isSame ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
