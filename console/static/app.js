// What pages can do beyond plain forms: keys, copying, the colours without a round trip, and parts that keep themselves up to date.
// Nothing here is needed: every page works without it.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const csrf = () => document.querySelector("meta[name=csrf]").content;
  let hush = 0;
  const say = (text) => {
    const said = document.getElementById("said");
    said.textContent = text;
    clearTimeout(hush);
    hush = setTimeout(() => { said.textContent = ""; }, 8000);
  };

  // Colours
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-switch] button");
    if (!button) return;
    event.preventDefault();
    root.dataset.theme = button.value;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `meshwright_theme=${button.value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    const other = all("[data-theme-switch] button").find((each) => each.offsetParent);
    if (other) other.focus();
  });

  // Copying
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (!button) return;
    event.preventDefault();
    let text = button.dataset.copy;
    try {
      if (button.dataset.copyFrom) {
        const answer = await fetch(button.dataset.copyFrom);
        // an error's page, or that of the login, is not what was asked for
        if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
        text = await answer.text();
      }
    } catch {
      say("Nothing was copied: it cannot be had just now. Load the page again.");
      return;
    }
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("The browser does not let this page copy");
    }
  });

  // Parts that live: `<div data-live="5" hx-get="…" hx-trigger="look" data-seen="…">`. They rest while nobody looks at the page.
  const looks = new Map();
  const loaded = Date.now();
  const note = (element, late) => {
    const sign = document.querySelector(element.dataset.note || ".live-note");
    if (!sign) return;
    sign.classList.toggle("late", late);
    const words = late ? "not up to date: the mesh does not answer" : "live";
    if (sign.textContent !== words) sign.textContent = words;
  };
  const busy = (element) => element.contains(document.activeElement)
    && document.activeElement.matches("input, textarea, select") || element.querySelector("form details[open] textarea");
  setInterval(() => {
    if (document.hidden || !window.htmx) return;
    for (const element of all("[data-live]")) {
      const every = Number(element.dataset.live) * 1000;
      if (Date.now() - (looks.get(element) ?? loaded) < every || busy(element)) continue;
      looks.set(element, Date.now());
      window.htmx.trigger(element, "look");
    }
  }, 500);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) looks.clear(); });
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["x-csrf"] = csrf();
    const seen = event.detail.elt.dataset.seen;
    if (seen) event.detail.headers["x-seen"] = seen;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const element = event.detail.elt;
    if (!element.matches("[data-live]")) return;
    note(element, !event.detail.successful);
    const mark = event.detail.xhr && event.detail.xhr.getResponseHeader("x-seen");
    if (mark) element.dataset.seen = mark;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    // What came of it is read out by its role, and is where one goes on from; or what has to be mended is.
    const { target } = event.detail;
    (target.querySelector("[aria-invalid]") ?? target.querySelector("[data-told]"))?.focus();
    const news = target.querySelector("[data-say]");
    if (news) say(news.dataset.say);
  });

  // A form that was sent is not sent twice by an impatient hand.
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[hx-post]")) return; // htmx sees to it
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // Filters: what is chosen counts at once.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-auto] select")) event.target.form.requestSubmit();
  });

  // The menu closes when somebody looks elsewhere.
  document.addEventListener("click", (event) => {
    for (const menu of all("details.who[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // Keys. A page offers more with `data-key="a"`: a link or button is pressed, a <details> is opened, a field gets the cursor.
  const rows = () => all("[data-row]").filter((row) => row.offsetParent);
  const move = (step) => {
    const list = rows();
    if (!list.length) return;
    const at = list.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + step, 0), list.length - 1);
    list[next].focus();
    list[next].scrollIntoView({ block: "nearest" });
  };
  const press = (element) => {
    if (element instanceof HTMLDetailsElement) {
      element.open = true;
      const first = element.querySelector("[data-first]") || element.querySelector("textarea, input:not([type=hidden]), button");
      if (first) { first.focus(); first.scrollIntoView({ block: "nearest" }); }
    } else if (element.matches("input, textarea, select")) element.focus();
    else element.click();
  };
  let went = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      const menu = document.querySelector("details.who[open]");
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
      else if (event.target.matches("input, textarea, select")) event.target.blur();
      return;
    }
    if (event.target.matches("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    const tabs = all(".tabs a");
    if (Date.now() - went < 1500 && /^[1-9]$/.test(event.key) && tabs[event.key - 1]) { event.preventDefault(); tabs[event.key - 1].click(); return; }
    if (event.key === "g") { went = Date.now(); return; }
    if (event.key === "j" || event.key === "k") { event.preventDefault(); move(event.key === "j" ? 1 : -1); return; }
    if (event.key === "?") { event.preventDefault(); document.getElementById("keys").showModal(); return; }
    const offered = all(`[data-key="${CSS.escape(event.key)}"]`).find((element) => element.offsetParent);
    if (offered) { event.preventDefault(); press(offered); }
  });
})();
