import { button, element } from './elements.ts';

export interface TextFormOptions {
  /** For screen readers, and shown while nothing is typed. */
  readonly label: string;
  readonly submit: string;
  /** Default: it cannot be cancelled. */
  readonly cancel?: () => void;
  /** Whether it may be empty. Default false. */
  readonly optional?: boolean;
}

export interface TextForm {
  readonly form: HTMLFormElement;
  readonly field: HTMLTextAreaElement;
  readonly submit: HTMLButtonElement;
}

/** A text of several lines. Enter submits it, Shift+Enter begins a line, Escape cancels. */
export function textForm(
  onSubmit: (text: string) => void,
  { label, submit, cancel, optional = false }: TextFormOptions,
): TextForm {
  const field = element('textarea', { 'aria-label': label, placeholder: label, rows: '1' });
  const send = element('button', { type: 'submit', class: 'primary' }, submit);
  const buttons = element('div', { class: 'buttons' }, send);
  if (cancel) buttons.append(button('Cancel', cancel));
  const form = element('form', {}, field, buttons);
  const fit = (): void => {
    // A style of an element is not one of the page: the content security policy allows it.
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight + 2, 320)}px`;
  };
  const trySubmit = (): void => {
    const text = field.value;
    if (!send.disabled && (optional || text.trim() !== '')) onSubmit(text);
  };
  field.addEventListener('input', fit);
  field.addEventListener('keydown', (event) => {
    // Enter that ends a word of an input method is no Enter of the message.
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      trySubmit();
    }
    if (event.key === 'Escape' && cancel) cancel();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    trySubmit();
  });
  queueMicrotask(fit);
  return { form, field, submit: send };
}
