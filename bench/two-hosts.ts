import { literal, type Topology } from "../src/lab/topology.ts";

/** Hosts a and b with an uplink to each of two ISPs, at 2001:db8:{isp}:{host}::1. */
export const TWO_HOSTS: Topology = {
  isps: ["isp1", "isp2"],
  hosts: ["a", "b"].map((name) => ({
    name,
    uplinks: [1, 2].map((isp) => ({
      isp: `isp${isp}`,
      address: literal(`2001:db8:${isp}:${name}::1`),
    })),
  })),
};
