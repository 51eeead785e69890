import type { Accounts } from "./open.ts";

/** The customer gets another number. The history stays with the account. */
export async function renumber({ actors }: Accounts, number: string, newNumber: string): Promise<void> {
  const id = await actors.getSystemId(number);
  if (id === undefined) throw new Error(`There is no account ${number}.`);
  await actors.mapIds(id, newNumber);
}

/** Whose number it was on that day. */
export async function accountBehind({ actors }: Accounts, number: string, day: Date): Promise<string | undefined> {
  return actors.getSystemId(number, day);
}
