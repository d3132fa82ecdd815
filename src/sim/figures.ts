/** What a run did, all counts. */
export interface SimFigures {
  /** Packets that arrived, timers that ran out, changes of the scenario. */
  events: number;
  payloadPackets: number;
  controlPackets: number;
  /** Of the control packets. */
  probes: number;
  lostPackets: number;
  failures: number;
  /** Contexts that became ESTABLISHED, at either end. */
  established: number;
  /** Contexts collected because nothing used them. */
  collected: number;
  /** Payload moved to another pair of locators. */
  switches: number;
  /** Explorations that ended Operational. */
  recoveries: number;
  /** Sessions of which one end had lost its context and got it back by I2bis. */
  renewals: number;
}

export function noFigures(): SimFigures {
  return {
    ...{ events: 0, payloadPackets: 0, controlPackets: 0, probes: 0, lostPackets: 0, failures: 0 },
    ...{ established: 0, collected: 0, switches: 0, recoveries: 0, renewals: 0 },
  };
}

/** Both runs' figures together. */
export function addFigures(a: Readonly<SimFigures>, b: Readonly<SimFigures>): SimFigures {
  const sum = noFigures();
  for (const name of Object.keys(sum) as (keyof SimFigures)[]) sum[name] = a[name] + b[name];
  return sum;
}
