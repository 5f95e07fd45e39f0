// Shows a page of its own when the phone's process does not answer. It stores nothing: no page,
// no answer, nothing about anybody.
const PAGE = `<!doctype html>
<html lang="vi">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Bluezone</title>
<style>
  body { max-width: 34rem; margin: 0 auto; padding: 3rem 1.25rem; font: 1.125rem/1.5 system-ui, "Noto Sans", sans-serif; }
  h1 { font-size: 1.5rem; line-height: 1.25; }
  a { display: inline-block; padding: .75rem 1.5rem; border-radius: 2rem; background: #155fb8; color: #fff; font-weight: 600; text-decoration: none; }
  section + section { margin-top: 2.5rem; }
</style>
<main>
  <section>
    <h1>Bluezone không chạy trên thiết bị này</h1>
    <p>Người ở gần không được ghi nhận. Hãy bật lại Bluezone rồi thử lại.</p>
    <p><a href="">Thử lại</a></p>
  </section>
  <section lang="en">
    <h1>Bluezone is not running on this device</h1>
    <p>Nobody nearby is noticed. Start Bluezone again, then try again.</p>
    <p><a href="">Try again</a></p>
  </section>
</main>
</html>`;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate") return;
  const offline = () =>
    new Response(PAGE, { status: 503, headers: { "content-type": "text/html; charset=utf-8" } });
  event.respondWith(fetch(event.request).catch(offline));
});
