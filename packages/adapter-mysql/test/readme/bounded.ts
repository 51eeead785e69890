import { createPool, type Pool } from "mysql2/promise";

/** A pool whose transactions the server ends when nothing is asked on them for a minute, and which waits 10 s for locks. */
export function createBoundedPool(uri: string): Pool {
  const pool = createPool({ uri, idleTimeout: 30_000, maxIdle: 9 }); // of 10: idle ones are closed before the server does it
  pool.on("connection", (connection) => {
    void connection.query("set session wait_timeout = 60, innodb_lock_wait_timeout = 10");
    void connection.query("set session transaction isolation level read committed");
  });
  return pool;
}
