/* SPDX-License-Identifier: MIT */
/*
 * Colours. The hue says the state: blue is free, orange allocated, a pair that every kind of
 * colour vision tells apart. The strength says the order: small blocks are strong, so
 * fragmentation meets the eye, and a large free block is calm.
 */
"use strict";

const RAMPS = {
  light: { free: ["#0b5cad", "#d3e6f8"], allocated: ["#bf5408", "#ffe2c2"] },
  dark: { free: ["#74bbff", "#17324e"], allocated: ["#ffad63", "#50300f"] },
};

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function ramp([from, to]) {
  const [a, b] = [channels(from), channels(to)];
  return Array.from({ length: MAX_ORDER + 1 }, (_, order) => {
    const mixed = a.map((value, i) => Math.round(value + ((b[i] - value) * order) / MAX_ORDER));
    /* Where dark and white letters stand out alike, the luminance is 0.2. */
    return { fill: `rgb(${mixed})`, ink: luminance(mixed) > 0.2 ? "#10202e" : "#ffffff" };
  });
}

/* Relative luminance, as WCAG 2 defines it. */
function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function makePalette() {
  const theme = document.documentElement.dataset.theme;
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    [FREE]: ramp(RAMPS[theme].free),
    [ALLOCATED]: ramp(RAMPS[theme].allocated),
    named,
  };
}
