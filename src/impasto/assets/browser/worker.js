// Runs the network, so that the page stays alive: on the graphics card where the browser offers one, else by WebAssembly.
let ort, session;

async function load(kind) {
  ort = await import(`./runtime/ort.${kind}.min.mjs`);
  ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  const executionProviders = kind === "webgpu" ? [kind, "wasm"] : [kind];
  session = await ort.InferenceSession.create("draft.onnx", { executionProviders, logSeverityLevel: 3 });
}

async function paint({ content, style, freedom }) {
  const tensor = ({ values, width, height }) => new ort.Tensor("float32", values, [1, 3, height, width]);
  const inputs = { content: tensor(content), style: tensor(style), freedom: new ort.Tensor("float32", [freedom], []) };
  const { picture } = await session.run(inputs);
  return { values: await picture.getData(), width: content.width, height: content.height };
}

const loaded = (async () => {
  const found = await navigator.gpu?.requestAdapter().catch(() => null);
  const card = found && !(found.info?.isFallbackAdapter ?? found.isFallbackAdapter); // one in software is slower than wasm
  try {
    await load(card ? "webgpu" : "wasm");
  } catch (error) {
    if (!card) throw error;
    await load("wasm");
  }
})();
const why = (error) => ({ why: String(error.message ?? error).split("\n")[0] });
loaded.then(() => postMessage({ loaded: true }), (error) => postMessage(why(error)));

onmessage = async ({ data }) => {
  try {
    await loaded;
    const result = await paint(data).catch(async () => {
      await load("wasm"); // what the graphics card cannot do, the processor can
      return paint(data);
    });
    postMessage(result, [result.values.buffer]);
  } catch (error) {
    postMessage(why(error));
  }
};
