import {
  crashingHandler,
  crashingWithLetter,
  handlerFor,
  type Kind,
  type LetterStep,
  patient,
} from "../dead-letters.ts";
import { argsOf, consumeOn, type Script } from "../script.ts";

interface Death {
  readonly kind: Kind;
  readonly step: LetterStep;
  readonly broken: readonly string[];
}

export const deadLetterScripts: Readonly<Record<string, Script>> = {
  /** Is killed on its way as soon as it has parked a letter. */
  "dead-letters/die-parking": async ({ open, consume, die }, args) => {
    const { kind, step, broken } = argsOf<Death>(args);
    const store = await open({}, (real) => crashingWithLetter(real, step, die));
    const consumer = patient(kind, handlerFor(store, new Set(broken), step), { name: step });
    return consumeOn(() => consume(store, consumer, { leaseMs: 300 }));
  },

  /** Is killed on its way while it handles a letter again. */
  "dead-letters/die-replaying": async ({ open, consume, die }, args) => {
    const { kind, step, broken } = argsOf<Death>(args);
    const store = await open({}, (real) => crashingWithLetter(real, step, die));
    const handle = crashingHandler(handlerFor(store, new Set(broken), step), step, die);
    const consumer = patient(kind, handle, { name: step });
    return consumeOn(() => consume(store, consumer, { leaseMs: 300, deadLettersOnly: true }));
  },
};
