// A slide viewer of another site: it shows whole slides tile by tile, with a bearer token.

import { api } from "dicomweb-client";
import { expect, inTime, report, show } from "./report.js";

const { metadata, viewer } = window.dicomMicroscopyViewer;
const EVENT = "dicommicroscopyviewer";
const COLOURS = 100;

// Where its worker and its codecs are.
window.PUBLIC_LIB_URL = "./dicom-microscopy-viewer/";
keepWhatIsDrawn();

report(async (plan, attempt) => {
  const headers = { Authorization: `Bearer ${plan.token}` };
  const client = new api.DICOMwebClient({ url: plan.base, headers });
  for (const slide of plan.slides) {
    await attempt(slide.name, () => look(client, slide));
  }
  await attempt("every tile", async () => {
    const asked = performance.getEntriesByType("resource").filter((one) => /\/frames\//.test(one.name));
    const refused = asked.filter((one) => one.responseStatus !== 200);
    expect(asked.length > 0 && refused.length === 0, `${refused.length} of ${asked.length} refused`);
  });
});

/** Shows a slide from its last level to its first, and hands over every tile that comes. */
async function look(client, slide) {
  const described = await client.retrieveSeriesMetadata({
    studyInstanceUID: slide.study,
    seriesInstanceUID: slide.series,
  });
  const images = described.map((one) => new metadata.VLWholeSlideMicroscopyImage({ metadata: one }));
  const container = document.createElement("div");
  container.style = "width: 900px; height: 900px";
  document.body.replaceChildren(container);
  const tiles = tilesOf(container);
  const shown = new viewer.VolumeImageViewer({ client, metadata: images, controls: [] });
  for (const [level, { uid, frames }] of slide.levels.entries()) {
    const ended = tiles.all(uid, frames);
    if (level === 0) {
      shown.render({ container });
    } else {
      shown.navigate({ level });
    }
    await inTime(ended, `level ${level}`);
    await drawn();
    const colours = coloursOf(container);
    expect(colours > COLOURS, `level ${level} is drawn in ${colours} colours`);
  }
  await tiles.sent();
  shown.cleanup();
}

/** The tiles that a viewer in this container decodes, each handed over as it comes. */
function tilesOf(container) {
  const sent = new Map();
  const waiting = [];
  container.addEventListener(`${EVENT}_frame_loading_ended`, ({ detail }) => {
    const { sopInstanceUID, frameNumber, pixelArray } = detail.payload;
    if (pixelArray) {
      sent.set(`${sopInstanceUID} ${frameNumber}`, show(sopInstanceUID, frameNumber, pixelArray));
      waiting.forEach((look) => look());
    }
  });
  return {
    sent: () => Promise.all(sent.values()),
    all: (uid, frames) =>
      new Promise((resolve) => {
        const numbers = Array.from({ length: frames }, (_, index) => index + 1);
        const look = () => numbers.every((number) => sent.has(`${uid} ${number}`)) && resolve();
        waiting.push(look);
        look();
      }),
  };
}

/** After the tiles that have come are drawn. */
function drawn() {
  return new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
  });
}

/** The number of colours in what is drawn. */
function coloursOf(container) {
  const found = new Set();
  for (const canvas of container.querySelectorAll("canvas")) {
    const copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    new Uint32Array(data.buffer).forEach((colour) => found.add(colour));
  }
  return found.size;
}

/** A canvas of WebGL forgets what it shows, unless it is told not to. */
function keepWhatIsDrawn() {
  const original = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    return original.call(this, kind, { ...options, preserveDrawingBuffer: true });
  };
}
