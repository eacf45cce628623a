// What a page tells the test that has opened it.

const SECONDS = 10;

/** Runs `look`, and reports each of its promises that is broken; the test waits for the end. */
export async function report(look) {
  const plan = await (await fetch("plan.json")).json();
  const failures = [];
  const attempt = async (name, work) => {
    try {
      await work();
    } catch (error) {
      failures.push(`${name}: ${described(error)}`);
    }
  };
  await attempt("page", () => look(plan, attempt));
  await fetch("end", { method: "POST", body: JSON.stringify(failures) });
}

function described(error) {
  if (error instanceof XMLHttpRequest || error?.request instanceof XMLHttpRequest) {
    const request = error.request ?? error;
    return `HTTP ${request.status} from ${request.responseURL}`;
  }
  return error?.stack ?? error?.message ?? String(error);
}

/** Hands over the pixels of one frame of one image. */
export async function show(image, frame, pixels, facts = {}) {
  const query = new URLSearchParams({ image, frame, type: pixels.constructor.name, ...facts });
  const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  await fetch(`pixels?${query}`, { method: "POST", body: bytes });
}

export function expect(truth, message) {
  if (!truth) {
    throw new Error(message);
  }
}

/** What is promised; the loader keeps silent for ever about a frame that it cannot decode. */
export function inTime(promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${what} was not loaded in ${SECONDS} s`)), SECONDS * 1000);
  });
  return Promise.race([promise, late]);
}

/** An <img> of this address, once it is there; an error if the browser does not show it. */
export function loaded(address, crossOrigin = null) {
  const image = new Image();
  image.crossOrigin = crossOrigin;
  const shown = new Promise((resolve, reject) => {
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error(`no image at ${address}`));
  });
  image.src = address;
  return inTime(shown, address);
}
