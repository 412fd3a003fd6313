/* SPDX-License-Identifier: MIT */
/* The data that page.py wrote into the page, with its columns as typed arrays. */
"use strict";

const EVENT = { INIT: 1, ADD: 2, RESERVE: 3, ALLOC: 4, FREE: 5, SPLIT: 6, MERGE: 7 };
const EVENT_NAMES = ["", "init", "add", "reserve", "alloc", "free", "split", "merge"];
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

/* One allocator: event i happened at time[i] (ticks since its first) to frame[i]. */
function decodeArena(raw) {
  const gaps = decodeArray(raw.gap, Uint32Array);
  const time = new Float64Array(raw.count);
  const unit = 2 ** raw.shift;
  for (let i = 0, at = 0; i < raw.count; i++) time[i] = at += gaps[i] * unit;
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

function loadData() {
  const raw = JSON.parse(document.getElementById("data").textContent);
  return { ...raw, arenas: raw.arenas.map(decodeArena) };
}
