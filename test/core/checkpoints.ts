import { coreFixture, type CoreFixture } from './coreFixture.ts';
import type { CheckpointPolicy } from '../../src/core/windows/checkpoints/checkpointPolicy.ts';

/** A core that makes checkpoints without being asked for. */
export const keeping = (policy: Partial<CheckpointPolicy> = {}): Promise<CoreFixture> =>
  coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true, ...policy } }));

/** A session of a folder, which is its current one, with one turn behind it. */
export async function talkedIn({ cwm }: CoreFixture, id: string, project: string): Promise<void> {
  await cwm.createSession({ id, project });
  await cwm.send({ session: id, text: `Please explain what ${id} is good for.` });
  await cwm.settled();
}

/** How often the engine's KV was brought back. */
export const restores = ({ engine }: CoreFixture): number => engine.calls.filter((call) => call === 'restore').length;

/** The next checkpoint waits until `go`, or its end. */
export function holdSave({ engine }: CoreFixture) {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  engine.onCall = async (call) => {
    if (call !== 'persist') return;
    reached.resolve();
    await go.promise;
  };
  return { go: () => go.resolve(), reached: reached.promise };
}
