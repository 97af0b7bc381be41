// Mergegate's service worker. It keeps one page, the one for a server out of
// reach, and shows it in place of a page that could not be fetched. It keeps
// nothing else and lets everything else pass.
"use strict";
const address = "/-/offline" + location.search; // the language, the theme, the release
const shelf = "mergegate-offline" + location.search;

// What git, programs and downloads of assets ask for is none of our business.
const others = /^\/(api|assets)\/|\.git(\/|$)/;

// whole is the page with its stylesheet and script inside it: without a server
// nothing more can be fetched. Its policy names their digests.
const whole = async () => {
  const answer = await fetch(address, { credentials: "omit", cache: "no-store" });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  let html = (await answer.text()).replace("data-offline", 'data-offline="kept"');
  const inside = async (tag, element) => {
    const [found, url] = html.match(tag);
    const text = await (await fetch(url)).text(); // from the browser's cache
    html = html.replace(found, () => `<${element}>${text}</${element.split(" ")[0]}>`);
  };
  await inside(/<link rel="stylesheet" href="([^"]+)">/, "style");
  await inside(/<script src="([^"]+)" defer><\/script>/, 'script type="module"');
  const headers = new Headers({ "Content-Type": "text/html; charset=utf-8" });
  for (const name of ["Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"]) headers.set(name, answer.headers.get(name));
  return new Response(html, { status: 503, headers });
};

self.addEventListener("install", (event) => event.waitUntil((async () => {
  await (await caches.open(shelf)).put(address, await whole());
  await self.skipWaiting(); // a new language, theme or release is shown at once
})()));

self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== shelf) await caches.delete(name);
})()));

self.addEventListener("fetch", (event) => {
  const { mode, method, url } = event.request;
  if (mode !== "navigate" || method !== "GET" || others.test(new URL(url).pathname)) return;
  event.respondWith(fetch(event.request).catch(async (failure) => {
    const kept = await caches.match(address, { cacheName: shelf });
    if (!kept) throw failure;
    return kept;
  }));
});
