/* SPDX-License-Identifier: MIT */
/*
 * The map of memory. Two ways to lay frames out:
 *
 * squares	each largest block is a square of 32 by 32 frames, filled along the Z curve: bit 0
 *		of the frame's number goes right, bit 1 down, bit 2 right... So every block is a
 *		square or two squares, and its buddy lies beside or below it.
 * rows		frames by address, from left to right and then down; a row is a power of two
 *		long, so a block is a piece of a row, or some whole rows.
 */
"use strict";

const TILE_ORDER = MAX_ORDER;
const TILE = 2 ** (TILE_ORDER / 2); /* frames along a side of a square */
const CAPTION = 15; /* pixels above a square, or left of the rows */

/* The bits of n at even places, packed. */
function evenBits(n) {
  let packed = 0;
  for (let bit = 0; bit < TILE_ORDER / 2; bit++) packed |= ((n >> (2 * bit)) & 1) << bit;
  return packed;
}

/* Both show the frames [from, end), multiples of a largest block; offsets stay the arena's. */
class SquareLayout {
  constructor({ from, end }, width, height, dpr) {
    this.from = from;
    this.tiles = (end - from) / TILE ** 2;
    this.cell = 0;
    for (let columns = 1; columns <= this.tiles; columns++) {
      const rows = Math.ceil(this.tiles / columns);
      const across = (width - (columns - 1) * this.gap(columns)) / (columns * TILE);
      const down = (height - rows * (CAPTION + 6)) / (rows * TILE);
      const cell = Math.min(across, down);
      if (cell > this.cell) Object.assign(this, { cell, columns, rows });
    }
    if (this.cell > 1) this.cell = Math.floor(this.cell * dpr) / dpr;
    this.step = this.cell * TILE + this.gap(this.columns);
    this.down = this.cell * TILE + CAPTION + 6;
    this.left = Math.round((width - this.columns * this.step + this.gap(this.columns)) / 2);
    this.top = Math.round((height - this.rows * this.down) / 2);
  }

  gap(columns) {
    return columns > 12 ? 4 : 10;
  }

  rect(at, order) {
    const tile = Math.floor((at - this.from) / TILE ** 2);
    const inside = at % TILE ** 2;
    return {
      x: this.left + (tile % this.columns) * this.step + evenBits(inside) * this.cell,
      y: this.top + CAPTION + Math.floor(tile / this.columns) * this.down +
        evenBits(inside >> 1) * this.cell,
      w: 2 ** Math.ceil(order / 2) * this.cell,
      h: 2 ** Math.floor(order / 2) * this.cell,
    };
  }

  frameAt(x, y) {
    const across = x - this.left;
    const below = y - this.top;
    const column = Math.floor(across / this.step);
    const row = Math.floor(below / this.down);
    const cellX = Math.floor((across - column * this.step) / this.cell);
    const cellY = Math.floor((below - row * this.down - CAPTION) / this.cell);
    const outside = (n, limit) => n < 0 || n >= limit;
    if (outside(column, this.columns) || outside(cellX, TILE) || outside(cellY, TILE)) return -1;
    let inside = 0;
    for (let bit = 0; bit < TILE_ORDER / 2; bit++) {
      inside |= (((cellX >> bit) & 1) << (2 * bit)) | (((cellY >> bit) & 1) << (2 * bit + 1));
    }
    return this.from + (row * this.columns + column) * TILE ** 2 + inside;
  }

  /* Where the ground is drawn, and what is written there. */
  *grounds() {
    for (let tile = 0; tile < this.tiles; tile++) {
      const at = this.from + tile * TILE ** 2;
      const ground = this.rect(at, TILE_ORDER);
      yield { at, ...ground, textX: ground.x, textY: ground.y - 4, align: "left" };
    }
  }
}

