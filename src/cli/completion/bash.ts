import { type CommandEntry, places, quote, valueOptions } from "./entries.ts";

/** Where it offers nothing, bash completes file names. */
export function bashCompletion(entries: readonly CommandEntry[]): string {
  return `# bash completion of l3shim
_l3shim() {
  local current=\${COMP_WORDS[COMP_CWORD]} place=l3shim word words=
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$place $word" in
      ${places(entries).map(quote).join(" | ")}) place+=" $word" ;;
    esac
  done
  case "$place \${COMP_WORDS[COMP_CWORD-1]}" in
${valueOptions(entries).map(valueCase).join("\n")}
  esac
  [[ -n $words ]] || case $place in
${entries.map(wordsCase).join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _l3shim l3shim
`;
}

function valueCase({ place, choices }: ReturnType<typeof valueOptions>[number]): string {
  if (choices.length === 0) return `    ${quote(place)}) return ;;`;
  return `    ${quote(place)}) words=${quote(choices.join(" "))} ;;`;
}

function wordsCase({ path, options, subcommands }: CommandEntry): string {
  const words = [...subcommands.map(({ name }) => name), ...options.flatMap(({ names }) => names)];
  return `    ${quote(path.join(" "))}) words=${quote(words.join(" "))} ;;`;
}
