import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LabProcess } from "./lab-process.ts";

export interface AdvertisedPrefix {
  /** As "2001:db8:1:a::/64". */
  readonly prefix: string;
  /** Hosts are told to leave it: its lifetimes are 0 (RFC 4862 section 5.5.3 e). */
  readonly withdrawn: boolean;
}

/** What a router advertises, by its interface. */
export type Advertisements = ReadonlyMap<string, readonly AdvertisedPrefix[]>;

/** A router's own radvd, which gives hosts their prefixes and default router (RFC 4861). */
export class Radvd {
  readonly #file: string;
  readonly #process: LabProcess;

  private constructor(namespace: string, file: string) {
    this.#file = file;
    // Debian keeps it where only root's PATH leads to.
    const script = 'PATH="$PATH:/usr/sbin:/sbin"; exec radvd "$@"';
    const options = ["--nodaemon", "--logmethod", "stderr", "--config", file];
    const argv = ["sh", "-c", script, "radvd", ...options, "--pidfile", `${file}.pid`];
    this.#process = new LabProcess({ namespace, argv });
  }

  /** @param directory for its configuration */
  static async start(
    namespace: string,
    directory: string,
    advertisements: Advertisements,
  ): Promise<Radvd> {
    const file = join(directory, `${namespace}.radvd.conf`);
    await writeFile(file, configuration(advertisements), { mode: 0o644 });
    return new Radvd(namespace, file);
  }

  /** Advertises this from now on; hosts are told at once. @throws LabError when it has ended */
  async advertise(advertisements: Advertisements): Promise<void> {
    if (this.#process.hasEnded) throw this.#process.failure("radvd is gone");
    await writeFile(this.#file, configuration(advertisements), { mode: 0o644 });
    this.#process.signal("SIGHUP");
  }

  /** Why hosts may hear nothing. */
  get errorText(): string {
    return this.#process.errorText;
  }
}

function configuration(advertisements: Advertisements): string {
  return [...advertisements].map(interfaceBlock).join("\n");
}

/** Lifetimes as home routers have them: nothing runs out while a lab looks. */
function interfaceBlock([device, prefixes]: readonly [string, readonly AdvertisedPrefix[]]) {
  const options = "AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 10;";
  return [
    `interface ${device} { ${options} AdvDefaultLifetime 1800;`,
    ...prefixes.map(({ prefix, withdrawn }) => {
      const [valid, preferred] = withdrawn ? [0, 0] : [86_400, 14_400];
      return `prefix ${prefix} { AdvValidLifetime ${valid}; AdvPreferredLifetime ${preferred}; };`;
    }),
    "};",
  ].join("\n");
}
