import { window } from 'vscode';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CommandInput } from '../../contributions.ts';
import { command } from '../command.ts';
import { createSession } from './createSession.ts';

export const newSession = command<CommandInput<'cwm.newSession'>, { id?: string; title?: string }, Session>({
  title: 'New Session',
  async ask(app, { id, title }) {
    if (id !== undefined || title !== undefined) {
      return { ...(id === undefined ? {} : { id }), ...(title === undefined ? {} : { title }) };
    }
    const { project } = app.state.current;
    const answer = await window.showInputBox({
      title: 'New Session',
      prompt: 'A title, to find the session by.',
      value: project.kind === 'folder' ? project.name : 'session',
      validateInput: (value) => (value.trim() === '' ? 'The title is empty.' : null),
    });
    return answer === undefined ? undefined : { title: answer.trim() };
  },
  perform: createSession,
});
