// A PNG with the packet that says an AI had a hand in it (XMP, in a text chunk behind the header).
const HEADER = 8 + 25; // bytes: the signature, and the first chunk

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

export async function labelled(png, packet) {
  const body = new TextEncoder().encode(`iTXtXML:com.adobe.xmp\0\0\0\0\0${packet}`);
  const length = new DataView(new ArrayBuffer(4)), sum = new DataView(new ArrayBuffer(4));
  length.setUint32(0, body.length - 4);
  sum.setUint32(0, crc(body));
  return new Blob([png.slice(0, HEADER), length, body, sum, png.slice(HEADER)], { type: "image/png" });
}
