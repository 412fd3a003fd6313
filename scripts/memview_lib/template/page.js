/* SPDX-License-Identifier: MIT */
/*
 * The page: what the controls do, and what stands beside the map.
 *
 * The part of the address after # may say where to begin: #t=1200, #t=last, #arena=1, #spaces; with
 * #report the page also writes its counters as text, for tests.
 */
"use strict";

const $ = (selector) => document.querySelector(selector);
const data = loadData();
const map = new MemoryMap($("#map"));
const chart = new Chart($(".chart canvas"));
const rows = new SpaceRows($("#spaces"));
const sharing = new SharingChart($(".chart canvas"));
const timelines = new Map();
const view = { arena: 0, playing: false, order: 9, pinned: -1, hovered: -1, palette: null };
let timeline;

/* ---- Text ---------------------------------------------------------------------- */

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const number = (n) => n.toLocaleString("en");
const hex = (at) => "0x" + (timeline.arena.first + at).toString(16);
const percent = (share) => (100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0) + " %";

function size(order) {
  const kib = 4 * 2 ** order;
  return kib < 1024 ? `${kib} KiB` : `${kib / 1024} MiB`;
}

function duration(ticks) {
  if (data.unit !== "ns") return `${number(ticks)} ${data.unit}`;
  if (ticks < 1e3) return `${ticks} ns`;
  if (ticks < 1e6) return `${(ticks / 1e3).toFixed(3)} \u00b5s`;
  return `${(ticks / 1e6).toFixed(3)} ms`;
}

/* A list of names and values; a value may be text or an element. */
function facts(entries) {
  const list = element("dl", "", "facts");
  for (const [name, value] of entries) {
    const given = element("dd");
    given.append(value);
    list.append(element("dt", name), given);
  }
  return list;
}

function caller(index) {
  const [name, place] = data.callers[timeline.arena.caller[index]];
  const text = element("span");
  text.append(element("span", name, "mono"));
  if (place) text.append(element("span", "  " + place, "soft"));
  return text;
}

function sentence(index) {
  const { event, frame, order } = timeline.arena;
  const [at, o] = [frame[index], order[index]];
  const frames = o ? `${number(2 ** o)} frames` : "1 frame";
  switch (event[index]) {
    case EVENT.INIT: return `An allocator begins, without memory, for frames from ${hex(at)} on.`;
    case EVENT.ADD: return `Block ${hex(at)} of order ${o} joins the free memory.`;
    case EVENT.RESERVE: return `${frames} from ${hex(at)} on leave for good.`;
    case EVENT.ALLOC: return `Block ${hex(at)} of order ${o} is given out: ${frames}.`;
    case EVENT.FREE: return `Block ${hex(at)} of order ${o} comes back: ${frames}.`;
    case EVENT.SPLIT: return `Block ${hex(at)} of order ${o} becomes two of order ${o - 1}.`;
    default:
      return `${hex(at)} and its buddy ${hex(at + 2 ** (o - 1))} become one block of order ${o}.`;
  }
}

function tag(index) {
  const name = EVENT_NAMES[timeline.arena.event[index]];
  return element("span", name, `tag ${name}`);
}

/* ---- Panels ---------------------------------------------------------------------- */

function showEvent() {
  const box = $("#event > div");
  const index = timeline.at - 1;
  const what = element("p", "", "what");
  if (index < 0) {
    what.append(element("span", "start", "tag start"), "Before the first event.");
    box.replaceChildren(what);
    return;
  }
  if (timeline.isSpaces) {
    what.append(tag(index), spaceSentence(index));
    box.replaceChildren(what, facts([
      ["in", spaceOf(index).name],
      ["at", `${duration(timeline.arena.time[index])}, CPU ${timeline.arena.cpu[index]}`],
    ]));
    return;
  }
  what.append(tag(index), sentence(index));
  box.replaceChildren(what, facts([
    ["by", caller(index)],
    ["at", `${duration(timeline.arena.time[index])}, CPU ${timeline.arena.cpu[index]}`],
  ]));
  if (timeline.arena.contradicts[index]) {
    box.append(element("div", "This contradicts the events before.", "warn"));
  }
}

/* Rows are made once; later only what changes is changed. */
function makeOrders() {
  const body = $("#orders tbody");
  body.replaceChildren();
  for (let order = MAX_ORDER; order >= 0; order--) {
    const row = element("tr");
    row.dataset.order = order;
    row.append(element("td", String(order)), element("td", size(order), "size"));
    for (const state of [FREE, ALLOCATED]) {
      const bar = element("td", "", "bar");
      bar.append(element("i"));
      bar.firstChild.style.background = view.palette[state][order].fill;
      row.append(element("td", "", "n"), bar);
    }
    body.append(row);
  }
  const foot = element("td");
  foot.colSpan = 6;
  foot.append(element("i"), "reserved: no memory, or another allocator's");
  const row = element("tr");
  row.append(foot);
  $("#orders tfoot").replaceChildren(row);
}

