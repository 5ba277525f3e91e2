// Lanes: slices in time on a canvas, one row per stream or stage. Buttons and ctrl-wheel zoom, dragging moves, hover or a tap tells.
const WORK = {forward: '#3a76d0', recompute: '#7fb1ee', backward: '#2e8b57', weight: '#e0a800', optimizer: '#8d6e00', setup: '#9aa4ae', communication: '#8a4fbf'};

class Lanes {
  // rows: [{name, slices: [[start, duration, label, tint, tip]]}] with times in microseconds; area: a row drawn as a curve.
  constructor(id, rows, end, height) {
    this.canvas = $(id); this.tip = this.canvas.nextElementSibling; this.rows = rows; this.end = end; this.height = height;
    this.from = 0; this.to = end;
    const buttons = document.createElement('span');
    for (const [text, act] of [['Zoom in', () => this.zoom(0.5)], ['Zoom out', () => this.zoom(2)], ['Whole step', () => this.zoom(1e9)]]) {
      const b = document.createElement('button'); b.type = 'button'; b.textContent = text; b.onclick = act; buttons.append(b, ' ');
    }
    $(id + '-controls').append(buttons);
    this.canvas.onwheel = e => { if (!e.ctrlKey && !e.metaKey) return; e.preventDefault(); this.zoom(e.deltaY > 0 ? 1.25 : 0.8, this.timeAt(e)); };
    this.canvas.onpointerdown = e => { this.drag = {x: e.clientX, from: this.from}; this.hover(e); };
    this.canvas.onpointermove = e => { if (this.drag && e.buttons) this.pan(e); else this.hover(e); };
    this.canvas.onpointerup = () => { this.drag = null; };
    this.canvas.onpointerleave = () => { this.drag = null; this.tip.hidden = true; };
  }
  get left() { return this.canvas.clientWidth < 500 ? 74 : 130; }
  timeAt(e) { const box = this.canvas.getBoundingClientRect(); return this.from + (e.clientX - box.left - this.left) / (box.width - this.left) * (this.to - this.from); }
  pan(e) {
    const span = this.to - this.from, moved = (this.drag.x - e.clientX) / (this.canvas.clientWidth - this.left) * span;
    this.from = Math.max(0, Math.min(this.drag.from + moved, this.end - span)); this.to = this.from + span; this.tip.hidden = true; this.draw();
  }
  zoom(factor, center) {
    const c = center ?? (this.from + this.to) / 2, span = Math.min(this.end, (this.to - this.from) * factor);
    this.from = Math.max(0, Math.min(c - span / 2, this.end - span)); this.to = this.from + span; this.draw();
  }
  hover(e) {
    const box = this.canvas.getBoundingClientRect(), row = this.rows[Math.floor((e.clientY - box.top) / this.height)], t = this.timeAt(e);
    const reach = 2 * (this.to - this.from) / box.width;
    let text = '';
    if (row && row.area) { const at = row.area.filter(p => p[0] <= t).pop(); if (at && e.clientX - box.left > this.left) text = `${row.name}: ${gigabytes(at[1])}`; }
    else if (row && e.clientX - box.left > this.left) { const s = row.slices.find(x => x[0] - reach <= t && t <= x[0] + x[1] + reach); if (s) text = s[4](s); }
    this.tip.hidden = !text; this.tip.textContent = text;
    this.tip.style.left = Math.max(0, Math.min(e.clientX - box.left + 12, box.width - 240)) + 'px'; this.tip.style.top = (e.clientY - box.top + 16) + 'px';
  }
  draw() {
    const canvas = this.canvas, ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, h = this.height, height = this.rows.length * h + 24, left = this.left;
    canvas.style.height = height + 'px'; canvas.width = width * ratio; canvas.height = height * ratio;
    const g = canvas.getContext('2d'); g.scale(ratio, ratio); g.textBaseline = 'middle';
    const x = t => left + (t - this.from) / (this.to - this.from) * (width - left);
    this.rows.forEach((row, lane) => {
      const top = lane * h;
      g.font = (width < 500 ? 10 : 12) + 'px system-ui'; g.fillStyle = color('--soft'); g.fillText(row.name.replace('pipeline forward', 'forward').replace('pipeline backward', 'backward').slice(0, width < 500 ? 14 : 24), 0, top + h / 2);
      g.fillStyle = color('--box'); g.fillRect(left, top + 2, width - left, h - 4);
      if (row.area) this.area(g, row, top, x, width); else this.slices(g, row, top, x, width);
    });
    g.font = '11px system-ui'; g.fillStyle = color('--soft'); g.textBaseline = 'alphabetic';
    const ticks = width < 500 ? 2 : 4;
    for (let i = 0; i <= ticks; ++i) { const t = this.from + (this.to - this.from) * i / ticks; g.textAlign = i === ticks ? 'right' : i === 0 ? 'left' : 'center'; g.fillText(seconds(t * 1e-6), x(t), height - 4); }
    g.textAlign = 'left';
  }
  slices(g, row, top, x, width) {  // those narrower than a pixel merge
    let done = -1;
    g.font = '11px system-ui';
    for (const [start, duration, text, tint] of row.slices) {
      if (start + duration < this.from || start > this.to) continue;
      const a = Math.max(this.left, x(start)), b = Math.min(width, x(start + duration));
      if (b - a < 0.5 && a < done + 0.5) continue;
      const gap = b - a > 4 ? 0.5 : 0;
      g.fillStyle = tint; g.fillRect(a, top + 3, Math.max(0.5, b - a - gap), this.height - 6); done = b;
      const room = b - a - 6;
      if (room > 6 && g.measureText(text).width <= Math.max(room, text.length > 3 ? 54 : 0) && room > (text.length > 3 ? 50 : 4)) {
        g.fillStyle = '#fff'; g.save(); g.beginPath(); g.rect(a, top, b - a - 2, this.height); g.clip(); g.fillText(text, a + 3, top + this.height / 2 + 0.5); g.restore();
      } else if (room > 50) {
        g.fillStyle = '#fff'; g.save(); g.beginPath(); g.rect(a, top, b - a - 4, this.height); g.clip(); g.fillText(text, a + 3, top + this.height / 2 + 0.5); g.restore();
      }
    }
  }
  area(g, row, top, x, width) {
    const y = v => top + this.height - 3 - (this.height - 6) * v / row.most;
    g.fillStyle = WORK.communication; g.globalAlpha = 0.55; g.beginPath(); g.moveTo(this.left, y(0));
    let before = 0;
    for (const [t, v] of row.area) { const a = Math.max(this.left, Math.min(width, x(t))); g.lineTo(a, y(before)); g.lineTo(a, y(v)); before = v; }
    g.lineTo(Math.min(width, x(this.end)), y(before)); g.lineTo(Math.min(width, x(this.end)), y(0)); g.fill(); g.globalAlpha = 1;
  }
}

