import { type CommandEntry, type OptionEntry, places } from "./entries.ts";

export function fishCompletion(entries: readonly CommandEntry[]): string {
  return `# fish completion of l3shim
function __l3shim_at
  set -l place l3shim
  for word in (commandline -opc)[2..-1]
    switch "$place $word"
      case ${places(entries).map(fishQuote).join(" ")}
        set place "$place $word"
    end
  end
  test "$place" = "$argv"
end
${entries.flatMap(completions).join("\n")}
`;
}

function completions({ path, options, subcommands }: CommandEntry): string[] {
  const complete = `complete -c l3shim -n ${fishQuote(`__l3shim_at ${path.join(" ")}`)}`;
  return [
    ...subcommands.map(
      ({ name, summary }) => `${complete} -f -a ${fishQuote(name)} -d ${fishQuote(summary)}`,
    ),
    ...options.map((option) => `${complete} ${optionArguments(option)}`),
  ];
}

function optionArguments({ names, value, choices, description }: OptionEntry): string {
  const flags = names.map((name) =>
    name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  );
  if (choices.length > 0) flags.push(`-x -a ${fishQuote(choices.join(" "))}`);
  else if (value !== undefined) flags.push("-r");
  return `${flags.join(" ")} -d ${fishQuote(description)}`;
}

/** Within single quotes fish knows \\\\ and \\'. */
function fishQuote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
