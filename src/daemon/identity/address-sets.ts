import { after, seconds } from "../../core/time.ts";
import { afterCollision } from "../../identity/address-set.ts";
import type { SubnetPrefix } from "../../identity/subnet-prefix.ts";
import type { Address } from "../../wire/address.ts";
import type { Clock } from "../clock.ts";
import type { IdentityConfig } from "../config/config.ts";
import { sha1 } from "../crypto/primitives.ts";
import type { RsaKey } from "../crypto/rsa-key.ts";
import type { IdentityFiles } from "./identity-files.ts";
import { OwnSet, type SetRecord } from "./own-set.ts";
import { makeSet, type SetCrypto } from "./set-maker.ts";

/** What the sets are made and kept with; tests bring their own. */
export interface IdentitySystem {
  readonly files: IdentityFiles;
  readonly crypto: SetCrypto;
  readonly clock: Clock;
}

export interface SetsObserver {
  /** New sessions are to start on these addresses. */
  chosen(addresses: readonly Address[]): void;
  /** A set has been made, some time after it was wanted: look again. */
  made(): void;
  warning(error: Error): void;
}

/** Prefixes come one by one when a host boots: a set is made for what stays this long. */
const SETTLING_TIME = seconds(1);

/** Sets in use beside the current one, and sets on disk. */
const FORMER_SETS_MAX = 3;
const STORED_SETS_MAX = 16;

/**
 * The host's own address sets: those of former runs, the current one, whose addresses new
 * sessions start on, and those that it replaced in this run, which sessions may still need.
 */
export class AddressSets {
  readonly #config: IdentityConfig;
  readonly #system: IdentitySystem;
  readonly #observer: SetsObserver;
  #key: RsaKey | undefined;
  /** Newest first. */
  #stored: OwnSet[] = [];
  #current: OwnSet | undefined;
  #former: OwnSet[] = [];
  /** The prefixes that a set is being made for, or that none can be made for. */
  #pending: string | undefined;
  #cancelPending: () => void = () => undefined;

  constructor(config: IdentityConfig, system: IdentitySystem, observer: SetsObserver) {
    this.#config = config;
    this.#system = system;
    this.#observer = observer;
  }

  get current(): OwnSet | undefined {
    return this.#current;
  }

  /** Those that the current set replaced, the last one first. */
  get former(): readonly OwnSet[] {
    return this.#former;
  }

  /** The set that the address belongs to, also one of a former run. */
  find(address: Address): OwnSet | undefined {
    return [...this.#former, ...this.#stored].find((set) => set.proverOf(address) !== undefined);
  }

  /**
   * Reads what former runs made. Sets that these ULIDs are of stay in use, as they were before.
   * @throws IdentityFileError
   */
  load(ulids: readonly Address[]): void {
    const { files } = this.#system;
    const key = files.readKey();
    this.#key = key;
    if (key !== undefined) this.#stored = files.readSets().flatMap((set) => this.#again(set, key));
    this.#former = this.#stored.filter((set) =>
      ulids.some((ulid) => set.proverOf(ulid) !== undefined),
    );
  }

  /** Makes a set current that has all these prefixes: one that there is, or a new one. */
  want(prefixes: readonly SubnetPrefix[]): void {
    const isCovered = this.#current?.covers(prefixes) ?? prefixes.length === 0;
    const pending = isCovered ? undefined : prefixes.toSorted().join(" ");
    if (pending === this.#pending) return;
    this.#cancelPending();
    this.#pending = pending;
    if (isCovered) return;
    const known = this.#stored.find((set) => set.covers(prefixes));
    if (known !== undefined) this.#use(known);
    else this.#makeLater(prefixes);
  }

  /**
   * Somebody else on the link has an address of the current set: on to the next collision count
   * (RFC 5535 section 6). After three collisions there is no set until the prefixes change.
   */
  handleCollision(): void {
    const { current } = this;
    if (current === undefined || this.#key === undefined) return;
    const { record } = current;
    const next = afterCollision(sha1, current.addressSet);
    if (next.ok) {
      const changed = { ...record, collisionCount: record.collisionCount + 1 };
      this.#store(new OwnSet(changed, this.#key), current);
      return;
    }
    // With other modifiers on disk the next start would run into the same.
    this.#stored = this.#stored.filter((set) => set !== current);
    this.#former = [current, ...this.#former];
    this.#current = undefined;
    this.#pending = record.prefixes.toSorted().join(" ");
    this.#save();
    this.#observer.warning(new Error(`${next.error.message}; restart l3shim to try again`));
  }

  /** Forgets former sets but for the last ones and those that sessions need. */
  prune(ulids: readonly Address[]): void {
    this.#former = this.#former.filter(
      (set, age) => age < FORMER_SETS_MAX || ulids.some((ulid) => set.proverOf(ulid) !== undefined),
    );
  }

  /** Makes nothing any more. */
  close(): void {
    this.#cancelPending();
  }

  #makeLater(prefixes: readonly SubnetPrefix[]): void {
    const { clock } = this.#system;
    const ended = new AbortController();
    const cancelTimer = clock.schedule(after(clock.now(), SETTLING_TIME), () => {
      void this.#make(prefixes, ended.signal);
    });
    this.#cancelPending = () => {
      cancelTimer();
      ended.abort();
    };
  }

  async #make(prefixes: readonly SubnetPrefix[], signal: AbortSignal): Promise<void> {
    const { files, crypto } = this.#system;
    try {
      const { key, set } = await makeSet(prefixes, this.#config, files, crypto, signal);
      if (signal.aborted) return;
      this.#key = key;
      this.#pending = undefined;
      this.#store(set, undefined);
      this.#observer.made();
    } catch (error) {
      if (!signal.aborted) this.#observer.warning(error as Error);
    }
  }

  /** @param replaced is not to be used any more after a restart */
  #store(set: OwnSet, replaced: OwnSet | undefined): void {
    const others = this.#stored.filter((other) => other !== replaced);
    this.#stored = [set, ...others].slice(0, STORED_SETS_MAX);
    this.#save();
    this.#use(set);
  }

  #use(set: OwnSet): void {
    const before = this.#current === undefined ? [] : [this.#current];
    this.#former = [...before, ...this.#former].filter((other) => other !== set);
    this.#current = set;
    this.#pending = undefined;
    this.#observer.chosen(set.addresses);
  }

  #save(): void {
    try {
      this.#system.files.writeSets(this.#stored.map(({ record }) => record));
    } catch (error) {
      this.#observer.warning(error as Error);
    }
  }

  /** None where the record is of another key. */
  #again(record: SetRecord, key: RsaKey): OwnSet[] {
    try {
      return [new OwnSet(record, key)];
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const prefixes = record.prefixes.join(" ");
      this.#observer.warning(
        new Error(`the stored addresses in ${prefixes} are not of this key: ${error.message}`),
      );
      return [];
    }
  }
}
