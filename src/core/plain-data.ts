/** Data of unknown origin, such as a file's, does not have the form that it should. */
export class PlainDataError extends Error {
  override readonly name = "PlainDataError";
}

/**
 * Gives the data back as what it should be. @param path names it in the error
 * @throws PlainDataError
 */
export type Reader<Value> = (data: unknown, path: string) => Value;

type Fields = Readonly<Record<string, Reader<unknown>>>;

type Read<Of extends Fields> = { readonly [Name in keyof Of]: ReturnType<Of[Name]> };

/** A number that is neither infinite nor NaN. */
export const finite: Reader<number> = (data, path) => {
  if (typeof data !== "number" || !Number.isFinite(data)) throw misfit(path, "a number");
  return data;
};

export function ranged(low: number, high: number): Reader<number> {
  return (data, path) => {
    const value = finite(data, path);
    if (value < low || value > high) throw misfit(path, `from ${low} to ${high}`);
    return value;
  };
}

export const flag: Reader<boolean> = (data, path) => {
  if (typeof data !== "boolean") throw misfit(path, "true or false");
  return data;
};

/** A whole number from 0 to `max`. */
export function whole(max: number): Reader<number> {
  return (data, path) => {
    if (!Number.isSafeInteger(data) || (data as number) < 0 || (data as number) > max) {
      throw misfit(path, `a whole number from 0 to ${max}`);
    }
    return data as number;
  };
}

/** A string that `parse` takes. @param what it should be, for the error */
export function parsed<Value>(
  parse: (text: string) => Value | undefined,
  what: string,
): Reader<Value> {
  return (data, path) => {
    const value = typeof data === "string" ? parse(data) : undefined;
    if (value === undefined) throw misfit(path, what);
    return value;
  };
}

export function nullable<Value>(reader: Reader<Value>): Reader<Value | null> {
  return (data, path) => (data === null ? null : reader(data, path));
}

export function list<Value>(reader: Reader<Value>): Reader<readonly Value[]> {
  return (data, path) => {
    if (!Array.isArray(data)) throw misfit(path, "a list");
    return data.map((item, i) => reader(item, `${path}[${i}]`));
  };
}

/** An object that has all these members; others are passed over. */
export function record<Of extends Fields>(fields: Of): Reader<Read<Of>> {
  return (data, path) => {
    const members = membersOf(data, path);
    const read = Object.entries(fields).map(([name, reader]) => {
      return [name, reader(members[name], `${path}.${name}`)] as const;
    });
    return Object.fromEntries(read) as Read<Of>;
  };
}

/** An object that has any of these members. */
export function partial<Of extends Fields>(fields: Of): Reader<Partial<Read<Of>>> {
  return (data, path) => {
    const members = membersOf(data, path);
    const read = Object.entries(fields).flatMap(([name, reader]) => {
      return name in members ? [[name, reader(members[name], `${path}.${name}`)] as const] : [];
    });
    return Object.fromEntries(read) as Partial<Read<Of>>;
  };
}

function membersOf(data: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw misfit(path, "an object");
  }
  return data as Readonly<Record<string, unknown>>;
}

function misfit(path: string, what: string): PlainDataError {
  return new PlainDataError(`${path} is not ${what}`);
}
