import type { ReadModel } from "./read-model.ts";
import { count, type Terminal } from "./terminal.ts";

interface Year {
  readonly stable: number;
  readonly prereleases: number;
}

/** Releases of all packages by year, as bars: stable ones full, prereleases light. */
export function showYears(terminal: Terminal, { months }: ReadModel): void {
  const years = byYear(months);
  const most = Math.max(1, ...years.map(([, year]) => year.stable + year.prereleases));
  const room = Math.max(5, terminal.width - "   2026   1,234".length - 1);
  terminal.line(`   ${terminal.paint("dim", "releases per year: █ stable, ░ prereleases")}`);
  for (const [name, { stable, prereleases }] of years) {
    const all = stable + prereleases;
    const whole = Math.ceil((all / most) * room);
    const full = all === 0 ? 0 : Math.round((stable / all) * whole);
    const bar = terminal.paint("cyan", "█".repeat(full)) + terminal.paint("dim", "░".repeat(whole - full));
    terminal.line(`   ${name}  ${bar} ${count(all)}`);
  }
}

/** Every year from the first to the last, also those without a release. */
function byYear(months: ReadModel["months"]): readonly (readonly [name: string, year: Year])[] {
  const sums = new Map<number, Year>();
  for (const row of months) {
    const name = Number(row.month.slice(0, 4));
    const sum = sums.get(name) ?? { stable: 0, prereleases: 0 };
    sums.set(name, { stable: sum.stable + row.stable, prereleases: sum.prereleases + row.prereleases });
  }
  const first = Math.min(...sums.keys());
  const length = sums.size === 0 ? 0 : Math.max(...sums.keys()) - first + 1;
  return Array.from({ length }, (_, index) => [
    String(first + index),
    sums.get(first + index) ?? { stable: 0, prereleases: 0 },
  ]);
}
