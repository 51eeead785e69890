import { randomInt } from "node:crypto";
import { TidemarkError } from "@tidemark/core";
import { declare, ORDERS } from "../consumers.ts";
import type { Handle } from "../dead-letters.ts";
import { account } from "../events.ts";
import { assert, collect, fulfils } from "../expect.ts";
import { type Law, override } from "../law.ts";
import { letterPort } from "../lies/dead-letters.ts";
import { changeSagas } from "../lies/sagas.ts";
import { mulberry32 } from "../random.ts";
import { inZone, row, sagaZone } from "../sagas.ts";
import { forWard, type Ward, type WardLaw } from "../ward.ts";

/** Texts that consumers come by and nobody has checked: errors and data, with what some databases have no form for. */
const errorLaws: readonly Law[] = [
  {
    id: "checkpoints/errors/odd-text",
    promise: "An error of any text is recorded: NUL is shown as ␀, a lone surrogate as U+FFFD, the rest as it is.",
    tooth: {
      lie: "refuses an error whose text holds NUL",
      store: (real) =>
        override(real, () => ({
          consumers: override(real.consumers, (consumers) => ({
            recordError: (consumer, error, op) =>
              error instanceof Error && error.message.includes("\0")
                ? Promise.reject(refusal())
                : consumers.recordError(consumer, error, op),
          })),
        })),
    },
    check: async ({ store }) => {
      await declare(store);
      const { texts, seed } = oddTexts(30);
      for (const text of texts) {
        const said = `Seed ${seed}: the error ${JSON.stringify(text)}`;
        await fulfils(store.consumers.recordError(ORDERS, new Error(text)), `${said} can be recorded`);
        const stored = (await store.consumers.get(ORDERS))?.segments[0]?.error?.text ?? "";
        assert.ok(stored.startsWith(`Error: ${shown(text)}`), `${said} is told as ${JSON.stringify(stored)}.`);
      }
    },
  },
];

const letterLaws: readonly WardLaw[] = [
  {
    name: "park/odd-text",
    promise:
      "An event of any text whose handler fails with an error of any text is parked, and both are told as they were.",
    tooth: letterPort("has no room for NUL in a dead letter", (port) => ({
      park: async (consumer, letters, op) => {
        if (letters.some(({ cause }) => cause?.includes(ESCAPED_NUL))) throw refusal();
        await port.park(consumer, letters, op);
      },
    })),
    check: async <Tx>({ store, log, run }: Ward<Tx>) => {
      const { texts, seed } = oddTexts(10);
      for (const [index, text] of texts.entries()) {
        const data = { amount: index, [text]: text };
        await log.append({ aggregate: account(`odd ${index}`), events: [{ type: "deposited", data }] });
      }
      const failing: Handle<Tx> = ({ data: { amount } }) => Promise.reject(new Error(texts[amount]));
      await fulfils(run({ handle: failing }), `Seed ${seed}: events and errors of any text are parked`);
      const told = (await collect(store.deadLetters.list(ORDERS))).map(({ event, cause }) => [
        event.data,
        cause?.message,
      ]);
      assert.deepEqual(
        told,
        texts.map((text, index) => [{ amount: index, [text]: text }, text]),
        `Seed ${seed}.`,
      );
    },
  },
];

const sagaLaws: readonly Law[] = [
  {
    id: "sagas/odd-data",
    promise: "The data of a saga comes back as it was, whatever texts it holds.",
    tooth: {
      lie: "has no room for NUL in a saga's data",
      adapter: (real) =>
        changeSagas(real, (port) => ({
          insert: async (saga, given, op) => {
            if (given.data.includes(ESCAPED_NUL)) throw refusal();
            return port.insert(saga, given, op);
          },
        })),
    },
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const { texts, seed } = oddTexts(20);
      const writing = inZone(zone, async ({ sagas }) => {
        for (const [index, text] of texts.entries()) {
          await sagas.insert(ORDERS, row(`${index}`, {}, { [text]: text }));
          await sagas.update(ORDERS, { ...row(`${index}`, {}, { [text]: [text] }), version: 1 });
        }
      });
      await fulfils(writing, `Seed ${seed}: sagas hold any text`);
      for (const [index, text] of texts.entries()) {
        assert.deepEqual((await store.sagas.get(ORDERS, `${index}`))?.data, { [text]: [text] }, `Seed ${seed}.`);
      }
    },
  },
];

export const oddTextLaws: readonly Law[] = [...errorLaws, ...sagaLaws, ...forWard("dead-letters", letterLaws)];

/** How JSON writes it. */
const ESCAPED_NUL = String.raw`\u0000`;

/** What databases, drivers and consoles stumble over. The last two are one character, each of them alone is none. */
const PIECES = [
  "\0",
  "\\",
  '"',
  "'",
  "$$",
  "%",
  "\n",
  "\u0001",
  "\u2028",
  "a",
  "é",
  "\ufeff",
  "\uffff",
  "\ud83c",
  "\udf0a",
];

/** Random texts, with the seed that made them; NUL and a lone surrogate are in the first two in any case. */
function oddTexts(count: number): { readonly texts: readonly string[]; readonly seed: number } {
  const seed = randomInt(2 ** 31);
  const random = mulberry32(seed);
  const piece = (): string => PIECES[Math.floor(random() * PIECES.length)] ?? "";
  const texts = Array.from({ length: count }, () => Array.from({ length: 1 + random() * 12 }, piece).join(""));
  return { texts: ["a\0b", "a\ud83cb", ...texts], seed };
}

/** As a text is shown that no database can hold as it is. */
function shown(text: string): string {
  return text.replaceAll("\0", "\u2400").replace(/\p{Surrogate}/gu, "\ufffd");
}

function refusal(): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError("INVALID_ARGUMENT", "NUL is refused, because the law says so.", { argument: "text" });
}
