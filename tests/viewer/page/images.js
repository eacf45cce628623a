// A page of the archive's own site: it shows what is rendered with nothing but <img> and a cookie.

import { expect, inTime, loaded, report, show } from "./report.js";

report(async (plan, attempt) => {
  const [image] = plan.images;
  const study = `${plan.base}/studies/${image.study}`;
  const frame = `${study}/series/${image.series}/instances/${image.instance}/frames/1`;
  const rendered = `${frame}/rendered?accept=image/png`;
  const session = (method, headers = {}) =>
    fetch(`${plan.base}/session`, { method, headers, credentials: "include" });

  await attempt("without a cookie", async () => {
    const shown = await loaded(rendered).then(() => true, () => false);
    expect(!shown, "an image was shown");
  });
  await attempt("a session is opened", async () => {
    const answer = await session("POST", { Authorization: `Bearer ${plan.token}` });
    expect(answer.status === 201, `HTTP ${answer.status}`);
  });
  for (const address of [rendered, `${study}/thumbnail`]) {
    await attempt(`<img> of ${address}`, async () => {
      const shown = await loaded(address);
      expect(shown.naturalWidth > 0 && shown.naturalHeight > 0, "it is empty");
    });
  }
  await attempt("the pixels of what is rendered", async () => {
    const answer = await fetch(rendered, { headers: { Authorization: `Bearer ${plan.token}` } });
    expect(answer.status === 200, `HTTP ${answer.status}`);
    await show(image.name, 1, pixelsOf(await createImageBitmap(await answer.blob())));
  });
  await attempt("the cookie shows, and does not let a script read", async () => {
    const read = await loaded(rendered, "use-credentials").then(() => true, () => false);
    expect(!read, "a script can read what the cookie opens");
  });
  await attempt("the session is ended", async () => {
    const answer = await session("DELETE");
    expect(answer.status === 204, `HTTP ${answer.status}`);
    const shown = await loaded(`${study}/rendered`).then(() => true, () => false);
    expect(!shown, "an image was shown after its end");
  });
});

/** Red, green and blue of each pixel. */
function pixelsOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return new Uint8Array(data.filter((_, at) => at % 4 !== 3));
}