function showOrders() {
  const { free, allocated } = timeline.blocks;
  const longest = Math.max(1, ...free, ...allocated);
  const touched = timeline.at ? timeline.arena.order[timeline.at - 1] : -1;
  for (const row of $("#orders tbody").rows) {
    const order = Number(row.dataset.order);
    row.classList.toggle("touched", order === touched);
    for (const [first, counts] of [[2, free], [4, allocated]]) {
      const blocks = counts[order];
      row.cells[first].textContent = number(blocks);
      row.cells[first].classList.toggle("zero", blocks === 0);
      /* By the square root: one block must stay visible beside a thousand. */
      row.cells[first + 1].firstChild.style.width =
        `${100 * Math.sqrt(blocks / longest)}%`;
    }
  }
}

function showBlock() {
  const box = $("#block > div");
  const at = view.pinned >= 0 ? view.pinned : view.hovered;
  const head = at < 0 ? -1 : timeline.blocks.head(at, 0);
  map.marked = null;
  if (at < 0) {
    box.replaceChildren(element("p", "Point at the map; click to keep a block in view.", "soft"));
    return;
  }
  if (head < 0) {
    box.replaceChildren(
      element("p", `Frame ${hex(at)}`, "what"),
      element("p", "Reserved: this allocator does not have it.", "soft"),
    );
    return;
  }
  const cell = timeline.blocks.cells[head];
  const order = orderOf(cell);
  const state = stateOf(cell) === FREE ? "free" : "allocated";
  map.marked = [head, order];
  const entries = [["frames", `${hex(head)} to ${hex(head + 2 ** order - 1)}, ${size(order)}`]];
  const since = timeline.blocks.since[head];
  if (since < 0) {
    entries.push(["since", "before the first event"]);
  } else {
    const event = EVENT_NAMES[timeline.arena.event[since]];
    entries.push(["since", `event ${number(since + 1)} (${event}), ` +
      duration(timeline.arena.time[since])]);
    entries.push(["by", caller(since)]);
  }
  if (order < MAX_ORDER) {
    entries.push(["buddy", hex(Math.floor(head / 2 ** order) % 2 ? head - 2 ** order
      : head + 2 ** order)]);
  }
  const pinned = view.pinned >= 0 ? " (kept)" : "";
  box.replaceChildren(element("p", `Order ${order}, ${state}${pinned}`, "what"), facts(entries));
}

function showLog() {
  const list = $("#log ol");
  const room = Math.max(3, Math.floor((list.parentElement.clientHeight - 44) / 22));
  const { count, frame, order } = timeline.arena;
  const now = timeline.at - 1;
  const first = Math.max(0, Math.min(count - room, now - Math.floor(room * 0.6)));
  const rows = [];
  for (let i = first; i < Math.min(count, first + room); i++) {
    const row = element("li", "", i === now ? "now" : i > now ? "later" : "");
    row.classList.toggle("inside", timeline.continues(i));
    row.append(element("span", number(i + 1), "number"), tag(i));
    if (timeline.isSpaces) {
      row.append(element("span", spaceOf(i).name, "soft"));
      if (timeline.arena.page[i]) row.append(element("span", addressOf(i), "mono"));
    } else {
      row.append(element("span", hex(frame[i]), "mono"));
      row.append(element("span", `order ${order[i]}`, "soft"));
    }
    row.onclick = () => go(i + 1);
    rows.push(row);
  }
  list.replaceChildren(...rows);
}

function showTime() {
  const { arena, at } = timeline;
  $("#slider").value = at;
  const where = $("#where");
  where.replaceChildren("event ", element("b", number(at)), ` of ${number(arena.count)}`);
  if (!timeline.isSpaces) showShares(timeline.blocks);
}

function showShares(blocks) {
  const [unusable, share, largest] = document.querySelectorAll("#keys output");
  const free = blocks.freeFrames();
  unusable.textContent = percent(blocks.unusable(view.order));
  share.textContent = timeline.frames ? percent(free / timeline.frames) : "-";
  largest.textContent = blocks.largestFree() < 0 ? "none" : `order ${blocks.largestFree()}`;
}

/* ---- Drawing ----------------------------------------------------------------------- */

let scheduled = false;

