/** One kind of work, done by the library and by the raw driver in turns. */
export interface Contest {
  readonly name: string;
  /** What one run of either does, in units of the figure: events. */
  readonly amount: number;
  readonly ours: () => Promise<void>;
  readonly raw: () => Promise<void>;
  /** Makes each run of either begin alike. Does not count. */
  readonly prepare?: (() => Promise<void>) | undefined;
  /** Default 7. */
  readonly rounds?: number | undefined;
}

export interface Comparison {
  readonly name: string;
  /** Medians, in units per second. */
  readonly ours: number;
  readonly raw: number;
  /** Median, least and greatest of ours / raw, round by round. */
  readonly ratio: { readonly median: number; readonly least: number; readonly greatest: number };
}

const ROUNDS = 7;

/** Runs the two in turns, after one round that does not count: what slows the machine down then slows down both. */
export async function compare(contest: Contest): Promise<Comparison> {
  const { amount, prepare = async () => undefined } = contest;
  const rounds: { readonly ours: number; readonly raw: number }[] = [];
  for (let round = 0; round <= (contest.rounds ?? ROUNDS); round++) {
    await prepare();
    const raw = await speed(contest.raw, amount);
    await prepare();
    const ours = await speed(contest.ours, amount);
    if (round > 0) rounds.push({ ours, raw });
  }
  const ratios = rounds.map(({ ours, raw }) => ours / raw);
  return {
    name: contest.name,
    ours: median(rounds.map((round) => round.ours)),
    raw: median(rounds.map((round) => round.raw)),
    ratio: { median: median(ratios), least: Math.min(...ratios), greatest: Math.max(...ratios) },
  };
}

export function printComparison({ name, ours, raw, ratio }: Comparison): void {
  const perSecond = (value: number): string => `${Math.round(value).toLocaleString("en-US")}/s`;
  console.log(name);
  console.log(`  tidemark ${perSecond(ours)}   raw driver ${perSecond(raw)}`);
  console.log(`  ratio ${ratio.median.toFixed(2)} (${ratio.least.toFixed(2)} to ${ratio.greatest.toFixed(2)})`);
}

async function speed(work: () => Promise<void>, amount: number): Promise<number> {
  const before = performance.now();
  await work();
  return (amount / (performance.now() - before)) * 1_000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
