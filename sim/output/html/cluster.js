// The cluster's picture: the fabric's levels above, nodes, and one node enlarged. Many alike are drawn as a few and counted.
const rate = b => b >= 1e12 ? digits3(b / 1e12) + ' TB/s' : digits3(b / 1e9) + ' GB/s';
const SVG_TOP = 26, ROW = 66;

function cluster() {
  if (!CLUSTER) { $('cluster-section').hidden = true; return; }
  const width = Math.max(280, $('cluster').clientWidth || 800), narrow = width < 560, parts = [];
  const margin = narrow ? 0 : 220, inner = width - margin;
  const late = [];  // labels lie above the lines
  const text = (x, y, s, more = '', css = 'halo') => late.push(`<text x="${x}" y="${y}" class="${css}" ${more}>${escape(s)}</text>`);
  const box = (x, y, w, h, more = '') => parts.push(`<rect x="${x.toFixed(1)}" y="${y}" width="${w.toFixed(1)}" height="${h}" rx="4" ${more}/>`);
  const line = (a, b, c, d) => parts.push(`<line x1="${a.toFixed(1)}" y1="${b}" x2="${c.toFixed(1)}" y2="${d}"/>`);
  // A row of `n` alike: the places of those that are drawn, the last one after dots when some are left out.
  const places = (n, from, room, widest, least = narrow ? 44 : 62) => {
    const most = Math.max(2, Math.floor(room / least)), drawn = Math.min(n, most), cell = room / drawn, w = Math.min(widest, cell - 8);
    return {drawn, cut: n > drawn, w, xs: [...Array(drawn).keys()].map(i => from + cell * (i + 0.5))};
  };
  let y = SVG_TOP;
  const said = (title, detail, lower = 0) => { text(0, narrow ? y - 6 : y + 14, title); if (detail) text(0, narrow ? y + 40 + lower : y + 30, detail, '', 'soft halo'); };
  const linkOf = (from, to) => CLUSTER.links.find(l => l.from === from && l.to === to);
  const linkText = l => l ? `${l.kind}, ${rate(l.bandwidth)} each way` : '';

  // Fabric, from the top; children of a level are spread evenly below their parents.
  let above = null;
  for (const level of [...CLUSTER.fabric].reverse()) {
    const p = places(level.count, margin, inner, 150), up = above && linkOf(level.name, above.name);
    if (above) p.xs.forEach((x, i) => line(x, y, above.xs[Math.min(above.drawn - 1, Math.floor(i * above.drawn / p.drawn))], above.bottom));
    p.xs.forEach((x, i) => { box(x - p.w / 2, y, p.w, 26); if (p.cut && i === p.drawn - 2) text(x, y + 17, '…', 'text-anchor="middle"', ''); });
    said(`${level.count === 1 ? '1' : fixed(level.count, 0)} × ${level.name}` + (level.count > 1 ? ' switches' : ' switch'), up ? `up: ${linkText(up)}` : '');
    above = {...p, name: level.name, bottom: y + 26};
    y += ROW + (narrow ? 16 : 0);
  }

  const nodes = places(CLUSTER.nodes, margin, inner, 110), per = CLUSTER.per_node, across = per > 16 ? 12 : per > 4 ? 4 : Math.max(1, per);
  if (above) nodes.xs.forEach((x, i) => line(x, y, above.xs[Math.min(above.drawn - 1, Math.floor(i * above.drawn / nodes.drawn))], above.bottom));
  const rows = Math.ceil(per / across), tall = 12 + rows * 9;
  nodes.xs.forEach((x, i) => {
    box(x - nodes.w / 2, y, nodes.w, tall);
    if (nodes.cut && i === nodes.drawn - 2) { text(x, y + tall / 2 + 3, '…', 'text-anchor="middle"', ''); return; }
    const step = (nodes.w - 8) / across;
    for (let k = 0; k < per; ++k) box(x - nodes.w / 2 + 4 + step * (k % across), y + 6 + 9 * Math.floor(k / across), Math.max(1, step - 2), 7, 'class="gpu"');
  });
  const exit = CLUSTER.fabric[0] && CLUSTER.links.find(l => l.to === CLUSTER.fabric[0].name);
  said(`${fixed(CLUSTER.nodes, 0)} × node of ${per}`, exit ? `${exit.from}: ${linkText(exit)}` : '', tall - 22);
  y += Math.max(tall, 40) + 34 + (narrow ? 16 : 0);

  // One node: NICs above the accelerators, what joins these below.
  const top = y - 8, small = narrow ? 22 : 34, gpus = places(per, margin + 6, inner - 12, 90, small), nic = CLUSTER.node.find(v => v.kind === 'NIC');
  text(0, narrow ? y - 14 : y + 14, 'one node', narrow ? '' : 'font-weight="600"');
  if (nic) {
    const p = places(nic.count, margin + 6, inner - 12, 60, small);
    const wire = CLUSTER.links.find(k => (k.from === 'accelerator' && k.to === nic.name) || (k.from === nic.name && k.to === 'accelerator')) || CLUSTER.links.find(k => k.kind.startsWith('pcie'));
    gpus.xs.forEach((x, i) => line(x, y + 58, p.xs[Math.min(p.drawn - 1, Math.floor(i * p.drawn / gpus.drawn))], y + 20));
    p.xs.forEach(x => box(x - p.w / 2, y, p.w, 20, 'class="nic"'));
    text(0, narrow ? y + 46 : y + 32, `${nic.count} × NIC` + (wire ? `, ${linkText(wire)}` : ''), '', 'soft halo');
    y += 58;
  }
  gpus.xs.forEach((x, i) => { box(x - gpus.w / 2, y, gpus.w, 30, 'class="gpu"'); if (!gpus.cut && gpus.w > 22) parts.push(`<text x="${x}" y="${y + 19}" text-anchor="middle" style="fill:#fff">${i}</text>`); });
  const hub = CLUSTER.node.find(v => v.kind === 'switch'), bond = hub ? CLUSTER.links.find(k => k.from === 'accelerator' && k.to === hub.name) : CLUSTER.links.find(k => k.from === 'accelerator' && k.to === 'accelerator');
  text(0, narrow ? y + 46 : y + 14, `${per} × ${CLUSTER.accelerator}`);
  text(0, narrow ? y + 62 : y + 30, bond ? linkText(bond) : '', '', 'soft halo');
  if (hub) {
    y += 70 + (narrow ? 12 : 0);
    gpus.xs.forEach(x => line(x, y - 40 - (narrow ? 12 : 0), x, y));
    box(margin + 6, y, inner - 12, 22);
    text(margin + inner / 2, y + 15, `${hub.count > 1 ? hub.count + ' × ' : ''}${hub.name}`, 'text-anchor="middle"', '');
    y += 22;
  } else if (per > 1) {
    y += 30;
    for (let i = 0; i + 1 < gpus.drawn; ++i) parts.push(`<path d="M ${gpus.xs[i]} ${y} q ${(gpus.xs[i + 1] - gpus.xs[i]) / 2} 26 ${gpus.xs[i + 1] - gpus.xs[i]} 0" fill="none" stroke="currentColor" opacity=".45"/>`);
    y += narrow ? 36 : 18;
  } else y += 34;
  parts.unshift(`<rect class="frame" x="${margin}" y="${top}" width="${inner}" height="${y - top + 10}" rx="8"/>`);
  $('cluster').innerHTML = `<svg viewBox="0 0 ${width} ${y + 14}" role="img" aria-label="${escape(CLUSTER.name)}: ${fixed(CLUSTER.gpus, 0)} accelerators in ${fixed(CLUSTER.nodes, 0)} nodes">${parts.join('')}${late.join('')}</svg>`;
  $('links').innerHTML = '<tr><th>link</th><th>each way</th><th>latency</th><th>number</th></tr>' +
    CLUSTER.links.map(l => `<tr><td>${escape(l.from)} – ${escape(l.to)}<small>${escape(l.kind)}</small></td><td>${rate(l.bandwidth)}</td><td>${l.latency_s > 0 ? seconds(l.latency_s) : '–'}</td><td>${fixed(l.count, 0)}</td></tr>`).join('');
}
