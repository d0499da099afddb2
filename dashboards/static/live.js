// Keeps the page fresh and lets its reader stop that. The numbers come as HTML from the server;
// the page is complete without this file.
"use strict";

const root = document.documentElement;
const live = document.getElementById("live");
const pause = document.getElementById("pause");
const theme = document.getElementById("theme");

// --- theme -----------------------------------------------------------------------------------

const system = matchMedia("(prefers-color-scheme: dark)");
const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
const other = () => (shown() === "dark" ? "light" : "dark");

function labelTheme() {
  theme.lastElementChild.textContent = other() === "dark" ? "Dark" : "Light";
  theme.setAttribute("aria-label", `${theme.lastElementChild.textContent} theme`);
}

function remember(choice) {
  try {
    if (choice) localStorage.setItem("theme", choice);
    else localStorage.removeItem("theme");
  } catch {
    // Storage may be forbidden; the choice holds for this page then.
  }
}

theme.addEventListener("click", () => {
  const choice = other();
  const followsSystem = choice === (system.matches ? "dark" : "light");
  if (followsSystem) delete root.dataset.theme;
  else root.dataset.theme = choice;
  remember(followsSystem ? null : choice);
  labelTheme();
});
system.addEventListener("change", labelTheme);
labelTheme();
theme.hidden = false;

// --- refresh ---------------------------------------------------------------------------------

if (live) {
  const stale = document.getElementById("stale");
  let paused = false;
  let readAt = Date.now(); // by this clock, so that a wrong clock here cannot show a wrong age

  const refresh = () => htmx.trigger(live, "refresh");

  pause.addEventListener("click", () => {
    paused = !paused;
    root.classList.toggle("paused", paused);
    document.getElementById("pause-label").textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-label", paused ? "Resume refreshing" : "Pause refreshing");
    if (!paused) refresh();
    tick();
  });
  pause.setAttribute("aria-label", "Pause refreshing");
  pause.hidden = false;

  // Nobody looks at a hidden tab: ask nothing, and catch up when it is shown.
  live.addEventListener("htmx:config:request", (event) => {
    if (paused || document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !paused) refresh();
  });

  live.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.response.status >= 400) return; // told of below; nothing was swapped
    readAt = Date.now();
    stale.hidden = true;
    tick();
  });
  const fail = (reason) => {
    const asOf = document.getElementById("as-of")?.textContent;
    stale.textContent = asOf
      ? `${reason} These numbers are as of ${asOf}; trying again every 10 seconds.`
      : `${reason} Trying again every 10 seconds.`;
    stale.hidden = false;
  };
  live.addEventListener("htmx:response:error", (event) => {
    const status = event.detail.ctx.response.status;
    fail(status === 503 ? "The lake cannot be read." : `The dashboard answered ${status}.`);
  });
  live.addEventListener("htmx:error", () => fail("The dashboard does not answer."));

  function tick() {
    const age = document.getElementById("age");
    if (!age) return;
    const seconds = Math.round((Date.now() - readAt) / 1000);
    const ago = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    age.textContent = ` · updated ${ago} ago${paused ? " · paused" : ""}`;
  }
  setInterval(tick, 1000);
  tick();
}
