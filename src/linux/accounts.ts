import { existsSync, readFileSync } from "node:fs";

/** A user of this system. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  /** Its primary group. */
  readonly gid: number;
}

/** The user of this name in /etc/passwd. */
export function findAccount(name: string): Account | undefined {
  const [, , uid, gid] = entryOf("/etc/passwd", name) ?? [];
  return uid === undefined || gid === undefined
    ? undefined
    : { name, uid: Number(uid), gid: Number(gid) };
}

/** The number of the group of this name in /etc/group. */
export function findGroup(name: string): number | undefined {
  const gid = entryOf("/etc/group", name)?.[2];
  return gid === undefined ? undefined : Number(gid);
}

/** Whether this process's user namespace has such a user or group; a container's may not. */
export function isMapped(kind: "uid" | "gid", id: number): boolean {
  const ranges = readFileSync(`/proc/self/${kind}_map`, "utf8").trim().split("\n");
  return ranges.some((range) => {
    const [first = 0, , count = 0] = range.trim().split(/\s+/).map(Number);
    return id >= first && id < first + count;
  });
}

/** Whether setgroups(2) is allowed at all: a user namespace that a user made denies it. */
export function maySetGroups(): boolean {
  return readFileSync("/proc/self/setgroups", "utf8").trim() === "allow";
}

function entryOf(file: string, name: string): string[] | undefined {
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.find((line) => line.startsWith(`${name}:`))?.split(":");
}
