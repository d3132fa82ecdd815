/** How a part of the plane ends, in both ways. */
interface Part {
  /** Takes what it added to the host away. */
  readonly remove: () => void;
  /** Gives up what this process holds, and leaves the host as it is; the same when left out. */
  readonly release?: () => void;
}

/** Ends the parts of the plane in the reverse order in which they began. */
export class Ending {
  readonly #parts: Part[] = [];

  add(part: Part): void {
    this.#parts.unshift(part);
  }

  /** Adds something that leaves nothing behind when it is closed. */
  closing<Resource extends { close(): void }>(resource: Resource): Resource {
    this.add({ remove: () => resource.close() });
    return resource;
  }

  remove(): void {
    this.#end((part) => part.remove());
  }

  release(): void {
    this.#end((part) => (part.release ?? part.remove)());
  }

  /** All parts end, whatever one of them throws; the first error is told. */
  #end(end: (part: Part) => void): void {
    const errors: unknown[] = [];
    for (const part of this.#parts.splice(0)) {
      try {
        end(part);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
