// Posts that a tag was tapped, with the key that this browser remembers; not again within a few seconds.
const AGAIN_AFTER = 15_000; // milliseconds: phones open a tag's page twice
const words = document.getElementById("words").dataset;
const state = document.getElementById("state");
const event = document.getElementById("tag").dataset.event;

async function tap(key) {
  const response = await fetch("/v1/api/event", {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ event }),
  });
  const said = await response.json();
  state.className = `state ${response.ok ? "ok" : "fail"}`;
  state.textContent = response.ok ? words[said.outcome] || words.accepted : said.error_message;
}

const key = localStorage.getItem("key");
const last = Number(localStorage.getItem(event) || 0);
if (!key) {
  state.textContent = words.nokey;
  state.className = "state warn";
} else if (Date.now() - last < AGAIN_AFTER) {
  state.textContent = words.again;
} else {
  localStorage.setItem(event, Date.now());
  tap(key).catch(() => {
    localStorage.removeItem(event);
    state.textContent = words.offline;
    state.className = "state fail";
  });
}