class RowLayout {
  constructor({ from, end }, width, height, dpr) {
    const room = width - 64;
    this.from = from;
    this.cell = 0;
    for (let bits = 5; bits <= MAX_ORDER; bits++) {
      const rows = (end - from) / 2 ** bits;
      const cell = Math.min(room / 2 ** bits, (height - 12) / rows);
      if (cell > this.cell) Object.assign(this, { cell, rows, columns: 2 ** bits });
    }
    if (this.cell > 1) this.cell = Math.floor(this.cell * dpr) / dpr;
    this.left = Math.round((width - 64 - this.columns * this.cell) / 2) + 64;
    this.top = Math.round((height - this.rows * this.cell) / 2);
  }

  rect(at, order) {
    const size = 2 ** order;
    return {
      x: this.left + (at % this.columns) * this.cell,
      y: this.top + Math.floor((at - this.from) / this.columns) * this.cell,
      w: Math.min(size, this.columns) * this.cell,
      h: Math.max(1, size / this.columns) * this.cell,
    };
  }

  frameAt(x, y) {
    const column = Math.floor((x - this.left) / this.cell);
    const row = Math.floor((y - this.top) / this.cell);
    if (column < 0 || column >= this.columns || row < 0 || row >= this.rows) return -1;
    return this.from + row * this.columns + column;
  }

  *grounds() {
    const rows = TILE ** 2 / this.columns;
    const every = Math.ceil(16 / (rows * this.cell)); /* captions must not touch */
    for (let row = 0, n = 0; row < this.rows; row += rows, n++) {
      const y = this.top + row * this.cell;
      yield {
        at: this.from + row * this.columns, x: this.left, y,
        w: this.columns * this.cell, h: rows * this.cell,
        textX: this.left - 8, textY: n % every ? -99 : y + 11, align: "right",
      };
    }
  }
}

const FLASH_MS = 520;

const grow = (r, by) => ({ x: r.x - by, y: r.y - by, w: r.w + 2 * by, h: r.h + 2 * by });

class MemoryMap {
  constructor(section) {
    this.canvas = section.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.squares = true;
    this.flash = null; /* {parts: [[at, order]], event, start} */
    this.marked = null; /* [at, order] */
  }

  show({ arena, shown }, palette) {
    this.arena = arena;
    this.shown = shown;
    this.palette = palette;
    const dpr = window.devicePixelRatio || 1;
    const { width, height } = this.canvas.getBoundingClientRect();
    this.canvas.width = Math.round(width * dpr);
    this.canvas.height = Math.round(height * dpr);
    this.context.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.size = { width, height };
    const Layout = this.squares ? SquareLayout : RowLayout;
    this.layout = new Layout(shown, width - 28, height - 16, dpr);
    this.layout.left += 14;
    this.layout.top += 8;
    this.hatching = this.makeHatching(dpr);
  }

  /* A pattern for what no allocator has. */
  makeHatching(dpr) {
    const tile = document.createElement("canvas");
    const side = 6;
    tile.width = tile.height = side * dpr;
    const c = tile.getContext("2d");
    c.scale(dpr, dpr);
    c.fillStyle = this.palette.named("map");
    c.fillRect(0, 0, side, side);
    c.strokeStyle = this.palette.named("line");
    c.lineWidth = 1;
    c.beginPath();
    for (const shift of [-side, 0, side]) {
      c.moveTo(shift, side);
      c.lineTo(shift + side, 0);
    }
    c.stroke();
    const pattern = this.context.createPattern(tile, "repeat");
    pattern.setTransform(new DOMMatrix().scale(1 / dpr));
    return pattern;
  }

  draw(blocks, now) {
    const c = this.context;
    c.clearRect(0, 0, this.size.width, this.size.height);
    this.drawGround(c);
    const { cells } = blocks;
    for (let at = this.shown.from; at < this.shown.end; ) {
      const cell = cells[at];
      if (!isHead(cell)) {
        at++;
        continue;
      }
      this.drawBlock(c, at, cell);
      at += 2 ** orderOf(cell);
    }
    if (this.marked) this.outline(c, this.layout.rect(...this.marked), 2, [4, 3]);
    return this.drawFlash(c, now);
  }

