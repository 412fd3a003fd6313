/* SPDX-License-Identifier: MIT */
/*
 * Address spaces over time: a row for each, from its beginning to its end, below the one that
 * fork() copied it from.
 *
 *	3 forks   |====-----=====......        pages that are mapped, over the events
 *	            | . ' .   '  .             faults, by kind
 *	  4 forks   `------========|           what several spaces share is drawn darker
 *
 * What each has at any event was computed by spaces.py; here it is only looked up.
 */
"use strict";

const SPACE_ROW = { label: 170, least: 30, most: 84, ticks: 6 };

/* Where the number would stand in a rising array: how many are below it. */
function countBelow(numbers, limit) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

class SpaceTimeline {
  constructor(raw) {
    this.arena = raw; /* has what the controls ask for: count, time, cpu */
    this.isSpaces = true;
    this.at = 0;
    this.spaces = this.inTreeOrder();
    this.mostPages = Math.max(1, ...raw.spaces.map((space) => Math.max(0, ...space.pages)));
    this.mostShared = Math.max(1, raw.sharedFrames.reduce((most, n) => Math.max(most, n), 0));
    this.byKind = new Map(FAULT_EVENTS.map((event) => [event, []]));
    raw.event.forEach((event, i) => this.byKind.get(event)?.push(i));
  }

  /* Children right below their parents, each with its depth in the tree. */
  inTreeOrder() {
    const children = new Map();
    for (const space of this.arena.spaces) {
      const key = space.parent ?? -1;
      if (!children.has(key)) children.set(key, []);
      children.get(key).push(space);
    }
    const ordered = [];
    const visit = (space, depth) => {
      space.depth = depth;
      ordered.push(space);
      for (const child of children.get(space.number) ?? []) visit(child, depth + 1);
    };
    for (const space of children.get(-1) ?? []) visit(space, 0);
    return ordered;
  }

  /* After the events [0, at): is it there, what is it called, what has it mapped? */
  lives(space, at) {
    return space.born < at && (space.died === null || space.died >= at);
  }

  nameAt(space, at) {
    const owner = space.owners.filter(([event]) => event < at).at(-1);
    return owner ? `${owner[1]} ${owner[2]}` : `space ${space.number}`;
  }

  mapped(space, at) {
    const index = countBelow(space.at, at) - 1;
    return index < 0 ? [0, 0] : [space.pages[index], space.shared[index]];
  }

  faults(event, at) {
    return countBelow(this.byKind.get(event), at);
  }

  sharedFrames(at) {
    return at ? this.arena.sharedFrames[at - 1] : 0;
  }

  seek(to) {
    this.at = Math.max(0, Math.min(this.arena.count, Math.round(to)));
  }

  /* Mappings that come and go belong to the operation before them. */
  continues(i) {
    const event = this.arena.event[i];
    return i > 0 && (event === EVENT.SPACE_MAP || event === EVENT.SPACE_UNMAP ||
      event === EVENT.SPACE_NAME);
  }

  nextOperation() {
    let i = this.at + 1;
    while (i < this.arena.count && this.continues(i)) i++;
    return Math.min(i, this.arena.count);
  }

  previousOperation() {
    let i = this.at - 1;
    while (i > 0 && this.continues(i)) i--;
    return Math.max(i, 0);
  }
}

/* ---- The rows -------------------------------------------------------------------------- */

class SpaceRows {
  constructor(section) {
    this.section = section;
    this.canvas = section.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.picture = document.createElement("canvas");
  }

  show(timeline, palette) {
    const dpr = window.devicePixelRatio || 1;
    const { width, height } = this.section.getBoundingClientRect();
    const rows = Math.max(1, timeline.spaces.length);
    const row = Math.min(SPACE_ROW.most, Math.max(SPACE_ROW.least, (height - 12) / rows));
    Object.assign(this, { timeline, palette, width: width - 4, row });
    this.height = Math.max(height - 4, row * rows + 12);
    this.canvas.style.height = `${this.height}px`;
    for (const canvas of [this.canvas, this.picture]) {
      canvas.width = Math.round(this.width * dpr);
      canvas.height = Math.round(this.height * dpr);
      canvas.getContext("2d").setTransform(dpr, 0, 0, dpr, 0, 0);
    }
    this.places = new Map(timeline.spaces.map((space, i) => [space.number, 6 + i * row]));
    this.paint(this.picture.getContext("2d"));
  }

