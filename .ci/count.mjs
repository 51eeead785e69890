// Prints "passed failed skipped" from vitest's JSON report. usage: count.mjs <report> <exit code of the run>
import { existsSync, readFileSync } from "node:fs";

const [, , file, exitCode] = process.argv;
const report = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { testResults: [] };

const tests = report.testResults.flatMap((suite) => suite.assertionResults);
const count = (...states) => tests.filter(({ status }) => states.includes(status)).length;
const brokenFiles = report.testResults.filter(
  ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
).length;

const passed = count("passed");
const failed = count("failed") + brokenFiles;
// No tests at all, or a failure that no test shows (the build, an unhandled error), is a failure too.
const unexplained = failed === 0 && (exitCode !== "0" || passed === 0) ? 1 : 0;
console.log(passed, failed + unexplained, tests.length - passed - count("failed"));
