import { Argument, type Command } from "commander";
import { print } from "../command.ts";
import { bashCompletion } from "./bash.ts";
import { commandEntries } from "./entries.ts";
import { fishCompletion } from "./fish.ts";
import { zshCompletion } from "./zsh.ts";

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** `completion`: a script for a shell, made from the commands themselves. */
export function registerCompletion(program: Command): void {
  program
    .command("completion")
    .summary("print a completion script for a shell")
    .description(
      "Prints a script by which the shell completes commands and options: " +
        "source <(l3shim completion bash), or l3shim completion fish | source.",
    )
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SHELLS)))
    .action((shell: keyof typeof SHELLS) => {
      print(SHELLS[shell](commandEntries(program)).trimEnd());
    });
}
