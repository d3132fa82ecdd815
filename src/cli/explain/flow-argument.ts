import { resolvePeer } from "../arguments.ts";
import { CommandError, EXIT } from "../command.ts";
import { protocolNamed } from "../flow.ts";
import type { Flow } from "./flow.ts";

/** A flow in pieces, as people have them from ss or from a firewall's log. */

interface Endpoint {
  readonly address: string;
  readonly port: number | null;
}

/**
 * "tcp", "2001:db8::1", "[2001:db8::1]:443", "www.example.org:443", in any order: a protocol, an
 * address of this host and one of the peer at most.
 * @param own addresses of this host
 * @throws CommandError for what is none of these
 */
export async function parseFlow(
  pieces: readonly string[],
  own: ReadonlySet<string>,
): Promise<Flow> {
  const protocols = pieces.flatMap((piece) => protocolNamed(piece) ?? []);
  const others = pieces.filter((piece) => protocolNamed(piece) === undefined);
  const endpoints = await Promise.all(others.map(parseEndpoint));
  if (protocols.length > 1 || endpoints.length > 2 || endpoints.length === 0) {
    throw new CommandError("a flow is one address or two, and a protocol at most", EXIT.usage);
  }
  const { local, peer } = tellApart(endpoints, own);
  return {
    local: local?.address ?? null,
    peer: peer?.address ?? null,
    protocol: protocols[0] ?? null,
    localPort: local?.port ?? null,
    peerPort: peer?.port ?? null,
  };
}

/** Of two of which none, or each, is the host's own the first is taken for it. */
function tellApart(
  [first, second]: readonly Endpoint[],
  own: ReadonlySet<string>,
): { readonly local?: Endpoint | undefined; readonly peer?: Endpoint | undefined } {
  const isOwn = (endpoint: Endpoint | undefined) => own.has(endpoint?.address ?? "");
  if (second === undefined) return isOwn(first) ? { local: first } : { peer: first };
  const isTurned = isOwn(second) && !isOwn(first);
  return isTurned ? { local: second, peer: first } : { local: first, peer: second };
}

async function parseEndpoint(text: string): Promise<Endpoint> {
  const [, bracketed, name, digits] = /^(?:\[(.+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  if (digits === undefined) {
    const unbracketed = text.replace(/^\[(.*)\]$/, "$1");
    return { address: await resolvePeer(unbracketed), port: null };
  }
  const port = Number(digits);
  if (port > 65_535) throw new CommandError(`${text}: no port is above 65535`, EXIT.usage);
  return { address: await resolvePeer(bracketed ?? name ?? ""), port };
}