  drawGround(c) {
    c.font = "11px " + this.palette.named("mono");
    for (const ground of this.layout.grounds()) {
      c.fillStyle = this.hatching;
      c.fillRect(ground.x, ground.y, ground.w, ground.h);
      if (ground.w > 60) {
        c.fillStyle = this.palette.named("soft");
        c.textAlign = ground.align;
        c.fillText("0x" + (this.arena.first + ground.at).toString(16), ground.textX, ground.textY);
      }
    }
  }

  drawBlock(c, at, cell) {
    const order = orderOf(cell);
    const { fill, ink } = this.palette[stateOf(cell)][order];
    const r = this.layout.rect(at, order);
    const gap = this.layout.cell >= 5 ? 1 : this.layout.cell >= 2.5 ? 0.5 : 0;
    c.fillStyle = fill;
    c.fillRect(r.x, r.y, r.w - gap, r.h - gap);
    const side = Math.min(r.w, r.h);
    if (side >= 17) {
      c.fillStyle = ink;
      c.font = `600 ${Math.min(26, Math.round(side * 0.42))}px system-ui, sans-serif`;
      c.textAlign = "center";
      c.textBaseline = "middle";
      c.fillText(String(order), r.x + r.w / 2, r.y + r.h / 2 + 0.5);
      c.textBaseline = "alphabetic";
    }
  }

  outline(c, r, width, dashes = []) {
    for (const [style, extra] of [["card", 2.5], ["strong", 0]]) {
      c.setLineDash(extra ? [] : dashes);
      c.strokeStyle = this.palette.named(style);
      c.lineWidth = width + extra;
      c.strokeRect(r.x - 0.5, r.y - 0.5, r.w, r.h);
    }
    c.setLineDash([]);
  }

  /* The block of the last event: an outline stays; colour, and halves that part, fade. */
  drawFlash(c, now) {
    if (!this.flash) return false;
    const { at, order, event, start } = this.flash;
    const age = Math.min(1, (now - start) / FLASH_MS);
    const whole = this.layout.rect(at, order);
    const halves = [0, 1].map((n) => this.layout.rect(at + n * 2 ** (order - 1), order - 1));
    const glow = (1 - age) ** 2;
    c.save();
    c.globalAlpha = (Math.max(whole.w, whole.h) < 120 ? 0.85 : 0.4) * glow;
    c.fillStyle = this.palette.named("strong");
    if (event === EVENT.SPLIT || event === EVENT.MERGE) this.drawSeam(c, halves, event, age);
    else c.fillRect(whole.x, whole.y, whole.w, whole.h);
    c.restore();
    this.outline(c, grow(whole, 5 * glow), 2.5);
    if (event === EVENT.SPLIT) for (const half of halves) this.outline(c, half, 1.2);
    /* A small block would be hard to find. */
    if (Math.max(whole.w, whole.h) < 40) this.drawRing(c, grow(whole, 9 + 26 * glow));
    return age < 1;
  }

  drawRing(c, r) {
    c.strokeStyle = this.palette.named("accent");
    c.lineWidth = 3;
    c.beginPath();
    c.ellipse(r.x + r.w / 2, r.y + r.h / 2, r.w / 2, r.h / 2, 0, 0, 2 * Math.PI);
    c.stroke();
  }

  /* Two halves: parting for a split, closing for a merge. */
  drawSeam(c, [first, second], event, age) {
    const ease = 1 - (1 - age) ** 3;
    const open = event === EVENT.SPLIT ? ease : 1 - ease;
    const beside = second.x > first.x;
    const room = 0.25 * (beside ? first.w : first.h) * open;
    for (const [half, far] of [[first, 0], [second, 1]]) {
      c.fillRect(
        half.x + (beside && far ? room : 0),
        half.y + (!beside && far ? room : 0),
        half.w - (beside ? room : 0),
        half.h - (beside ? 0 : room),
      );
    }
  }
}
