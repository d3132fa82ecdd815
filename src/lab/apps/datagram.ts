/** The octets of a lab datagram: a number, a check value and filling that the number decides. */
const DATAGRAM_LENGTH = 160;

const NUMBER = 0;
const CHECK = 4;
const FILLING = 8;

export function encodeDatagram(number: number): Buffer {
  const datagram = Buffer.alloc(DATAGRAM_LENGTH);
  datagram.writeUInt32BE(number, NUMBER);
  datagram.writeUInt32BE(~number >>> 0, CHECK);
  for (let i = FILLING; i < DATAGRAM_LENGTH; i++) datagram[i] = number + i;
  return datagram;
}

/** The datagram's number; `undefined` when an octet isn't as it was sent. */
export function decodeDatagram(datagram: Buffer): number | undefined {
  if (datagram.length !== DATAGRAM_LENGTH) return undefined;
  const number = datagram.readUInt32BE(NUMBER);
  return datagram.equals(encodeDatagram(number)) ? number : undefined;
}
