import { expect, test } from "vitest";
import { AddressLives } from "../../src/daemon/host/address-life.ts";
import { addressOn } from "./fakes.ts";

const OURS = addressOn(1, "2001:db8:1::b", { protocol: 140 });
const isOurs = ({ protocol }: { readonly protocol: number | undefined }) => protocol === 140;

test.each([
  ["for ever", {}, "preferred"],
  ["with time left", { validLifetime: 21 }, "preferred"],
  ["about to end", { validLifetime: 20 }, "ending"],
  ["about to end, and deprecated", { validLifetime: 20, deprecated: true }, "ending"],
  ["deprecated", { validLifetime: 7_200, deprecated: true }, "deprecated"],
])("the life of an address %s, and of ours beside it", (_case, changes, life) => {
  const address = addressOn(1, "2001:db8:1::a", changes);
  const lives = new AddressLives([address, OURS], isOurs);
  expect([lives.of(address), lives.of(OURS)]).toEqual([life, life]);
});

test("ours lives as long as any other beside it, on its own link; alone it has its own life", () => {
  const ending = addressOn(1, "2001:db8:1::a", { validLifetime: 3 });
  const temporary = addressOn(1, "2001:db8:1::c", { validLifetime: 100, deprecated: true });
  const elsewhere = addressOn(2, "2001:db8:1::d");
  const former = { ...OURS, deprecated: true };
  expect(new AddressLives([ending, OURS, elsewhere], isOurs).of(OURS)).toBe("ending");
  expect(new AddressLives([ending, temporary, OURS], isOurs).of(OURS)).toBe("deprecated");
  expect(new AddressLives([addressOn(1, "2001:db8:1::e"), former], isOurs).of(former)).toBe(
    "preferred",
  );
  expect(new AddressLives([former], isOurs).of(former)).toBe("deprecated");
});

test("the next look is before the first end that is still to come", () => {
  const left = (seconds: number) => addressOn(1, "2001:db8:1::a", { validLifetime: seconds });
  expect(new AddressLives([left(100), left(50), left(3)]).nextEnd).toBe(30);
  expect(new AddressLives([left(3), addressOn(1, "2001:db8:1::b")]).nextEnd).toBeUndefined();
});
