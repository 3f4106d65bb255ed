/**
 * Embeddings, overrides and isolates reverse the text after them when they are not closed; line and paragraph separators break a line where
 * a reader of the source sees none. The single marks U+200E and U+200F stay: they move only their neighbours.
 */
const hiddenLayout = /[\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** C0, DEL and C1, except tabs and line ends of either kind. */
const controls = /\r(?!\n)|[\p{Cc}--[\t\n\r]]/gv;

const visible = (control: string): string => {
  const code = control.charCodeAt(0);
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '␡' : '�';
};

/**
 * Makes text from elsewhere safe to show as lines, in a terminal above all. A title, an answer or a path could otherwise overwrite its
 * neighbours, turn them around or send commands to the terminal. Control characters become visible symbols; line ends and tabs stay.
 */
export const readableText = (text: string): string => text.replace(hiddenLayout, '�').replace(controls, visible);

/**
 * Makes text from elsewhere safe to show within one line, like a title in a tree: white space becomes a space, and nothing hidden is left.
 */
export const readableLine = (text: string): string =>
  text
    .replace(/[^\S\u{a0}]+/gu, ' ')
    .replace(hiddenLayout, '')
    .replace(/\p{Cc}/gu, visible);

/** Most characters of a title that is made of a text, without the ellipsis. */
const titleLength = 60;

/** A title of a text: its whole words as far as they fit into a line, and no half of a character. Empty for a text without words. */
export function firstWords(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  if (line.length <= titleLength) return line;
  const cut = line.slice(0, titleLength);
  const end = cut.lastIndexOf(' ');
  return `${(end > 0 ? cut.slice(0, end) : cut).toWellFormed().replaceAll('\uFFFD', '')}…`;
}

/** The place, or the one before it where that stands within a pair of code units. */
export const wholeBefore = (text: string, place: number): number =>
  place > 0 && place < text.length && isLowSurrogate(text.charCodeAt(place)) ? place - 1 : place;

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc_00 && unit <= 0xdf_ff;

interface Said {
  readonly role: string;
  readonly content: { readonly type: string; readonly text?: unknown };
}

/**
 * The first words that a person said in messages, in which their program also puts reminders and what it knows of the machine. Empty where they said
 * nothing in words.
 */
export function firstOwnWords(messages: readonly Said[]): string {
  const texts = messages.flatMap(({ role, content: { type, text } }) =>
    role === 'user' && type === 'text' && typeof text === 'string' ? [text] : [],
  );
  for (const text of texts) {
    const words = firstWords(withoutBlocks(requestIn(text) ?? text));
    if (words !== '') return words;
  }
  return firstWords(texts[0] ?? '');
}

/** VS Code puts it behind files and reminders. */
function requestIn(text: string): string | null {
  for (const tag of ['userRequest', 'user_query']) {
    const begin = text.lastIndexOf(`<${tag}>`);
    const end = text.indexOf(`</${tag}>`, begin);
    if (begin !== -1 && end !== -1) return text.slice(begin + tag.length + 2, end);
  }
  return null;
}

/** Without the blocks at the beginning, such as `<environment_info>`, `<userMemory>` (VS Code) and `<system-reminder>` (Claude Code, Qwen Code). A tag of HTML has one word. */
function withoutBlocks(text: string): string {
  for (let rest = text; ;) {
    const [opening, tag] = /^\s*<([a-z]+(?:[-_][a-z]+|[A-Z][a-z]+)+)>/.exec(rest) ?? [];
    const closing = `</${tag}>`;
    const end = opening === undefined ? -1 : rest.indexOf(closing, opening.length);
    if (end === -1) return rest;
    rest = rest.slice(end + closing.length);
  }
}
