// Paints a photograph in the manner of a painting, here: nothing is sent anywhere.
import { labelled } from "./label.js";

const WORDS = {
  tagline: ["Your photograph, in the manner of a painting.", "把照片画成名画的样子。"],
  photograph: ["Drop a photograph here, or click", "将照片拖到此处，或点击选择"],
  style: ["In the manner of", "风格"],
  own: ["Or drop a painting of your own", "或拖入自己的画作"],
  freedom: ["True to the photograph – free", "忠于照片 – 自由"],
  size: ["Long side in pixels", "长边像素数"],
  paint: ["Paint", "开始绘制"],
  save: ["Save", "保存"],
  private: [
    "Nothing leaves this device: the network runs in your browser, and works offline after the first visit.",
    "一切都在本机完成：网络在浏览器中运行，首次访问后可离线使用。",
  ],
  loading: ["Loading the network …", "正在加载网络……"],
  ready: ["Choose a photograph, then paint.", "选择照片，然后开始绘制。"],
  painting: ["Painting …", "正在绘制……"],
  done: ["{width} × {height} pixels in {seconds} s", "{width} × {height} 像素，用时 {seconds} 秒"],
  unreadable: ["This file is no picture that your browser can read.", "浏览器无法读取此图片文件。"],
  failed: ["This did not work: {why}. A smaller size may.", "未能完成：{why}。可尝试较小的尺寸。"],
  narrow: ["A picture needs 32 pixels at least each way.", "图片每边至少需要 32 像素。"],
};
const chinese = navigator.language.toLowerCase().startsWith("zh");
const find = (id) => document.getElementById(id);
const say = (word, values = {}) =>
  (find("said").textContent = WORDS[word][+chinese].replace(/\{(\w+)\}/g, (_, name) => values[name]));

document.documentElement.lang = chinese ? "zh-CN" : "en";
for (const element of document.querySelectorAll("[data-word]"))
  element.textContent = WORDS[element.dataset.word][+chinese];

const made = await (await fetch("made.json")).json();
const given = { photo: null, painting: null };
const turns = { photo: 0, painting: 0 }, taken = { ...turns }; // choices so far, and which of them is the one given
let ready = false, reading = 0, busy = false;

function enable() {
  find("paint").disabled = !(ready && given.photo && given.painting) || reading > 0 || busy;
}

for (const [number, name] of made.styles.entries()) {
  const label = document.createElement("label");
  label.innerHTML = `<input type="radio" name="style" value="${name}"><img src="styles/${name}.jpg" alt="${name}">`;
  label.firstChild.checked = number === 0;
  label.firstChild.addEventListener("change", () => choose("painting", `styles/${name}.jpg`, false));
  find("styles").append(label);
}

async function choose(what, source, shown = true) {
  const turn = ++turns[what];
  reading++;
  enable();
  try {
    const blob = typeof source === "string" ? await (await fetch(source)).blob() : source;
    const bitmap = await createImageBitmap(blob);
    if (turn < taken[what]) return; // what was chosen later was read sooner
    [given[what], taken[what]] = [bitmap, turn];
  } catch {
    return say("unreadable");
  } finally {
    reading--;
    enable();
  }
  const image = find(`${what}-shown`);
  URL.revokeObjectURL(image.src);
  image.hidden = !shown;
  if (shown) image.src = URL.createObjectURL(source);
  if (shown && what === "painting")
    for (const radio of document.querySelectorAll("[name=style]")) radio.checked = false;
  if (ready) say("ready");
}

for (const what of ["photo", "painting"]) {
  const place = find(`${what}-place`);
  find(what).addEventListener("change", (event) => event.target.files[0] && choose(what, event.target.files[0]));
  for (const kind of ["dragover", "dragleave", "drop"])
    place.addEventListener(kind, (event) => {
      event.preventDefault();
      place.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) choose(what, event.dataTransfer.files[0]);
    });
}

// Pixels [3, H, W] in [0, 1]: at most so many on the long side, never enlarged, on white; sides as multiples of `step`.
function pixels(bitmap, side, step) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((size) => Math.floor(Math.round(size * scale) / step) * step);
  if (Math.min(width, height) < 32) return null;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  if (scale < 1) context.drawImage(bitmap, 0, 0, width, height);
  else context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const values = new Float32Array(3 * width * height);
  for (let i = 0, plane = width * height; i < plane; i++)
    for (let c = 0; c < 3; c++) values[c * plane + i] = data[4 * i + c] / 255;
  return { values, width, height };
}

const worker = new Worker("worker.js", { type: "module" });
let begun = 0;
find("paint").addEventListener("click", () => {
  const side = Number(find("size").value);
  const content = pixels(given.photo, side, 1), style = pixels(given.painting, side, 16);
  if (!content || !style) return say("narrow");
  begun = performance.now();
  busy = true;
  enable();
  say("painting");
  worker.postMessage({ content, style, freedom: Number(find("freedom").value) });
});

worker.addEventListener("message", async ({ data }) => {
  if (data.loaded) {
    ready = true;
    enable();
    return say("ready");
  }
  busy = false;
  enable();
  if (data.why) return say("failed", { why: data.why });
  const { values, width, height } = data;
  const canvas = find("picture"), context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [width, height];
  const image = context.createImageData(width, height);
  for (let i = 0, plane = width * height; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(255 * values[c * plane + i]);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  const file = await labelled(await new Promise((done) => canvas.toBlob(done, "image/png")), made.packet);
  URL.revokeObjectURL(find("save").href);
  Object.assign(find("save"), { href: URL.createObjectURL(file), download: "impasto.png", hidden: false });
  canvas.hidden = false;
  say("done", { width, height, seconds: ((performance.now() - begun) / 1000).toFixed(1) });
});

say("loading");
choose("painting", `styles/${made.styles[0]}.jpg`, false);
navigator.serviceWorker?.register("offline.js");
