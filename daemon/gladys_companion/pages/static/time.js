// Shows times as this browser's owner writes them, in their own time zone.
const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });

function local(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    element.textContent = format.format(new Date(element.dateTime));
  }
}
local(document);
document.addEventListener("times", (event) => local(event.detail)); // of a page that was fetched anew