const legendOf = names => names.map(n => `<span class="key"><i style="background:${WORK[n]}"></i>${n}</span>`).join('');
const PHASES = ['setup', 'forward', 'recompute', 'backward', 'optimizer'];
const lanes = [];

function timeline() {
  if (!TIMELINE) { $('timeline-section').hidden = true; return; }
  const tip = s => `${s[2]}: ${seconds(s[1] * 1e-6)}, ${s[5]}` + (s[6] > 0.05 ? `; ${seconds(s[6] * 1e-6)} of it by sharing` : '');
  const rows = TIMELINE.streams.map(stream => ({name: words(stream.name), slices: stream.slices.map(([start, duration, name, phase, slowed]) =>
    [start, duration, TIMELINE.names[name], WORK[PHASES[phase]], tip, PHASES[phase], slowed])}));
  const most = Math.max(...(TIMELINE.memory || []).map(m => m[1]), 0);
  if (most > 0) rows.push({name: 'memory', area: TIMELINE.memory, most});  // as the host allocates, which may be ahead of the device
  lanes.push(new Lanes('timeline', rows, TIMELINE.end_us, 28));
  $('timeline-note').innerHTML = legendOf(PHASES.slice(1)) + `<span>Rank ${TIMELINE.rank}` + (TIMELINE.weight > 1 ? `, which stands for ${TIMELINE.weight} that fare alike` : '') +
    (most > 0 ? `; memory, at the time when the host allocates it, up to ${gigabytes(most)}` : '') + '. Drag to move, ctrl and wheel to zoom.</span>';
}

function pipeline() {
  if (!PIPELINE) { $('pipeline-section').hidden = true; return; }
  const kinds = ['forward', 'backward', 'backward', 'weight'];
  const named = ['forward', 'backward', 'backward for inputs', 'backward for weights'];
  const rows = PIPELINE.stages.map((stage, i) => ({name: `stage ${i}`, slices: stage.pieces.map(([start, duration, kind, batch, chunk]) => [start, duration, String(batch),
    chunk % 2 ? shade(WORK[kinds[kind]]) : WORK[kinds[kind]],
    s => `stage ${i}: ${named[kind]} of micro-batch ${batch}` + (PIPELINE.chunks > 1 ? `, chunk ${chunk}` : '') + `: ${seconds(s[1] * 1e-6)}`])}));
  lanes.push(new Lanes('pipeline', rows, PIPELINE.end_us, rows.length > 20 ? 16 : 24));
  const formula = PIPELINE.formula === '0' ? '' : `: ${PIPELINE.formula}`;
  $('pipeline-note').innerHTML = legendOf(['forward', 'backward'].concat(PIPELINE.stages[0].pieces.some(p => p[2] === 3) ? ['weight'] : [])) +
    `<span>${PIPELINE.schedule}, ${PIPELINE.micro_batches} micro-batches` + (PIPELINE.all > PIPELINE.micro_batches ? ` of the step's ${PIPELINE.all}` : '') + (PIPELINE.chunks > 1 ? ', every second chunk in a darker tone' : '') +
    `. Bubble ${percent(PIPELINE.bubble)} of the time, mean of the stages; ${percent(PIPELINE.closed_form)} with equal stages and free communication${escape(formula)}.</span>`;
}
function shade(hex) { const n = parseInt(hex.slice(1), 16); return '#' + [n >> 16, n >> 8 & 255, n & 255].map(c => Math.round(c * 0.72).toString(16).padStart(2, '0')).join(''); }
