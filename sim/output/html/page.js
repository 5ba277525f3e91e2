'use strict';
// Shows RESULT, TIMELINE, PIPELINE, CLUSTER and INPUTS. No physics here: every number was computed by the simulator.
const $ = id => document.getElementById(id);
const palette = ['#3a76d0', '#d2691e', '#2e8b57', '#8a4fbf', '#c2185b', '#00838f', '#8d6e00', '#5d4037', '#607d8b', '#e0a800', '#7cb342'];
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const runs = RESULT.runs;
const ok = runs.filter(r => r.status === 'ok');
const shown = runs[SHOWN] || runs[runs.length - 1];
const charts = {};

const fixed = (x, digits) => Number(x).toLocaleString('en', {maximumFractionDigits: digits, minimumFractionDigits: digits});
const digits3 = x => fixed(x, x >= 100 ? 0 : x >= 10 ? 1 : 2);
const seconds = s => s >= 1 ? fixed(s, 3) + ' s' : s >= 1e-3 ? fixed(s * 1e3, 2) + ' ms' : fixed(s * 1e6, 1) + ' µs';
const gigabytes = b => fixed(b / 1e9, 1) + ' GB';
const percent = x => fixed(100 * x, 1) + ' %';
const count = n => n >= 1e6 ? digits3(n / 1e6) + ' M' : n >= 1e4 ? digits3(n / 1e3) + ' k' : fixed(n, 0);
const words = key => key.replaceAll('_', ' ');
const escape = s => String(s ?? '').replace(/[&<>"]/g, c => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'}[c]));

const METRICS = [
  ['tflops_per_gpu', 'TFLOPS per GPU (model FLOPs)'], ['hardware_tflops_per_gpu', 'TFLOPS per GPU (with recomputation)'],
  ['step_time_s', 'step time, s'], ['mfu', 'MFU'], ['hfu', 'HFU'], ['tokens_per_s_per_gpu', 'tokens/s per GPU'],
  ['tokens_per_s', 'tokens/s'], ['peak_allocated_bytes', 'peak allocated, bytes'], ['peak_reserved_bytes', 'peak reserved, bytes'],
];

// The settings that vary: the one on the x axis (GPUs if they vary) and the rest, which name the series.
const value = (r, k) => r.settings[k];
const allKeys = [...new Set(runs.flatMap(r => Object.keys(r.settings)))];
const varying = allKeys.filter(k => new Set(runs.map(r => value(r, k))).size > 1);
const keys = varying.length ? varying : allKeys;
const axisKey = keys.includes('cluster.gpus') ? 'cluster.gpus' : keys[0];
const last = key => key.split('.').pop();
const say = (r, k) => k === 'cluster.gpus' ? `${value(r, k)} GPUs` : typeof value(r, k) === 'string' ? value(r, k) : `${words(last(k))} ${value(r, k)}`;
const label = r => keys.filter(k => value(r, k) !== undefined).map(k => say(r, k)).join(', ') || `${r.gpus} GPUs`;
const seriesOf = r => keys.filter(k => k !== axisKey).map(k => say(r, k)).join(', ') || 'predicted';

function figures() {
  const errors = runs.flatMap(r => r.reference || []).filter(e => e.tolerance).map(e => Math.abs(e.error)).filter(Number.isFinite);
  const best = ok.reduce((a, b) => (!a || b.tflops_per_gpu > a.tflops_per_gpu ? b : a), null);
  const items = [];
  if (runs.length > 1) items.push([runs.length, 'points' + (runs.length > ok.length ? `, ${runs.length - ok.length} of them out of memory` : '')]);
  else items.push([fixed(runs[0].gpus, 0), 'accelerators']);
  if (best) {
    const of = runs.length > 1 ? `, best: ${label(best)}` : '';
    const exposed = Object.values(best.breakdown.exposed_communication).reduce((a, b) => a + b, 0) / best.step_time_s;
    items.push([fixed(best.tflops_per_gpu, 1), 'model TFLOPS per GPU' + of], [percent(best.mfu), 'MFU' + (runs.length > 1 ? ' there' : '')],
      [seconds(best.step_time_s), 'a step' + (runs.length > 1 ? ' there' : '')], [count(best.tokens_per_s), 'tokens/s' + (runs.length > 1 ? ' there' : '')],
      [percent(exposed), 'exposed communication' + (runs.length > 1 ? ' there' : '')],
      [gigabytes(best.peak_reserved_bytes), `reserved of ${gigabytes(best.memory_capacity_bytes)}`]);
  } else items.push(['0', 'points fit in memory']);
  if (errors.length) items.push([percent(errors.reduce((a, b) => a + b, 0) / errors.length), `mean error against ${errors.length} published points`]);
  $('figures').innerHTML = items.map(([v, t]) => `<div><b>${v}</b><span>${escape(t)}</span></div>`).join('');
  $('summary').textContent = RESULT.summary || '';
  $('advice').textContent = shown.advice || '';
  if (runs.length > 1) document.querySelectorAll('.shown').forEach(e => { e.textContent = 'at ' + label(shown); });
}

function draw(id, config) {
  if (charts[id]) charts[id].destroy();
  Chart.defaults.color = color('--soft');
  Chart.defaults.borderColor = color('--line');
  Chart.defaults.font.family = 'system-ui, sans-serif';
  charts[id] = new Chart($(id), config);
}
const legend = {position: 'bottom', labels: {boxWidth: 12, boxHeight: 12, padding: 10}};

function curve() {
  if (runs.length < 2) { $('curve-section').hidden = true; return; }
  const metric = $('metric').value;
  const names = [...new Set(runs.map(seriesOf))];
  const hidden = new Set([...document.querySelectorAll('#series input:not(:checked)')].map(i => i.value));
  const numeric = runs.every(r => Number.isFinite(Number(value(r, axisKey))));
  const xs = [...new Set(runs.map(r => value(r, axisKey)))];
  const x = r => numeric ? Number(value(r, axisKey)) : value(r, axisKey);
  const datasets = [];
  names.forEach((name, i) => {
    if (hidden.has(name)) return;
    const mine = runs.filter(r => seriesOf(r) === name), tint = palette[i % palette.length];
    datasets.push({label: name, data: mine.filter(r => r.status === 'ok').map(r => ({x: x(r), y: r[metric]})),
      borderColor: tint, backgroundColor: tint, tension: 0, pointRadius: 3, borderWidth: 2});
    const measured = mine.flatMap(r => (r.reference || []).filter(e => e.metric === metric).map(e => ({x: x(r), y: e.value})));
    if (measured.length) datasets.push({label: name + ', published', data: measured, showLine: false, pointStyle: 'crossRot', pointRadius: 7,
      pointBorderWidth: 2, borderColor: tint, backgroundColor: 'transparent'});
  });
  const wide = numeric && Math.max(...xs.map(Number)) / Math.min(...xs.map(Number)) >= 8;
  draw('curve', {type: 'line', data: {labels: numeric ? undefined : xs, datasets}, options: {
    responsive: true, maintainAspectRatio: false, animation: false, interaction: {mode: 'nearest', intersect: false},
    plugins: {legend: {...legend, labels: {usePointStyle: true, boxWidth: 8, padding: 12}, display: names.length <= 12},
      tooltip: {callbacks: {title: items => words(last(axisKey)) + ' ' + items[0].raw.x}}},
    scales: {x: {type: numeric ? (wide ? 'logarithmic' : 'linear') : 'category', title: {display: true, text: axisKey === 'cluster.gpus' ? 'GPUs' : axisKey},
      min: numeric ? Math.min(...xs.map(Number)) * (wide ? 0.9 : 1) : undefined, max: numeric ? Math.max(...xs.map(Number)) * (wide ? 1.1 : 1) : undefined,
      afterBuildTicks: numeric ? axis => { axis.ticks = xs.map(v => ({value: Number(v)})); } : undefined,
      ticks: numeric ? {callback: v => v} : {}},
      y: {title: {display: true, text: METRICS.find(m => m[0] === metric)[1]}}}}});
  $('curve-note').textContent = datasets.some(d => d.label.endsWith('published')) ? 'Crosses are published or measured points.' : '';
}

// Parts of the step by name, in the order of their colours; recomputation and contention are told apart from compute.
const PARTS = [['compute', '#3a76d0'], ['recomputation', '#7fb1ee'], ['slowed beside communication', '#d2691e'], ['optimizer', '#8d6e00'],
  ['pipeline bubble', '#9aa4ae'], ['waiting for the host', '#c2185b'], ['waiting for other ranks', '#5d6670']];
const EXPOSED = ['#2e8b57', '#8a4fbf', '#00838f', '#e0a800', '#7cb342', '#5d4037'];
function partsOf(r) {
  if (r.status !== 'ok') return {};
  const b = r.breakdown, d = r.detail, parts = {compute: b.compute - d.contention_s - d.recompute_s, recomputation: d.recompute_s,
    'slowed beside communication': d.contention_s, optimizer: b.optimizer, 'pipeline bubble': b.pipeline_bubble,
    'waiting for the host': b.host_bound, 'waiting for other ranks': b.idle};
  for (const [k, v] of Object.entries(b.exposed_communication)) parts['exposed ' + words(k)] = v;
  return parts;
}
const MOST = 40;
const barred = runs.slice(0, MOST);
function bars(id, names, tints, values, unit, show, capacity) {
  $(id + '-box').style.height = Math.max(150, 110 + barred.length * (barred.length > 8 ? 21 : 30)) + 'px';
  const datasets = names.map((name, i) => ({label: name, data: barred.map(r => values(r)[name] || 0), backgroundColor: tints[i], stack: 'a', barPercentage: 0.85, categoryPercentage: 0.95}));
  const line = {id: 'capacity', afterDatasetsDraw(chart) {
    if (!capacity) return;
    const {ctx, chartArea: a, scales: {x}} = chart, at = x.getPixelForValue(capacity);
    ctx.save(); ctx.strokeStyle = color('--bad'); ctx.lineWidth = 2; ctx.setLineDash([6, 4]);
    ctx.beginPath(); ctx.moveTo(at, a.top); ctx.lineTo(at, a.bottom); ctx.stroke(); ctx.restore();
  }};
  draw(id, {type: 'bar', plugins: [line], data: {labels: barred.map(label), datasets}, options: {indexAxis: 'y', responsive: true, maintainAspectRatio: false, animation: false,
    interaction: {mode: 'nearest', axis: 'y', intersect: false},
    plugins: {legend, tooltip: {mode: 'index', axis: 'y', filter: i => i.raw > 0, callbacks: {label: i => i.dataset.label + ': ' + show(i.raw)}}},
    scales: {x: {stacked: true, suggestedMax: capacity ? capacity * 1.02 : undefined, max: unit === 'share' ? 1 : undefined, title: {display: true, text: unit === 'share' ? 'share of the step' : unit}, ticks: unit === 'share' ? {callback: v => Math.round(100 * v) + ' %'} : {}},
      y: {stacked: true, ticks: {autoSkip: false, font: {size: barred.length > 12 ? 10 : 11}, callback(v) { const t = this.getLabelForValue(v); return t.length > 30 ? t.slice(0, 29) + '…' : t; }, display: runs.length > 1}}}}});
}
function breakdown() {
  const share = $('unit').value === 'share';
  const values = r => Object.fromEntries(Object.entries(partsOf(r)).map(([k, v]) => [k, share ? v / r.step_time_s : v]));
  const present = new Set(barred.flatMap(r => Object.entries(partsOf(r)).filter(([, v]) => v > 1e-3 * r.step_time_s).map(([k]) => k)));
  const known = PARTS.filter(([n]) => present.has(n)), exposed = [...present].filter(n => n.startsWith('exposed '));
  bars('breakdown', [...known.map(p => p[0]), ...exposed], [...known.map(p => p[1]), ...exposed.map((_, i) => EXPOSED[i % EXPOSED.length])],
    values, share ? 'share' : 'seconds', share ? percent : seconds);
}
function memory() {
  const values = r => Object.fromEntries(Object.entries(r.memory).map(([k, v]) => [words(k), v / 1e9]));
  const names = [...new Set(barred.flatMap(r => Object.entries(r.memory).filter(([, v]) => v > 0).map(([k]) => words(k))))];
  const capacity = Math.max(...runs.map(r => r.memory_capacity_bytes || 0)) / 1e9;
  bars('memory', names, names.map((_, i) => palette[i % palette.length]), values, 'GB', v => fixed(v, 2) + ' GB', capacity);
  $('memory-note').textContent = `Dashed: the device's ${fixed(capacity, 1)} GB.` + (runs.length > MOST ? ` The first ${MOST} of ${runs.length} points.` : '');
}

// Forward and backward kernels of an operator (w1, w1.data_gradient, w1.weight_gradient) together.
function path() {
  const list = shown.critical_path;
  if (!list) { $('path-section').hidden = true; return; }
  const merged = new Map();
  for (const s of list) {
    const key = s.kind.split('.')[0] + '|' + (s.group || '');
    const m = merged.get(key) || {kind: s.kind.split('.')[0], group: s.group, over: s.over, count: 0, seconds: 0, share: 0, save: 0};
    m.count += s.count; m.seconds += s.seconds; m.share += s.share; m.save += s.ten_percent_saves_s; merged.set(key, m);
  }
  const rows = [...merged.values()].sort((a, b) => b.seconds - a.seconds), top = rows.slice(0, 12), rest = rows.slice(12);
  const sum = f => rest.reduce((a, r) => a + r[f], 0);
  if (rest.length) top.push({kind: `${rest.length} others`, count: sum('count'), seconds: sum('seconds'), share: sum('share'), save: sum('save')});
  const most = Math.max(...top.map(r => r.share));
  const name = r => escape(r.kind === 'host' ? 'the host enqueues' : r.kind) + `<small>${escape([r.group && words(r.group), r.over].filter(Boolean).join(', '))}</small>`;
  $('path').innerHTML = '<tr><th>kind</th><th class="text">share of the step</th><th>10 % faster saves</th><th>seconds</th><th>times</th></tr>' +
    top.map(r => `<tr><td>${name(r)}</td><td class="text bar"><i style="width:${(100 * r.share / most).toFixed(1)}%"></i><span>${percent(r.share)}</span></td>` +
      `<td>${seconds(r.save)}</td><td>${seconds(r.seconds)}</td><td>${fixed(r.count, 0)}</td></tr>`).join('');
}

function table() {
  const mean = r => (r.reference || []).map(e => e.error === null ? '<span class="bad">no value</span>'
    : `<span class="${e.tolerance ? (Math.abs(e.error) > e.tolerance ? 'bad' : 'good') : ''}" title="${escape(words(e.metric))}: published ${e.value}">${e.error > 0 ? '+' : ''}${percent(e.error)}</span>`).join(' ');
  const columns = [['point', r => escape(label(r))], ['GPUs', r => r.gpus], ['step', r => seconds(r.step_time_s)], ['TFLOPS/GPU', r => fixed(r.tflops_per_gpu, 1)],
    ['with recompute', r => fixed(r.hardware_tflops_per_gpu, 1)], ['MFU', r => percent(r.mfu)], ['tokens/s', r => fixed(r.tokens_per_s, 0)],
    ['allocated', r => gigabytes(r.peak_allocated_bytes)], ['reserved', r => gigabytes(r.peak_reserved_bytes)]];
  if (runs.some(r => (r.reference || []).length)) columns.push(['error', mean]);
  $('points').innerHTML = '<tr>' + columns.map(c => `<th>${c[0]}</th>`).join('') + '</tr>' +
    runs.map(r => '<tr>' + columns.map((c, i) => r.status !== 'ok' && i > 1 && i < 7 ? '<td class="bad">' + (i === 2 ? 'out of memory' : '') + '</td>' : `<td>${c[1](r)}</td>`).join('') + '</tr>').join('');
}

// Inputs by section; a source that a whole section shares is said once.
function inputs() {
  const text = $('filter').value.trim().toLowerCase();
  const hits = INPUTS.filter(i => Object.values(i).join(' ').toLowerCase().includes(text));
  const sections = [...new Set(hits.map(i => i.section))];
  $('inputs').innerHTML = sections.map(name => {
    const rows = hits.filter(i => i.section === name), all = INPUTS.filter(i => i.section === name), sources = [...new Set(all.map(i => i.source).filter(Boolean))];
    const shared = sources.length === 1 ? sources[0] : '';
    const title = all.find(i => i.key === 'name');
    return `<details${text ? ' open' : ''}><summary>${escape(name)}<small>${escape(title ? title.value : '')} ${rows.length} of ${all.length}</small></summary>` + (shared ? `<p class="from">Source: ${escape(shared)}</p>` : '') +
      '<dl>' + rows.map(i => `<dt>${escape(words(i.key))}</dt><dd>${escape(i.value)}</dd><dd class="source">${shared ? '' : escape(i.source)}</dd>`).join('') + '</dl></details>';
  }).join('');
  $('files').innerHTML = FILES.map(f => {
    const lines = f.text.split('\n').filter(l => l.toLowerCase().includes(text));
    return lines.length ? `<details${text ? ' open' : ''}><summary>${escape(f.path)}</summary><pre>${escape(lines.join('\n'))}</pre></details>` : '';
  }).join('');
  $('inputs-note').textContent = text ? `${hits.length} of ${INPUTS.length}` : `${INPUTS.length} inputs as they were understood; below, the files with all constants`;
}
