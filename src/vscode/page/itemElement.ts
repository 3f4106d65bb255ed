import type { Block, PageItem } from '../documents/pageMessages.ts';
import { button, element } from './elements.ts';
import { ask } from './host.ts';
import { safeHtml } from './safeHtml.ts';
import { textForm, type TextFormOptions } from './textForm.ts';

/** An item of the conversation with its buttons. */
export function itemElement(item: PageItem, lessThan: string): HTMLElement {
  const { key, kind, heading, note, isGrowing } = item;
  const name = `heading-${key}`;
  const title = element('h2', { id: name }, heading);
  const head = element('header', {}, title, ...time(item.at));
  const body = element('div', { class: 'body' }, ...item.blocks.map((block) => blockElement(block, lessThan)));
  const article = element(
    'article',
    { class: kind, tabindex: '0', 'aria-labelledby': name, 'data-key': key },
    head,
    body,
  );
  if (isGrowing) article.setAttribute('aria-busy', 'true');
  if (note !== '') article.append(element('p', { class: 'note' }, note));
  if (item.actions.length > 0) article.append(actionBar(item, body));
  return article;
}

function time(at: string): HTMLElement[] {
  const date = new Date(at);
  if (at === '' || Number.isNaN(date.getTime())) return [];
  const shown = date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  return [element('time', { datetime: at }, shown)];
}

function blockElement(block: Block, lessThan: string): HTMLElement {
  switch (block.type) {
    case 'html': {
      const made = element('div', { class: 'markdown' });
      made.append(safeHtml(block.html, lessThan));
      return made;
    }
    case 'plain':
      return element('p', { class: 'plain' }, block.text);
    case 'folded':
      return element('details', {}, element('summary', {}, block.summary), element('pre', {}, block.text));
    case 'call':
      return callElement(block);
    case 'question':
      return questionElement(block);
  }
}

/** A tool call that waits, with the three answers that the user may give. */
function callElement({ call, title, why }: Extract<Block, { readonly type: 'call' }>): HTMLElement {
  const decide = (decision: string, reason?: string): void =>
    ask({ type: 'run', command: 'cwm.decideTools', call, decision, ...(reason && { reason }) });
  const buttons = element('div', { class: 'buttons', role: 'group', 'aria-label': `Decide on ${title}` });
  const deny = formInstead(buttons, (reason) => decide('deny', reason.trim()), {
    label: 'The reason that the model gets; it may be empty',
    submit: 'Deny',
    optional: true,
  });
  buttons.append(
    button('Approve', () => decide('approve'), { class: 'primary' }),
    button('Approve for This Session', () => decide('approve-for-session')),
    button('Deny…', deny),
  );
  return element('div', { class: 'call' }, element('code', {}, title), element('p', { class: 'note' }, why), buttons);
}

/** A question with its choices as buttons, and others for another answer and for none. Once it is answered, the choices are a list. */
function questionElement({ call, text, choices }: Extract<Block, { readonly type: 'question' }>): HTMLElement {
  const asked = element('p', { class: 'plain' }, text);
  if (call === '') {
    const list = element('ul', {}, ...choices.map((choice) => element('li', {}, choice)));
    return element('div', { class: 'question' }, asked, ...(choices.length === 0 ? [] : [list]));
  }
  const answer = (given: string): void => ask({ type: 'run', command: 'cwm.answerQuestion', call, text: given });
  const buttons = element('div', { class: 'buttons', role: 'group', 'aria-label': `Answers to: ${text}` });
  const type = formInstead(buttons, answer, { label: 'Your answer', submit: 'Answer' });
  buttons.append(
    ...choices.map((choice) => button(choice, () => answer(choice), { class: 'primary' })),
    button(choices.length === 0 ? 'Answer…' : 'Another Answer…', type),
    button('Do Not Answer', () => ask({ type: 'run', command: 'cwm.decideTools', call, decision: 'deny' })),
  );
  return element('div', { class: 'call question' }, asked, buttons);
}

/** What a button does that puts a form in the place of its bar until the form is submitted or cancelled. */
function formInstead(
  bar: HTMLElement,
  onSubmit: (text: string) => void,
  options: Omit<TextFormOptions, 'cancel'>,
): (this: void) => void {
  return () => {
    const pressed = document.activeElement;
    const back = (): void => {
      form.replaceWith(bar);
      if (pressed instanceof HTMLElement) pressed.focus();
      ask({ type: 'ready' });
    };
    const submit = (text: string): void => {
      back();
      onSubmit(text);
    };
    const { form, field } = textForm(submit, { ...options, cancel: back });
    bar.replaceWith(form);
    field.focus();
  };
}

function actionBar(item: PageItem, body: HTMLElement): HTMLElement {
  const { message, window, heading, source } = item;
  const named = { ...(message !== '' && { message }), ...(window !== '' && { window }) };
  const bar = element('div', { class: 'actions', role: 'group', 'aria-label': `Actions: ${heading}` });
  const edit = (): void => {
    const back = (): void => {
      form.replaceWith(body);
      bar.hidden = false;
      bar.querySelector<HTMLElement>('button')?.focus();
      ask({ type: 'ready' });
    };
    const send = (text: string): void => {
      back();
      ask({ type: 'run', command: 'cwm.editMessage', text, ...named });
    };
    const { form, field } = textForm(send, {
      label: 'The new text, on a branch of its own',
      submit: 'Send',
      cancel: back,
    });
    field.value = source;
    body.replaceWith(form);
    bar.hidden = true;
    field.focus();
  };
  for (const { command, label } of item.actions) {
    const press = command === 'cwm.editMessage' ? edit : (): void => ask({ type: 'run', command, ...named });
    bar.append(button(label, press, { 'data-command': command }));
  }
  if (source !== '') {
    const copy = button('Copy', () => {
      void navigator.clipboard.writeText(source).then(() => (copy.textContent = 'Copied'));
    });
    bar.append(copy);
  }
  return bar;
}
