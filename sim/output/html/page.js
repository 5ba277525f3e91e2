'use strict';
// Shows RESULT, TIMELINE and INPUTS. No physics here: every number was computed by the simulator.
const $ = id => document.getElementById(id);
const palette = ['#3366cc', '#d2691e', '#2e8b57', '#8a4fbf', '#c2185b', '#00838f', '#8d6e00', '#5d4037'];
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const runs = RESULT.runs;
const ok = runs.filter(r => r.status === 'ok');
const charts = {};

const fixed = (x, digits) => Number(x).toLocaleString('en', {maximumFractionDigits: digits, minimumFractionDigits: digits});
const seconds = s => s >= 1 ? fixed(s, 3) + ' s' : s >= 1e-3 ? fixed(s * 1e3, 2) + ' ms' : fixed(s * 1e6, 1) + ' µs';
const gigabytes = b => fixed(b / 1e9, 1) + ' GB';
const percent = x => fixed(100 * x, 1) + ' %';
const words = key => key.replaceAll('_', ' ');

const METRICS = [
  ['tflops_per_gpu', 'TFLOPS per GPU (model FLOPs)'], ['hardware_tflops_per_gpu', 'TFLOPS per GPU (with recomputation)'],
  ['step_time_s', 'step time, s'], ['mfu', 'MFU'], ['hfu', 'HFU'], ['tokens_per_s_per_gpu', 'tokens/s per GPU'],
  ['tokens_per_s', 'tokens/s'], ['peak_allocated_bytes', 'peak allocated, bytes'],
];

// The settings that vary: the one on the x axis (GPUs if they vary) and the rest, which name the series.
const keys = [...new Set(runs.flatMap(r => Object.keys(r.settings)))];
const axisKey = keys.includes('cluster.gpus') ? 'cluster.gpus' : keys[0];
const short = key => key.split('.').pop();
const label = r => keys.map(k => short(k) + ' ' + r.settings[k]).join(', ') || RESULT.title;
const seriesOf = r => keys.filter(k => k !== axisKey).map(k => short(k) + ' ' + r.settings[k]).join(', ') || 'predicted';

function figures() {
  const best = ok.reduce((a, b) => (!a || b.tflops_per_gpu > a.tflops_per_gpu ? b : a), null);
  const errors = runs.flatMap(r => r.reference || []).map(e => Math.abs(e.error)).filter(Number.isFinite);
  const items = [[runs.length, runs.length === 1 ? 'point' : 'points'], [runs.length - ok.length, 'out of memory']];
  if (best) {
    items.push([fixed(best.tflops_per_gpu, 1), 'best TFLOPS per GPU'], [percent(best.mfu), 'its MFU'],
      [seconds(best.step_time_s), 'its step time'], [gigabytes(best.peak_reserved_bytes), 'its reserved memory']);
  }
  if (errors.length) items.push([percent(errors.reduce((a, b) => a + b, 0) / errors.length), 'mean error against ' + errors.length + ' references']);
  $('figures').innerHTML = items.map(([v, t]) => `<div><b>${v}</b><span>${t}</span></div>`).join('');
  const gpus = runs.map(r => r.gpus);
  $('summary').textContent = `${Math.min(...gpus)} to ${Math.max(...gpus)} accelerators`.replace(/^(\d+) to \1 /, '$1 ') + (RESULT.summary ? '. ' + RESULT.summary : '');
}

function draw(id, config) {
  if (charts[id]) charts[id].destroy();
  Chart.defaults.color = color('--soft');
  Chart.defaults.borderColor = color('--line');
  charts[id] = new Chart($(id), config);
}

function curve() {
  const metric = $('metric').value;
  const names = [...new Set(runs.map(seriesOf))];
  const hidden = new Set([...document.querySelectorAll('#series input:not(:checked)')].map(i => i.value));
  const numeric = axisKey && runs.every(r => Number.isFinite(Number(r.settings[axisKey])));
  const xs = [...new Set(runs.map(r => axisKey ? r.settings[axisKey] : label(r)))];
  const datasets = [];
  names.forEach((name, i) => {
    if (hidden.has(name)) return;
    const mine = runs.filter(r => seriesOf(r) === name);
    const x = r => numeric ? Number(r.settings[axisKey]) : (axisKey ? r.settings[axisKey] : label(r));
    datasets.push({label: name, data: mine.filter(r => r.status === 'ok').map(r => ({x: x(r), y: r[metric]})),
      borderColor: palette[i % palette.length], backgroundColor: palette[i % palette.length], tension: 0, pointRadius: 3});
    const measured = mine.flatMap(r => (r.reference || []).filter(e => e.metric === metric).map(e => ({x: x(r), y: e.value})));
    if (measured.length) datasets.push({label: name + ', reference', data: measured, showLine: false, pointStyle: 'crossRot', pointRadius: 7,
      pointBorderWidth: 2, borderColor: palette[i % palette.length], backgroundColor: 'transparent'});
  });
  const wide = numeric && Math.max(...xs.map(Number)) / Math.min(...xs.map(Number)) >= 8;
  draw('curve', {type: 'line', data: {labels: numeric ? undefined : xs, datasets}, options: {
    responsive: true, maintainAspectRatio: false, animation: false, interaction: {mode: 'nearest', intersect: false},
    scales: {x: {type: numeric ? (wide ? 'logarithmic' : 'linear') : 'category', title: {display: true, text: axisKey || ''},
      min: numeric ? Math.min(...xs.map(Number)) * (wide ? 0.9 : 1) : undefined, max: numeric ? Math.max(...xs.map(Number)) * (wide ? 1.1 : 1) : undefined,
      afterBuildTicks: numeric ? axis => { axis.ticks = xs.map(v => ({value: Number(v)})); } : undefined,
      ticks: numeric ? {callback: v => v} : {}},
      y: {title: {display: true, text: METRICS.find(m => m[0] === metric)[1]}}}}});
  $('curve-note').textContent = datasets.some(d => d.label.endsWith('reference')) ? 'Crosses are measured or published points.' : '';
}

