/* SPDX-License-Identifier: MIT */
/*
 * Memory at any event. One byte a frame says what blocks there are, as in blocks.py: a head
 * holds state and order, the other frames of a block are TAIL, frames without an allocator are
 * RESERVED. Going forward applies events; going anywhere else starts from the nearest
 * checkpoint before.
 */
"use strict";

const RESERVED = 0x00;
const TAIL = 0xff;
const FREE = 0x10;
const ALLOCATED = 0x20;

const isHead = (cell) => cell !== RESERVED && cell !== TAIL;
const stateOf = (cell) => cell & 0xf0;
const orderOf = (cell) => cell & 0x0f;

class Blocks {
  constructor(cells) {
    this.cells = cells;
    this.since = new Int32Array(cells.length).fill(-1); /* by head: event that made it so */
    this.free = new Int32Array(MAX_ORDER + 1); /* blocks by order */
    this.allocated = new Int32Array(MAX_ORDER + 1);
    for (const cell of cells) this.count(cell, 1);
  }

  count(cell, n) {
    if (stateOf(cell) === FREE) this.free[orderOf(cell)] += n;
    else if (stateOf(cell) === ALLOCATED) this.allocated[orderOf(cell)] += n;
  }

  set(at, cell, index) {
    this.count(this.cells[at], -1);
    this.cells[at] = cell;
    this.since[at] = index;
    this.count(cell, 1);
  }

  apply(index, event, at, order) {
    switch (event) {
      case EVENT.INIT:
      case EVENT.RESERVE:
        this.place(at, order, RESERVED, index);
        break;
      case EVENT.ALLOC:
        this.place(at, order, ALLOCATED | order, index);
        break;
      case EVENT.SPLIT:
        this.place(at, order, FREE | order, index);
        this.set(at, FREE | (order - 1), index);
        this.set(at + 2 ** (order - 1), FREE | (order - 1), index);
        break;
      default:
        this.place(at, order, FREE | order, index);
    }
  }

  /* Make [at, at + 2^order) one block, or reserved frames, whatever lies there. */
  place(at, order, cell, index) {
    const end = at + 2 ** order;
    const here = this.cells[at];
    if (!isHead(here) || orderOf(here) !== order) {
      this.isolate(at, order);
      this.fill(at, end, TAIL);
    }
    if (cell === RESERVED) this.fill(at, end, RESERVED);
    else this.set(at, cell, index);
  }

  fill(at, end, cell) {
    for (let i = at; i < end; i++) if (isHead(this.cells[i])) this.count(this.cells[i], -1);
    this.cells.fill(cell, at, end);
  }

  /* The head of the block that holds a frame, if it has at least that order; or -1. */
  head(at, order) {
    for (let o = order; o <= MAX_ORDER; o++) {
      const head = at - (at % 2 ** o);
      if (isHead(this.cells[head]) && orderOf(this.cells[head]) >= o) return head;
    }
    return -1;
  }

  /* Cut a larger block around [at, at + 2^order) into halves until none is left. */
  isolate(at, order) {
    let head = this.head(at, order);
    if (head < 0) return;
    const since = this.since[head];
    while (orderOf(this.cells[head]) > order) {
      const cell = this.cells[head] - 1;
      const half = 2 ** orderOf(cell);
      this.set(head, cell, since);
      this.set(head + half, cell, since);
      if (at >= head + half) head += half;
    }
  }

  freeFrames() {
    return this.free.reduce((sum, blocks, order) => sum + blocks * 2 ** order, 0);
  }

  /* Share of the free frames that lie in blocks below that order. */
  unusable(order) {
    const all = this.freeFrames();
    if (all === 0) return 0;
    let below = 0;
    for (let o = 0; o < order; o++) below += this.free[o] * 2 ** o;
    return below / all;
  }

  largestFree() {
    let order = MAX_ORDER;
    while (order >= 0 && this.free[order] === 0) order--;
    return order; /* -1: nothing is free */
  }

