import { accessSync, constants, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { Complaint } from "./complaint.ts";

/** Where the demo keeps its database, so that you can open it afterwards. Git ignores it. */
export const DEFAULT_FILE: string = fileURLToPath(new URL("../.data/release-radar.sqlite", import.meta.url));

const ANNOUNCEMENTS = ["-announcements.txt", "-announcements-carefree.txt"] as const;

/** The files beside the database in which new majors are announced. */
export function announcementFiles(file: string): { readonly once: string; readonly carefree: string } {
  const [once, carefree] = ANNOUNCEMENTS;
  return { once: file + once, carefree: file + carefree };
}

/** Makes room for a new database. Replaces only the demo's own file, never one that somebody else named. */
export function freshFile(file: string): string {
  const path = resolve(file);
  if (path !== DEFAULT_FILE && existsSync(path)) {
    throw new Complaint(`${file} exists already. Delete it, or give --file another name.`);
  }
  try {
    mkdirSync(dirname(path), { recursive: true });
    accessSync(dirname(path), constants.W_OK);
    for (const suffix of ["", "-wal", "-shm", ...ANNOUNCEMENTS]) rmSync(path + suffix, { force: true });
  } catch (error) {
    throw new Complaint(`Cannot write ${path} (${String(error)}). Give --file a place where you may write.`);
  }
  return path;
}

/** A database that the demo has left. */
export function existingFile(file: string): string {
  const path = resolve(file);
  if (!existsSync(path)) throw new Complaint(`There is no ${file} yet. Run the demo first: npm run demo`);
  return path;
}

/** A path from the directory in which the command was given, with slashes, which Node takes everywhere. */
export function fromHere(path: string): string {
  return (relative(process.cwd(), path) || ".").replaceAll(sep, "/");
}

/** Lends a connection that only reads. */
export function reading<T>(file: string, work: (db: Database.Database) => T): T {
  const db = new Database(file, { readonly: true });
  try {
    return work(db);
  } finally {
    db.close();
  }
}
