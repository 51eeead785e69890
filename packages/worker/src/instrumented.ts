import type { RecordedEvent, SagaConsumer } from "@tidemark/core";
import type { Defined } from "./options.ts";

/** Runs a handler and tells about it. `label`: what it handles. */
export type Instrument = (
  events: readonly RecordedEvent[],
  label: string,
  work: () => Promise<unknown>,
) => Promise<unknown>;

/** The consumer with every handler of its run by `run`. */
export function instrumented<Tx>(consumer: Defined<Tx>, run: Instrument): Defined<Tx> {
  switch (consumer.kind) {
    case "projector": {
      const { handler } = consumer;
      if (handler.kind === "each") {
        const { handle } = handler;
        return {
          ...consumer,
          handler: {
            kind: "each",
            handle: (event, context) => run([event], event.type, async () => handle(event, context)),
          },
        };
      }
      const { handle } = handler;
      return {
        ...consumer,
        handler: {
          kind: "batch",
          handle: (events, context) => run(events, "batch of events", async () => handle(events, context)),
        },
      };
    }
    case "observer": {
      const { handle } = consumer;
      return { ...consumer, handle: (event, context) => run([event], event.type, async () => handle(event, context)) };
    }
    case "saga":
      return instrumentedSaga(consumer, run);
  }
}

function instrumentedSaga<Tx>(consumer: SagaConsumer<Tx>, run: Instrument): SagaConsumer<Tx> {
  const { handling, deadlines } = consumer;
  return {
    ...consumer,
    handling:
      handling.kind === "free"
        ? {
            kind: "free",
            handle: (event, find, context) =>
              through(run, [event], event.type, async () => handling.handle(event, find, context)),
          }
        : {
            kind: "by-type",
            handlings: new Map(
              [...handling.handlings].map(([type, one]) => [
                type,
                {
                  ...one,
                  handle: (event, state, context) =>
                    through(run, [event], type, async () => one.handle(event, state, context)),
                },
              ]),
            ),
          },
    deadlines: new Map(
      [...deadlines].map(([name, handle]) => [
        name,
        (deadline, state, context) =>
          through(run, [], `deadline ${name}`, async () => handle(deadline, state, context)),
      ]),
    ),
  };
}

/** What the handler returns is the saga's next state. */
async function through<T>(
  run: Instrument,
  events: readonly RecordedEvent[],
  label: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  let result: T | undefined;
  await run(events, label, async () => (result = await work()));
  return result;
}
