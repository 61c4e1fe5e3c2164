// Keys for the queue: j and k move, Enter opens. Nothing here is needed to work; never while somebody types.
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
  const keys = {
    j: () => select(at + 1),
    k: () => select(at - 1),
    Enter: () => rows[at]?.querySelector("a.open").click(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, button, a");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    keys[event.key]?.();
  });
})();