function stacked(id, parts, unit, line) {
  const datasets = parts.map(([name, values], i) => ({label: words(name), data: values, backgroundColor: palette[i % palette.length], stack: 'a'}));
  if (line) datasets.push({type: 'line', label: line[0], data: line[1], borderColor: color('--bad'), borderDash: [6, 4], pointRadius: 0, borderWidth: 2, stack: 'line'});
  draw(id, {type: 'bar', data: {labels: runs.map(label), datasets}, options: {responsive: true, maintainAspectRatio: false, animation: false,
    interaction: {mode: 'index', intersect: false}, scales: {x: {stacked: true, ticks: {maxRotation: 60}}, y: {stacked: true, title: {display: true, text: unit}}}}});
}

function flatten(breakdown) {
  const flat = {};
  for (const [k, v] of Object.entries(breakdown || {})) {
    if (v !== null && typeof v === 'object') for (const [kk, vv] of Object.entries(v)) flat[words(k) + ': ' + words(kk)] = vv;
    else if (typeof v === 'number') flat[k] = v;
  }
  return flat;
}

function parts(field, scale) {
  const flat = runs.map(r => flatten(r[field]));
  const names = [...new Set(flat.flatMap(Object.keys))];
  return names.map(n => [n, flat.map(f => (f[n] || 0) * scale)]).filter(([, v]) => v.some(x => x > 0));
}

function table() {
  const columns = [['', label], ['GPUs', r => r.gpus], ['step', r => seconds(r.step_time_s)], ['TFLOPS/GPU', r => fixed(r.tflops_per_gpu, 1)],
    ['with recompute', r => fixed(r.hardware_tflops_per_gpu, 1)], ['MFU', r => percent(r.mfu)], ['tokens/s', r => fixed(r.tokens_per_s, 0)],
    ['allocated', r => gigabytes(r.peak_allocated_bytes)], ['reserved', r => gigabytes(r.peak_reserved_bytes)]];
  const error = r => (r.reference || []).map(e => `<span class="${Math.abs(e.error) > 0.1 ? 'bad' : 'good'}" title="${words(e.metric)}: measured ${e.value}">${e.error > 0 ? '+' : ''}${percent(e.error)}</span>`).join(' ');
  $('points').innerHTML = '<tr>' + columns.map(c => `<th>${c[0]}</th>`).join('') + '<th>error</th></tr>' +
    runs.map(r => '<tr>' + columns.map((c, i) => r.status !== 'ok' && i > 1 && i < 7 ? '<td class="bad">' + (i === 2 ? 'out of memory' : '') + '</td>' : `<td>${c[1](r)}</td>`).join('') + `<td>${error(r)}</td></tr>`).join('');
}

