import { formatCount, formatDuration, formatTokens } from '../../../base/format.ts';
import { readableLine, readableText } from '../../../base/readableText.ts';
import type { RouteInput } from '../../../protocol/api.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { SendResult } from '../../../protocol/schemas/turn.ts';
import { waitingQuestions, type WaitingQuestion } from '../../../words/session.ts';
import { costWords } from '../../../words/usage.ts';
import type { Run } from '../../run.ts';

type AnsweringRoute =
  | 'send'
  | 'editMessage'
  | 'regenerate'
  | 'continueAnswer'
  | 'approveTools'
  | 'denyTools'
  | 'answerQuestion'
  | 'acceptPlan';

/**
 * Asks for an answer and prints it while it arrives; a script gets it as one JSON object. What it cost is printed beside it, on stderr, so
 * that a pipe gets only the answer.
 *
 * @param signal aborts it; default: Ctrl-C.
 */
export async function streamAnswer<Name extends AnsweringRoute>(
  run: Run,
  name: Name,
  input: RouteInput<Name>,
  signal?: AbortSignal,
): Promise<SendResult> {
  let isAtLineStart = true;
  const write = (text: string): void => {
    if (text === '') return;
    run.terminal.out(readableText(text));
    isAtLineStart = text.endsWith('\n');
  };
  const endLine = (): void => {
    if (!isAtLineStart) run.terminal.out('\n');
    isAtLineStart = true;
  };
  let hasStreamed = false;
  const onText = (piece: string): void => {
    hasStreamed = true;
    write(piece);
  };
  try {
    const answer = (await run.call(name, input, 'Waiting for the model', {
      signal,
      ...(!run.json && { onText }),
    })) as SendResult;
    if (run.json) {
      run.print(answer, ({ text }) => text);
      return answer;
    }
    if (!hasStreamed) write(answer.text);
    endLine();
    // Only a conversation in the terminal gives its own signal.
    run.terminal.err(`${evidence(answer, signal !== undefined)}\n`);
    return answer;
  } catch (error) {
    endLine();
    if (isCwmError(error, 'Cancelled'))
      run.terminal.err(stopped(name, input.session, hasStreamed, signal !== undefined));
    throw error;
  } finally {
    endLine();
  }
}

const commandRest = (session: string): string => `"cwm continue ${session}" gets the rest`;
const chatRest = '/continue gets the rest';

/** What is there of an answer that was stopped, and how it goes on. */
function stopped(route: AnsweringRoute, session: string, hasStreamed: boolean, inChat: boolean): string {
  if (hasStreamed || route === 'continueAnswer')
    return inChat
      ? `[The answer was stopped. ${chatRest}.]\n`
      : `[The beginning of the answer is stored: ${commandRest(session)}.]\n`;
  if (!inChat) return '';
  const again = route === 'send' ? ' /retry sends your message again.' : '';
  return `[It was stopped before the answer began.${again}]\n`;
}

/** What the user must decide on, and how. */
function waiting({ session, pendingTools }: SendResult, inChat: boolean): string[] {
  const calls =
    pendingTools?.calls.filter(
      ({ why, decision, question }) => why !== undefined && decision === undefined && question === undefined,
    ) ?? [];
  const shown = calls.map(
    ({ id, name, arguments: given, why }) => `${readableLine(`${name} ${given}`)} (${why}) call ${id}`,
  );
  const how = inChat
    ? '/approve or /deny continues the turn'
    : `"cwm session approve ${session}" or "cwm session deny ${session}" continues the turn`;
  return [...questions(session, pendingTools, inChat), ...(calls.length === 0 ? [] : [...shown, how])];
}

function questions(session: string, pending: SendResult['pendingTools'], inChat: boolean): string[] {
  const asked = waitingQuestions(pending);
  if (asked.length === 0) return [];
  const how = inChat
    ? 'type the number of an answer, or another answer; /deny gives none'
    : `"cwm session answer ${session} TEXT" continues the turn`;
  return [...asked.flatMap(questionLines), how];
}

/** The question, and a line for each answer that it proposes. */
export const questionLines = ({ text, choices = [] }: WaitingQuestion): string[] => [
  `the model asks: ${readableLine(text)}`,
  ...choices.map((choice, at) => `${at + 1}. ${readableLine(choice)}`),
];

function evidence(result: SendResult, inChat: boolean): string {
  const { session, promptTokens, cachedTokens, timeToFirstTokenMs, ms, prefixBreak, rerenderTokens, notes } = result;
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} reused`;
  const first = timeToFirstTokenMs === null ? '' : `, first token after ${formatDuration(timeToFirstTokenMs)}`;
  const cost = costWords(result.cost);
  const paid = cost === null ? '' : `, cost ${cost}`;
  const line = `${formatTokens(promptTokens)}${reused}${first}, ${formatDuration(ms)} in all${paid}`;
  const broken = prefixBreak && `prefix break at token ${formatCount(prefixBreak.atToken)}: ${prefixBreak.likelyCause}`;
  const continued =
    rerenderTokens === undefined
      ? []
      : [
          `continued from the token ids; to render the conversation again would compute ${formatTokens(rerenderTokens)}`,
        ];
  const rest = result.finishReason === 'length' ? [inChat ? chatRest : commandRest(session)] : [];
  return [line, ...(broken === null ? [] : [broken]), ...continued, ...notes, ...rest, ...waiting(result, inChat)]
    .map((said) => `[${said}]`)
    .join('\n');
}
