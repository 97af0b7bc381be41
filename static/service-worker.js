// Mergegate's service worker. It shows the one page that app.js keeps, for a
// server out of reach, in place of a page that could not be fetched, and lets
// everything else pass. It is the same for every language and theme: a browser
// that changes workers lets navigations wait.
"use strict";

// What git, programs and downloads of assets ask for is none of our business.
const others = /^\/(api|assets)\/|\.git(\/|$)/;

self.addEventListener("fetch", (event) => {
  const { mode, method, url } = event.request;
  if (mode !== "navigate" || method !== "GET" || others.test(new URL(url).pathname)) return;
  event.respondWith(fetch(event.request).catch(async (failure) => {
    const [kept] = await (await caches.open("mergegate-offline")).matchAll();
    if (!kept) throw failure;
    return kept;
  }));
});
