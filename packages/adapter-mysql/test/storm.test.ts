import { storm, type TestDatabase } from "@tidemark/conformance";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { createConnection } from "mysql2/promise";
import { expect, test } from "vitest";
import { createSubject } from "./subject.mjs";

/** `TIDEMARK_STORM_EVENTS=200000` makes it a long one. */
const EVENTS = Number(process.env["TIDEMARK_STORM_EVENTS"] ?? 8_000);
const MS_PER_EVENT = 6;
const NOTHING = { skipped: 0, repeated: 0, invented: 0, disordered: 0, backwards: 0 };

for (const name of ["mysql", "mariadb"]) {
  describeWithServer(name, (server) => {
    test(
      `under a storm of ${EVENTS} events no reader skips or repeats one`,
      { timeout: 60_000 + EVENTS * MS_PER_EVENT },
      async () => {
        const result = await storm(createSubject(`${name}, storm`, server.url, { reuses: false }), {
          events: EVENTS,
          killEveryMs: 1_500,
        });
        process.stdout.write(`storm: ${JSON.stringify(result)}\n`);
        expect(result).toMatchObject({ lost: 0, undead: 0, readers: [NOTHING, NOTHING] });
        expect(result.events).toBeGreaterThanOrEqual(EVENTS);
        expect(result.rolledBack).toBeGreaterThan(0);
        expect(result.kills).toBeGreaterThan(0);
      },
    );

    // Whether a reader looks while somebody appends is chance, which a busy machine makes rare.
    test("storms notice a frontier that does not look who is appending", { timeout: 600_000 }, async () => {
      let skipped = 0;
      for (let storms = 0; storms < 10 && skipped === 0; storms++) {
        const subject = createSubject(`${name}, broken`, server.url, { reuses: false });
        const result = await storm(subject, { events: 3_000, prepare: breakFrontier });
        expect(result).toMatchObject({ lost: 0, undead: 0 });
        for (const reader of result.readers) skipped += reader.skipped;
      }
      expect(skipped).toBeGreaterThan(0);
    });
  });
}

async function breakFrontier({ process }: Pick<TestDatabase<unknown>, "process">): Promise<void> {
  const { url, name: database, prefix } = asConfig(process?.config);
  const client = await createConnection({ uri: url, database });
  for (const moment of ["insert", "update"]) {
    await client.query(
      `create trigger ignores_${moment} before ${moment} on ${prefix}registration
       for each row set new.low = 9223372036854775807`,
    );
  }
  await client.end();
}

function asConfig(config: unknown): { readonly url: string; readonly name: string; readonly prefix: string } {
  return config as { readonly url: string; readonly name: string; readonly prefix: string };
}
