import { count, type Terminal } from "./terminal.ts";

/** Where a line cannot be written over, so many lines tell about the progress. */
const STEPS = 4;
const BAR = 30;

/** Returns what is to be called with the number of events done so far. Ends its line when all are done. */
export function showProgress(terminal: Terminal, total: number): (done: number) => void {
  const startedAt = performance.now();
  let steps = 0;
  return (done) => {
    const share = total === 0 ? 1 : done / total;
    const figures = `${count(done)} of ${count(total)} · ${count(perSecond(done, performance.now() - startedAt))} events/s`;
    if (terminal.isLive) {
      const bar = Math.max(0, Math.min(BAR, terminal.width - figures.length - 5));
      const filled = Math.round(bar * share);
      const drawn = terminal.paint("cyan", "█".repeat(filled)) + terminal.paint("dim", "░".repeat(bar - filled));
      terminal.rewrite(bar === 0 ? figures.slice(0, terminal.width) : `   ${drawn}  ${figures}`);
      if (done >= total) terminal.line();
      return;
    }
    const step = Math.floor(share * STEPS);
    if (step > steps) terminal.line(`   ${String(Math.floor(share * 100)).padStart(3)} %  ${figures}`);
    steps = step;
  };
}

export function perSecond(events: number, milliseconds: number): number {
  return Math.round(events / (Math.max(milliseconds, 1) / 1000));
}
