import { defineSaga, type EventSource, type SagaConsumer, START } from "@tidemark/core";
import type { Database } from "better-sqlite3";
import { type RadarEvents, trainAggregate, type TrainArrived } from "./events.ts";
import { INSERT_TRAIN, type TrainRow } from "./train-table.ts";

/** What the saga remembers of a train between two of its releases. */
interface TrainUnderWay {
  /** Of the first prerelease: `"2024-03-31"`. */
  readonly firstDay: string;
  readonly prereleases: number;
}

const DAY = 24 * 60 * 60 * 1000;

/**
 * The saga that follows each prerelease train: 5.0.0-beta.1 starts the one to 5.0.0, later prereleases move it on, and
 * 5.0.0 itself ends it. Then it writes how long that took, and tells it to the log. State, row and event are committed
 * with the checkpoint, so that each train is counted once whatever happens to the process.
 */
export function defineTrains(): SagaConsumer<Database> {
  return defineSaga<Database, TrainUnderWay, RadarEvents>({
    name: "prerelease-trains",
    // By itself a saga begins with what happens from now on. This one is to follow history.
    start: "beginning",
    // A train that cannot be followed waits, with everything that belongs to it. The others are no concern of its.
    failure: { then: "park" },
    handlers: {
      "release-published": {
        association: { property: "train", value: (event) => `${event.aggregate.id}@${event.data.train}` },
        starts: true,
        handle: (event, state, context) => {
          const { train, prerelease } = event.data;
          const name = event.aggregate.id;
          const day = event.occurredOn.toISOString().slice(0, 10);
          if (prerelease !== null) {
            const { firstDay, prereleases } = state?.data ?? { firstDay: day, prereleases: 0 };
            return {
              associations: { train: `${name}@${train}` },
              data: { firstDay, prereleases: prereleases + 1 },
            };
          }
          // A stable release that nothing led up to. There is no saga, and this makes none.
          if (state === undefined) return undefined;

          const { firstDay, prereleases } = state.data;
          const days = (Date.parse(day) - Date.parse(firstDay)) / DAY;
          const row: TrainRow = { package: name, train, first_day: firstDay, stable_day: day, days, prereleases };
          context.tx.prepare(INSERT_TRAIN).run(row);
          context.append({
            aggregate: trainAggregate(name, train),
            expected: "none",
            events: [{ type: "train-arrived", data: toArrival(row), occurredOn: event.occurredOn }],
          });
          return { ...state, ended: true };
        },
      },
    },
  });
}

/** What the event of an arrival says. */
export function toArrival({ package: name, train, prereleases, days }: TrainRow): TrainArrived {
  return { package: name, train, prereleases, days };
}

/** What the log says about trains that have arrived. */
export async function readArrivals(log: EventSource): Promise<readonly TrainArrived[]> {
  const arrivals: TrainArrived[] = [];
  for (let after = START; ;) {
    const { events, next } = await log.readAll({ after, scope: { eventTypes: ["train-arrived"] } });
    if (events.length === 0) return arrivals;
    arrivals.push(...events.map((event) => event.data as TrainArrived));
    after = next;
  }
}
