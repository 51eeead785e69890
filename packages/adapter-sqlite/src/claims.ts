import type { ClaimRecords } from "@tidemark/core/spi";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createClaimRecords(sessions: () => Sessions, sql: Statements): ClaimRecords {
  return {
    claim: ({ name, version }, key, { token, ms }, op) =>
      sessions().writer.write(op, (connection) => {
        if (connection.run(sql.claim, name, version, key, token, ms).changes === 1) return "claimed";
        return connection.number(sql.claimCompleted, name, version, key) === 1 ? "done" : "busy";
      }),

    complete: ({ name, version }, key, op) =>
      sessions().writer.write(op, (connection) => {
        connection.run(sql.completeClaim, name, version, key);
      }),

    release: ({ name, version }, key, token, op) =>
      sessions().writer.write(op, (connection) => {
        connection.run(sql.releaseClaim, name, version, key, token);
      }),

    sweep: ({ name, version }, before, op) =>
      sessions().writer.write(op, (connection) => connection.run(sql.sweepClaims, name, version, before).changes),
  };
}
