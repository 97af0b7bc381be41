// Mergegate's service worker. If a page cannot be fetched, it returns the offline
// page that app.js has cached. It does not handle other requests. It is the same for
// every language and theme, because replacing a worker delays navigation.
"use strict";

// Requests of git, API clients and for assets are not handled.
const excluded = /^\/(api|assets)\/|\.git(\/|$)/;

self.addEventListener("fetch", (event) => {
  const { mode, method, url } = event.request;
  if (mode !== "navigate" || method !== "GET" || excluded.test(new URL(url).pathname)) return;
  event.respondWith(fetch(event.request).catch(async (error) => {
    const [cached] = await (await caches.open("mergegate-offline")).matchAll();
    if (!cached) throw error;
    return cached;
  }));
});
