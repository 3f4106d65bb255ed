import { isCwmError } from '../../../protocol/errors.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { pageIdOf } from '../page.ts';

/** A message, and what somebody outside says that it is worth to later prompts, 0 to 1. */
export interface Weighed {
  readonly message: Pick<Message, 'id' | 'sequence'>;
  readonly importance: number;
}

/** Records it, but for what is known. It costs no turn: where it cannot be recorded, the messages are worth what their roles are. */
export async function weigh(
  core: Pick<CoreContext, 'memories' | 'clock'>,
  session: Pick<Session, 'id' | 'createdAt'>,
  weighed: readonly Weighed[],
): Promise<void> {
  if (weighed.length === 0) return;
  const at = core.clock.now().toISOString();
  const common = { type: 'mutation', what: 'update', actor: 'user', at } as const;
  try {
    const { importances } = await core.memories.of(session);
    const records = weighed.flatMap(({ message, importance }) => {
      const page = pageIdOf(message);
      return importances.get(page) === importance ? [] : [{ ...common, page, importance, sequence: message.sequence }];
    });
    if (records.length > 0) await core.memories.record(session, records);
  } catch (error) {
    if (!isCwmError(error)) throw error;
  }
}