  copy() {
    const twin = Object.create(Blocks.prototype);
    for (const name of ["cells", "since", "free", "allocated"]) twin[name] = this[name].slice();
    return twin;
  }
}

/*
 * blocks is memory after the events [0, at). The arena's first frame is a multiple of the
 * largest block, so offsets are aligned as frames are.
 */
class Timeline {
  static CHECKPOINT_BYTES = 64 << 20;

  constructor(arena) {
    this.arena = arena;
    const perCheckpoint = arena.frames * 5;
    const room = Math.max(4, Math.floor(Timeline.CHECKPOINT_BYTES / perCheckpoint));
    this.spacing = Math.max(512, Math.ceil(arena.count / room));
    this.at = 0;
    this.blocks = new Blocks(arena.initial.slice());
    this.checkpoints = [this.blocks.copy()];
    /* By number of events done: what the chart shows. */
    this.freeCounts = Array.from({ length: MAX_ORDER + 1 }, () => new Int32Array(arena.count + 1));
    this.frames = this.managedFrames();
    this.shown = this.findShown();
    this.note();
    while (this.at < arena.count) {
      this.forward();
      this.note();
      if (this.at % this.spacing === 0) this.checkpoints.push(this.blocks.copy());
    }
  }

  /* What the map shows: the largest blocks from the first to the last that ever had memory. */
  findShown() {
    const { arena } = this;
    let from = Infinity;
    let end = 0;
    const use = (at) => {
      from = Math.min(from, at - (at % 2 ** MAX_ORDER));
      end = Math.max(end, at - (at % 2 ** MAX_ORDER) + 2 ** MAX_ORDER);
    };
    arena.initial.forEach((cell, at) => isHead(cell) && use(at));
    arena.event.forEach((event, i) => event !== EVENT.INIT && use(arena.frame[i]));
    return end ? { from, end } : { from: 0, end: 2 ** MAX_ORDER };
  }

  note() {
    for (let o = 0; o <= MAX_ORDER; o++) this.freeCounts[o][this.at] = this.blocks.free[o];
    if (this.at === 0 || this.at === this.arena.count) return;
    const event = this.arena.event[this.at - 1];
    if (event === EVENT.ADD || event === EVENT.INIT || event === EVENT.RESERVE) {
      this.frames = Math.max(this.frames, this.managedFrames());
    }
  }

  /* Frames in blocks, the most there were: the scale of the free-memory curve. */
  managedFrames() {
    const { free, allocated } = this.blocks;
    return free.reduce((sum, blocks, order) => sum + (blocks + allocated[order]) * 2 ** order, 0);
  }

  forward() {
    const { event, frame, order } = this.arena;
    this.blocks.apply(this.at, event[this.at], frame[this.at], order[this.at]);
    this.at++;
  }

  seek(to) {
    const target = Math.max(0, Math.min(this.arena.count, Math.round(to)));
    const nearest = Math.floor(target / this.spacing);
    if (target < this.at || nearest * this.spacing > this.at) {
      this.at = nearest * this.spacing;
      this.blocks = this.checkpoints[nearest].copy();
    }
    while (this.at < target) this.forward();
  }

  /* Does event i go on with the operation that event i - 1 belongs to? */
  continues(i) {
    if (i <= 0 || i >= this.arena.count) return false;
    const before = this.arena.event[i - 1];
    const now = this.arena.event[i];
    if (now === EVENT.MERGE) return true;
    return before === EVENT.SPLIT && (now === EVENT.SPLIT || now === EVENT.ALLOC);
  }

  nextOperation() {
    let i = this.at + 1;
    while (this.continues(i)) i++;
    return Math.min(i, this.arena.count);
  }

  previousOperation() {
    let i = this.at - 1;
    while (this.continues(i)) i--;
    return Math.max(i, 0);
  }
}
