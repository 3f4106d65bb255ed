import type { Asked, Item } from '../formats/item.ts';
import { shortHash, toolsKey } from './canonical.ts';
import type { Conversation } from './said.ts';

/** What a client asks a model for on its own account: a title, a line of progress, what to remember, a summary. */
const errands: readonly RegExp[] = [
  /\b(generate|create|write|craft|come up with|crafting|provide|suggest)\b[^.\n]{0,60}\b(title|topic)s?\b[^.\n]{0,40}\b(conversation|chat|session|thread|chatbot|user'?s|first message|request)/i,
  /\btitle generator\b/i,
  /\b(short|brief|concise|pithy) (title|summary)\b[^.\n]{0,60}\b(conversation|chat|session|thread|chatbot)/i,
  /\bprogress message/i,
  /\bmemory extraction\b|\bextract\b[^.\n]{0,60}\bmemor(y|ies)\b/i,
  /\b(summari[sz]e|summari[sz]ing|compact|anchored summary of|detailed summary of)\b[^.\n]{0,40}\b(conversation|chat|session|history)\b/i,
  /\bconversation (summari[sz]ation|summari[sz]er|summary)\b/i,
  /\bindicates a new (conversation )?topic\b/i,
  // VS Code's chat: the branch and the commit message of a change, and of what kind a message is.
  /\bexpert in crafting [^.\n]{0,40}\bbranch names\b/i,
  /\bcome (up )?with the best git commit message\b/i,
  /\bassistant (that summari[sz]es conversations|tasked with summari[sz]ing conversations|that parses user queries)\b/i,
  /\bchoose one category from the Markdown table\b|\bexpert classifier for\b[^.\n]{0,40}\bprompts\b/i,
];

/** How much of a prompt's beginning says what it is for. */
const telling = 1500;

/** A text this short is in many others by chance. */
const shortestQuote = 12;
const talkedAboutMs = 30 * 60_000;

export interface Recent {
  /** Conversations of the same client and project, whenever they were used. */
  readonly conversations: readonly Conversation[];
  readonly nowMs: number;
}

/**
 * Whether a request is no part of the conversation with the user. It has another system prompt than the conversation, no message in common
 * with it, and does an errand for the client: such a request never becomes a turn.
 *
 * @param about its messages go on with those of `continued`; it carries the id of `named`.
 */
export function isAuxiliary(
  asked: Asked,
  { continued, named }: { readonly continued: Conversation | null; readonly named: Conversation | null },
  recent: Recent,
): boolean {
  if (continued) return isOfAnother(asked, continued) && (becameErrand(asked, continued) || endsWithErrand(asked));
  if (named && named.systemKey !== shortHash(asked.system) && !hasToolsOf(asked, named)) return true;
  if (isErrand(asked.system) || (asked.system === '' && isErrand(asked.items.at(-1)?.text ?? ''))) return true;
  const [first] = asked.items;
  if (first && asked.system !== '' && asked.items.length <= 2 && asked.tools.length === 0 && isErrand(first.text))
    return true;
  return recent.conversations.some((each) => quotes(asked, each, recent.nowMs));
}

const isErrand = (text: string): boolean => errands.some((errand) => errand.test(text.slice(0, telling)));

/** Some clients send all of the conversation to a helper of theirs, under its own prompt. A conversation with such a helper stays one. */
const becameErrand = ({ system }: Asked, before: Conversation): boolean =>
  system !== before.system && isErrand(system) && !isErrand(before.system ?? '');

/** Some clients ask for the summary behind the whole conversation. */
function endsWithErrand({ items }: Asked): boolean {
  const last = items.at(-1);
  return (
    last?.role === 'user' &&
    /^[^.\n]{0,200}\b(summari[sz]e|summary of) (the |this |our )?(conversation|session|chat)\b/i.test(last.text) &&
    last.text.length > 200
  );
}

/** The user of a conversation goes on under what its last turn had: a client that wants something of it brings its own. */
const isOfAnother = ({ system, tools }: Asked, { systemKey, toolsKey: known }: Conversation): boolean =>
  shortHash(system) !== systemKey || toolsKey(tools) !== known;

const hasToolsOf = ({ tools }: Asked, about: Conversation): boolean =>
  tools.length > 0 && toolsKey(tools) === about.toolsKey;

/** It talks about the conversation under another prompt: it has what the user said there in a transcript. */
function quotes(asked: Asked, about: Conversation, nowMs: number): boolean {
  const { system, items } = asked;
  if (system === '' || about.systemKey === shortHash(system) || nowMs - about.usedMs > talkedAboutMs) return false;
  if (hasToolsOf(asked, about)) return false;
  return [about.firstText, about.lastText].some(
    (said) => said.length >= shortestQuote && items.some((item) => holds(item, said)),
  );
}

/** Who speaks, at the beginning of a line. */
const speaker = /^[\s*_#[(<"'-]*(user|human|assistant|model|ai)\b[\s*_\])>"']*(:|>|$)|"role": ?"user"/im;

/** People repeat their own words in longer ones: only whole lines beside the name of a speaker are a transcript. */
function holds({ text }: Item, said: string): boolean {
  if (!speaker.test(text)) return false;
  for (let at = text.indexOf(said); at !== -1; at = text.indexOf(said, at + 1)) {
    const before = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
    const behind = text[at + said.length] ?? '\n';
    const isWhole = behind === '\n' || behind === '\r' || behind === '<' || behind === '"';
    if (isWhole && text.length > said.length && (before.trim() === '' || speaker.test(before))) return true;
  }
  return false;
}
