import { existsSync, readFileSync } from "node:fs";
import { Ajv, type SchemaObject, type ValidateFunction } from "ajv";
import { SCHEMA_DIRECTORY, schemaFile } from "../../scripts/json-schemas.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const validators = new Map<string, ValidateFunction>();

/** @throws where what a command line with --json has printed is not as docs/api says */
export function checkPrinted(args: readonly string[], stdout: string): void {
  const words = args.filter((arg) => !arg.startsWith("-"));
  // Commands are of one word or two; none is `status`.
  const names = [words.slice(0, 2).join(" "), words[0] ?? "status", "status"];
  const name = names.find((each) => existsSync(pathOf(each)));
  if (name === undefined) throw new Error(`no schema for ${args.join(" ")}`);
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    checkJson(name, JSON.parse(line));
  }
}

/** @throws where a value is not as docs/api says, or has more fields than that */
export function checkJson(name: string, value: unknown): void {
  const validate = validators.get(name) ?? compile(name);
  validators.set(name, validate);
  if (validate(value)) return;
  throw new Error(`${schemaFile(name)}: ${JSON.stringify(validate.errors, undefined, 2)}`);
}

function compile(name: string): ValidateFunction {
  const schema = JSON.parse(readFileSync(pathOf(name), "utf8")) as SchemaObject;
  return new Ajv({ allErrors: true }).compile(closed(schema) as SchemaObject);
}

function pathOf(name: string): string {
  return `${ROOT}${SCHEMA_DIRECTORY}/${schemaFile(name)}`;
}

/** The schema without room for fields that it doesn't name: the types would lack them. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, closed(value)]),
  );
  const isOpen = "properties" in schema && !("additionalProperties" in schema);
  return isOpen ? { ...inner, additionalProperties: false } : inner;
}
