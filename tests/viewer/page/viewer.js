// A viewer of another site: it searches, asks for metadata and decodes frames, with a bearer token.

import { imageLoader, init as initCore } from "@cornerstonejs/core";
import { init as initLoader, wadors } from "@cornerstonejs/dicom-image-loader";
import { api } from "dicomweb-client";
import { expect, inTime, loaded, report, show } from "./report.js";

const STUDY = "0020000D";
const SERIES = "0020000E";
const INSTANCE = "00080018";
const PALETTES = ["00281201", "00281202", "00281203"];
const value = (dataset, tag) => dataset[tag]?.Value?.[0];

report(async (plan, attempt) => {
  const headers = { Authorization: `Bearer ${plan.token}` };
  let accept;
  initCore();
  initLoader({
    maxWebWorkers: 1,
    wasmBasePath: new URL(".", location).href,
    beforeSend: async () => (accept ? { ...headers, Accept: accept } : headers),
  });
  const client = new api.DICOMwebClient({ url: plan.base, headers });
  for (const image of plan.images) {
    await attempt(image.name, async () => {
      const metadata = await found(client, image);
      accept = image.accept;
      for (let frame = 1; frame <= image.frames; frame += 1) {
        const address = `${plan.base}/studies/${image.study}/series/${image.series}`;
        const id = `wadors:${address}/instances/${image.instance}/frames/${frame}`;
        wadors.metaDataManager.add(id, metadata);
        const seen = await inTime(imageLoader.loadAndCacheImage(id), `frame ${frame}`);
        const syntax = seen.transferSyntaxUID;
        await show(image.name, frame, seen.getPixelData(), { syntax, rows: seen.rows });
      }
    });
  }
  const study = `${plan.base}/studies/${plan.images[0].study}`;
  await attempt("a page of another site has no session", async () => {
    const answer = await fetch(`${plan.base}/session`, { method: "POST", headers });
    expect(answer.status === 403, `HTTP ${answer.status}`);
  });
  await attempt("<img> with the token of a study", async () => {
    const answer = await fetch(`${study}/token`, { method: "POST", headers });
    expect(answer.status === 201, `HTTP ${answer.status}`);
    await loaded(`${study}/rendered?access_token=${(await answer.json()).access_token}`);
  });
});

/** The instance's metadata, by the way that a viewer takes: study, series, metadata of the series. */
async function found(client, image) {
  const studies = await client.searchForStudies({
    queryParams: { StudyInstanceUID: image.study, includefield: "all" },
  });
  expect(studies.length === 1, `${studies.length} studies found`);
  const studyInstanceUID = value(studies[0], STUDY);
  const series = await client.searchForSeries({ studyInstanceUID });
  expect(series.length === 1, `${series.length} series found`);
  const seriesInstanceUID = value(series[0], SERIES);
  const instances = await client.searchForInstances({ studyInstanceUID, seriesInstanceUID });
  expect(instances.length === 1, `${instances.length} instances found`);
  const metadata = await client.retrieveSeriesMetadata({ studyInstanceUID, seriesInstanceUID });
  const one = metadata.find((dataset) => value(dataset, INSTANCE) === image.instance);
  expect(one, "no metadata of the instance");
  for (const table of PALETTES.filter((tag) => one[tag])) {
    // The loader takes numbers alone; this is what the viewer around it does.
    const bytes = Uint8Array.from(atob(one[table].InlineBinary), (letter) => letter.charCodeAt(0));
    one[table].Value = Array.from(new Uint16Array(bytes.buffer));
  }
  return one;
}
