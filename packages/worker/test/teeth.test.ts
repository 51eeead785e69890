import { bindTeeth } from "./laws/bind.ts";
import { memory } from "./subjects.mjs";

bindTeeth(memory);
