import type { ClaimRecords } from "@tidemark/core/spi";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createClaimRecords(session: () => Session, sql: Statements): ClaimRecords {
  return {
    /** Each statement by itself: of several claimants one inserts the row, and one finds it expired. */
    claim: ({ name, version }, key, { token, ms }, op) =>
      session().autocommit(op, async (connection) => {
        if ((await connection.run(sql.insertClaim, name, version, key, token, ms)) === 1) return "claimed";
        if ((await connection.run(sql.takeOverClaim, name, version, key, token, ms)) === 1) return "claimed";
        return (await connection.number(sql.claimCompleted, name, version, key)) === 1 ? "done" : "busy";
      }),

    complete: ({ name, version }, key, op) =>
      session().autocommit(op, async (connection) => {
        await connection.run(sql.completeClaim, name, version, key);
      }),

    release: ({ name, version }, key, token, op) =>
      session().autocommit(op, async (connection) => {
        await connection.run(sql.releaseClaim, name, version, key, token);
      }),

    sweep: ({ name, version }, before, op) =>
      session().autocommit(op, (connection) => connection.run(sql.sweepClaims, name, version, before)),
  };
}
