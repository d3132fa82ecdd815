/** Colours for people at a terminal; everybody else, and who sets NO_COLOR, gets plain text. */

function isColourful(): boolean {
  return process.stdout.isTTY && (process.env.NO_COLOR ?? "") === "";
}

/** @param code of SGR (ECMA-48): one that sets a foreground, or bold */
function painter(code: number): (text: string) => string {
  return (text) => (isColourful() ? `\u001b[${code}m${text}\u001b[0m` : text);
}

export const bold = painter(1);
export const red = painter(31);
export const green = painter(32);
export const yellow = painter(33);