  x(at) {
    const room = this.width - SPACE_ROW.label - 12;
    return SPACE_ROW.label + (room * at) / Math.max(1, this.timeline.arena.count);
  }

  eventAt(x) {
    const room = this.width - SPACE_ROW.label - 12;
    return Math.round(((x - SPACE_ROW.label) / room) * this.timeline.arena.count);
  }

  paint(c) {
    c.clearRect(0, 0, this.width, this.height);
    for (const space of this.timeline.spaces) this.paintFork(c, space);
    for (const space of this.timeline.spaces) this.paintRow(c, space);
    this.paintFaults(c);
  }

  paintFork(c, space) {
    if (space.parent === null) return;
    const x = Math.round(this.x(space.born)) + 0.5;
    c.strokeStyle = this.palette.named("accent");
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(x, this.places.get(space.parent) + this.row - 6);
    c.lineTo(x, this.places.get(space.number) + this.row - 8);
    c.stroke();
  }

  paintRow(c, space) {
    const top = this.places.get(space.number);
    const end = space.died ?? this.timeline.arena.count;
    const [left, right] = [this.x(space.born), this.x(end)];
    const base = top + this.row - SPACE_ROW.ticks - 4;
    c.fillStyle = this.palette.named("map");
    c.fillRect(left, top + 2, Math.max(1, right - left), base - top - 2);
    this.paintArea(c, space, base, top + 4, right, 0, this.palette[FREE][3].fill);
    this.paintArea(c, space, base, top + 4, right, 1, this.palette[ALLOCATED][0].fill);
    c.fillStyle = this.palette.named("text");
    c.font = "13px system-ui, sans-serif";
    const indent = 10 + 12 * space.depth;
    c.fillText(space.name, indent, base - 2, SPACE_ROW.label - 4 - indent);
  }

  /* Pages that are mapped (which = 0), or those of them that are shared, as steps. */
  paintArea(c, space, base, top, right, which, fill) {
    const high = (n) => base - ((base - top) * n) / this.timeline.mostPages;
    const numbers = which ? space.shared : space.pages;
    c.beginPath();
    c.moveTo(this.x(space.born), base);
    let level = base;
    let drawn = -1;
    for (let i = 0; i < space.at.length; i++) {
      const x = this.x(space.at[i]);
      if (x - drawn < 0.5 && i + 1 < space.at.length) continue; /* finer than can be seen */
      drawn = x;
      c.lineTo(x, level);
      level = high(numbers[i]);
      c.lineTo(x, level);
    }
    c.lineTo(right, level);
    c.lineTo(right, base);
    c.fillStyle = fill;
    c.fill();
  }

  paintFaults(c) {
    const { arena } = this.timeline;
    for (const [event, numbers] of this.timeline.byKind) {
      c.fillStyle = this.palette.named(FAULT_COLOURS[event]);
      for (const i of numbers) {
        const top = this.places.get(arena.space[i]);
        c.fillRect(this.x(i + 0.5), top + this.row - SPACE_ROW.ticks - 3, 1.5, SPACE_ROW.ticks);
      }
    }
  }

  draw() {
    const c = this.context;
    const x = Math.round(this.x(this.timeline.at)) + 0.5;
    c.clearRect(0, 0, this.width, this.height);
    c.drawImage(this.picture, 0, 0, this.width, this.height);
    c.strokeStyle = this.palette.named("strong");
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(x, 0);
    c.lineTo(x, this.height);
    c.stroke();
  }
}

/* ---- The curve below: frames that several spaces share ---------------------------------- */

class SharingChart extends Chart {
  drawCurves(c) {
    const { arena, mostShared } = this.timeline;
    const places = Math.min(arena.count, Math.max(1, Math.round(this.plot.w * this.dpr)));
    const points = [];
    for (let place = 0; place <= places; place++) {
      const at = Math.round((arena.count * place) / places);
      points.push({ x: this.x(at), share: this.timeline.sharedFrames(at) / mostShared });
    }
    c.clearRect(0, 0, this.width, this.height);
    this.fillShare(c, points);
  }
}

