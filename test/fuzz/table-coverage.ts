/** A state machine's table: what follows an event in a state, where anything does. */
type Table = Readonly<Record<string, Readonly<Partial<Record<string, unknown>>>>>;

/**
 * Notes from now on which cells of a table are looked up, the empty ones too. The endpoints of
 * this process share the table, so that their look-ups come together.
 * @returns the set that grows, of cells as {@link cellName} writes them
 */
export function watchTable(table: Table): ReadonlySet<string> {
  const seen = new Set<string>();
  for (const [event, row] of Object.entries(table)) {
    const watched = new Proxy(row, {
      get: (cells, state: string) => {
        seen.add(cellName(event, state));
        return cells[state];
      },
    });
    Reflect.set(table, event, watched);
  }
  return seen;
}

/** "r1 in I1-SENT". */
export function cellName(event: string, state: string): string {
  return `${event} in ${state}`;
}
