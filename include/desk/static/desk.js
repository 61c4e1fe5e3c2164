// Keys (j, k, Enter, n, ?) and drafts that outlive a restart. Nothing here is needed to work; never while typing.
"use strict";
(() => {
  const rows = [...document.querySelectorAll(".queue .row")];
  let at = -1;
  const select = (to) => {
    if (!rows.length) return;
    rows[at]?.classList.remove("selected");
    at = Math.max(0, Math.min(rows.length - 1, to));
    rows[at].classList.add("selected");
    rows[at].scrollIntoView({ block: "nearest" });
  };
  const help = document.getElementById("keys");
  const keys = {
    j: () => select(at + 1),
    k: () => select(at - 1),
    Enter: () => rows[at]?.querySelector("a.open").click(),
    n: () => document.getElementById("next")?.click(),
    "?": () => (help.open ? help.close() : help.showModal()),
  };
  document.addEventListener("keydown", (event) => {
    // while Chinese is composed every key is the input method's; 229 is how a browser says so that has just ended it
    if (event.isComposing || event.keyCode === 229) return;
    const field = event.target.closest("input, select, textarea");
    if (event.key === "Escape" && field) return field.blur();
    const busy = field || (event.key === "Enter" && event.target.closest("button, a, summary"));
    if (busy || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (help.open && event.key !== "?") return;
    keys[event.key]?.();
  });
  if (window.top === window.self) return;
  document.documentElement.classList.add("in-frame");
  // Airflow's frame may neither dial nor open a window; the page around it, of the same origin, may
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[target=_top]");
    if (!link) return;
    event.preventDefault();
    const outside = window.top.document.createElement("a");
    outside.href = link.href;
    outside.click();
  });
})();

// What is typed stays in this tab until the server says, by a cookie, that it was taken. It is the person's who typed
// it: whoever is logged in next in this tab finds nothing of it. A page for nobody (the login has ended) keeps it.
(() => {
  const person = document.body.dataset.person;
  if (!person) return;
  const every = "desk-draft-";
  const prefix = `${every}${person}-`;
  for (const key of Object.keys(sessionStorage))
    if (key.startsWith(every) && !key.startsWith(prefix)) sessionStorage.removeItem(key);
  const isRefused = document.querySelector(".refused[role=alert]") !== null;
  const done = /(?:^|; )desk_done=([\w-]+)/.exec(document.cookie)?.[1];
  if (done) {
    sessionStorage.removeItem(prefix + done);
    document.cookie = `desk_done=; max-age=0; path=${document.body.dataset.root || "/"}`;
  }
  const typed = (form) =>
    [...form.elements].filter((each) => each.name && each.name !== "version" && each.type !== "hidden" && each.type !== "submit");
  const keep = (form) => {
    const values = typed(form).map((each) => (/radio|checkbox/.test(each.type) ? each.checked : each.value));
    sessionStorage.setItem(prefix + form.dataset.draft, JSON.stringify(values));
  };
  const restore = (form) => {
    const kept = JSON.parse(sessionStorage.getItem(prefix + form.dataset.draft) ?? "null");
    const fields = typed(form);
    if (!Array.isArray(kept) || kept.length !== fields.length) return;
    fields.forEach((each, nth) => {
      if (/radio|checkbox/.test(each.type)) each.checked = kept[nth] === true;
      else if (typeof kept[nth] === "string") each.value = kept[nth];
    });
  };
  for (const form of document.querySelectorAll("form[data-draft]")) {
    if (!isRefused) restore(form);
    form.addEventListener("input", () => keep(form));
  }
})();
