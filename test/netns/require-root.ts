/** Fails the whole run, instead of skipping, where the namespace tests cannot work. */
export default function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Error(
    "The namespace tests make network namespaces and need root, and this is uid " +
      `${process.getuid?.()}. Run \`sudo scripts/test\`, or leave them out with ` +
      "L3SHIM_NO_ROOT_TESTS=1 scripts/test.",
  );
}
