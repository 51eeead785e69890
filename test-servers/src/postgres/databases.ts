import type { Databases } from "../database.ts";
import { withClient } from "./client.ts";

export const postgresDatabases: Databases = {
  protocols: ["postgres:", "postgresql:"],
  // From template0: nobody is connected to it, which would make `create database` fail, and nobody has changed it.
  create: (url, name) => withClient(url, (client) => client.query(`create database ${name} template template0`)),
  drop: (url, name) => withClient(url, (client) => client.query(`drop database if exists ${name} with (force)`)),
};
