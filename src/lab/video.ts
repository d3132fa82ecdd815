import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Application } from "./application.ts";
import type { AppResult } from "./apps/output.ts";
import type { Flow } from "./flow.ts";
import { receiverRecord } from "./flow.ts";
import { type Endpoints, observe } from "./flows.ts";
import { LabProcess } from "./lab-process.ts";
import type { Network } from "./network.ts";
import { sleep, tryRun } from "./shell.ts";

/** ms */
const LINGER = 300;
const RESULT_PATIENCE = 5_000;

/** Seven MPEG-TS packets in a datagram, as streaming servers do. */
const DATAGRAM_OCTETS = 7 * 188;

export interface VideoOptions extends Endpoints {
  /** Where the received stream is kept until it is examined. */
  readonly directory: string;
}

/** A test picture with a tone, as live MPEG-TS over UDP: the streaming of the paper's VideoLan. */
export async function startVideo(network: Network, options: VideoOptions): Promise<Flow> {
  const { from, to, destination, port, directory } = options;
  const save = join(directory, `video-${port}.ts`);
  const receiver = await Application.start(network, to, "ts-receive", {
    listen: destination,
    port,
    save,
  });
  const server = new LabProcess({
    namespace: network.namespace(from),
    argv: serverCommand(options),
  });
  return {
    ...observe("ffmpeg", from, to, receiver),
    stop: async () => {
      const failure = server.hasEnded ? `the server ended early: ${server.errorText}` : undefined;
      await server.stop("SIGINT");
      await sleep(LINGER);
      receiver.finish();
      const received = await receiver.collect(RESULT_PATIENCE);
      const frames = await decodeFrames(save);
      await rm(save);
      const [damage, summary] = verdict(received, frames, receiver);
      if (failure !== undefined) damage.push(failure);
      const record = receiverRecord(receiver);
      return { kind: "ffmpeg", from, to, ...record, peer: undefined, damage, summary };
    },
  };
}

function serverCommand({ destination, port }: Endpoints): string[] {
  const url = `udp://[${destination}]:${port}?pkt_size=${DATAGRAM_OCTETS}`;
  return [
    ...["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-re"],
    ...["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"],
    ...["-f", "lavfi", "-i", "sine=frequency=440"],
    ...["-c:v", "mpeg2video", "-b:v", "800k", "-g", "12", "-c:a", "mp2", "-b:a", "128k"],
    ...["-f", "mpegts", "-flush_packets", "1", url],
  ];
}

/** How many pictures a player gets out of what was received; 0 when it is no video at all. */
async function decodeFrames(file: string): Promise<number> {
  const { stdout } = await tryRun([
    ...["ffprobe", "-loglevel", "quiet", "-count_frames", "-select_streams", "v:0"],
    ...["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", file],
  ]);
  return Number.parseInt(stdout, 10) || 0;
}

function verdict(
  received: AppResult | undefined,
  frames: number,
  receiver: Application,
): [damage: string[], summary: string] {
  if (received?.app !== "ts-receive") return [[`no receiver's account: ${receiver.errorText}`], ""];
  const damage: string[] = [];
  if (received.corrupt > 0) damage.push(`${received.corrupt} MPEG-TS packets were corrupt`);
  if (frames === 0) damage.push("what was received has no picture");
  const summary =
    `${received.packets} MPEG-TS packets, ${received.discontinuities} counter jumps, ` +
    `${frames} pictures decoded`;
  return [damage, summary];
}
