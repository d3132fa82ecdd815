import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/** The dashboard, with all that it needs, into dist/web: it is served with no other source. */
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  // A lab serves one page for each of its hosts, each in a folder of its own.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    // As data: URLs files would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // How long its own plugins take, on a machine that has other work.
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
});
