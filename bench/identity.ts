import { parseArgs } from "node:util";
import { newRsaKey } from "../src/daemon/crypto/rsa-key.ts";
import { timeHandshakes } from "./handshakes.ts";
import { type Identity, type Method, makeIdentity } from "./identities.ts";
import {
  identityOperations,
  type Operation,
  type SearchRun,
  searchForSec2,
} from "./identity-operations.ts";
import { IDENTITY_SECTION, type IdentityFigures, renderIdentity } from "./identity-report.ts";
import { REPORT_FILE, writeSection } from "./section.ts";

/** Peers of one host in one measurement. */
const PEERS = 32;
/** Rounds that do not count: compilers come late to what is not called very often. */
const WARM_UP = 12;
/** Microseconds of the search for Sec 2, in each round. */
const SEARCH = 500_000;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    write: { type: "boolean", default: false },
  },
});

const section = renderIdentity(await measure(Number(values.rounds)));
process.stdout.write(`${section}\n`);
if (values.write) await writeSection(REPORT_FILE, IDENTITY_SECTION, section);

/** Each round runs every operation, in turn from another one on. The first ones warm up. */
async function measure(rounds: number): Promise<IdentityFigures> {
  const key = await newRsaKey();
  const operations = identityOperations(key);
  const handshakes = await handshakeOperations();
  const all = [...operations, ...handshakes];
  const times = new Map<string, number[]>(all.map(({ name }) => [name, []]));
  const searches: SearchRun[] = [];
  for (let round = 0; round < WARM_UP + rounds; round++) {
    process.stderr.write(`round ${round + 1} of ${WARM_UP + rounds}\n`);
    for (let i = 0; i < all.length; i++) {
      const operation = all[(round + i) % all.length];
      const time = await operation?.measure();
      if (round >= WARM_UP && operation && time !== undefined)
        times.get(operation.name)?.push(time);
    }
    const search = searchForSec2(key, SEARCH);
    if (round >= WARM_UP) searches.push(search);
  }
  return {
    operations: operations.map(({ name }) => name),
    handshakes: handshakes.map(({ name }) => name),
    times,
    searches,
  };
}

async function handshakeOperations(): Promise<Operation[]> {
  const made: Operation[] = [];
  for (const method of ["HBA", "CGA"] as const) {
    const identities = await makeIdentities(method);
    const [host, ...peers] = identities;
    if (host === undefined) throw new Error("no identities");
    for (const role of ["initiator", "responder"] as const) {
      const measure = () => timeHandshakes(role, host, peers);
      made.push({ name: `${role}, ${method}`, measure });
    }
  }
  return made;
}

async function makeIdentities(method: Method): Promise<Identity[]> {
  process.stderr.write(`${PEERS} peers with ${method}\n`);
  const identities: Identity[] = [];
  // The host, and one peer that makes it ready.
  for (let host = 1; host <= PEERS + 2; host++) identities.push(await makeIdentity(host, method));
  return identities;
}
