// Bundles the pages and the worker that decodes, and lays the codecs beside them, and a viewer of
// slides, which comes bundled.

import { copyFileSync, cpSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { build } from "esbuild";

const WORKER = "node_modules/@cornerstonejs/dicom-image-loader/dist/esm/decodeImageFrameWorker.js";
const SLIDE_VIEWER = "dicom-microscopy-viewer";
const PAGES = {
  viewer: "",
  images: "",
  slides: `<script src="${SLIDE_VIEWER}/dicomMicroscopyViewer.min.js"></script>`,
};
const CODECS = [
  "charls/dist/charlswasm_decode.wasm",
  "libjpeg-turbo-8bit/dist/libjpegturbowasm_decode.wasm",
  "openjpeg/dist/openjpegwasm_decode.wasm",
  "openjph/dist/openjphjs.wasm",
];

await build({
  entryPoints: [...Object.keys(PAGES).map((page) => `${page}.js`), WORKER],
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
// The viewer of slides looks for its worker and its codecs in a folder of its own.
cpSync(`node_modules/${SLIDE_VIEWER}/dist/dynamic-import`, `dist/${SLIDE_VIEWER}`, { recursive: true });
for (const [page, before] of Object.entries(PAGES)) {
  const head = `<!doctype html><meta charset="utf-8"><title>${page}</title>`;
  const script = `<script type="module" src="${page}.js"></script>`;
  writeFileSync(`dist/${page}.html`, `${head}<body>${before}${script}`);
}