/* ---- Beside them -------------------------------------------------------------------------- */

const spaceOf = (i) => timeline.arena.spaces[timeline.arena.space[i]];
const addressOf = (i) => "0x" + (timeline.arena.page[i] * 4096).toString(16);
const frameOf = (i) => "0x" + timeline.arena.frame[i].toString(16);

function spaceSentence(i) {
  const name = timeline.nameAt(spaceOf(i), i + 1);
  const [at, frame] = [addressOf(i), frameOf(i)];
  switch (timeline.arena.event[i]) {
    case EVENT.SPACE_NEW: return "An address space begins, empty.";
    case EVENT.SPACE_FORK: {
      const parent = spaceOf(i).parent;
      const of = parent === null ? "another space" : timeline.arena.spaces[parent].name;
      return `It is a copy of ${of}, which shares pages with it from now on.`;
    }
    case EVENT.SPACE_GONE: return `${name}: all that was mapped is gone, and so is the space.`;
    case EVENT.SPACE_OWNER: return `Process ${timeline.arena.frame[i]} runs in it.`;
    case EVENT.SPACE_NAME: return `It runs ${spaceOf(i).name}.`;
    case EVENT.FAULT_ZERO: return `${name} read ${at} first: the page of zeroes.`;
    case EVENT.FAULT_FRESH: return `${name} touched ${at} first: frame ${frame}, cleared.`;
    case EVENT.FAULT_FILE: return `${name} touched ${at}: frame ${frame} of a file.`;
    case EVENT.FAULT_COPY: return `${name} wrote to ${at}: a copy of its own, frame ${frame}.`;
    case EVENT.FAULT_REUSE:
      return `${name} wrote to ${at}: nobody else has frame ${frame} any more.`;
    case EVENT.FAULT_SPURIOUS: return `${name} faulted at ${at}, where all was well already.`;
    case EVENT.FAULT_STACK: return `The stack of ${name} grows down to ${at}.`;
    case EVENT.FAULT_REFUSED:
      return `${name} must not do that at ${at}: ${FAULT_RESULTS[timeline.arena.frame[i]] ?? "?"}.`;
    case EVENT.SPACE_MAP: return `Frame ${frame} is mapped at ${at} as well.`;
    default: return `A mapping of frame ${frame} is gone.`;
  }
}

/* The spaces that are there, what each has, and the faults so far. */
function showSpaces() {
  const { at } = timeline;
  const rows = timeline.spaces.filter((space) => timeline.lives(space, at)).map((space) => {
    const [pages, shared] = timeline.mapped(space, at);
    const row = element("tr");
    const name = timeline.nameAt(space, at);
    row.append(element("td", "\u00a0".repeat(2 * space.depth) + name),
      element("td", number(pages), "n"), element("td", number(shared), "n"));
    return row;
  });
  $("#spaceTable tbody").replaceChildren(...rows);
  const kinds = FAULT_EVENTS.map((event) => {
    const item = element("li");
    item.append(element("i"), `${EVENT_NAMES[event]} `,
      element("b", number(timeline.faults(event, at))));
    item.firstChild.style.background = view.palette.named(FAULT_COLOURS[event]);
    return item;
  });
  $("#kinds").replaceChildren(...kinds);
  $("#sharing output").textContent = number(timeline.sharedFrames(at));
}

/* What #report asks for. */
function spaceReport() {
  const { at } = timeline;
  return {
    at,
    count: timeline.arena.count,
    sharedFrames: timeline.sharedFrames(at),
    spaces: timeline.spaces.filter((space) => timeline.lives(space, at)).map((space) =>
      [space.number, timeline.nameAt(space, at), ...timeline.mapped(space, at)]),
    faults: Object.fromEntries(FAULT_EVENTS.map((e) => [EVENT_NAMES[e], timeline.faults(e, at)])),
    event: $("#event > div").textContent,
  };
}
