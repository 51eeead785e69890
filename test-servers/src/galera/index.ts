export { type Galera, type GaleraNode, startGalera } from "./cluster.ts";
export { explainGalera } from "./programs.ts";
export type { NodeState } from "./state.ts";
