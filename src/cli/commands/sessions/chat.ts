import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { formatTokens } from '../../../base/format.ts';
import { readableLine } from '../../../base/readableText.ts';
import { projectUriOfFolder } from '../../../client/projectUri.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { plural } from '../../../words/amounts.ts';
import type { SendResult } from '../../../protocol/schemas/turn.ts';
import { waitingCalls, waitingQuestions, type WaitingQuestion } from '../../../words/session.ts';
import type { Perform } from '../../action.ts';
import { exitCodes, reportFailure } from '../../failure.ts';
import { receiptText } from '../../receiptText.ts';
import { withCommonOptions, withModelOption, type Run } from '../../run.ts';
import type { Prompter } from '../../terminal/prompter.ts';
import { questionLines, streamAnswer } from './answer.ts';

export function registerChat(program: Command, perform: Perform): void {
  withModelOption(withCommonOptions(program.command('chat')))
    .description('talk in a session: each line is a message, Ctrl-C stops an answer, Ctrl-D ends')
    .argument('[session]', "the session's id; by default the current one of this folder, else a new one")
    .action((id: string | undefined, common: object) =>
      perform(common, async (run) => {
        const session = id === undefined ? await sessionOfFolder(run) : await run.call('getSession', { session: id });
        const prompter = run.terminal.prompter();
        try {
          run.terminal.err(`${introduction(session)}\n`);
          return await talk(run, session, prompter);
        } finally {
          prompter.dispose();
        }
      }),
    );
}

async function sessionOfFolder(run: Run): Promise<Session> {
  const project = (await run.projectHere())?.project ?? (await projectUriOfFolder(run.terminal.cwd));
  const { session } = await run.call('currentSession', { project });
  return session ?? run.call('createSession', { project, ...run.onEngine });
}

function introduction({ id, title, tokens, branches, activeBranch, draft, pendingTools }: Session): string {
  const messages = branches[activeBranch]?.length ?? 0;
  const name = title === id ? `Session ${id}` : `${readableLine(title)} (session ${id})`;
  const size = messages === 0 ? 'empty' : `${plural(messages, 'message')}, ${formatTokens(tokens?.count ?? 0)}`;
  const unsent = draft === null ? '' : `\nA message got no answer (/retry sends it again): ${readableLine(draft)}`;
  const calls = waitingCalls(pendingTools);
  const waiting = calls.length === 0 ? '' : `\nTool calls wait for you (/approve or /deny):\n${calls.join('\n')}`;
  const asked = waitingQuestions(pendingTools).map((question) => `\n${questionLines(question).join('\n')}`);
  return `${name}: ${size}. Type /help for what else can be done here.${unsent}${waiting}${asked.join('')}`;
}

/** @returns the exit code. */
async function talk(run: Run, { id, pendingTools }: Session, prompter: Prompter): Promise<number> {
  let wasStopped = false;
  let [question] = waitingQuestions(pendingTools);
  for (;;) {
    const line = await readMessage(prompter);
    if (line === null || line === '/exit')
      return run.terminal.interrupted.aborted ? exitCodes.interrupted : exitCodes.ok;
    if (line.trim() === '') continue;
    try {
      await prompter.interruptible((signal) => {
        const attempt = async (): Promise<void> => {
          const said = await answer(run, { session: id, question }, line, signal);
          if (said) [question] = waitingQuestions(said.pendingTools);
        };
        return wasStopped ? whenFree(attempt, signal) : attempt();
      });
      wasStopped = false;
    } catch (error) {
      wasStopped = isCwmError(error, 'Cancelled');
      // Somebody else may have answered it.
      if (question) [question] = await stillAsked(run, id);
      // What was stopped says so itself, and how it goes on.
      if (!wasStopped || line.startsWith('/freeze')) reportFailure(run.terminal, error, run.json);
    }
  }
}

/** The questions that wait now; none where the backend does not say. */
const stillAsked = (run: Run, session: string): Promise<ReturnType<typeof waitingQuestions>> =>
  run.call('getSession', { session }).then(
    ({ pendingTools }) => waitingQuestions(pendingTools),
    () => [],
  );

const freeWithinAttempts = 100;
const freePollMs = 100;

/** The backend stores what it has of an answer that was stopped, and the session is busy until then. */
async function whenFree(attempt: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let left = freeWithinAttempts; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || !isCwmError(error, 'InvalidTransition')) throw error;
      await delay(freePollMs, undefined, { signal });
    }
  }
}

/** A line that ends with a backslash continues on the next one. */
async function readMessage(prompter: Prompter): Promise<string | null> {
  let message = '';
  for (let prompt = '> '; ; prompt = '… ') {
    const line = await prompter.ask(prompt);
    if (line === null) return message === '' ? null : message;
    if (!line.endsWith('\\')) return message + line;
    message += `${line.slice(0, -1)}\n`;
  }
}

const help = `1, 2, 3, …     where the model asks you: one of its answers; any other text is an answer, too
/retry         send the last message again, where it got no answer
/again         another answer to the last message, on a branch of its own
/continue      continue the last answer, which was cut
/approve       allow the tool calls that wait; "/approve session" does not ask for these tools again
/deny REASON   refuse the tool calls or the question that wait; the model gets the reason, which may be left out
/accept        accept the plan that is the last message, and have it carried out
/freeze NAME   store the context window under a name; the session stays open
/exit          end (also Ctrl-D)
A line that ends with \\ continues on the next one. Ctrl-C stops an answer.
`;

interface Place {
  readonly session: string;
  /** What the model asks; undefined: nothing. */
  readonly question: WaitingQuestion | undefined;
}

/** @returns what came of the turn; undefined: the line began none. */
async function answer(
  run: Run,
  { session, question }: Place,
  line: string,
  signal: AbortSignal,
): Promise<SendResult | undefined> {
  const [command = '', ...rest] = line.split(/\s+/);
  const input = { session, ...run.onEngine };
  switch (command) {
    case '/help':
      run.terminal.err(help);
      return undefined;
    case '/again':
      return await streamAnswer(run, 'regenerate', input, signal);
    case '/retry': {
      const { draft } = await run.call('getSession', { session });
      if (draft !== null) return await streamAnswer(run, 'send', { ...input, text: draft }, signal);
      run.terminal.err('No message waits for an answer. /again asks for another answer to the last one.\n');
      return undefined;
    }
    case '/continue':
      return await streamAnswer(run, 'continueAnswer', input, signal);
    case '/accept':
      return await streamAnswer(run, 'acceptPlan', input, signal);
    case '/approve':
      if (rest.length > 0 && rest.join(' ') !== 'session') {
        run.terminal.err('Type "/approve" or "/approve session".\n');
        return undefined;
      }
      return await streamAnswer(run, 'approveTools', { ...input, forSession: rest.length > 0 }, signal);
    case '/deny': {
      const reason = line.slice(command.length).trim();
      return await streamAnswer(run, 'denyTools', { ...input, ...(reason && { reason }) }, signal);
    }
    case '/freeze': {
      const wanted = { ...input, window: rest.join(' '), checkpoint: true };
      run.print(await run.call('freeze', wanted, 'Making a checkpoint', { signal }), receiptText);
      return undefined;
    }
  }
  if (/^\/\w+$/.test(command)) {
    run.terminal.err(`There is no command ${command}. /help lists them.\n`);
    return undefined;
  }
  if (!question) return await streamAnswer(run, 'send', { ...input, text: line }, signal);
  const chosen = question.choices?.[Number(line.trim()) - 1];
  return await streamAnswer(run, 'answerQuestion', { ...input, call: question.call, answer: chosen ?? line }, signal);
}
