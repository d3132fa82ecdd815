import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { presentSchemaFiles, SCHEMA_DIRECTORY, schemaFiles } from "./json-schemas.ts";

/* `npm run schemas` runs this in the root of the project: it writes docs/api anew. */

mkdirSync(SCHEMA_DIRECTORY, { recursive: true });
const files = schemaFiles("./");
for (const name of presentSchemaFiles("./")) {
  if (!files.has(name)) rmSync(join(SCHEMA_DIRECTORY, name));
}
for (const [name, text] of files) writeFileSync(join(SCHEMA_DIRECTORY, name), text);
