import { commands, ThemeIcon, window } from 'vscode';
import { readableLine } from '../../../base/readableText.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { SendResult } from '../../../protocol/schemas/turn.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { waitingCalls, waitingQuestions } from '../../../words/session.ts';
import type { App } from '../../app.ts';
import { commandTitles, type CommandId } from '../../contributions.ts';
import { setting } from '../../settings/settings.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { command } from '../command.ts';

const decisions = ['approve', 'approve-for-session', 'deny'] as const;
type Decision = (typeof decisions)[number];

interface Request {
  readonly session: Session;
  readonly decision: Decision;
  /** Null: all that wait. */
  readonly call: string | null;
  /** What the model is told of a denial. */
  readonly reason?: string;
}

/** Approves or denies the tool calls that a session waits with; the turn then continues. */
export const decideTools = command('cwm.decideTools', {
  async ask(app: App, { session: named, call = null, decision, reason }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Decide on the tool calls of this session');
    if (session === undefined) return undefined;
    const calls = waitingCalls(session.pendingTools);
    const given = decisions.find((each) => each === decision);
    // A question can only be denied here.
    const waits = calls.length > 0 || (given === 'deny' && waitingQuestions(session.pendingTools).length > 0);
    if (!waits) throw new CwmError('InvalidParameter', `No tool call of "${session.title}" waits for a decision.`);
    if (given) return { session, call, decision: given, ...(reason !== undefined && { reason }) };
    return pickDecision(session, calls);
  },
  progress: ({ session, call }: Request) => ({
    title: `Waiting for the answer in "${session.title}"`,
    isQuiet: call !== null,
  }),
  async perform(app, { session, call: one, decision, reason }: Request, call) {
    app.readings.show(session, { beside: true });
    // The calls that the user was shown: by now others may wait.
    const waiting = session.pendingTools?.calls.flatMap(({ id, why, decision, question }) =>
      why && !decision && !question ? [id] : [],
    );
    const calls = one === null ? waiting : [one];
    const maxTokens = session.settings?.sampling?.maxTokens ?? setting('cwm.answer.maxTokens');
    const input = { session: session.id, engine: session.engine, calls, maxTokens };
    return decision === 'deny'
      ? app.connection.call('denyTools', { ...input, reason }, call)
      : app.connection.call('approveTools', { ...input, forSession: decision === 'approve-for-session' }, call);
  },
  show: (app, answer, { session }) => void offerDecision(app, session, answer),
});

/** Says which tool calls wait after an answer, with a button to decide on them. */
export async function offerDecision(app: App, { id, title }: Session, answer: SendResult): Promise<void> {
  // The reading view has the buttons.
  if (app.readings.isVisible(id)) return;
  const calls = waitingCalls(answer.pendingTools);
  const [question] = waitingQuestions(answer.pendingTools);
  if (question) {
    const button = 'Answer…';
    const pressed = await window.showInformationMessage(`"${title}" asks: ${readableLine(question.text)}`, button);
    if (pressed === button) await commands.executeCommand('cwm.answerQuestion' satisfies CommandId, { session: id });
    return;
  }
  if (calls.length === 0) return;
  const decide = 'Decide…';
  const chosen = await window.showWarningMessage(`"${title}" wants to use tools: ${calls.join('; ')}`, decide);
  if (chosen === decide) await decideTools(app, { session: id });
}

async function pickDecision(session: Session, calls: readonly string[]): Promise<Request | undefined> {
  const rows = [
    { label: 'Approve', iconPath: new ThemeIcon('check'), decision: 'approve' as const },
    {
      label: 'Approve for This Session',
      description: 'you are not asked again for these tools, unless they are dangerous',
      iconPath: new ThemeIcon('check-all'),
      decision: 'approve-for-session' as const,
    },
    { label: 'Deny…', iconPath: new ThemeIcon('close'), decision: 'deny' as const },
  ];
  const chosen = await window.showQuickPick(
    rows.map((row) => ({ ...row, detail: calls.join('; ') })),
    { title: commandTitles['cwm.decideTools'], placeHolder: `Tool calls of "${session.title}"` },
  );
  if (chosen === undefined) return undefined;
  if (chosen.decision !== 'deny') return { session, call: null, decision: chosen.decision };
  const reason = await window.showInputBox({
    title: 'Deny',
    prompt: 'The reason that the model gets; it may be empty',
  });
  if (reason === undefined) return undefined;
  return { session, call: null, decision: 'deny', ...(reason.trim() !== '' && { reason }) };
}
