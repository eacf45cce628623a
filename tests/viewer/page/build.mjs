// Bundles the two pages and the worker that decodes, and lays the codecs beside them.

import { copyFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { build } from "esbuild";

const WORKER = "node_modules/@cornerstonejs/dicom-image-loader/dist/esm/decodeImageFrameWorker.js";
const CODECS = [
  "charls/dist/charlswasm_decode.wasm",
  "libjpeg-turbo-8bit/dist/libjpegturbowasm_decode.wasm",
  "openjpeg/dist/openjpegwasm_decode.wasm",
  "openjph/dist/openjphjs.wasm",
];

await build({
  entryPoints: ["viewer.js", "images.js", WORKER],
  entryNames: "[name]",
  outdir: "dist",
  bundle: true,
  format: "esm",
  // The codecs ask for these under Node alone.
  external: ["fs", "path", "crypto"],
  logLevel: "error",
});
for (const codec of CODECS) {
  copyFileSync(`node_modules/@cornerstonejs/codec-${codec}`, `dist/${basename(codec)}`);
}
for (const page of ["viewer", "images"]) {
  const html = `<!doctype html><title>${page}</title><script type="module" src="${page}.js"></script>`;
  writeFileSync(`dist/${page}.html`, html);
}
