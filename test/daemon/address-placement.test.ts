import { beforeEach, expect, test } from "vitest";
import { AddressPlacement } from "../../src/daemon/identity/address-placement.ts";
import { address, addressOn, FakeEntries } from "./fakes.ts";

const FIRST = { address: address("2001:db8:1::1"), link: 1, deprecated: false };
const SECOND = { address: address("2001:db8:2::1"), link: 2, deprecated: false };
const STANDING = [FIRST, SECOND].map(({ address: text, link }) => addressOn(link, text));

let own: FakeEntries;
let placement: AddressPlacement;

beforeEach(() => {
  own = new FakeEntries();
  placement = new AddressPlacement(own, (error) => {
    throw error;
  });
  placement.apply([FIRST, SECOND], []);
  placement.apply([FIRST, SECOND], STANDING);
  own.log.length = 0;
});

test("an address that somebody takes away waits for the repair, and comes back by it, once", () => {
  placement.apply([FIRST, SECOND], STANDING.slice(1));
  expect(own.log).toEqual([]);
  expect(placement.repair()).toBe(1);
  expect(own.log).toEqual([`set address ${FIRST.address} on link 1, preferred`]);
  expect(placement.repair()).toBe(0);
  placement.apply([FIRST, SECOND], STANDING);
  expect(placement.repair()).toBe(0);
});

test("what is not wanted any more, or not reported yet, is nothing to repair", () => {
  placement.apply([SECOND], STANDING.slice(1));
  expect(placement.repair()).toBe(0);
  placement.apply([FIRST, SECOND], STANDING.slice(1));
  placement.apply([FIRST, SECOND], STANDING.slice(1));
  expect(placement.repair()).toBe(0);
});
