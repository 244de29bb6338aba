import { defineConfig } from "vite";

// Where `npm run dev` finds a running stack.
const GATEWAY = "http://127.0.0.1:8000";

export default defineConfig({
  base: "/ui/",
  worker: { format: "es" },
  build: {
    target: "es2022",
    // The polyfill would be dead weight: every browser that runs this target preloads modules.
    modulePreload: { polyfill: false },
    // Monaco's core is one lazy chunk of this order; only GraphQL and JSON are bundled beside it.
    chunkSizeWarningLimit: 3500,
    rolldownOptions: {
      input: { explorer: "index.html", board: "board.html" },
      // Libraries mark modules for React's server components and compiler; neither is at work here.
      onLog(level, log, report) {
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log);
      },
    },
  },
  // The development server finds no imports inside a library's worker by itself: these two are CommonJS.
  optimizeDeps: { include: ["monaco-graphql > picomatch-browser", "graphql-language-service > nullthrows"] },
  server: {
    proxy: { "/graphql": { target: GATEWAY, ws: true } },
  },
});
