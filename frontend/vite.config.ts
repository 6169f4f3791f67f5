import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// One entry per Streamlit component, loaded by the stub in dashboard/components/bundle.py.
// Entries keep their names (the stub adds a hash); the parts they share carry theirs.
export default defineConfig({
  plugins: [react()],
  base: "./",
  build: {
    outDir: "../dashboard/components/build",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: false,
    license: { fileName: "LICENSES.md" },
    rolldownOptions: {
      input: {
        rooms_table: "src/rooms_table.tsx",
        live: "src/live.ts",
        call_panel: "src/call_panel.tsx",
        asked_badge: "src/asked_badge.tsx",
        call_dock: "src/call_dock.tsx",
        device_probe: "src/device_probe.tsx",
        listen_in: "src/listen_in.tsx",
        session_view: "src/session_view.tsx",
        path_map: "src/path_map.tsx",
      },
      preserveEntrySignatures: "strict",
      output: {
        format: "es",
        entryFileNames: "[name].js",
        chunkFileNames: "chunk-[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
      },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.{ts,tsx}"],
    restoreMocks: true,
  },
});
