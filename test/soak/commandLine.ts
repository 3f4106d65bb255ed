import { CwmError, type ErrorReport } from '../../src/protocol/errors.ts';
import { runInProcess } from '../cli/support/fakeTerminal.ts';
import type { Request } from './request.ts';

/** The call as a command of `cwm`, on the real command line but in this process. @throws CwmError what the command reports. */
export async function callByCommandLine(storage: string, request: Request): Promise<unknown> {
  const args = [...argumentsOf(request), '--storage', storage, '--json'];
  const { code, stdout, stderr } = await runInProcess(...args);
  // Also what `verify` finds is an answer, with a code of its own.
  if (code === 0 || stdout !== '') return JSON.parse(stdout) as unknown;
  throw CwmError.fromReport(JSON.parse(stderr) as ErrorReport);
}

function argumentsOf({ name, input }: Request): string[] {
  switch (name) {
    case 'createSession':
      return ['session', 'new', '--id', String(input.id), '--engine', String(input.engine)];
    case 'send':
      return ['send', '--max-tokens', String(input.maxTokens), input.session, input.text];
    case 'freeze':
      return ['freeze', input.session, input.window, ...(input.checkpoint ? ['--checkpoint'] : [])];
    case 'thaw':
      return ['thaw', input.window, ...(input.resume ? ['--resume'] : ['--session', String(input.session)])];
    case 'clone':
      return ['clone', input.window, input.target];
    case 'deleteWindow':
      return ['delete', input.window];
    case 'deleteSession':
      return ['session', 'delete', input.session, '--cascade'];
    case 'pinWindow':
      return [input.pinned ? 'pin' : 'unpin', input.window];
    case 'prune':
      return ['prune', '--keep', String(input.keep)];
    case 'verify':
      return ['verify'];
    case 'usage':
      return ['usage'];
    case 'listTrash':
      return ['trash', 'list'];
    case 'restoreFromTrash':
      return ['trash', 'restore', input.item];
    case 'emptyTrash':
      return ['trash', 'empty', '--all'];
    default:
      throw new Error(`The soak has no command for "${name}".`);
  }
}
