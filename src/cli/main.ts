import { EXIT } from "./command.ts";
import { runProgram } from "./program.ts";

// `l3shim contexts | head` is no failure: the reader has what it wants.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.done);
  throw error;
});

process.exitCode = await runProgram(process.argv.slice(2));
