import { postgresGrants, postgresMigrations } from "@tidemark/adapter-postgres";

/** To be reviewed, and run by the schema's owner. */
export function migrationScript(role: string): string {
  const steps = postgresMigrations().map(({ version, name, sql }) => `-- ${version}: ${name}\nbegin;${sql}commit;\n`);
  return `${steps.join("\n")}\n${postgresGrants({ role })}`;
}
