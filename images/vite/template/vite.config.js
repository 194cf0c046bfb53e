import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Served through Sandy's ingress under the sandbox's own host name, hence any interface and any host.
export default defineConfig({
  plugins: [react()],
  server: { host: "0.0.0.0", port: 5173, strictPort: true, allowedHosts: true },
});
