import { writeFileSync } from "node:fs";
import { stateMachinesPage } from "./state-machines.ts";

// `npm run diagrams` runs this in the root of the project.
writeFileSync("docs/state-machines.md", stateMachinesPage());
