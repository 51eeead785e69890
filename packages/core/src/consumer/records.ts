import type { TransactionPort } from "../adapter/adapter.ts";
import type { CompletionPort } from "../adapter/completions.ts";
import type { LetterPort } from "../adapter/dead-letters.ts";
import type { Operation } from "../adapter/operation.ts";
import type { Association, DeadlineReader, DeadlineRow, SagaReader, SagaRow } from "../adapter/sagas.ts";
import type { Codec } from "../codec.ts";
import { positive } from "../store/options.ts";
import { checkText, checkTime } from "../store/requests.ts";

/** A saga: a process that events move on. */
export interface Saga {
  readonly id: string;
  /** 1 when it began, raised by each change. */
  readonly version: number;
  /** One value for each property, by which events find it. */
  readonly associations: Readonly<Record<string, string>>;
  readonly data: unknown;
}

export interface Deadline {
  readonly sagaId: string;
  readonly name: string;
  readonly dueAt: Date;
  readonly data: unknown;
}

export interface Sagas {
  get(saga: string, id: string, op?: Operation): Promise<Saga | undefined>;
  /** All that have the association, ascending by id (bytes). */
  find(saga: string, property: string, value: string, op?: Operation): Promise<readonly Saga[]>;
  /** Ascending by id (bytes). */
  list(saga: string, op?: Operation): AsyncIterable<Saga>;
}

export interface Deadlines {
  /** At most `limit` that are due by the database's clock, the earliest first. */
  due(saga: string, limit: number, op?: Operation): Promise<readonly Deadline[]>;
}

/** The records that belong to a consumer's transaction: written with its effects and checkpoint, or not at all. */
export interface FencedRecords {
  readonly sagas: {
    get(saga: string, id: string): Promise<Saga | undefined>;
    find(saga: string, property: string, value: string): Promise<readonly Saga[]>;
    /** At version 1. False when the id is taken. */
    insert(saga: string, row: Omit<Saga, "version">): Promise<boolean>;
    /** False when it is not at `row.version` any more. */
    update(saga: string, row: Saga): Promise<boolean>;
    /** False when it is not at that version any more. */
    remove(saga: string, id: string, version: number): Promise<boolean>;
  };
  readonly deadlines: {
    /** Creates or replaces the saga's deadline of that name. */
    set(saga: string, deadline: Deadline): Promise<void>;
    /** False when there was none. */
    remove(saga: string, sagaId: string, name: string): Promise<boolean>;
    /** Those that are due by the database's clock, the earliest first. */
    due(saga: string, limit: number): Promise<readonly Deadline[]>;
  };
  /** Letters as they are stored. */
  readonly deadLetters: LetterPort;
  readonly completions: CompletionPort;
}

const LIST_PAGE = 100;

export function createFencedRecords(port: TransactionPort, codec: Codec, op: Operation): FencedRecords {
  const { sagas, deadlines } = port;
  return {
    sagas: {
      get: async (saga, id) => toSaga(saga, await sagas.get(checkSaga(saga), checkSagaId(id), op), codec),
      find: async (saga, property, value) =>
        toSagas(saga, await sagas.find(checkSaga(saga), checkAssociation({ property, value }), op), codec),
      insert: (saga, row) => sagas.insert(saga, toRow(saga, { ...row, version: 1 }, codec), op),
      update: (saga, row) => sagas.update(saga, toRow(saga, row, codec), op),
      remove: async (saga, id, version) => sagas.remove(checkSaga(saga), checkSagaId(id), version, op),
    },
    deadlines: {
      set: async (saga, { sagaId, name, dueAt, data }) => {
        checkDeadline(saga, sagaId, name);
        const text = codec.encode(data ?? null, { kind: "deadline-data", type: saga });
        await deadlines.set(saga, { sagaId, name, dueAt: checkTime("deadline.dueAt", dueAt), data: text }, op);
      },
      remove: async (saga, sagaId, name) => {
        checkDeadline(saga, sagaId, name);
        return deadlines.remove(saga, sagaId, name, op);
      },
      due: async (saga, limit) => (await deadlines.due(saga, limit, op)).map((row) => decodeDeadline(saga, row, codec)),
    },
    deadLetters: port.deadLetters,
    completions: port.completions,
  };
}

/** Sagas as anyone may read them, outside of transactions. */
export function createSagas(
  reader: SagaReader,
  codec: Codec,
  call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>,
): Sagas {
  return {
    get: async (saga, id, op = {}) =>
      toSaga(saga, await call("sagas.get", false, () => reader.get(checkSaga(saga), id, op)), codec),
    find: async (saga, property, value, op = {}) => {
      const association = checkAssociation({ property, value });
      return toSagas(saga, await call("sagas.find", false, () => reader.find(checkSaga(saga), association, op)), codec);
    },
    list: async function* list(saga, op = {}) {
      for (let after: string | undefined; ;) {
        const from = after;
        const rows = await call("sagas.list", false, () => reader.list(checkSaga(saga), from, LIST_PAGE, op));
        yield* toSagas(saga, rows, codec);
        if (rows.length < LIST_PAGE) return;
        after = rows.at(-1)?.id;
      }
    },
  };
}

/** Deadlines as anyone may read them. */
export function createDeadlines(
  reader: DeadlineReader,
  codec: Codec,
  call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>,
): Deadlines {
  return {
    due: async (saga, limit, op = {}) => {
      const rows = await call("deadlines.due", false, () => reader.due(checkSaga(saga), positive("limit", limit), op));
      return rows.map((row) => decodeDeadline(saga, row, codec));
    },
  };
}

function decodeDeadline(saga: string, { sagaId, name, dueAt, data }: DeadlineRow, codec: Codec): Deadline {
  return { sagaId, name, dueAt: new Date(dueAt), data: codec.decode(data, { kind: "deadline-data", type: saga }) };
}

function toSagas(saga: string, rows: readonly SagaRow[], codec: Codec): readonly Saga[] {
  return rows.map((row) => decodeSaga(saga, row, codec));
}

function toSaga(saga: string, row: SagaRow | undefined, codec: Codec): Saga | undefined {
  return row === undefined ? undefined : decodeSaga(saga, row, codec);
}

function decodeSaga(saga: string, row: SagaRow, codec: Codec): Saga {
  const associations = Object.fromEntries(row.associations.map(({ property, value }) => [property, value]));
  return {
    id: row.id,
    version: row.version,
    associations,
    data: codec.decode(row.data, { kind: "saga-state", type: saga }),
  };
}

function toRow(saga: string, row: Saga, codec: Codec): SagaRow {
  checkSaga(saga);
  checkSagaId(row.id);
  const associations = Object.entries(row.associations).map(([property, value]) =>
    checkAssociation({ property, value }),
  );
  return {
    id: row.id,
    version: row.version,
    associations,
    data: codec.encode(row.data, { kind: "saga-state", type: saga }),
  };
}

function checkSaga(saga: string): string {
  return checkText("saga", "consumerNameBytes", saga);
}

function checkSagaId(id: string): string {
  return checkText("saga.id", "sagaIdBytes", id);
}

function checkDeadline(saga: string, sagaId: string, name: string): void {
  checkSaga(saga);
  checkSagaId(sagaId);
  checkText("deadline.name", "consumerNameBytes", name);
}

function checkAssociation({ property, value }: Association): Association {
  return {
    property: checkText("association.property", "associationBytes", property),
    value: checkText("association.value", "associationBytes", value),
  };
}
