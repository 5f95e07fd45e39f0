// Shows a page of our own when there is no line. It keeps that page and how it looks, and nothing
// that the service has answered to anybody.
const CACHE = "bluezone-offline-1";
const PAGE = "/staff/offline";
const KEPT = [PAGE, "/static/bluezone.css", "/static/entries.js", "/static/icon.svg"];

addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(KEPT)));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const { pathname } = new URL(request.url);
  const instead = request.mode === "navigate" ? PAGE : KEPT.includes(pathname) ? pathname : null;
  if (instead === null) return;
  event.respondWith(
    fetch(request).catch(async (error) => {
      const kept = await caches.match(instead);
      if (!kept) throw error;
      return kept;
    }),
  );
});
