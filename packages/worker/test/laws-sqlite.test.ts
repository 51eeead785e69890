import { bindLaws } from "./laws/bind.ts";
import { sqlite } from "./subjects.mjs";

bindLaws(sqlite);
