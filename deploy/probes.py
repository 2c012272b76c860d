"""What is asked of a page in a browser, in the browser's own language."""

WIDTH = "document.documentElement.scrollWidth"
"""How wide the page has become."""

WIDEST = """
(() => {
  const around = element => getComputedStyle(element).position === "absolute" ? element.offsetParent : element.parentElement;
  const isFramed = element => { for (let up = around(element); up && up !== document.body; up = around(up))
    if (getComputedStyle(up).overflowX !== "visible") return true; return false; };
  const beyond = one => one.getBoundingClientRect().right > innerWidth + 1 && !isFramed(one);
  return [...document.body.querySelectorAll("*")].filter(beyond).slice(0, 3).map(one => one.outerHTML.slice(0, 90));
})()
"""
"""The first elements that stick out and are in no frame of their own."""

WATCH = """
(() => {
  window.reached = new Set(); window.unseen = new Set();
  document.addEventListener("focusin", event => {
    window.reached.add(event.target);
    const look = getComputedStyle(event.target);
    if (look.outlineStyle === "none" || parseFloat(look.outlineWidth) === 0) window.unseen.add(event.target);
  });
  window.scrolls = one => one.scrollWidth > one.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
  window.wanted = [...document.body.querySelectorAll("*")].filter(one => one.checkVisibility() &&
    (one.matches("a[href], summary, button, input, select, textarea, [tabindex='0']") || window.scrolls(one)));
  return window.wanted.length;
})()
"""
"""From now on it is noted what the keyboard reaches; says how much it should reach."""

MISSED = """
({
  missed: window.wanted.filter(one => !window.reached.has(one)).map(one => one.outerHTML.slice(0, 90)),
  unseen: [...window.unseen].map(one => one.outerHTML.slice(0, 90)),
  unlabelled: window.wanted.filter(one => window.scrolls(one) && one.getAttribute("tabindex") !== "0")
    .map(one => one.outerHTML.slice(0, 90)),
})
"""
"""What it did not reach, what did not show that it was reached, and frames that only some browsers let it reach."""

OPEN = "document.querySelectorAll('details').forEach(one => { one.open = true; })"

HEIGHT = "Math.min(16000, Math.max(document.documentElement.scrollHeight, innerHeight))"

AXE = """
axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(one => ({
  id: one.id, impact: one.impact, help: one.help, count: one.nodes.length,
  where: one.nodes.slice(0, 3).map(node => `${node.target.join(" ")} ${([...node.any, ...node.all, ...node.none][0] || {}).message || ""}`),
})))
"""
