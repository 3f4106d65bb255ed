import type { Capability } from '../../../protocol/schemas/capabilities.ts';
import { capability } from '../../probe/capability.ts';

const flags =
  'Start vLLM with --kv-events-config \'{"enable_kv_cache_events":true,"publisher":"zmq","endpoint":"ipc:///PATH"}\', and add #events=ipc:///PATH to the engine\'s URL.';

/** Whether a server's own events name the blocks that a request reused. */
export function eventsFound({
  isNamed,
  offered,
  problem,
  ranks,
  announces,
}: {
  /** The spec names where they are. */
  readonly isNamed: boolean;
  /** Where the server's command line says that they are. */
  readonly offered: string | undefined;
  /** Why they cannot be read; null where they can. */
  readonly problem: string | null;
  readonly ranks: number;
  readonly announces: boolean | null;
}): Capability {
  const of = (state: Capability['state'], found: string, remedy = ''): Capability =>
    capability('block-events', state, found, remedy);
  if (ranks > 1)
    return of('no', `Each of its ${ranks} ranks publishes events of its own, so reuse is judged without them.`);
  if (!isNamed && offered !== undefined)
    return of('no', `It publishes events at ${offered}.`, `Add #events=${offered} to the engine's URL.`);
  if (!isNamed) return of('no', 'Reuse is judged by counts of tokens.', flags);
  if (problem !== null) return of('no', `The events cannot be read: ${problem}.`, flags);
  if (announces === true) return of('yes', 'Its events name each block that a request reused.');
  return announces === false
    ? of(
        'no',
        'Its events do not name the blocks that a request reused, so reuse is judged without them.',
        'Update vLLM to 0.32 or later, and start it with --enable-prefix-caching.',
      )
    : of('unknown', 'Its events can be read. They have not named the blocks of a request that reused some yet.');
}
