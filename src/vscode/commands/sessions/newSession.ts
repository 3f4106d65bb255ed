import { window } from 'vscode';
import { commandTitles } from '../../contributions.ts';
import { command } from '../command.ts';
import { createSession } from './createSession.ts';

export const newSession = command('cwm.newSession', {
  async ask(app, { id, title }): Promise<{ id?: string; title?: string } | undefined> {
    if (id !== undefined || title !== undefined) {
      return { ...(id === undefined ? {} : { id }), ...(title === undefined ? {} : { title }) };
    }
    const { project } = app.state.current;
    const answer = await window.showInputBox({
      title: commandTitles['cwm.newSession'],
      prompt: 'A title for the session.',
      value: project.kind === 'folder' ? project.name : 'session',
      validateInput: (value) => (value.trim() === '' ? 'Enter a title.' : null),
    });
    return answer === undefined ? undefined : { title: answer.trim() };
  },
  perform: createSession,
});
