import type { Command } from 'commander';
import { CwmError } from '../../../protocol/errors.ts';
import { folderWords, plural } from '../../../words/amounts.ts';
import { waitingQuestions, type WaitingQuestion } from '../../../words/session.ts';
import { wholeNumber } from '../../arguments.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { streamAnswer } from './answer.ts';

/** Commands about tool calls that wait for the user. @param session the command "cwm session". */
export function registerDecideTools(session: Command, perform: Perform): void {
  const calls = (command: Command): Command =>
    withCommonOptions(command)
      .argument('<session>', "the session's id")
      .argument('[call...]', 'ids of the tool calls; all that wait by default');

  calls(session.command('approve'))
    .description('allow tool calls that wait for you, and continue the turn')
    .option('--for-session', 'do not ask for these tools again in this session, unless they are dangerous')
    .action((id: string, named: string[], { forSession, ...common }: { forSession?: boolean }) =>
      perform(common, async (run) => {
        await streamAnswer(run, 'approveTools', { session: id, ...chosen(named), forSession, ...run.onEngine });
      }),
    );

  calls(session.command('deny'))
    .description('refuse tool calls that wait for you, and continue the turn')
    .option('--reason <text>', 'the reason that the model gets')
    .action((id: string, named: string[], { reason, ...common }: { reason?: string }) =>
      perform(common, async (run) => {
        await streamAnswer(run, 'denyTools', { session: id, ...chosen(named), reason, ...run.onEngine });
      }),
    );

  withCommonOptions(session.command('answer'))
    .description('answer a question that the model asks, and continue the turn')
    .argument('<session>', "the session's id")
    .argument('[text]', 'the answer')
    .option('--choice <n>', 'number of one of the proposed answers, instead of a text', wholeNumber(1))
    .option('--call <id>', 'id of the tool call that asks; the first one that waits by default')
    .action((id: string, text: string | undefined, { choice, call, ...common }: AnswerOptions) =>
      perform(common, async (run) => {
        const { pendingTools } = await run.call('getSession', { session: id });
        const waiting = waitingQuestions(pendingTools);
        const question = call === undefined ? waiting[0] : waiting.find((each) => each.call === call);
        const answer = text ?? (choice === undefined ? undefined : question?.choices?.[choice - 1]);
        if (answer === undefined) throw noAnswer(id, question, choice);
        await streamAnswer(run, 'answerQuestion', { session: id, call, answer, ...run.onEngine });
      }),
    );

  withCommonOptions(session.command('accept'))
    .description('accept the plan that is the last message: the session acts from now on, and the model carries it out')
    .argument('<session>', "the session's id")
    .argument('[text]', 'the message to the model')
    .action((id: string, text: string | undefined, common: object) =>
      perform(common, async (run) => {
        await streamAnswer(run, 'acceptPlan', { session: id, text, ...run.onEngine });
      }),
    );

  withCommonOptions(session.command('cancel'))
    .description('stop the answer that comes, or end a turn that waits for you; what came of the answer stays')
    .argument('<session>', "the session's id")
    .action((id: string, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('cancelTurn', { session: id }), () => `Session ${id} is at rest.`);
      }),
    );
}

/** `cwm trust`: whether a folder may choose model server, model and tools of its sessions, and name MCP servers that they start. */
export function registerTrust(program: Command, perform: Perform): void {
  withCommonOptions(program.command('trust'))
    .description(
      'let a folder choose model server, model and tools of its new sessions, and name MCP servers that they start',
    )
    .argument('[folder]', 'the folder; this one by default')
    .option('--revoke', 'trust it no more')
    .action((folder: string | undefined, { revoke, ...common }: { revoke?: boolean }) =>
      perform(common, async (run) => {
        const project = await run.project(folder ?? '.');
        run.print(await run.call('trustProject', { project, trusted: !revoke }), ({ trusted }) =>
          trusted ? `Trusted: ${folderWords(project)}` : `Not trusted any more: ${folderWords(project)}`,
        );
      }),
    );
}

interface AnswerOptions {
  readonly choice?: number;
  readonly call?: string;
}

function noAnswer(id: string, question: WaitingQuestion | undefined, choice: number | undefined): CwmError {
  if (!question) return new CwmError('InvalidTransition', `No question of session "${id}" waits for an answer.`);
  const { length } = question.choices ?? [];
  return choice === undefined
    ? new CwmError('InvalidParameter', 'There is no answer.', { hint: 'Give it as a text, or with "--choice".' })
    : new CwmError('InvalidParameter', `There is no choice ${choice}: the question has ${plural(length, 'choice')}.`);
}

const chosen = (named: readonly string[]): { calls?: string[] } => (named.length === 0 ? {} : { calls: [...named] });
