import { formatCount, formatDuration, formatTokens } from '../../../base/format.ts';
import { readableLine, readableText } from '../../../base/readableText.ts';
import type { RouteInput } from '../../../protocol/api.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { SendResult } from '../../../protocol/schemas/turn.ts';
import { waitingQuestions, type WaitingQuestion } from '../../../words/session.ts';
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
    if (hasStreamed && signal === undefined && isCwmError(error, 'Cancelled')) run.terminal.err(stopped(input.session));
    throw error;
  } finally {
    endLine();
  }
}

const stopped = (session: string): string =>
  `[What came of the answer is stored: "cwm continue ${session}" asks for the rest.]\n`;

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
  const { promptTokens, cachedTokens, timeToFirstTokenMs, ms, prefixBreak, rerenderTokens, notes } = result;
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} reused`;
  const first = timeToFirstTokenMs === null ? '' : `, first token after ${formatDuration(timeToFirstTokenMs)}`;
  const line = `${formatTokens(promptTokens)}${reused}${first}, ${formatDuration(ms)} in all`;
  const broken = prefixBreak && `prefix break at token ${formatCount(prefixBreak.atToken)}: ${prefixBreak.likelyCause}`;
  const continued =
    rerenderTokens === undefined
      ? []
      : [
          `continued from the token ids; to render the conversation again would compute ${formatTokens(rerenderTokens)}`,
        ];
  return [line, ...(broken === null ? [] : [broken]), ...continued, ...notes, ...waiting(result, inChat)]
    .map((said) => `[${said}]`)
    .join('\n');
}
