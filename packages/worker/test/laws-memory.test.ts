import { bindLaws } from "./laws/bind.ts";
import { memory } from "./subjects.mjs";

bindLaws(memory);
