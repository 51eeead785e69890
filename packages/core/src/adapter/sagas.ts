import type { Operation } from "./operation.ts";

/** What a saga is found by. */
export interface Association {
  readonly property: string;
  readonly value: string;
}

export interface SagaRow {
  /** Unique within its saga's name. */
  readonly id: string;
  /** 1 when inserted, raised by each update. */
  readonly version: number;
  /** At most one value for each property, ascending by property (bytes). */
  readonly associations: readonly Association[];
  /** JSON text. */
  readonly data: string;
}

/** Reading sagas, which are those of `saga`, the saga's name; names, properties and values compare by bytes. */
export interface SagaReader {
  get(saga: string, id: string, op: Operation): Promise<SagaRow | undefined>;
  /** All that have the association, ascending by id (bytes). One indexed look-up. */
  find(saga: string, association: Association, op: Operation): Promise<readonly SagaRow[]>;
  /** At most `limit`, ascending by id, after `after`. */
  list(saga: string, after: string | undefined, limit: number, op: Operation): Promise<readonly SagaRow[]>;
}

/** Sagas inside a transaction, which core has fenced or will fence: no token is asked for. Reads see own writes. */
export interface SagaPort extends SagaReader {
  /** At version 1. False when the id is taken. */
  insert(saga: string, row: Omit<SagaRow, "version">, op: Operation): Promise<boolean>;
  /** Replaces data and all associations of the saga at `row.version` and raises the version. False at another version. */
  update(saga: string, row: SagaRow, op: Operation): Promise<boolean>;
  /** Removes the saga at that version, its associations and its deadlines. False at another version. */
  remove(saga: string, id: string, version: number, op: Operation): Promise<boolean>;
}

/** A moment at which a saga asked to be woken. One for each name and saga. */
export interface DeadlineRow {
  readonly sagaId: string;
  readonly name: string;
  /** Milliseconds since 1970, compared with the database's clock. */
  readonly dueAt: number;
  /** JSON text. */
  readonly data: string;
}

/** Deadlines, as anyone may read them. */
export interface DeadlineReader {
  /** Those that are due by the database's clock, ascending by moment, then saga id and name (bytes). */
  due(saga: string, limit: number, op: Operation): Promise<readonly DeadlineRow[]>;
}

/** Deadlines inside a transaction that is fenced. */
export interface DeadlinePort extends DeadlineReader {
  /** Creates or replaces. */
  set(saga: string, deadline: DeadlineRow, op: Operation): Promise<void>;
  /** False when there was none. */
  remove(saga: string, sagaId: string, name: string, op: Operation): Promise<boolean>;
}
