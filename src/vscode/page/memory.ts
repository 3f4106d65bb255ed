import type { MemoryItem, MemoryList, MemoryPageState, ToMemoryPage } from '../documents/memoryMessages.ts';
import { button, element } from './elements.ts';
import { ask } from './host.ts';
import { answerChart, answerTable, promptBar } from './memoryCharts.ts';

const title = element('h1');
const facts = element('div', { class: 'facts' });
const bar = element('section', { 'aria-label': 'What the next prompt has' });
const reuse = element('p');
const chart = element('div');
const table = element('div');
const tableOnDemand = element('details', {}, element('summary', {}, 'Each answer as a table'), table);
const answers = element('section', { 'aria-labelledby': 'answers' }, element('h2', { id: 'answers' }, 'Reuse'));
const lists = element('div');
const earlier = button('', () => ask({ type: 'earlier' }), { class: 'earlier' });
const memories = button('Memories…', () => ask({ type: 'memories' }), {
  title: 'What is remembered for you, tools, the project and this session',
});
const empty = element('p', { class: 'empty' });
const status = element('p', { role: 'status', class: 'status' });

/** What is shown of each item, as JSON, so that one that did not change stays open and has the focus. */
const shown = new Map<string, { readonly form: string; readonly made: HTMLDetailsElement }>();

answers.append(reuse, chart, tableOnDemand);
document.body.append(
  element(
    'main',
    {},
    element('header', { class: 'session' }, title, facts, memories),
    empty,
    bar,
    answers,
    lists,
    earlier,
    status,
  ),
);
addEventListener('message', ({ data }: MessageEvent<ToMemoryPage>) => {
  switch (data.type) {
    case 'show':
      return show(data.state);
    case 'text':
      return showText(data);
    case 'said':
      status.textContent = data.text;
  }
});
ask({ type: 'ready' });

function show(state: MemoryPageState): void {
  title.textContent = state.title;
  facts.replaceChildren(...state.facts.map((fact) => element('p', {}, fact)));
  empty.hidden = state.empty === '';
  empty.textContent = state.empty;
  bar.hidden = state.bar.length === 0;
  bar.replaceChildren(...promptBar(state.bar));
  answers.hidden = state.reuse === '';
  reuse.textContent = state.reuse;
  chart.replaceChildren(...answerChart(state.answers));
  tableOnDemand.hidden = state.answers.length === 0;
  table.replaceChildren(answerTable(state.answers));
  earlier.hidden = state.earlier === '';
  earlier.textContent = state.earlier;
  showLists(state.lists);
}

/** An item that moves to another list stays open, and the focus stays on it. */
function showLists(all: readonly MemoryList[]): void {
  const focused = document.activeElement;
  const key = focused?.closest<HTMLElement>('details[data-key]')?.dataset['key'];
  const wanted = new Set(all.flatMap(({ items }) => items.map((item) => item.key)));
  for (const known of shown.keys()) if (!wanted.has(known)) shown.delete(known);
  lists.replaceChildren(...all.map(listElement));
  if (key === undefined) return;
  const again = focused?.isConnected ? focused : shown.get(key)?.made.querySelector('summary');
  if (again instanceof HTMLElement) again.focus({ preventScroll: true });
}

function listElement({ key, title: name, empty: none, items }: MemoryList): HTMLElement {
  const heading = element('h2', { id: `list-${key}` }, `${name} (${items.length})`);
  const content =
    items.length === 0
      ? element('p', { class: 'note' }, none)
      : element('ul', { class: 'pages' }, ...items.map((item) => element('li', {}, itemElement(item))));
  return element('section', { 'aria-labelledby': `list-${key}` }, heading, content);
}

function itemElement(item: MemoryItem): HTMLDetailsElement {
  const form = JSON.stringify(item);
  const known = shown.get(item.key);
  if (known?.form === form) return known.made;
  const text = element('pre', { tabindex: '0', 'aria-label': `Text: ${item.heading}` }, item.text ?? 'Reading…');
  const made = element(
    'details',
    { 'data-key': item.key },
    element(
      'summary',
      {},
      element('span', { class: 'hint' }, item.heading),
      element('span', { class: 'note' }, item.facts),
    ),
    ...(item.actions.length === 0 ? [] : [actionBar(item)]),
    element('div', { class: 'history note' }),
    text,
  );
  if (item.text === null) made.addEventListener('toggle', () => made.open && ask({ type: 'read', page: item.key }));
  made.open = known?.made.open ?? false;
  shown.set(item.key, { form, made });
  return made;
}

const actionBar = ({ key, heading, actions }: MemoryItem): HTMLElement =>
  element(
    'div',
    { class: 'actions', role: 'group', 'aria-label': `Actions: ${heading}` },
    ...actions.map(({ type, label }) => button(label, () => ask({ type, page: key }), { 'data-action': type })),
  );

function showText({ page, text, history }: Extract<ToMemoryPage, { readonly type: 'text' }>): void {
  const made = shown.get(page)?.made;
  const place = made?.querySelector('pre');
  if (place) place.textContent = text;
  made?.querySelector('.history')?.replaceChildren(...history.map((line) => element('p', {}, line)));
}
