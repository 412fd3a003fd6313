/* SPDX-License-Identifier: MIT */
/* Fragmentation over time: the curves, drawn once, and the cursor over them. */
"use strict";

const CHART = { top: 26, bottom: 4, left: 0, right: 0 };

class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.curves = document.createElement("canvas");
  }

  show(timeline, palette, order) {
    const dpr = window.devicePixelRatio || 1;
    const { width, height } = this.canvas.getBoundingClientRect();
    for (const canvas of [this.canvas, this.curves]) {
      canvas.width = Math.round(width * dpr);
      canvas.height = Math.round(height * dpr);
      canvas.getContext("2d").setTransform(dpr, 0, 0, dpr, 0, 0);
    }
    Object.assign(this, { timeline, palette, width, height, dpr });
    this.plot = { w: width - 16, h: height - CHART.top - CHART.bottom };
    this.drawCurves(this.curves.getContext("2d"), order);
  }

  /* The thumb of the slider below is 16 pixels wide: so the cursor stands above its middle. */
  x(at) {
    return 8 + (this.plot.w * at) / Math.max(1, this.timeline.arena.count);
  }

  y(share) {
    return CHART.top + this.plot.h * (1 - share);
  }

  eventAt(x) {
    return Math.round(((x - 8) / this.plot.w) * this.timeline.arena.count);
  }

  drawCurves(c, order) {
    c.clearRect(0, 0, this.width, this.height);
    c.strokeStyle = this.palette.named("line");
    c.lineWidth = 1;
    for (const share of [0, 0.5, 1]) {
      c.beginPath();
      c.moveTo(8, Math.round(this.y(share)) + 0.5);
      c.lineTo(8 + this.plot.w, Math.round(this.y(share)) + 0.5);
      c.stroke();
    }
    const points = this.sample(order);
    this.fillShare(c, points);
    this.line(c, points, "largest", 2, [2, 3]);
    this.line(c, points, "unusable", 2, []);
  }

  /* Values at some places from left to right: for each, the last event that falls there. */
  sample(order) {
    const { freeCounts, frames, arena } = this.timeline;
    const places = Math.min(arena.count, Math.max(1, Math.round(this.plot.w * this.dpr)));
    const points = [];
    for (let place = 0; place <= places; place++) {
      const at = Math.round((arena.count * place) / places);
      let all = 0, below = 0, largest = -1;
      for (let o = 0; o <= MAX_ORDER; o++) {
        const free = freeCounts[o][at] * 2 ** o;
        all += free;
        if (o < order) below += free;
        if (free) largest = o;
      }
      points.push({
        x: this.x(at),
        share: frames ? all / frames : 0,
        unusable: all ? below / all : 0,
        largest: (largest + 1) / (MAX_ORDER + 1),
      });
    }
    return points;
  }

  fillShare(c, points) {
    c.beginPath();
    c.moveTo(points[0].x, this.y(0));
    this.steps(c, points, "share");
    c.lineTo(points.at(-1).x, this.y(0));
    c.fillStyle = this.palette.named("share");
    c.globalAlpha = 0.38;
    c.fill();
    c.globalAlpha = 1;
  }

  /* A value holds until the next event. */
  steps(c, points, what) {
    points.forEach((point, i) => {
      if (i) c.lineTo(point.x, this.y(points[i - 1][what]));
      c.lineTo(point.x, this.y(point[what]));
    });
  }

  line(c, points, what, width, dashes) {
    c.beginPath();
    this.steps(c, points, what);
    c.strokeStyle = this.palette.named(what);
    c.lineWidth = width;
    c.lineJoin = "round";
    c.setLineDash(dashes);
    c.stroke();
    c.setLineDash([]);
  }

  draw() {
    const c = this.context;
    const x = Math.round(this.x(this.timeline.at)) + 0.5;
    c.clearRect(0, 0, this.width, this.height);
    c.drawImage(this.curves, 0, 0, this.width, this.height);
    c.strokeStyle = this.palette.named("strong");
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(x, CHART.top - 4);
    c.lineTo(x, this.height);
    c.stroke();
  }
}
