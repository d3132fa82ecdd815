import { prefixOf } from "../../identity/subnet-prefix.ts";
import type { AddressLabel } from "../../linux/rtnetlink.ts";
import type { Address } from "../../wire/address.ts";
import type { OwnEntries } from "../host/network.ts";

/** What marks a label of the policy table as ours: nobody else has a use for it. */
const OTHERS_LABEL = 1_400_140;

/** The label that RFC 6724 section 2.1 gives to all but special addresses. */
const DEFAULT_LABEL = 1;

/**
 * Makes new sessions start on our addresses by rule 6 of RFC 6724 section 5: prefer a source
 * whose label is the destination's. Our address keeps the label of ordinary destinations; the
 * other addresses in its prefix get one that no destination beyond the link has.
 *
 * Of all means this one takes the least away. Others' addresses stay preferred, so that whoever
 * binds to one has it, and neighbors on the link are still talked to from it; interface, scope
 * and deprecation (rules 2 to 5) go first as before. A source hint (RTA_PREFSRC) needs default
 * routes of ours beside the router's in the main table, and overrides all those rules.
 */
export class AddressLabels {
  readonly #own: OwnEntries;
  readonly #warn: (error: Error) => void;
  #refused = false;

  /** @param warn is told once when the kernel refuses labels */
  constructor(own: OwnEntries, warn: (error: Error) => void) {
    this.#own = own;
    this.#warn = warn;
  }

  /** Prefers these addresses within their prefixes, and no others of ours. */
  apply(preferred: readonly Address[]): void {
    if (this.#refused) return;
    try {
      this.#apply(preferred);
    } catch (error) {
      this.#refused = true;
      this.#warn(error as Error);
    }
  }

  #apply(preferred: readonly Address[]): void {
    const table = this.#own.readLabels();
    const ordinary = table.find(({ prefix }) => prefix.length === 0)?.label ?? DEFAULT_LABEL;
    const wanted = preferred.flatMap((address) => labelsFor(address, ordinary));
    const present = ownLabels(table);
    const isIn = (labels: readonly AddressLabel[], label: AddressLabel) =>
      labels.some((other) => keyOf(other) === keyOf(label));
    // A prefix's label is there only while its address has one too: shorter prefixes go first
    // and come last.
    const surplus = present.filter((label) => !isIn(wanted, label));
    const missing = wanted.filter((label) => !isIn(present, label));
    const byLength = (a: AddressLabel, b: AddressLabel) => a.prefix.length - b.prefix.length;
    for (const label of surplus.toSorted(byLength)) this.#own.removeLabel(label);
    for (const label of missing.toSorted(byLength).reverse()) this.#own.addLabel(label);
  }
}

function labelsFor(address: Address, ordinary: number): AddressLabel[] {
  return [
    { prefix: { address, length: 128 }, label: ordinary },
    { prefix: networkOf(address), label: OTHERS_LABEL },
  ];
}

/** The prefixes that have our label, and the single addresses in them. */
function ownLabels(table: readonly AddressLabel[]): AddressLabel[] {
  const networks = table.filter(({ label }) => label === OTHERS_LABEL);
  const isInside = ({ address }: AddressLabel["prefix"]) =>
    networks.some(({ prefix }) => prefix.address === networkOf(address).address);
  const addresses = table.filter(({ prefix }) => prefix.length === 128 && isInside(prefix));
  return [...networks, ...addresses];
}

function networkOf(address: Address): AddressLabel["prefix"] {
  return { address: prefixOf(address) as string as Address, length: 64 };
}

function keyOf({ prefix, label }: AddressLabel): string {
  return `${prefix.address}/${prefix.length} ${label}`;
}
