import type { PageState, ToPage } from '../documents/pageMessages.ts';
import { button, element } from './elements.ts';
import { ask, remember, remembered } from './host.ts';
import { itemElement } from './itemElement.ts';
import { textForm } from './textForm.ts';

const title = element('h1');
const facts = element('p', { class: 'facts' });
const sessionActions = element('div', { class: 'actions', role: 'group', 'aria-label': 'Actions of the session' });
const earlier = button('', () => ask({ type: 'earlier' }), { class: 'earlier' });
const feed = element('div', { role: 'feed', 'aria-label': 'Conversation' });
const empty = element('p', { class: 'empty' });
const status = element('p', { role: 'status', class: 'status' });
const stop = button('Stop', () => ask({ type: 'run', command: 'cwm.stopAnswer' }), { class: 'stop' });
const { form, field, submit } = textForm(send, {
  label: 'Message (Enter sends, Shift+Enter begins a line)',
  submit: 'Send',
});
const closed = element('p', { class: 'closed' });
const bottom = element('footer', {}, element('div', { class: 'now' }, status, stop), closed, form);

let session = remembered().session ?? '';
let shownStatus = '';

document.body.append(
  element('main', {}, element('header', { class: 'session' }, title, facts, sessionActions), earlier, empty, feed),
  bottom,
);
field.value = remembered().typed ?? '';
field.addEventListener('input', save);
form.querySelector('.buttons')?.append(stop);
feed.addEventListener('keydown', walk);
addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
  if (data.type === 'show') show(data.state);
  else if (field.value === '') {
    field.value = data.text;
    field.dispatchEvent(new Event('input'));
  }
});
ask({ type: 'ready' });

function save(): void {
  if (session !== '') remember({ session, typed: field.value });
}

function send(text: string): void {
  ask({ type: 'send', text });
  field.value = '';
  field.dispatchEvent(new Event('input'));
  scrollTo({ top: document.body.scrollHeight });
}

function show(state: PageState): void {
  session = state.session;
  save();
  const follows = innerHeight + scrollY >= document.body.scrollHeight - 80;
  const isFirst = feed.childElementCount === 0;
  title.textContent = state.title;
  facts.textContent = state.facts;
  showActions(state);
  earlier.hidden = state.earlier === '';
  earlier.textContent = state.earlier;
  empty.hidden = state.empty === '';
  empty.textContent = state.empty;
  showItems(state);
  showStatus(state);
  if (follows || isFirst) scrollTo({ top: document.body.scrollHeight });
}

function showActions({ actions }: PageState): void {
  const form = JSON.stringify(actions);
  if (sessionActions.dataset['form'] === form) return;
  sessionActions.dataset['form'] = form;
  sessionActions.replaceChildren(
    ...actions.map(({ command, label }) =>
      button(label, () => ask({ type: 'run', command }), { 'data-command': command }),
    ),
  );
}

/** An item that did not change keeps its element, with the selection, the focus and what a screen reader reads there. */
function showItems({ order, changed, lessThan, isBusy }: PageState): void {
  const known = new Map(
    [...feed.children].map((child) => [(child as HTMLElement).dataset['key'] ?? '', child as HTMLElement]),
  );
  const focused = (document.activeElement?.closest('article') as HTMLElement | null)?.dataset['key'];
  for (const item of changed) {
    const old = known.get(item.key);
    // A text that is being typed in it stays. The page asks for the item when its form closes.
    if (old?.querySelector('textarea')) continue;
    const made = itemElement(item, lessThan);
    if (old) {
      for (const [at, details] of [...old.querySelectorAll('details')].entries()) {
        const same = made.querySelectorAll('details')[at];
        if (same) same.open = details.open;
      }
      old.replaceWith(made);
      if (focused === item.key) made.focus({ preventScroll: true });
    }
    known.set(item.key, made);
  }
  const wanted = new Set(order);
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  for (const [at, key] of order.entries()) {
    const item = known.get(key);
    if (item && feed.children[at] !== item) feed.insertBefore(item, feed.children[at] ?? null);
    item?.setAttribute('aria-posinset', String(at + 1));
    item?.setAttribute('aria-setsize', String(order.length));
  }
  feed.setAttribute('aria-busy', String(isBusy));
}

function showStatus({ status: said, isBusy, closed: why, empty: none }: PageState): void {
  if (said !== shownStatus)
    status.textContent = said === '' && shownStatus !== '' && none === '' ? 'The answer is there.' : said;
  status.classList.toggle('past', said === '');
  shownStatus = said;
  stop.hidden = !isBusy;
  submit.hidden = isBusy;
  submit.disabled = isBusy || why !== '';
  closed.hidden = why === '' || why === none;
  closed.textContent = why;
  form.hidden = why !== '' && !isBusy;
  field.hidden = why !== '';
}

/** As in a feed: Page Down and Page Up lead to the next and the previous message, Ctrl+End and Ctrl+Home out of the list. */
function walk(event: KeyboardEvent): void {
  const article = (event.target as HTMLElement).closest('article');
  if (!article || (event.target as HTMLElement).matches('textarea')) return;
  const next =
    event.key === 'PageDown'
      ? article.nextElementSibling
      : event.key === 'PageUp'
        ? article.previousElementSibling
        : event.ctrlKey && event.key === 'End'
          ? field
          : event.ctrlKey && event.key === 'Home'
            ? sessionActions.firstElementChild
            : null;
  if (!(next instanceof HTMLElement)) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
}
