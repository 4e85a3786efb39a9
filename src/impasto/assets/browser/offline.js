// Keeps what was loaded, so that the page works without a network: the files that it needs at once, others when used.
const CACHE = "impasto-VERSION";
const FILES = FILE_LIST;

self.addEventListener("install", (event) =>
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting())));

self.addEventListener("activate", (event) =>
  event.waitUntil(
    caches.keys()
      .then((names) => names.filter((name) => name.startsWith("impasto-") && name !== CACHE).map((name) => caches.delete(name)))
      .then((gone) => Promise.all(gone))
      .then(() => self.clients.claim())));

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !event.request.url.startsWith(self.registration.scope)) return;
  event.respondWith((async () => {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(event.request, { ignoreSearch: true });
    if (kept) return kept;
    const answer = await fetch(event.request);
    if (answer.ok) cache.put(event.request, answer.clone());
    return answer;
  })());
});