/* Draw in the next frame, and again for as long as something moves. */
function redraw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame((now) => {
    scheduled = false;
    if (timeline.isSpaces) {
      rows.draw();
      sharing.draw();
      return;
    }
    if (map.draw(timeline.blocks, now)) redraw();
    chart.draw();
  });
}

function refresh() {
  showEvent();
  if (timeline.isSpaces) {
    showSpaces();
  } else {
    showOrders();
    showBlock();
  }
  showLog();
  showTime();
  redraw();
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

function go(to, quiet = false) {
  timeline.seek(to);
  if (timeline.isSpaces) {
    refresh();
    return;
  }
  const index = timeline.at - 1;
  const still = quiet || calm.matches;
  map.flash = index < 0 ? null : {
    at: timeline.arena.frame[index],
    order: timeline.arena.order[index],
    event: timeline.arena.event[index],
    start: still ? -1e9 : performance.now(),
  };
  if (map.flash && map.flash.order > MAX_ORDER) map.flash = null; /* a range, not a block */
  refresh();
}

function restyle() {
  view.palette = makePalette();
  document.body.classList.toggle("spaces", Boolean(timeline.isSpaces));
  if (timeline.isSpaces) {
    rows.show(timeline, view.palette);
    sharing.show(timeline, view.palette);
    refresh();
    return;
  }
  map.show(timeline, view.palette);
  chart.show(timeline, view.palette, view.order);
  makeOrders();
  $("#layout").textContent = map.squares ? "Squares" : "Rows";
  refresh();
}

function open(index) {
  view.arena = index;
  view.pinned = view.hovered = -1;
  if (!timelines.has(index)) {
    timelines.set(index, index === data.arenas.length ? new SpaceTimeline(data.spaces)
      : new Timeline(data.arenas[index]));
  }
  timeline = timelines.get(index);
  map.flash = null;
  $("#slider").max = timeline.arena.count;
  $("#arena").value = index;
  restyle();
}

/* ---- Playing ------------------------------------------------------------------------ */

/* Events a second, at each place of the speed control. */
const RATES = [0.5, 1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000, 4000];
let due = 0; /* events, with a fraction */

function rate() {
  return RATES[Number($("#speed").value)];
}

function showRate() {
  $("#rate").textContent = `${number(rate())} events/s`;
}

function play(on) {
  view.playing = on;
  $("#play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  if (timeline.at === timeline.arena.count) go(0, true);
  due = 0;
  let last = performance.now();
  const tick = (now) => {
    if (!view.playing) return;
    due += ((now - last) / 1000) * rate();
    last = now;
    const steps = Math.floor(due);
    due -= steps;
    if (steps) go(timeline.at + steps, rate() > 16);
    if (timeline.at === timeline.arena.count) play(false);
    else requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

/* ---- Controls ------------------------------------------------------------------------ */

const MOVES = {
  home: () => 0,
  previous: () => timeline.previousOperation(),
  back: () => timeline.at - 1,
  step: () => timeline.at + 1,
  next: () => timeline.nextOperation(),
  end: () => timeline.arena.count,
  pageBack: () => timeline.at - Math.ceil(timeline.arena.count / 100),
  pageStep: () => timeline.at + Math.ceil(timeline.arena.count / 100),
};

function move(name) {
  play(false);
  go(MOVES[name]());
}

/* From an allocator's frames to the address spaces, and back. */
function toggleSpaces() {
  if (!data.spaces || !data.arenas.length) return;
  play(false);
  open(timeline.isSpaces ? 0 : data.arenas.length);
  go(timeline.at, true);
}

function toggleLayout() {
  if (timeline.isSpaces) return;
  map.squares = !map.squares;
  restyle();
}

function toggleTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  restyle();
}

function changeSpeed(by) {
  $("#speed").value = Number($("#speed").value) + by;
  showRate();
}

function pin(at) {
  if (timeline.isSpaces) return;
  view.pinned = at;
  showBlock();
  redraw();
}

const KEYS = {
  ArrowLeft: (e) => move(e.shiftKey ? "previous" : "back"),
  ArrowRight: (e) => move(e.shiftKey ? "next" : "step"),
  PageUp: () => move("pageBack"),
  PageDown: () => move("pageStep"),
  Home: () => move("home"),
  End: () => move("end"),
  " ": () => play(!view.playing),
  "+": () => changeSpeed(1),
  "-": () => changeSpeed(-1),
  v: toggleLayout,
  a: toggleSpaces,
  d: toggleTheme,
  "?": () => $("#keyboard").showModal(),
  Escape: () => pin(-1),
};

function onKey(e) {
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  if (!KEYS[key] || e.ctrlKey || e.metaKey || e.altKey || $("#keyboard").open) return;
  if (e.target.tagName === "SELECT") return;
  e.preventDefault();
  KEYS[key](e);
}

function frameUnder(e) {
  const box = map.canvas.getBoundingClientRect();
  const at = map.layout.frameAt(e.clientX - box.left, e.clientY - box.top);
  return at < timeline.arena.frames ? at : -1;
}

function listenToMap() {
  map.canvas.onmousemove = (e) => {
    view.hovered = frameUnder(e);
    showBlock();
    redraw();
  };
  map.canvas.onmouseleave = () => {
    view.hovered = -1;
    showBlock();
    redraw();
  };
  map.canvas.onclick = (e) => {
    const at = frameUnder(e);
    const { blocks } = timeline;
    const same = at >= 0 && view.pinned >= 0 && blocks.head(at, 0) === blocks.head(view.pinned, 0);
    pin(same ? -1 : at);
  };
}

function listenToTime() {
  const drag = (e) => {
    if (!(e.buttons & 1)) return;
    play(false);
    const { canvas } = chart;
    const shown = timeline.isSpaces ? sharing : chart;
    go(shown.eventAt(e.clientX - canvas.getBoundingClientRect().left), true);
  };
  rows.canvas.onpointerdown = rows.canvas.onpointermove = (e) => {
    if (!(e.buttons & 1)) return;
    play(false);
    go(rows.eventAt(e.clientX - rows.canvas.getBoundingClientRect().left), true);
  };
  chart.canvas.onpointerdown = (e) => {
    chart.canvas.setPointerCapture(e.pointerId);
    drag(e);
  };
  chart.canvas.onpointermove = drag;
  $("#slider").oninput = (e) => {
    play(false);
    go(Number(e.target.value), true);
  };
  $("#speed").oninput = showRate;
  $("#play").onclick = () => play(!view.playing);
  for (const button of document.querySelectorAll("[data-go]")) {
    button.onclick = () => move(button.dataset.go);
  }
}

function fillSelects() {
  data.arenas.forEach((arena, index) => {
    const last = arena.first + arena.frames;
    const by = arena.name ? ` (${arena.name})` : "";
    const range = `frames 0x${arena.first.toString(16)} to 0x${last.toString(16)}`;
    $("#arena").append(new Option(`${range}${by}: ${number(arena.count)} events`, index));
  });
  if (data.spaces) {
    const text = `${number(data.spaces.spaces.length)} address spaces: ` +
      `${number(data.spaces.count)} events`;
    $("#arena").append(new Option(text, data.arenas.length));
  }
  $("#arena").onchange = (e) => {
    play(false);
    open(Number(e.target.value));
    go(timeline.at, true);
  };
  for (let order = 1; order <= MAX_ORDER; order++) $("#order").append(new Option(order, order));
  $("#order").value = view.order;
  $("#order").onchange = (e) => {
    view.order = Number(e.target.value);
    restyle();
  };
}

/* What #report asks for: the state at the cursor. */
function report() {
  const { at, blocks, arena } = timeline;
  const text = element("pre", JSON.stringify(timeline.isSpaces ? spaceReport() : {
    arena: arena.first,
    frames: arena.frames,
    at,
    count: arena.count,
    free: [...blocks.free],
    allocated: [...blocks.allocated],
    freeFrames: blocks.freeFrames(),
    unusable9: blocks.unusable(9),
    event: $("#event > div").textContent,
  }));
  text.id = "report";
  text.hidden = true;
  document.body.append(text);
}

function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const wish = new URLSearchParams(location.hash.slice(1));
  document.documentElement.dataset.theme = wish.get("theme") ?? (dark ? "dark" : "light");
  $("#title").textContent = data.title;
  $("#notes").textContent = $("#notes").title = data.notes.join(" \u00b7 ");
  $("#layout").onclick = toggleLayout;
  $("#theme").onclick = toggleTheme;
  $("#help").onclick = () => $("#keyboard").showModal();
  document.addEventListener("keydown", onKey);
  listenToMap();
  listenToTime();
  fillSelects();
  showRate();
  play(false);
  map.squares = wish.get("layout") !== "rows";
  const arena = Number(wish.get("arena") ?? 0);
  const first = wish.has("spaces") && data.spaces ? data.arenas.length : 0;
  open(arena in data.arenas && arena ? arena : first);
  const wanted = wish.get("t") ?? "0";
  go(wanted === "last" ? timeline.arena.count : Number(wanted) || 0, true);
  window.addEventListener("resize", restyle);
  if (wish.has("report")) report();
}

start();
