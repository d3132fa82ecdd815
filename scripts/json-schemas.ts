import { readdirSync } from "node:fs";
import { createGenerator, type Schema } from "ts-json-schema-generator";

/** The name of a schema, and the type in src/daemon/api.ts or src/cli/ that it says in JSON. */
const SCHEMAS: Readonly<Record<string, string>> = {
  // What commands print with --json, by their names.
  "cga generate": "CgaReply",
  "cga sign": "SignatureReply",
  "cga verify": "CgaVerification",
  "cga verify-signature": "SignatureVerification",
  check: "Check",
  close: "DoneReply",
  context: "ContextReply",
  contexts: "ContextsReply",
  decode: "DecodeReply",
  drill: "DrillReply",
  explain: "ExplainReply",
  explore: "DoneReply",
  fork: "ForksReply",
  "hba generate": "HbaReply",
  "hba verify": "HbaVerification",
  "lab home": "LabReply",
  "lab paper": "LabReply",
  locators: "LocatorsReply",
  monitor: "MonitorEvent",
  open: "DoneReply",
  pin: "DoneReply",
  ping: "PingReply",
  prefer: "DoneReply",
  replay: "ReplayReply",
  report: "ReportReply",
  "send-timeout": "SendTimeoutReply",
  "sim alarms": "AlarmsReply",
  "sim list": "ScenariosReply",
  "sim run": "SimReply",
  "sim soak": "SoakReply",
  "sim sweep": "SweepReply",
  status: "StatusReply",
  unpin: "DoneReply",
  // What else the control API answers and takes.
  "api check": "CheckReply",
  "api drill": "DrillEvent",
  "api error": "ErrorReply",
  "api history": "HistoryReply",
  "api survey": "SurveyReply",
  "api drill request": "DrillRequest",
  "api fork request": "ForkRequest",
  "api open request": "OpenRequest",
  "api pin request": "PinRequest",
  "api prefer request": "PreferRequest",
  "api send-timeout request": "SendTimeoutRequest",
  "api survey request": "SurveyRequest",
};

export const SCHEMA_DIRECTORY = "docs/api";

/** "hba generate" as "hba-generate.schema.json". */
export function schemaFile(name: string): string {
  return `${name.replaceAll(" ", "-")}.schema.json`;
}

/** All files of docs/api with their contents. @param root of the project, with a slash */
export function schemaFiles(root: string): Map<string, string> {
  const generator = createGenerator({
    path: `${root}src/{daemon/api*,cli/**/*}.ts`,
    tsconfig: `${root}tsconfig.json`,
    // `npm run typecheck` does that.
    skipTypeCheck: true,
    // A release may add fields: readers leave alone what they don't know.
    additionalProperties: true,
    encodeRefs: false,
  });
  return new Map(
    Object.entries(SCHEMAS).map(([name, type]) => {
      return [schemaFile(name), formatSchema(generator.createSchema(type))];
    }),
  );
}

/** Those that are there. */
export function presentSchemaFiles(root: string): string[] {
  return readdirSync(`${root}${SCHEMA_DIRECTORY}`).filter((name) => name.endsWith(".json"));
}

function formatSchema({ definitions = {}, ...schema }: Schema): string {
  const named = Object.entries(definitions).filter(([name]) => !isGeneric(name));
  const whole = { ...schema, definitions: Object.fromEntries(named) };
  return `${withoutLinks(JSON.stringify(withGenerics(whole, definitions), undefined, 2))}\n`;
}

/** `Brand<string,"Address">` is a name to nobody but TypeScript. */
function isGeneric(name: string): boolean {
  return name.includes("<");
}

/** A part of a schema with generic types put in where it refers to them. */
function withGenerics(part: unknown, definitions: Readonly<Record<string, unknown>>): unknown {
  if (Array.isArray(part)) return part.map((each) => withGenerics(each, definitions));
  if (typeof part !== "object" || part === null) return part;
  const entries = Object.entries(part).map(([key, value]) => {
    return [key, withGenerics(value, definitions)] as const;
  });
  const { $ref, ...rest } = Object.fromEntries(entries);
  const name = typeof $ref === "string" ? $ref.slice("#/definitions/".length) : "";
  if (!isGeneric(name)) return Object.fromEntries(entries);
  return { ...(withGenerics(definitions[name], definitions) as object), ...rest };
}

/** Names in comments are links in the sources only. */
function withoutLinks(text: string): string {
  return text.replace(/\s*\{@link\s+(\w+)\s*\}\s*([.,:;)]?)/g, (_, name: string, mark: string) => {
    return mark === "" ? ` ${name} ` : ` ${name}${mark}`;
  });
}
