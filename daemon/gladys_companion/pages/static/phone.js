// What the page of a phone does beside being read: waits for the first event, tests the way, remembers for tags.
// Without scripts all of it can be read, and reloaded.
const words = document.getElementById("words").dataset;
const key = document.getElementById("key").dataset.key;

const state = document.getElementById("state");
const hops = document.getElementById("hops");
function show(event) {
  state.textContent = event.says;
  state.className = `state ${event.ok ? "ok" : "warn"}`;
  hops.replaceChildren(...event.hops.map(([name, what]) => {
    const row = document.createElement("tr");
    const head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    head.textContent = name;
    row.appendChild(document.createElement("td")).textContent = what;
    return row;
  }));
  hops.closest("table").hidden = event.hops.length === 0;
}
const events = new EventSource("/add/phone/live");
events.addEventListener("event", (message) => show(JSON.parse(message.data)));
events.addEventListener("over", () => events.close());
addEventListener("pagehide", () => events.close());

const test = document.getElementById("test");
test.hidden = false;
test.addEventListener("click", async () => {
  test.disabled = true;
  state.textContent = words.sending;
  try {
    await fetch("/v1/api/event", {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify({ event: "companion-test" }),
    });
  } catch (error) {
    state.textContent = words.offline;
    state.className = "state fail";
  } finally {
    test.disabled = false;
  }
});

const remember = document.getElementById("remember");
remember.hidden = false;
remember.addEventListener("click", () => {
  localStorage.setItem("key", key);
  remember.textContent = words.remembered;
});
