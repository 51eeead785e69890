import { mysqlGrants, mysqlMigrations } from "@tidemark/adapter-mysql";

/** To be reviewed, and run by somebody who may make tables and give rights. */
export function migrationScript(database: string, user: string): string {
  const steps = mysqlMigrations({ database }).map(({ version, name, sql }) => `-- ${version}: ${name}\n${sql}`);
  return `${steps.join("\n")}\n${mysqlGrants({ user, database })}`;
}
