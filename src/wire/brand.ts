/**
 * Nominal types over primitives: a {@link Address} is a string at run time, but no other
 * string passes for one without going through the function that makes it.
 */
declare const brand: unique symbol;

export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
