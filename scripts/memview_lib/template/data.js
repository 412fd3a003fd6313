/* SPDX-License-Identifier: MIT */
/* The data that page.py wrote into the page, with its columns as typed arrays. */
"use strict";

const EVENT = {
  INIT: 1, ADD: 2, RESERVE: 3, ALLOC: 4, FREE: 5, SPLIT: 6, MERGE: 7,
  SPACE_NEW: 8, SPACE_FORK: 9, SPACE_GONE: 10, SPACE_OWNER: 11, SPACE_NAME: 12,
  FAULT_ZERO: 13, FAULT_FRESH: 14, FAULT_FILE: 15, FAULT_COPY: 16, FAULT_REUSE: 17,
  FAULT_SPURIOUS: 18, FAULT_STACK: 19, FAULT_REFUSED: 20, SPACE_MAP: 21, SPACE_UNMAP: 22,
};
const EVENT_NAMES = ["", "init", "add", "reserve", "alloc", "free", "split", "merge",
  "new", "fork", "gone", "owner", "name", "zero", "fresh", "file", "copy", "reuse",
  "spurious", "stack", "refused", "map", "unmap"];
const FAULT_EVENTS = [13, 14, 15, 16, 17, 18, 19, 20];
/* By event: a colour of page.css. */
const FAULT_COLOURS = {
  13: "share", 14: "free", 15: "largest", 16: "allocated", 17: "unusable",
  18: "soft", 19: "accent", 20: "warn",
};
const FAULT_RESULTS = ["", "nothing is mapped there", "the mapping forbids it", "stack overflow",
  "behind the end of the file", "no memory"];
const MAX_ORDER = 10;
const CONTRADICTION = 0x80;

function decodeBytes(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/* The arrays are little endian, as is every machine that a browser runs on. */
function decodeArray(text, Type) {
  return new Type(decodeBytes(text).buffer);
}

/* Ticks since the first event. */
function decodeTimes(raw) {
  const gaps = decodeArray(raw.gap, Uint32Array);
  const time = new Float64Array(raw.count);
  const unit = 2 ** raw.shift;
  for (let i = 0, at = 0; i < raw.count; i++) time[i] = at += gaps[i] * unit;
  return time;
}

/* One allocator: event i happened at time[i] to frame[i]. */
function decodeArena(raw) {
  const time = decodeTimes(raw);
  const kinds = decodeBytes(raw.kind);
  return {
    name: raw.name,
    first: raw.first,
    frames: raw.frames,
    initial: raw.initial ? decodeBytes(raw.initial) : new Uint8Array(raw.frames),
    count: raw.count,
    time,
    event: kinds.map((kind) => kind & ~CONTRADICTION),
    contradicts: kinds.map((kind) => (kind & CONTRADICTION ? 1 : 0)),
    order: decodeBytes(raw.order),
    cpu: decodeBytes(raw.cpu),
    frame: decodeArray(raw.frame, Uint32Array),
    caller: decodeArray(raw.caller, Uint16Array),
  };
}

/* All address spaces: event i happened in space[i], to page[i] and frame[i] if it is about one. */
function decodeSpaces(raw) {
  const above = decodeBytes(raw.above);
  const page = Float64Array.from(decodeArray(raw.page, Uint32Array));
  above.forEach((bits, i) => { page[i] += bits * 2 ** 32; });
  return {
    count: raw.count,
    time: decodeTimes(raw),
    event: decodeBytes(raw.kind),
    cpu: decodeBytes(raw.cpu),
    space: decodeArray(raw.space, Uint16Array),
    page,
    frame: decodeArray(raw.frame, Uint32Array),
    sharedFrames: decodeArray(raw.sharedFrames, Uint32Array),
    spaces: raw.spaces.map((space, index) => ({
      ...space,
      number: index,
      at: decodeArray(space.at, Uint32Array),
      pages: decodeArray(space.pages, Uint32Array),
      shared: decodeArray(space.shared, Uint32Array),
    })),
  };
}

function loadData() {
  const raw = JSON.parse(document.getElementById("data").textContent);
  const spaces = raw.spaces ? decodeSpaces(raw.spaces) : null;
  return { ...raw, arenas: raw.arenas.map(decodeArena), spaces };
}
