import { type CommandEntry, places, quote, valueOptions } from "./entries.ts";

export function zshCompletion(entries: readonly CommandEntry[]): string {
  return `#compdef l3shim
_l3shim() {
  local place=l3shim word
  local -a commands options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$place $word" in
      (${places(entries).map(quote).join("|")}) place+=" $word" ;;
    esac
  done
  case "$place \${words[CURRENT-1]}" in
${valueOptions(entries).map(valueCase).join("\n")}
  esac
  case $place in
${entries.map(wordsCase).join("\n")}
  esac
  (( $#commands )) && _describe -t commands command commands
  _describe -o -t options option options
  (( $#commands )) || _files
}
_l3shim "$@"
`;
}

function valueCase({ place, choices }: ReturnType<typeof valueOptions>[number]): string {
  const action = choices.length === 0 ? "_files" : `compadd -- ${choices.map(quote).join(" ")}`;
  return `    (${quote(place)}) ${action}; return ;;`;
}

function wordsCase({ path, options, subcommands }: CommandEntry): string {
  const commands = subcommands.map(({ name, summary }) => described(name, summary));
  const flags = options.flatMap(({ names, description }) =>
    names.map((name) => described(name, description)),
  );
  return `    (${quote(path.join(" "))})
      commands=(${commands.join(" ")})
      options=(${flags.join(" ")}) ;;`;
}

/** A colon ends the word. */
function described(word: string, text: string): string {
  return quote(`${word.replaceAll(":", "\\:")}:${text}`);
}
