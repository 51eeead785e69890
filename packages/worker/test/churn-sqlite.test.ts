import { bindChurn } from "./churn/bind.ts";
import { sqlite } from "./subjects.mjs";

bindChurn(sqlite, "between-transactions");
