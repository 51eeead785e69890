import type { Accounts } from "./open.ts";

/** What is wrong with an account's ancestry, in a line each. */
export async function report({ actors }: Accounts, id: string): Promise<readonly string[]> {
  const { snapshots, anomalies, more } = await actors.inspect({ systemId: id });
  const lines = anomalies.map((anomaly) =>
    anomaly.kind === "other-state"
      ? `${anomaly.vector}: refused` // told to onAnomaly only, for it left nothing behind
      : `${anomaly.vector}, made from ${anomaly.ancestor}: ${anomaly.kind}`,
  );
  return [`${snapshots} snapshots`, ...lines, ...(more ? ["and more"] : [])];
}
