import type { Address } from "../wire/address.ts";
import { LabError, waitFor } from "./shell.ts";
import type { ShimDaemon } from "./shim-daemon.ts";
import { literal } from "./topology.ts";

/** What `l3shim locators --json` says, as far as the lab looks. */
interface Locators {
  readonly locators: readonly {
    readonly address: string;
    readonly interface: string | null;
    readonly proof: string | null;
    readonly operational: boolean;
  }[];
}

/** ms; a key, a search for a modifier and the detection of duplicates on a busy machine. */
const PATIENCE = 30_000;

/**
 * The address that the host's daemon has made for this uplink, once it works.
 * @throws LabError when there is none in time
 */
export function provenAddress(daemon: ShimDaemon, uplink: string): Promise<Address> {
  const made = async () => {
    const { locators } = (await daemon.get("/v1/locators")) as Locators;
    const found = locators.find(
      (locator) => locator.interface === uplink && locator.proof === "hba" && locator.operational,
    );
    return found && literal(found.address);
  };
  return waitFor(made, {
    timeout: PATIENCE,
    interval: 200,
    timeoutError: () =>
      new LabError(
        `the daemon of host ${daemon.host} made no address on ${uplink} that works; run ` +
          '"l3shim lab shell" and there "l3shim locators" to see why',
      ),
  });
}
