/** Where a worker says what it does. Most loggers fit as they are, or with the two arguments exchanged. */
export interface Logger {
  debug(message: string, about: LogAttributes): void;
  info(message: string, about: LogAttributes): void;
  warn(message: string, about: LogAttributes): void;
  error(message: string, about: LogAttributes): void;
}

/** Never event data. `error` is what was thrown. */
export interface LogAttributes {
  readonly worker: string;
  readonly consumer?: string | undefined;
  readonly version?: number | undefined;
  readonly segment?: number | undefined;
  readonly error?: unknown;
  readonly [name: string]: unknown;
}

type Level = keyof Logger;

/** Says something on behalf of a worker. */
export type Say = (level: Level, message: string, about?: Omit<LogAttributes, "worker">) => void;

/** What a logger throws is its own affair. */
export function sayTo(logger: Logger | undefined, worker: string): Say {
  return (level, message, about = {}) => {
    try {
      logger?.[level](message, { worker, ...about });
    } catch {
      // A log that fails must not stop a business.
    }
  };
}
