import { createCipheriv, createHash } from "node:crypto";

/** An endless octet stream that both ends can make from the seed: the AES-CTR key stream. */
export class SeededData {
  readonly #cipher;

  constructor(seed: string) {
    const key = createHash("sha256").update(seed).digest().subarray(0, 16);
    this.#cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  }

  next(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }
}
