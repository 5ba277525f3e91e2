// Puts the page together and answers its controls.
function all() { curve(); breakdown(); memory(); cluster(); lanes.forEach(l => l.draw()); }

$('metric').innerHTML = METRICS.filter(m => runs.some(r => m[0] in r)).map(m => `<option value="${m[0]}">${m[1]}</option>`).join('');
const referenced = runs.flatMap(r => r.reference || []).map(e => e.metric).find(m => METRICS.some(k => k[0] === m));
if (referenced) $('metric').value = referenced;
const series = [...new Set(runs.map(seriesOf))];
if (series.length > 1) $('series').innerHTML = series.map(s => `<label><input type="checkbox" checked value="${escape(s)}"> ${escape(s)}</label> `).join('');
$('metric').onchange = curve; $('series').onchange = curve; $('unit').onchange = breakdown; $('filter').oninput = inputs;
$('theme').onclick = () => {
  const set = document.documentElement.dataset.theme, dark = set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'light' : 'dark'; all();
};
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', all);
let resized = 0;
addEventListener('resize', () => { clearTimeout(resized); resized = setTimeout(() => { cluster(); lanes.forEach(l => l.draw()); }, 60); });
if (runs.length < 2) $('points-section').hidden = !(runs[0].reference || []).length;
figures(); path(); table(); inputs(); timeline(); pipeline(); all();
