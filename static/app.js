// Mergegate's script. Every page works without it. It adds dialogs, toasts,
// relative times, polling with error messages, and an offline page.
"use strict";
(() => {
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => from.querySelectorAll(selector);
  const texts = $("#app-texts").dataset; // texts and URLs from the page
  const skew = Date.parse(texts.now) - Date.now();
  const now = () => Date.now() + skew; // the server's time in ms
  const on = (type, handler, capture) => document.addEventListener(type, handler, capture);

  // ---- toasts
  const icon = (name) => {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    svg.append(document.createElementNS(ns, "use"));
    svg.firstChild.setAttribute("href", `${texts.icons}#${name}`);
    return svg;
  };
  const make = (tag, className, ...children) => {
    const el = document.createElement(tag);
    el.className = className;
    el.append(...children);
    return el;
  };
  const expire = (toast) => setTimeout(() => toast.remove(), 8000);
  const toast = (text) => {
    const dismiss = make("button", "btn btn--icon btn--sm", icon("close"));
    dismiss.type = "button";
    dismiss.dataset.dismiss = "";
    dismiss.setAttribute("aria-label", texts.dismissText);
    const el = make("div", "toast", make("span", "", text), dismiss);
    $("#toasts").append(el);
    expire(el);
  };
  for (const el of $$("#toasts .toast")) {
    expire(el);
    setTimeout(() => el.isConnected && $("#toasts").append(el), 200); // a live region announces only added content
  }
  on("showToast", (e) => e.target.id !== "status-checks-body" && toast(e.detail.text));

  // ---- pending requests: after 300 ms the pressed control and the region to be
  // replaced are marked as busy; a form is not submitted again while it is pending
  const pending = new Map(); // form or link → function that ends its busy state
  const markBusy = (source, control, region) => {
    endBusy(source);
    const mark = [control, region].filter(Boolean);
    const timer = setTimeout(() => mark.forEach((el) => el.setAttribute("aria-busy", "true")), 300);
    const tooLong = setTimeout(() => endBusy(source), 10000);
    pending.set(source, () => {
      clearTimeout(timer);
      clearTimeout(tooLong);
      mark.forEach((el) => el.removeAttribute("aria-busy"));
    });
  };
  const endBusy = (source) => { pending.get(source)?.(); pending.delete(source); };
  on("submit", (e) => {
    if (e.defaultPrevented) return; // htmx sends it
    if (pending.has(e.target)) return e.preventDefault();
    if (e.target.method === "post") markBusy(e.target, e.submitter);
  });
  addEventListener("pageshow", () => [...pending.keys()].forEach(endBusy));

  // ---- dialogs: a <dialog> inserted into #modal-root is opened
  const modalRoot = $("#modal-root");
  let opener = null;
  const openDialog = () => {
    const dialog = $("dialog", modalRoot);
    if (!dialog || dialog.matches(":modal")) return;
    dialog.removeAttribute("open");
    dialog.showModal();
    ($("[aria-invalid=true]", dialog) || $("[autofocus]", dialog) || $(".input", dialog))?.focus();
  };
  const closeDialog = () => {
    modalRoot.replaceChildren();
    const back = opener && (opener.isConnected ? opener : document.getElementById(opener.id));
    opener = null;
    back?.focus();
  };
  // Closing a dialog with changed or rejected fields asks for confirmation.
  const changed = (el) => {
    if (!el.name || el.type === "hidden") return false;
    if (el.type === "checkbox" || el.type === "radio") return el.checked !== el.defaultChecked;
    if (el.options) return el.selectedIndex !== Math.max(0, [...el.options].findIndex((o) => o.defaultSelected));
    return el.value !== el.defaultValue;
  };
  const mayClose = (dialog) => {
    const hasChanges = [...$$("form", dialog)].some((form) => [...form.elements].some(changed));
    return !(hasChanges || $("[aria-invalid=true], [role=alert]:not([hidden])", dialog)) || confirm(texts.discard);
  };
  on("cancel", (e) => e.target.closest("#modal-root dialog") && !mayClose(e.target) && e.preventDefault(), true);
  new MutationObserver(openDialog).observe(modalRoot, { childList: true });
  openDialog();
  on("closeModal", closeDialog);
  on("close", (e) => e.target.closest("#modal-root") && closeDialog(), true);

  // ---- actions of buttons
  const copy = async (el) => {
    const text = el.value ?? el.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // the clipboard API needs HTTPS
      el.select?.();
      if (!document.execCommand("copy")) return;
    }
    toast(texts.copied);
  };
  const switchTheme = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `mergegate_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    if (texts.keptPage) texts.keptPage = texts.keptPage.replace(/theme=\w*/, `theme=${root.dataset.theme}`);
    keepOfflinePage();
    const request = { method: "POST", body: new URLSearchParams({ theme: root.dataset.theme }), headers: { "HX-Request": "true" }, keepalive: true };
    fetch("/-/theme", request).catch(() => toast(texts.offline));
  };

  // ---- offline page: it is cached in the reader's language and theme, with inline
  // stylesheet and script, because nothing can be fetched while offline. Its
  // Content-Security-Policy lists their digests.
  const fetchInlined = async (address) => {
    const answer = await fetch(address, { credentials: "omit", cache: "no-store" });
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    let html = (await answer.text()).replace("data-offline", 'data-offline="kept"');
    const inline = async (tag, element) => {
      const [found, url] = html.match(tag);
      const text = await (await fetch(url)).text(); // from the browser's cache
      html = html.replace(found, () => `<${element}>${text}</${element.split(" ")[0]}>`);
    };
    await inline(/<link rel="stylesheet" href="([^"]+)">/, "style");
    await inline(/<script src="([^"]+)" defer><\/script>/, 'script type="module"');
    const headers = new Headers({ "Content-Type": "text/html; charset=utf-8" });
    for (const name of ["Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"]) headers.set(name, answer.headers.get(name));
    return new Response(html, { status: 503, headers });
  };
  const cachePage = async (address) => {
    await navigator.serviceWorker.register(texts.worker, { scope: "/" });
    await navigator.serviceWorker.ready;
    const cache = await caches.open("mergegate-offline");
    if (await cache.match(address)) return;
    const page = await fetchInlined(address);
    if (texts.keptPage !== address) return; // the theme has changed since
    await cache.put(address, page);
    for (const old of await cache.keys()) if (!old.url.endsWith(address)) await cache.delete(old);
  };
  const keepOfflinePage = () => {
    if (texts.keptPage && isSecureContext && navigator.serviceWorker) cachePage(texts.keptPage).catch(() => {});
  };
  addEventListener("load", keepOfflinePage);
  // The cached page polls at growing intervals until the server answers, and then
  // reloads.
  if ($("[data-offline=kept]")) {
    let wait = 1000, timer = 0;
    const checkServer = async () => {
      clearTimeout(timer);
      if (await fetch("/healthz", { cache: "no-store" }).then((answer) => answer.ok, () => false)) return location.reload();
      clearTimeout(timer);
      timer = setTimeout(checkServer, wait);
      wait = Math.min(2 * wait, 30000);
    };
    timer = setTimeout(checkServer, wait);
    addEventListener("online", checkServer);
    on("visibilitychange", () => document.hidden || checkServer());
  }

  // ---- clicks and keys
  const closeList = (list) => { list.open = false; $("summary", list).focus(); };
  const menus = "details.dropdown[open], details.listbox--float[open]";
  on("click", (e) => {
    for (const menu of $$(menus)) if (!menu.contains(e.target)) menu.open = false;
    const hit = (name) => e.target.closest(`[data-${name}]`);
    if (hit("dismiss")) hit("dismiss").closest(".toast").remove();
    if (hit("copy")) copy($(hit("copy").dataset.copy));
    if (hit("theme-toggle")) { e.preventDefault(); switchTheme(); }
    const closing = hit("close")?.closest("dialog");
    if (closing) { e.preventDefault(); if (mayClose(closing)) closing.close(); }
    if (hit("reveal")) {
      const input = $(hit("reveal").dataset.reveal);
      input.type = input.type === "password" ? "text" : "password";
      hit("reveal").setAttribute("aria-pressed", input.type === "text");
    }
    const kept = e.target.closest("summary")?.parentElement;
    const search = kept?.matches(".listbox:not([open])") && !matchMedia("(pointer: coarse)").matches && $("[type=search]", kept);
    if (search) { e.preventDefault(); kept.open = true; search.focus(); } // focus before the reader types
    // Arrow keys also cause clicks, but must not close the list. Only pointer clicks have a detail.
    const option = e.detail && e.target.closest(".listbox--single .listbox__option");
    if (option) setTimeout(() => closeList(option.closest("details"))); // after it is checked
    if (kept?.dataset.remember) localStorage.setItem(`mergegate:${kept.dataset.remember}`, kept.open ? "closed" : "open");
  });
  on("keydown", (e) => {
    const menu = e.key === "Escape" && e.target.closest("details.dropdown[open], details.listbox[open]");
    if (menu) { e.preventDefault(); menu.open = false; $("summary", menu).focus(); }
    // Not on "cancel", because browsers do not fire it when Esc is pressed again.
    const open = e.key === "Escape" && !menu && $("dialog:modal", modalRoot);
    if (open) { e.preventDefault(); if (mayClose(open)) open.close(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    const list = e.target.closest("details.listbox");
    if (list && e.target.type === "search" && (e.key === "Enter" || step > 0)) {
      e.preventDefault(); // Enter would submit the search form
      ($(".listbox__option :checked", list) || $(".listbox__option input", list))?.focus();
    }
    if (list && e.target.type === "radio" && e.key === "Enter") {
      e.preventDefault(); // Enter would submit the form around the list
      e.target.click();
      closeList(list);
    }
    if (step && e.target.matches(".listbox__option input[type=checkbox]")) {
      const all = [...$$("input", e.target.closest(".listbox__options"))];
      all[all.indexOf(e.target) + step]?.focus();
      e.preventDefault();
    }
  });
  for (const details of $$("details[data-remember]")) {
    const choice = localStorage.getItem(`mergegate:${details.dataset.remember}`);
    if (choice) details.open = choice === "open";
  }

  // ---- branch selector: "All branches" (the empty value) excludes the other options
  on("change", (e) => {
    const box = e.target.closest("details.listbox");
    if (!box || !e.target.matches(".listbox__option input")) return;
    const inputs = [...$$(".listbox__option input", box)];
    const all = inputs.find((i) => i.value === "");
    const others = inputs.filter((i) => i !== all);
    if (e.target === all) for (const i of others) i.checked = false;
    if (all) all.checked = !others.some((i) => i.checked);
    const chosen = inputs.filter((i) => i.checked).map((i) => $("span", i.closest("label")).textContent.trim());
    $("summary > span", box).textContent = chosen.join(texts.separator);
  });

  // ---- service form: show the hint about plain HTTP while the URL needs it, and an
  // error next to a list that cannot be loaded
  on("input", (e) => {
    const hint = e.target.dataset?.warnHttp;
    if (hint) $(hint).hidden = !/^\s*http:\/\//i.test(e.target.value);
  });
  const showFailure = (e, failed) => {
    const source = e.detail.ctx?.sourceElement;
    const message = $(source?.dataset?.failure ?? "#none");
    if (message) message.hidden = !failed;
    if (message) $(".listbox__options", source.closest(".listbox") ?? message)?.toggleAttribute("data-failed", failed);
    return Boolean(message);
  };

  // ---- relative times and countdowns, updated every second
  const count = (unit, n) => n === 1 ? texts[`${unit}One`] : texts[unit].replace("{n}", n);
  const ago = (seconds) => {
    if (seconds < 1) return texts.timeNow;
    if (seconds < 60) return count("seconds", Math.floor(seconds));
    if (seconds < 3600) return count("minutes", Math.floor(seconds / 60));
    if (seconds < 86400) return count("hours", Math.floor(seconds / 3600));
    return seconds < 2 * 86400 ? texts.yesterday : count("days", Math.floor(seconds / 86400));
  };
  const language = document.documentElement.lang;
  const dates = (timeStyle) => new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, {
    dateStyle: language === "en" ? "medium" : "long", timeStyle,
  });
  const formats = { date: dates(), minute: dates("short"), second: dates("long") }; // in the reader's time zone
  const setText = (el, text) => { if (el.textContent !== text) el.textContent = text; };
  const tick = () => {
    for (const el of $$("time[data-relative]")) {
      const seconds = (now() - Date.parse(el.dateTime)) / 1000;
      setText(el, seconds < 7 * 86400 ? ago(seconds) : formats.date.format(new Date(el.dateTime)));
    }
    for (const el of $$("[data-deadline]")) {
      const left = Math.max(0, Math.ceil((Date.parse(el.dataset.deadline) - now()) / 1000));
      const two = (n) => String(n).padStart(2, "0"), hours = Math.floor(left / 3600), minutes = Math.floor(left / 60);
      const clock = hours ? `${hours}:${two(minutes % 60)}:${two(left % 60)}` : `${minutes}:${two(left % 60)}`;
      setText(el, /\d+(:\d\d)+/.test(el.textContent) ? el.textContent.replace(/\d+(:\d\d)+/, clock) : el.textContent.replace(/\d+/, left));
      const bar = $("progress", el.closest(".countdown-wrap") ?? el);
      if (bar) { bar.value = left; bar.classList.toggle("countdown--low", left < 30); }
    }
    if (failures >= 3) setText($(".poll-checked", errorLine), ` · ${texts.pollChecked.replace("{n}", Math.floor((now() - checkedAt) / 1000))}`);
  };

  // ---- polling of the widget and of deliveries: after a failed poll the content
  // stays and an error line appears
  const pollers = "#status-checks-body, #service, #delivery";
  const poller = () => $(pollers);
  const fromPoller = (e) => e.detail.ctx?.sourceElement?.matches?.(pollers);
  let failures = 0, checkedAt = now(), errorLine = null, stopped = false;
  const poll = (url) => url && htmx.ajax("GET", url, { source: poller(), target: poller(), swap: poller().getAttribute("hx-swap") ?? "outerHTML" });
  // While Refresh is loading, the error line shows that. It stays until an answer comes.
  const setRefreshing = (on) => {
    errorLine.firstChild.replaceWith(on ? make("span", "spinner") : icon("error"));
    const own = poller().dataset.pollFailed; // set on pages of deliveries
    $("span", $("p", errorLine)).textContent = own ?? (on ? texts.pollLoading : texts.pollFailed);
  };
  const showError = (text, refresh, signIn) => {
    if (errorLine && refresh) setRefreshing(false);
    if (errorLine) return;
    const control = signIn ? make("a", "btn btn--sm", texts.signIn) : make("button", "btn btn--sm", texts.pollRefresh);
    errorLine = make("div", "alert alert--danger", icon("error"), make("p", "", make("span", "", text), make("span", "poll-checked")));
    errorLine.id = "status-checks-failed";
    errorLine.setAttribute("role", "alert");
    if (signIn) control.href = `/users/sign_in?return_to=${encodeURIComponent(location.pathname + location.search)}`;
    if (refresh) {
      control.type = "button";
      control.addEventListener("click", () => {
        setRefreshing(true);
        poll(poller().getAttribute("hx-get") ?? poller().dataset.url);
      });
    }
    if (refresh || signIn) errorLine.append(control);
    poller().before(errorLine);
  };
  // In a hidden tab only the widget polls, every 30 s, so that the tab's title tells the state.
  let polledAt = Date.now();
  const isTooEarly = (el) => document.hidden && (el.id !== "status-checks-body" || Date.now() - polledAt < 29000);
  const clearError = () => { errorLine?.remove(); errorLine = null; failures = 0; };
  on("htmx:before:request", (e) => {
    const { ctx } = e.detail;
    if (ctx.sourceEvent?.type === "every" && (stopped || isTooEarly(ctx.sourceElement))) return e.preventDefault();
    if (fromPoller(e)) polledAt = Date.now();
    // No control was pressed: when the session has ended, the page and what was typed stay.
    const automatic = fromPoller(e) || ["input", "search", "load"].includes(ctx.sourceEvent?.type);
    if (automatic) ctx.request.headers["Mergegate-Poll"] = "true";
    if (!fromPoller(e)) markBusy(ctx.sourceElement, ctx.sourceEvent?.submitter ?? ctx.sourceElement, ctx.target);
    if (ctx.target === modalRoot && !modalRoot.firstElementChild) opener = ctx.sourceElement;
  });
  on("htmx:finally:request", (e) => endBusy(e.detail.ctx.sourceElement));
  on("htmx:after:request", (e) => {
    if (e.detail.ctx.response?.status < 400) showFailure(e, false);
    if (!fromPoller(e) || e.detail.ctx.response.status >= 400) return;
    clearError();
    checkedAt = now();
  });
  const failed = (e) => {
    const status = e.detail.ctx?.response?.status;
    if (!fromPoller(e)) {
      // The session has ended. Submitted without htmx, the form is kept until after sign-in.
      const form = e.detail.ctx?.sourceElement;
      if (status === 401 && form?.method === "post") return HTMLFormElement.prototype.submit.call(form);
      if ((!status || status >= 500) && showFailure(e, true)) return;
      if (!status) toast(texts.offline);
      else if (status >= 500) toast(texts.failed);
    } else if ([401, 403, 404].includes(status)) {
      stopped = true;
      clearError();
      if (status === 401) showError(texts.pollSignedOut, false, true);
      else showError(poller().dataset.pollDenied ?? texts.pollDenied, false);
    } else if (!status || status >= 500) {
      failures++;
      showError(poller().dataset.pollFailed ?? texts.pollFailed, true);
    }
  };
  on("htmx:response:error", failed);
  on("htmx:error", (e) => !e.detail.ctx?.response && failed(e));
  on("visibilitychange", () => {
    if (!document.hidden && poller() && !stopped) poll(poller().getAttribute("hx-get") ?? poller().dataset.url);
  });

  // ---- focus: when an update removes the focused control of a row, such as Retry,
  // the focus moves to the row's name, or to the widget's head if the row is gone.
  // Open parts of the widget stay open.
  const widgetBody = "#status-checks-body";
  let focused = null, opened = [], folds = [];
  on("htmx:before:swap", () => {
    focused = document.activeElement?.closest(`${widgetBody} .check-row, #status-checks-actions`)?.id;
    folds = [...$$(`${widgetBody} details`)].map((el) => el.id);
    opened = [...$$(`${widgetBody} details[open]`)].map((el) => el.id);
  });
  on("htmx:after:swap", () => {
    for (const el of $$(`${widgetBody} details`)) if (folds.includes(el.id)) el.open = opened.includes(el.id);
    if (!focused || document.activeElement !== document.body) return;
    ($(`#${focused} .check-row__name [id]`) || $("#status-checks-summary")).focus();
  });
  on("change", (e) => {
    const fold = e.target.id === "checks-passed" && $("#status-checks-passed");
    if (fold) fold.open = true;
  });
  // ---- notification when no check is pending any more: switched on by its button,
  // for this browser, and shown only while the reader is elsewhere
  const bell = $("#status-checks-notify");
  const notifies = () => localStorage.getItem("mergegate:notify") === "on" && Notification.permission === "granted";
  const showBell = () => bell.setAttribute("aria-pressed", notifies());
  if (bell && isSecureContext && window.Notification) {
    bell.dataset.ready = "";
    showBell();
    bell.addEventListener("click", async () => {
      const on = !notifies();
      if (on && await Notification.requestPermission() !== "granted") return toast(bell.dataset.denied);
      localStorage.setItem("mergegate:notify", on ? "on" : "off");
      showBell();
    });
    let waiting = false;
    const isSettled = () => Boolean($(`${widgetBody}[data-settled]`));
    on("htmx:before:swap", () => waiting = !isSettled());
    on("htmx:finally:swap", () => {
      if (!waiting || !isSettled() || !notifies()) return;
      if (!document.hidden && document.hasFocus()) return;
      const note = new Notification(document.title, { tag: location.pathname, icon: $("#tab-icon").href });
      note.onclick = () => { window.focus(); note.close(); };
    });
  }

  // ---- selection: selected text stays selected after an update if it still exists
  let selected = null;
  const toPosition = (node, offset) => {
    const around = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest("[id]");
    const before = new Range();
    before.setStart(around, 0);
    before.setEnd(node, offset);
    return { id: around.id, at: before.toString().length };
  };
  const fromPosition = ({ id, at }) => {
    const walker = document.createTreeWalker(document.getElementById(id) ?? new Text(), NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      if (at <= text.length) return [text, at];
      at -= text.length;
    }
  };
  on("htmx:before:swap", () => {
    const selection = getSelection();
    if (selection.isCollapsed || !selection.anchorNode) return;
    selected = {
      text: selection.toString(),
      from: toPosition(selection.anchorNode, selection.anchorOffset),
      to: toPosition(selection.focusNode, selection.focusOffset),
    };
  });
  on("htmx:finally:request", () => {
    const before = selected, selection = getSelection();
    selected = null;
    if (!before || selection.toString() === before.text) return;
    const from = fromPosition(before.from), to = fromPosition(before.to);
    if (!from || !to) return;
    selection.setBaseAndExtent(...from, ...to);
    if (selection.toString() !== before.text) selection.removeAllRanges();
  });

  // ---- convert the server's UTC times to the reader's time zone
  const localize = () => {
    for (const el of $$("time[datetime*=T]:not([data-localized])")) {
      const at = new Date(el.dateTime);
      el.title = formats.second.format(at);
      el.dataset.localized = "";
      if (el.dataset.local) setText(el, formats[el.dataset.local].format(at));
    }
  };
  // Fields for times hold UTC in the page and in what a form sends.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone === "UTC" ? "UTC"
    : new Intl.DateTimeFormat(language, { timeZoneName: "shortGeneric" }).formatToParts().find((part) => part.type === "timeZoneName").value;
  const shownTimes = new WeakMap(); // the UTC and local times that fields show
  const localizeFields = () => {
    for (const el of $$("[data-zone]")) setText(el, zone);
    for (const input of $$("input[data-utc]")) {
      const utc = input.defaultValue, at = new Date(`${utc}Z`);
      if (isNaN(at) || shownTimes.get(input)?.utc === utc) continue;
      const local = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, utc.length);
      shownTimes.set(input, { utc, local });
      input.value = local;
    }
  };
  on("formdata", (event) => {
    for (const input of $$("input[data-utc]", event.target)) {
      const shown = shownTimes.get(input);
      if (!input.value) continue;
      event.formData.set(input.name, input.value === shown?.local ? shown.utc : new Date(input.value).toISOString().slice(0, input.value.length));
    }
  });
  for (const update of [localize, localizeFields]) {
    update();
    on("htmx:finally:request", update);
  }
  setInterval(tick, 1000);

  // ---- remove content that is shown once, so that Back does not show it again
  addEventListener("pagehide", () => $$("[data-once]").forEach((el) => el.remove()));
})();
