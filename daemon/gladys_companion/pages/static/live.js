// Fetches a page anew when an event comes, and shows what changed: not while somebody types, or follows with the keyboard.
const PAUSE = 1_000; // milliseconds: so often at most
const live = document.getElementById("live");
const news = document.getElementById("news");
let waiting = null;

async function refresh() {
  waiting = null;
  if (live.contains(document.activeElement) || document.hidden) return;
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("live");
  document.dispatchEvent(new CustomEvent("times", { detail: fresh }));
  if (fresh.innerHTML === live.innerHTML) return;
  live.replaceChildren(...fresh.childNodes);
  news.textContent = news.dataset.says;
}

const events = new EventSource("/api/events/stream");
events.addEventListener("message", () => {
  waiting ??= setTimeout(refresh, PAUSE);
});
addEventListener("pagehide", () => events.close());