function inputs() {
  const text = $('filter').value.toLowerCase();
  const escape = s => String(s ?? '').replace(/[&<>"]/g, c => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'}[c]));
  $('inputs').innerHTML = '<tr><th>section</th><th>key</th><th>value</th><th>source</th></tr>' + INPUTS
    .filter(i => JSON.stringify(Object.values(i)).toLowerCase().includes(text))
    .map(i => `<tr><td>${escape(i.section)}</td><td>${escape(i.key)}</td><td>${escape(i.value)}</td><td>${escape(i.source)}</td></tr>`).join('');
}

// The timeline: one lane per stream, drawn on a canvas; slices narrower than a pixel merge.
const PHASES = ['setup', 'forward', 'recompute', 'backward', 'optimizer'];
const view = TIMELINE ? {from: 0, to: TIMELINE.end_us} : null;
const LANE = 34, LEFT = 110;
function timeline() {
  if (!TIMELINE) { $('timeline-section').hidden = true; return; }
  const canvas = $('timeline'), ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = TIMELINE.streams.length * LANE + 24;
  canvas.style.height = height + 'px'; canvas.width = width * ratio; canvas.height = height * ratio;
  const g = canvas.getContext('2d'); g.scale(ratio, ratio); g.font = '12px system-ui'; g.textBaseline = 'middle';
  const x = t => LEFT + (t - view.from) / (view.to - view.from) * (width - LEFT);
  TIMELINE.streams.forEach((stream, lane) => {
    const top = lane * LANE; g.fillStyle = color('--soft'); g.fillText(stream.name.slice(0, 16), 0, top + LANE / 2);
    let last = -1;
    for (const [start, duration, name, phase] of stream.slices) {
      if (start + duration < view.from || start > view.to) continue;
      const a = Math.max(LEFT, x(start)), b = Math.min(width, x(start + duration));
      if (b - a < 0.5 && a < last + 0.5) continue;
      g.fillStyle = palette[phase % palette.length]; g.fillRect(a, top + 4, Math.max(0.5, b - a), LANE - 8); last = b;
      if (b - a > 60) { g.fillStyle = '#fff'; g.save(); g.beginPath(); g.rect(a, top, b - a - 4, LANE); g.clip(); g.fillText(TIMELINE.names[name], a + 4, top + LANE / 2); g.restore(); }
    }
  });
  g.fillStyle = color('--soft'); g.textBaseline = 'alphabetic';
  for (let i = 0; i <= 4; ++i) { const t = view.from + (view.to - view.from) * i / 4; g.textAlign = i === 4 ? 'right' : i === 0 ? 'left' : 'center'; g.fillText(seconds(t * 1e-6), x(t), height - 4); }
  g.textAlign = 'left';
  $('timeline-note').innerHTML = `rank ${TIMELINE.rank}` + (TIMELINE.weight > 1 ? `, stands for ${TIMELINE.weight} alike` : '') +
    PHASES.slice(1).map((name, i) => ` <i style="background:${palette[i + 1]}"></i>${name}`).join('');
}
function sliceAt(event) {
  const box = $('timeline').getBoundingClientRect(), lane = Math.floor((event.clientY - box.top) / LANE);
  const t = view.from + (event.clientX - box.left - LEFT) / (box.width - LEFT) * (view.to - view.from);
  const reach = 2 * (view.to - view.from) / box.width;
  return (TIMELINE.streams[lane]?.slices || []).find(s => s[0] - reach <= t && t <= s[0] + s[1] + reach);
}
function zoom(factor, center) {
  const c = center ?? (view.from + view.to) / 2, span = Math.min(TIMELINE.end_us, (view.to - view.from) * factor);
  view.from = Math.max(0, Math.min(c - span / 2, TIMELINE.end_us - span)); view.to = view.from + span; timeline();
}

function all() {
  curve();
  stacked('breakdown', parts('breakdown', 1), 'seconds');
  const capacity = runs.map(r => (r.memory_capacity_bytes || 0) / 1e9);
  stacked('memory', parts('memory', 1e-9), 'GB', capacity.some(c => c > 0) ? ['capacity', capacity] : null);
  timeline();
}

$('metric').innerHTML = METRICS.filter(m => runs.some(r => m[0] in r)).map(m => `<option value="${m[0]}">${m[1]}</option>`).join('');
const referenced = runs.flatMap(r => r.reference || []).map(e => e.metric).find(m => METRICS.some(k => k[0] === m));
if (referenced) $('metric').value = referenced;
const series = [...new Set(runs.map(seriesOf))];
if (series.length > 1) $('series').innerHTML = series.map(s => `<label><input type="checkbox" checked value="${s}"> ${s}</label> `).join('');
$('metric').onchange = curve; $('series').onchange = curve; $('filter').oninput = inputs;
$('theme').onclick = () => { const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'light' : 'dark'; all(); };
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', all);
addEventListener('resize', timeline);
if (TIMELINE) {
  $('zoom-in').onclick = () => zoom(0.5); $('zoom-out').onclick = () => zoom(2); $('zoom-reset').onclick = () => zoom(1e9);
  $('timeline').onwheel = e => { if (!e.ctrlKey && !e.metaKey) return; e.preventDefault(); const box = $('timeline').getBoundingClientRect();
    zoom(e.deltaY > 0 ? 1.25 : 0.8, view.from + (e.clientX - box.left - LEFT) / (box.width - LEFT) * (view.to - view.from)); };
  $('timeline').onmousemove = e => { const s = sliceAt(e), tip = $('tip'); tip.hidden = !s; if (!s) return;
    tip.textContent = `${TIMELINE.names[s[2]]}: ${seconds(s[1] * 1e-6)}, ${PHASES[s[3]]}` + (s[4] > 0.05 ? `, ${seconds(s[4] * 1e-6)} of it by sharing` : '');
    const box = $('timeline').getBoundingClientRect(); tip.style.left = Math.min(e.clientX - box.left + 12, box.width - 200) + 'px'; tip.style.top = (e.clientY - box.top + 14) + 'px'; };
  $('timeline').onmouseleave = () => { $('tip').hidden = true; };
}
figures(); table(); inputs(); all();
