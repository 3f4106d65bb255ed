import type { Message } from '../../../protocol/schemas/session.ts';
import { withoutNotes } from './bindings.ts';
import { MessageFold } from '../../prompt/messageFold.ts';
import { canonical, type PastCall } from './toolHistory.ts';

/** What a guard says of a call before it runs. A call is never changed: it runs as it was decided on, or it does not run. */
export type Verdict =
  | { readonly verdict: 'allow' }
  | { readonly verdict: 'warn' | 'block'; readonly guard: string; readonly reason: string };

export interface GuardedCall {
  readonly name: string;
  /** With the results that it refers to. */
  readonly arguments: string;
  readonly readsOnly: boolean;
}

interface Given {
  readonly call: GuardedCall;
  /** Calls since the user's last message, with the arguments that they ran with. */
  readonly calls: readonly PastCall[];
  readonly messages: readonly Message[];
  readonly readsOnly: (name: string) => boolean;
}

/** Calls between two messages of the user (S1-93). */
const callBudget = { reading: 6, changing: 15, all: 20 } as const;
const mostOfOneTool = 10;
const mostRepeats = 3;
const sameResults = 3;

type Guard = (given: Given) => Verdict;
const allow: Verdict = { verdict: 'allow' };
const block = (guard: string, reason: string): Verdict => ({ verdict: 'block', guard, reason });
const warn = (guard: string, reason: string): Verdict => ({ verdict: 'warn', guard, reason });

/** The first that blocks decides, else the first that warns; a new one is a row. */
const guards: readonly Guard[] = [
  function budget({ call, calls, readsOnly }) {
    if (calls.length >= callBudget.all)
      return block('budget', `${callBudget.all} calls ran since the user's last message, and no more do.`);
    const alike = calls.filter(({ name }) => readsOnly(name) === call.readsOnly).length;
    const most = call.readsOnly ? callBudget.reading : callBudget.changing;
    if (alike < most) return allow;
    return warn(
      'budget',
      `${alike} calls ${call.readsOnly ? 'only read' : 'may have changed something'} in this turn. Answer with what you have, if you can.`,
    );
  },
  function cap({ call, calls }) {
    const count = calls.filter(({ name }) => name === call.name).length;
    return count < mostOfOneTool
      ? allow
      : block('cap', `The tool ${call.name} ran ${count} times since the user's last message, and does not run again.`);
  },
  function runaway({ call, calls }) {
    const same = calls.filter(
      (past) => past.name === call.name && canonical(past.arguments) === canonical(call.arguments),
    );
    // A tool that only reads may wait for something: as long as its results differ, it does not run in vain.
    const repeats = call.readsOnly ? mostAlike(same.map(({ text }) => withoutNotes(text))) : same.length;
    if (repeats >= mostRepeats)
      return block('runaway', `The same call was made ${same.length} times in this turn. Its result is above.`);
    const last = calls.filter(({ name }) => name === call.name).slice(-sameResults);
    const isSaturated = last.length === sameResults && new Set(last.map(({ text }) => withoutNotes(text))).size === 1;
    return isSaturated ? warn('runaway', `The last ${sameResults} results of ${call.name} are the same.`) : allow;
  },
  function ungrounded({ call, messages }) {
    const given = numbersIn(call.arguments);
    const said = given.length === 0 ? null : numbers.of(messages);
    if (said === null || said.size >= mostNumbers) return allow;
    const invented = given.filter((number) => !said.has(number));
    if (invented.length === 0) return allow;
    return warn('ungrounded', `Nobody said ${invented.slice(0, 3).join(', ')} in this conversation.`);
  },
];

/** What the guards say of a call. */
export function guardCall(given: Given): Verdict {
  const verdicts = guards.map((guard) => guard(given));
  return (
    verdicts.find(({ verdict }) => verdict === 'block') ?? verdicts.find(({ verdict }) => verdict === 'warn') ?? allow
  );
}

/** How often the text comes that comes most often. */
const mostAlike = (texts: readonly string[]): number =>
  Math.max(0, ...texts.map((text) => texts.filter((other) => other === text).length));

/** Those that nobody invents by counting. */
const numbersIn = (text: string): string[] =>
  (text.match(/\d+(?:\.\d+)?/g) ?? []).filter((number) => number.length > 2);

/** In a conversation with as many, nobody can say of one that it is nowhere. */
const mostNumbers = 50_000;
const numbers = new MessageFold<Set<string>>(
  () => new Set(),
  (said, message) => {
    if (said.size < mostNumbers) for (const number of numbersIn(textIn(message))) said.add(number);
  },
);

/** What the model could have a number from: everything but its own calls. */
function textIn({ content }: Message): string {
  switch (content.type) {
    case 'text':
    case 'plan':
    case 'tool-result':
      return content.text;
    case 'context':
      return content.files.map(({ text }) => text).join('\n');
    case 'tool-calls':
    case 'question':
    case 'unknown':
      return '';
  }
}
